//! Requests that leave without a token, because their origin is not on the list.

use http::StatusCode;
use parking_lot::Mutex;

use crate::{account::Account, event::EventKind};

/// The origins off the list to which requests have gone.
#[derive(Debug, Default)]
pub(super) struct Unlisted {
    warned: Seen,
    /// Apart from the warnings, since a request without an account makes no event.
    emitted: Seen,
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Unlisted {
    /// Whether a request to this origin may have something to report.
    pub(super) fn has_news(&self, origin: &str) -> bool {
        self.warned.would_be_new(origin) || self.emitted.would_be_new(origin)
    }

    /// Reports a request to this origin, once for each origin. `status` is the status of the response.
    pub(super) fn report(
        &self,
        origin: String,
        account: Option<&Account>,
        status: Option<StatusCode>,
    ) {
        if self.warned.is_new(&origin) {
            #[cfg(feature = "tracing")]
            warn(&origin, account, status);
        }
        // An event has an account.
        if let Some(account) = account
            && self.emitted.is_new(&origin)
        {
            account.emit(EventKind::OriginNotListed {
                origin,
                status: status.map(|status| status.as_u16()),
            });
        }
    }
}

impl Seen {
    /// Origins beyond this number are not remembered, and not reported.
    const LIMIT: usize = 64;

    fn would_be_new(&self, origin: &str) -> bool {
        Self::lacks(&self.0.lock(), origin)
    }

    fn lacks(seen: &[String], origin: &str) -> bool {
        seen.len() < Self::LIMIT && seen.iter().all(|known| known != origin)
    }

    /// Remembers the origin.
    fn is_new(&self, origin: &str) -> bool {
        let mut seen = self.0.lock();
        let is_new = Self::lacks(&seen, origin);
        if is_new {
            seen.push(origin.to_owned());
        }
        is_new
    }
}

#[cfg(feature = "tracing")]
fn warn(origin: &str, account: Option<&Account>, status: Option<StatusCode>) {
    tracing::warn!(
        target: crate::event::TARGET,
        account = account.map(|account| tracing::field::display(account.id())),
        kind = "origin_not_listed",
        origin,
        status = status.map(|status| status.as_u16()),
        "a request left without a token, since its origin is not listed; if the API is at this origin, \
         list it: `TokenRefreshMiddleware::builder(..).origins(..)`",
    );
}

/// Leaves a trace of every request that passes.
pub(super) fn trace(origin: &str) {
    #[cfg(feature = "tracing")]
    tracing::trace!(
        target: crate::event::TARGET,
        origin,
        "a request leaves without a token, since its origin is not listed",
    );
    #[cfg(not(feature = "tracing"))]
    let _ = origin;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_new_once_and_only_so_many_are_remembered() {
        let seen = Seen::default();
        let origin = |nth: usize| format!("https://{nth}.example");
        for nth in 0..Seen::LIMIT {
            assert!(seen.is_new(&origin(nth)), "{nth}");
            assert!(!seen.is_new(&origin(nth)), "{nth}");
        }
        assert!(!seen.is_new(&origin(Seen::LIMIT)));
        assert_eq!(seen.0.lock().len(), Seen::LIMIT);
    }
}
