//! What the director and a worker say to each other: a line of JSON each.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{place::StoreSpec, steps::Step};

/// The first line that a worker gets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setup {
    /// The service, as token host and as API host.
    pub(crate) service: String,
    pub(crate) store: StoreSpec,
    pub(crate) replays: bool,
    pub(crate) lease: LeaseTimes,
    /// How far the director's clock has advanced already.
    pub(crate) elapsed: Duration,
}

/// A worker's real times.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct LeaseTimes {
    pub(crate) token_timeout: Duration,
    pub(crate) time_to_live: Duration,
    pub(crate) wait: Duration,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Command {
    /// Time passes.
    Advance(Duration),
    /// Sends so many requests to the API at once.
    Request { at_once: usize },
    /// Stops at this step from now on, and says so.
    StopAt(Step),
    /// Goes on from where it stopped, and stops no more.
    Go,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Answer {
    At(Step),
    Requested(Results),
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Answered with a 200.
    Ok,
    /// There was no token, which may pass.
    TryAgain(String),
    /// Somebody has to sign in.
    SignIn(String),
    /// What must not happen.
    Wrong(String),
}

/// What became of requests.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) ok: usize,
    pub(crate) try_again: Vec<String>,
    pub(crate) sign_in: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::TryAgain(error) => self.try_again.push(error),
            Outcome::SignIn(error) => self.sign_in.push(error),
            Outcome::Wrong(error) => self.wrong.push(error),
        }
    }

    pub(crate) fn join(&mut self, others: Self) {
        self.ok += others.ok;
        self.try_again.extend(others.try_again);
        self.sign_in.extend(others.sign_in);
        self.wrong.extend(others.wrong);
    }

    pub(crate) fn are_ok(&self) -> bool {
        self.try_again.is_empty() && self.sign_in.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ok", self.ok)?;
        for (what, errors) in [
            ("try again", &self.try_again),
            ("sign in", &self.sign_in),
            ("wrong", &self.wrong),
        ] {
            if !errors.is_empty() {
                write!(f, ", {what}: {errors:?}")?;
            }
        }
        Ok(())
    }
}
