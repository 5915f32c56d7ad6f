//! The task that refreshes a manager's accounts before their end, though no caller asks.
//!
//! Deadlines are on clocks that step, and that count a machine's sleep where Tokio's timer does not. New
//! tokens come at any time. So the task looks at the accounts at bounded intervals, besides the
//! moments at which a token turns stale.

use std::{future::Future, time::Duration};

use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    clock::Clocks,
    error::ConfigError,
    runtime::{self, Unfit},
};

/// The shortest and the longest time between two visits.
const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(crate) struct Keeper(AbortHandle);

impl Keeper {
    /// The runtime for the keeper of a manager that is being built on `built_on`.
    pub(crate) fn runtime(built_on: Option<&Handle>) -> Result<Handle, ConfigError> {
        runtime::choose(built_on).map_err(|unfit| {
            let reason = match unfit {
                Unfit::NoTimer => {
                    "the runtime on which the manager is built has no timer, which `KeepWarm` needs: \
                     enable the timer (`enable_all`)"
                }
                _ => {
                    "`KeepWarm` refreshes on the runtime on which the manager is built: call `build` \
                     within `runtime.block_on(…)`"
                }
            };
            ConfigError::invalid("background", reason)
        })
    }

    /// Calls `visit` again and again. A visit returns for how long there is nothing to do, or `None` if
    /// there is nothing to do ever again.
    pub(crate) fn start<V>(
        runtime: &Handle,
        clocks: Clocks,
        visit: impl Fn() -> V + Send + 'static,
    ) -> Self
    where
        V: Future<Output = Option<Duration>> + Send + 'static,
    {
        let task = runtime.spawn(async move {
            while let Some(rest) = visit().await {
                let rest = rest.clamp(SHORTEST_REST, LONGEST_REST);
                clocks.timer().sleep(rest).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
