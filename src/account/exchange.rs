//! Presenting the refresh token, again where that is right, and what a failure means.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

use super::{
    context::AccountContext,
    intent::Intent,
    lease::HeldLease,
    outcome::{failed, failed_for_good, postponed},
    record_state::Refusal,
    state::Outcome,
};
use crate::{
    clock::Moment,
    endpoint::{EndpointError, EndpointErrorKind, TokenGrant},
    error::ErrorKind,
    event::EventKind,
    policy::LostResponse,
    secret::RefreshToken,
};

/// The response to a token request.
pub(super) struct Granted {
    pub(super) grant: TokenGrant,
    pub(super) sent: Moment,
    /// How long the response took, while the machine was awake.
    pub(super) took: Duration,
}

/// How long an endpoint may read a response on after its own timeout. A process that was held up
/// finds the response only then. An endpoint that never returns must not hold the lease for ever.
const READING: Duration = Duration::from_secs(1);

impl AccountContext {
    /// Presents the refresh token: again if it was not sent, within the budget, and once more if
    /// the response was lost and the policy allows that.
    pub(super) async fn exchange(
        &self,
        intent: &Intent,
        lease: &HeldLease,
    ) -> Result<Granted, EndpointError> {
        let policy = self.policy();
        let begun = self.clocks().stopwatch();
        let mut unsent = 0;
        let mut replayed = policy.lost_response == LostResponse::NeverReplay;
        let mut may_be_spent = false;
        loop {
            let (sent, posted) = (self.clocks().now(), self.clocks().stopwatch());
            let error = match self.present(&intent.refresh_token).await {
                Ok(grant) => {
                    let queue = &self.manager.refresh_queue;
                    queue.granted(&grant.rate_limits, sent.monotonic);
                    let took = posted.elapsed();
                    return Ok(Granted { grant, sent, took });
                }
                // A refusal is the verdict on the earlier requests too.
                Err(error) if error.kind() == EndpointErrorKind::GrantRefused => return Err(error),
                Err(error) => error.with_earlier_request(may_be_spent),
            };
            // The presented token is replaced: there is nothing to repeat.
            if error.refresh_token().is_some() {
                return Err(error);
            }
            may_be_spent = error.may_be_spent();
            match error.kind() {
                EndpointErrorKind::NotSent => {
                    unsent += 1;
                    let delay = policy.backoff.delay(unsent, None, fastrand::f64());
                    if begun.elapsed() + delay > policy.unsent_budget {
                        return Err(error);
                    }
                    self.clocks().timer().pause(delay).await;
                }
                EndpointErrorKind::Ambiguous if !replayed => replayed = true,
                _ => return Err(error),
            }
            // Without the lease, another process may be about to present the token.
            if lease.ensure().await.is_err() {
                return Err(error);
            }
            self.emit(EventKind::RequestRepeated {
                ambiguous: error.kind() == EndpointErrorKind::Ambiguous,
            });
        }
    }

    async fn present(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let request = self.manager.endpoint.refresh(refresh_token);
        self.granted_in_time(request, Some(refresh_token)).await
    }

    /// The response to a token request, which presents a refresh token or a code.
    pub(super) async fn granted_in_time(
        &self,
        request: impl Future<Output = Result<TokenGrant, EndpointError>>,
        presented: Option<&RefreshToken>,
    ) -> Result<TokenGrant, EndpointError> {
        let mut response = pin!(request);
        let response = match timeout(self.manager.endpoint.timeout(), &mut response).await {
            // The time for reading counts from when the process notices the deadline.
            Err(_) => timeout(READING, response).await,
            in_time => in_time,
        };
        let Ok(response) = response else {
            let message = "the token endpoint did not respond in time";
            return Err(EndpointError::new(EndpointErrorKind::Ambiguous, message));
        };
        let grant = response?;
        let Some(flaw) = grant.access_token.flaw() else {
            return Ok(grant);
        };
        let message = format!("the token endpoint granted nothing usable: {flaw}");
        let error = EndpointError::new(EndpointErrorKind::Transient, message);
        Err(match grant.refresh_token {
            Some(issued) if presented != Some(&issued) => error.with_refresh_token(issued),
            _ => error,
        })
    }

    /// What a failed request, first sent at `presented`, means for the callers that wait, for the refresh
    /// token and for the other accounts.
    pub(super) fn exchange_failed(
        &self,
        error: EndpointError,
        intent: &Intent,
        presented: Duration,
    ) -> Outcome {
        let policy = self.policy();
        let held = self.manager.refresh_queue.failed(&error, presented);
        let is_replaced = error.refresh_token().is_some();
        if error.may_be_spent() && !is_replaced && policy.lost_response == LostResponse::NeverReplay
        {
            let error = self.endpoint_error(ErrorKind::Ambiguous, error);
            self.record_state().refuse(Refusal {
                token: intent.refresh_token.clone(),
                lineage: intent.record.lineage.clone(),
                error: error.clone(),
                refused_at: None,
            });
            return failed_for_good(error);
        }
        match error.kind() {
            EndpointErrorKind::Configuration => failed(
                self.endpoint_error(ErrorKind::Configuration, error),
                policy.backoff.max,
            ),
            EndpointErrorKind::AccountRestricted => failed(
                self.endpoint_error(ErrorKind::AccountRestricted, error),
                policy.backoff.max,
            ),
            _ => {
                let retry_after = error.retry_after();
                let error = self.endpoint_error(ErrorKind::Unavailable, error);
                match held {
                    Some(wait) => postponed(error, wait),
                    None => self.failed_with_backoff(error, retry_after),
                }
            }
        }
    }
}
