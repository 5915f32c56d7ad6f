//! The end of work: a flush, and the shutdown.

use std::time::Duration;

use super::{Shared, TokenManager};
use crate::{account::Account, error::Error, runtime::within};

/// How long a shutdown or a flush waits for the store, once all tokens are saved.
const STORE_SETTLES: Duration = Duration::from_secs(5);

impl TokenManager {
    /// Waits until refreshes under way have ended, saves tokens that could not be saved before, and waits
    /// until the event sinks have handled their events so far. The manager stays open.
    ///
    /// Call `flush` before the process is frozen: at the end of each invocation on AWS Lambda, or before
    /// the response where Cloud Run takes the CPU away between two requests. Call `flush` also before a
    /// snapshot of the process is taken. With [`Background::Never`], a refresh whose callers gave up and
    /// tokens that could not be saved are all that a flush has to wait for.
    ///
    /// A flush does not wait for refreshes that start meanwhile. The bounds are those of
    /// [`shutdown`](Self::shutdown). Any number of flushes and shutdowns may run at the same time.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{TokenManager, testing::FakeDropboxSign, store::MemoryStore};
    /// use dropbox_sign_oauth::{Background, RefreshPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let fake = FakeDropboxSign::start().await;
    /// # let api = fake.api();
    /// # let store = MemoryStore::new();
    /// let policy = RefreshPolicy {
    ///     background: Background::Never,
    ///     ..RefreshPolicy::default()
    /// };
    /// let manager = TokenManager::builder(api, store).policy(policy).build()?;
    /// # manager.account("acme").install(fake.sign_in()).await?;
    ///
    /// // In the function that handles an invocation:
    /// let token = manager.account("acme").token().await;
    /// // An error of the invocation must not skip the flush.
    /// manager.flush().await?;
    /// # let _ = token?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown): all accounts are tried, and the first error is returned. Tokens
    /// that could not be saved stay in memory, and the next flush or refresh saves them.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call `flush` again.
    ///
    /// [`Background::Never`]: crate::Background::Never
    pub async fn flush(&self) -> Result<(), Error> {
        let accounts = self.0.accounts.all();
        let interrupts: Vec<_> = accounts.iter().map(Account::interrupt_saving).collect();
        let settled = self.settle(&accounts).await;
        drop(interrupts);
        self.0.context().events.flush().await;
        settled
    }

    /// Shuts down gracefully: starts no refresh from now on, waits until refreshes under way have
    /// saved their new tokens, saves tokens that could not be saved before, and waits until the event
    /// sinks have handled their events.
    ///
    /// **Call `shutdown` before the program ends.** If the process ends in mid-refresh, its new refresh
    /// token is lost, and the next process presents the spent refresh token.
    ///
    /// Valid tokens are still served afterwards. Later events reach no sink.
    ///
    /// The wait for refreshes, and then the wait for saves, each ends after
    /// [`lease_wait`](crate::RefreshPolicy::lease_wait),
    /// [`unsent_budget`](crate::RefreshPolicy::unsent_budget), twice
    /// [`TokenEndpoint::timeout`], [`save_budget`](crate::RefreshPolicy::save_budget),
    /// [`save_give_up`](crate::RefreshPolicy::save_give_up) and 30 seconds for the store, together: with the
    /// default settings after 153 seconds. The wait for leases that the store still releases ends after
    /// 5 seconds, and so does the wait for the sinks.
    ///
    /// While the token host does not respond, a shutdown takes about half a minute. By default, Docker kills
    /// a process 10 seconds after `SIGTERM`, and Kubernetes after 30 seconds: set a longer time there.
    ///
    /// With axum, the requests end first. `ctrl_c` alone does not catch the `SIGTERM` of Docker, Kubernetes
    /// and systemd. The example needs Tokio's feature `signal`, and Unix:
    ///
    /// ```ignore
    /// use tokio::signal::{ctrl_c, unix::{SignalKind, signal}};
    ///
    /// let mut terminate = signal(SignalKind::terminate())?;
    /// let stop = async move {
    ///     tokio::select! {
    ///         _ = ctrl_c() => {}
    ///         _ = terminate.recv() => {}
    ///     }
    /// };
    /// let served = axum::serve(listener, app).with_graceful_shutdown(stop).await;
    /// // An error of the server must not skip the shutdown.
    /// manager.shutdown().await?;
    /// served?;
    /// ```
    ///
    /// # Errors
    ///
    /// All accounts are tried, and the first error is returned:
    ///
    /// - [`ErrorKind::SaveFailed`](crate::ErrorKind::SaveFailed) for an account whose tokens could
    ///   not be saved. The tokens are lost when the process ends.
    /// - [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) for an account whose refresh or save has not
    ///   ended within the bound: its runtime is not driven, for example.
    /// - [`ErrorKind::NoRuntime`](crate::ErrorKind::NoRuntime) or
    ///   [`ErrorKind::Aborted`](crate::ErrorKind::Aborted) if no runtime has saved the tokens.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call `shutdown` again.
    ///
    /// [`TokenEndpoint::timeout`]: crate::TokenEndpoint::timeout
    pub async fn shutdown(&self) -> Result<(), Error> {
        let settled = self.settle(&self.0.close()).await;
        self.0.context().events.close().await;
        settled
    }

    /// Waits until the work that is under way for these accounts has ended, and saves what the work could
    /// not save.
    async fn settle(&self, accounts: &[Account]) -> Result<(), Error> {
        let longest = self.0.context().longest_work();
        let mut ended = 0;
        let ends = async {
            for account in accounts {
                account.tasks_ended().await;
                ended += 1;
            }
        };
        let _ = within(longest, ends).await;

        let saves: Vec<_> = accounts.iter().map(Account::save_leftovers).collect();
        let mut results = Vec::new();
        let saved = async {
            for save in saves {
                results.push(save.await);
            }
        };
        let _ = within(longest, saved).await;
        let in_time = ended.min(results.len());
        results.extend(accounts[in_time..].iter().map(Account::check_tasks_ended));
        // What is left are leases, which end by themselves with their time to live.
        let _ = within(STORE_SETTLES, self.0.context().store.settle()).await;
        results.into_iter().collect()
    }
}

impl Shared {
    /// Closes all accounts, later accounts included.
    fn close(&self) -> Vec<Account> {
        self.keeper.lock().take();
        #[cfg(feature = "metrics")]
        self.registered.lock().take();
        let accounts = self.accounts.close();
        self.context().refresh_queue.close();
        accounts
    }
}
