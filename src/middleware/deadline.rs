//! The end of a request's own timeout.

use reqwest::Request;
use tokio::time::Instant;

/// When the request's own timeout ends, if counted from now. A request without a timeout costs no
/// clock read.
pub(super) fn of(request: &Request) -> Option<Instant> {
    let timeout = request.timeout()?;
    // A timeout beyond the clock's range does not end.
    Instant::now().checked_add(*timeout)
}

/// Gives the request the rest of its timeout.
pub(super) fn leave_rest(request: &mut Request, deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        let rest = deadline.saturating_duration_since(Instant::now());
        *request.timeout_mut() = Some(rest);
    }
}
