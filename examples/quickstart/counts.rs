//! The requests that the fake service has counted.

use std::ops::Sub;

use dropbox_sign_oauth::testing::FakeDropboxSign;

use crate::timeline::Timeline;

/// API requests by the status of the response, and refreshes.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) ok: usize,
    pub(crate) rejected: usize,
    pub(crate) unavailable: usize,
    pub(crate) refreshes: usize,
}

impl Counts {
    /// One request with a 200 as its first response.
    pub(crate) const ONE_REQUEST: Self = Self {
        ok: 1,
        rejected: 0,
        unavailable: 0,
        refreshes: 0,
    };

    pub(crate) fn so_far(fake: &FakeDropboxSign) -> Self {
        let api = fake.recorded_api_requests();
        let with_status = |status: u16| {
            let has_it = |seen: &Option<http::StatusCode>| {
                seen.is_some_and(|seen| seen == status)
            };
            api.iter().filter(|request| has_it(&request.status)).count()
        };
        let token = fake.recorded_token_requests();
        let refreshes = token
            .iter()
            .filter(|request| request.query.as_deref() == Some("refresh"));
        Self {
            ok: with_status(200),
            rejected: with_status(401),
            unavailable: with_status(503),
            refreshes: refreshes.count(),
        }
    }

    pub(crate) fn check(self, expected: Self, timeline: &Timeline) {
        timeline.check("responses with 200", self.ok, expected.ok);
        for (name, seen, expected) in [
            ("responses with 401", self.rejected, expected.rejected),
            ("responses with 503", self.unavailable, expected.unavailable),
        ] {
            if (seen, expected) != (0, 0) {
                timeline.check(name, seen, expected);
            }
        }
        timeline.check("refreshes", self.refreshes, expected.refreshes);
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            ok: self.ok - earlier.ok,
            rejected: self.rejected - earlier.rejected,
            unavailable: self.unavailable - earlier.unavailable,
            refreshes: self.refreshes - earlier.refreshes,
        }
    }
}
