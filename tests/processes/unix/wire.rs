//! The messages between the director and a worker. Each message is a line of JSON.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{steps::Step, stores::StoreAddress};

/// The first message to a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setup {
    /// The URL of the service: token host and API host.
    pub(crate) service: String,
    pub(crate) store: StoreAddress,
    /// Whether the worker presents a refresh token once more after a lost response.
    pub(crate) replays: bool,
    pub(crate) lease: LeaseTimes,
    /// How far the director's clock has advanced.
    pub(crate) elapsed: Duration,
}

/// Real times, not the fake clock's.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct LeaseTimes {
    pub(crate) token_timeout: Duration,
    pub(crate) time_to_live: Duration,
    pub(crate) wait: Duration,
}

/// A message to a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Command {
    /// Advance the clock.
    Advance(Duration),
    /// Send this number of requests to the API at once, and report the results.
    Request { at_once: usize },
    /// From now on, stop at this step, and report the stop.
    StopAt(Step),
    /// Continue, and stop no more.
    Go,
    /// Exchange this code, install the tokens, and report.
    SignIn { code: String },
    /// Sign out, and report.
    SignOut,
    /// Drop the manager and the client, and report. The process goes on.
    End,
}

/// A message from a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Report {
    At(Step),
    Requested(Results),
    /// The sign-in, the sign-out or the end is done.
    Done,
}

/// The result of one request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A response with status 200.
    Ok,
    /// There was no token, and a later attempt may succeed.
    TryAgain(String),
    /// The account has to sign in.
    SignIn(String),
    /// Any other result, which is a failure of the test.
    Wrong(String),
}

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
        for (outcome, errors) in [
            ("try again", &self.try_again),
            ("sign in", &self.sign_in),
            ("wrong", &self.wrong),
        ] {
            if !errors.is_empty() {
                write!(f, ", {outcome}: {errors:?}")?;
            }
        }
        Ok(())
    }
}
