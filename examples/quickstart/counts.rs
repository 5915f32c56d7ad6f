//! What the fake service has seen.

use std::ops::Sub;

use dropbox_sign_oauth::testing::FakeDropboxSign;

use crate::timeline::Timeline;

/// API requests by what became of them, and refreshes.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    pub(crate) unavailable: usize,
    pub(crate) refreshes: usize,
}

impl Counts {
    /// One request, answered at the first try.
    pub(crate) const ONE_REQUEST: Self = Self {
        answered: 1,
        refused: 0,
        unavailable: 0,
        refreshes: 0,
    };

    pub(crate) fn so_far(fake: &FakeDropboxSign) -> Self {
        let api = fake.recorded_api_requests();
        let with_status = |status: u16| {
            let has_it = |seen: &Option<http::StatusCode>| seen.is_some_and(|seen| seen == status);
            api.iter().filter(|request| has_it(&request.status)).count()
        };
        let token = fake.recorded_token_requests();
        let refreshes = token
            .iter()
            .filter(|request| request.query.as_deref() == Some("refresh"));
        Self {
            answered: with_status(200),
            refused: with_status(401),
            unavailable: with_status(503),
            refreshes: refreshes.count(),
        }
    }

    pub(crate) fn check(self, expected: Self, timeline: &Timeline) {
        timeline.check("answered with 200", self.answered, expected.answered);
        for (what, seen, expected) in [
            ("answered with 401", self.refused, expected.refused),
            ("answered with 503", self.unavailable, expected.unavailable),
        ] {
            if (seen, expected) != (0, 0) {
                timeline.check(what, seen, expected);
            }
        }
        timeline.check("refreshes", self.refreshes, expected.refreshes);
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            answered: self.answered - earlier.answered,
            refused: self.refused - earlier.refused,
            unavailable: self.unavailable - earlier.unavailable,
            refreshes: self.refreshes - earlier.refreshes,
        }
    }
}
