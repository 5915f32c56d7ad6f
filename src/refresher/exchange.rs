//! Presenting the refresh token, again where that is right, and what a failure means.

use tokio::time::{Instant, sleep, timeout};

use super::{
    failure::{STORE_RECHECK, failed},
    flight::Pilot,
    lease::HeldLease,
    state::Outcome,
};
use crate::{
    clock::Moment,
    endpoint::{EndpointError, EndpointErrorKind, TokenGrant},
    error::{Error, ErrorKind},
    event::EventKind,
    policy::LostReply,
    secret::RefreshToken,
};

impl Pilot {
    /// Presents the refresh token: again if it was not sent, within the budget, and once more if
    /// the reply was lost, should the policy say so.
    pub(super) async fn exchange(
        &self,
        refresh_token: &RefreshToken,
        lease: &HeldLease,
    ) -> Result<(TokenGrant, Moment), EndpointError> {
        let policy = &self.context().policy;
        let begun = Instant::now();
        let mut unsent = 0;
        let mut replayed = policy.lost_reply == LostReply::NeverReplay;
        loop {
            let sent = Moment::read(&*self.context().clock);
            let error = match self.present(refresh_token).await {
                Ok(grant) => return Ok((grant, sent)),
                Err(error) => error,
            };
            match error.kind() {
                EndpointErrorKind::NotSent => {
                    unsent += 1;
                    let delay = policy.backoff.delay(unsent, None, fastrand::f64());
                    if begun.elapsed() + delay > policy.unsent_budget {
                        return Err(error);
                    }
                    sleep(delay).await;
                }
                EndpointErrorKind::Ambiguous if !replayed => replayed = true,
                _ => return Err(error),
            }
            // Without the lease, somebody else may be about to present it.
            if lease.ensure().await.is_err() {
                return Err(error);
            }
            self.refresher.emit(EventKind::RequestRepeated {
                ambiguous: error.kind() == EndpointErrorKind::Ambiguous,
            });
        }
    }

    async fn present(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let endpoint = &self.context().endpoint;
        // An endpoint bounds itself; one that does not must not hold the lease for ever.
        timeout(endpoint.timeout(), endpoint.refresh(refresh_token))
            .await
            .unwrap_or_else(|_| {
                Err(EndpointError::new(
                    EndpointErrorKind::Ambiguous,
                    "the token endpoint did not answer in time",
                ))
            })
    }

    /// What a failed request means for those who wait and for the refresh token.
    pub(super) fn exchange_failed(
        &self,
        error: EndpointError,
        refresh_token: &RefreshToken,
    ) -> Outcome {
        let policy = &self.context().policy;
        match error.kind() {
            EndpointErrorKind::Ambiguous if policy.lost_reply == LostReply::NeverReplay => {
                let error = self.refused(ErrorKind::Ambiguous, error);
                self.ledger().refuse(refresh_token.clone(), error.clone());
                failed(error, STORE_RECHECK)
            }
            EndpointErrorKind::Configuration => failed(
                self.refused(ErrorKind::Configuration, error),
                policy.backoff.max,
            ),
            EndpointErrorKind::AccountRestricted => failed(
                self.refused(ErrorKind::AccountRestricted, error),
                policy.backoff.max,
            ),
            _ => {
                let retry_after = error.retry_after();
                self.failed_with_backoff(self.refused(ErrorKind::Unavailable, error), retry_after)
            }
        }
    }

    /// Our error for the endpoint's.
    pub(super) fn refused(&self, kind: ErrorKind, error: EndpointError) -> Error {
        self.error(kind)
            .with_detail(error.to_string())
            .with_source(error)
    }
}
