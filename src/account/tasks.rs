//! The tasks that do an account's work, whether or not a caller goes on waiting.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use super::{
    context::AccountContext, lease_demand::Waiting, sign_ins::Pending, single_flight::Flight,
    state::Aim,
};
use crate::{
    error::{Error, ErrorKind},
    event::{Unfinished, in_span},
    policy::Background,
    runtime::{self, Unfit, within},
};

/// While it lives, saving gives way to other work.
pub(super) struct SavingInterrupt<'a> {
    account: &'a Arc<AccountContext>,
    waiting: Option<Waiting<'a>>,
}

impl Drop for SavingInterrupt<'_> {
    fn drop(&mut self) {
        self.waiting.take();
        self.account.go_on_saving();
    }
}

impl AccountContext {
    /// Starts the flight, if there is a flight to start.
    pub(super) fn start_flight(self: &Arc<Self>, flight: Option<Flight>) -> Result<(), Error> {
        let Some(flight) = flight else { return Ok(()) };
        let runtime = match self.runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                flight.cancel();
                return Err(error);
            }
        };
        self.expect_no_loss();
        let aim = flight.aim();
        let account = Arc::clone(self);
        let task = async move {
            let flight = Arc::clone(&account).run_flight(flight);
            account.report_if_aborted(Unfinished::Refresh, flight).await;
            if let Some(sweeper) = account.manager.sweeper.upgrade() {
                sweeper.sweep_if_due();
            }
        };
        match aim {
            Aim::Refresh(reason) => {
                let task = in_span(&self.id, reason, task);
                self.tasks.spawn_on(task, &runtime)
            }
            Aim::Look => self.tasks.spawn_on(task, &runtime),
        };
        Ok(())
    }

    /// Runs `work` to its end. The caller waits until a bound, and needs no runtime.
    pub(super) async fn run_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (begin, begun) = oneshot::channel();
        let task = self.spawn_task(async move {
            let _ = begin.send(());
            work.await
        })?;
        if within(self.policy().patience, begun).await.is_none() {
            return Err(self.no_runtime(Unfit::NotDriven));
        }
        let longest = self.manager.longest_work();
        match within(longest, task).await {
            Some(result) => self.task_result(result),
            None => Err(self.too_long(longest)),
        }
    }

    /// The result of a sign-in that another caller began. The caller waits until a bound.
    pub(super) async fn result_of(&self, mut sign_in: Pending) -> Result<(), Error> {
        let longest = self.manager.longest_work();
        match within(longest, sign_in.wait_for(Option::is_some)).await {
            Some(Ok(result)) => result.clone().unwrap_or(Ok(())),
            Some(Err(_)) => Err(self
                .error(ErrorKind::Aborted)
                .with_detail("another call with the same code was aborted")),
            None => Err(self.too_long(longest)),
        }
    }

    /// Goes on saving what a flight could not: other work took the lease over from the flight, and did
    /// not save.
    pub(super) fn go_on_saving(self: &Arc<Self>) {
        if self.policy().background == Background::Never {
            return;
        }
        if self.record_state().pending().is_none() {
            return;
        }
        let account = Arc::clone(self);
        // Without a runtime, the next refresh saves.
        let _ = self.spawn_task(async move {
            let saving = account.with_lease(async {
                account.keep_saving().await;
                Ok(())
            });
            // The next refresh tries again.
            account
                .report_if_aborted(Unfinished::Refresh, async { drop(saving.await) })
                .await;
        });
    }

    /// Makes saving give way to other work, until the result is dropped. Then saving goes on.
    pub(super) fn interrupt_saving(self: &Arc<Self>) -> SavingInterrupt<'_> {
        SavingInterrupt {
            account: self,
            waiting: Some(self.lease_demand.wait()),
        }
    }

    /// Starts `work` in a task.
    pub(super) fn spawn_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>, Error> {
        Ok(self.tasks.spawn_on(work, &self.runtime()?))
    }

    pub(super) fn task_result<T>(
        &self,
        result: Result<Result<T, Error>, JoinError>,
    ) -> Result<T, Error> {
        result.unwrap_or_else(|ended| {
            let cause = runtime::end_of_task(ended.is_panic());
            Err(self.error(ErrorKind::Aborted).with_detail(cause))
        })
    }

    fn too_long(&self, waited: Duration) -> Error {
        self.error(ErrorKind::Timeout)
            .with_detail(format!("the work has not ended after {waited:?}"))
    }

    fn runtime(&self) -> Result<Handle, Error> {
        let built_on = self.manager.built_on.as_ref();
        runtime::choose(built_on).map_err(|unfit| self.no_runtime(unfit))
    }

    fn no_runtime(&self, unfit: Unfit) -> Error {
        self.error(ErrorKind::NoRuntime)
            .with_detail(unfit.to_string())
    }
}
