//! Callers who all ask at once, one for each account.

use std::time::{Duration, Instant};

use dropbox_sign_oauth::{ErrorKind, TokenManager};
use tokio::task::JoinSet;

use crate::tokens::account;

/// The waits of the callers.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The wait of each caller that got a token, sorted.
    pub(crate) waits: Vec<Duration>,
    /// How many callers gave up after the policy's patience.
    pub(crate) lost_patience: usize,
    /// How many callers got another error.
    pub(crate) failed: usize,
    /// From the first question to the last answer.
    pub(crate) taken: Duration,
}

impl Asked {
    /// Asks for the tokens of the first `count` accounts, each in a task of its own.
    pub(crate) async fn all(manager: &TokenManager, count: usize) -> Self {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..count {
            let manager = manager.clone();
            callers.spawn(async move {
                let token = manager.account(account(number)).token().await;
                (start.elapsed(), token.map(drop))
            });
        }
        let mut asked = Self::default();
        while let Some(answer) = callers.join_next().await {
            let (wait, token) = answer.expect("no panic");
            match token {
                Ok(()) => asked.waits.push(wait),
                Err(error) if error.kind() == ErrorKind::Timeout => asked.lost_patience += 1,
                Err(error) => {
                    if asked.failed == 0 {
                        eprintln!("the first error of {count} callers: {error}");
                    }
                    asked.failed += 1;
                }
            }
        }
        asked.taken = start.elapsed();
        asked.waits.sort_unstable();
        asked
    }

    /// Whether each caller got a token.
    pub(crate) fn is_complete(&self) -> bool {
        self.lost_patience == 0 && self.failed == 0
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.waits.len() as f64 / self.taken.as_secs_f64()
    }

    /// The wait that this part of the callers did not exceed. Zero if nobody got a token.
    pub(crate) fn percentile(&self, part: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        let index = (last as f64 * part).round() as usize;
        self.waits.get(index).copied().unwrap_or_default()
    }
}
