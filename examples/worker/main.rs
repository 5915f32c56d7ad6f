//! A worker without a user: its first refresh token comes from the
//! environment, and `DROPBOX_SIGN_STORE` names the store that outlives the
//! process. The worker stops at `SIGTERM`, after the job under way.
//!
//! ```sh
//! cargo run --example worker
//! ```
//!
//! By default, a fake Dropbox Sign on loopback is the service. With
//! `DROPBOX_SIGN_CLIENT_ID`, `DROPBOX_SIGN_CLIENT_SECRET` and
//! `DROPBOX_SIGN_REFRESH_TOKEN` set, and `--features rustls`, the worker
//! asks the real service once a minute. `store.rs` opens the store.

#![allow(clippy::print_stdout, reason = "a program prints")]

mod demo;
mod store;

use std::{env::var, error::Error, future::Future, sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    Background, Error as TokenError, OAuthApi, RefreshPolicy, RefreshToken,
    Seeded, TokenManager, TokenRefreshMiddleware, TokenSet,
    middleware::{API_ORIGIN, redirect_policy},
    store::TokenStore,
};
use reqwest::StatusCode;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{
    signal::ctrl_c,
    time::{MissedTickBehavior, interval},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let Ok(id) = var("DROPBOX_SIGN_CLIENT_ID") else {
        return demo::run().await;
    };
    let api = OAuthApi::builder(id, setting("DROPBOX_SIGN_CLIENT_SECRET")?);
    let worker = Worker {
        api: api.build()?,
        origin: API_ORIGIN.to_owned(),
        store: store::open(&setting("DROPBOX_SIGN_STORE")?).await?,
        seed: setting("DROPBOX_SIGN_REFRESH_TOKEN")?.into(),
        every: Duration::from_secs(60),
    };
    let stop = stop_signal()?;
    worker.run(stop).await?;
    Ok(())
}

fn setting(name: &str) -> Result<String> {
    Ok(var(name).map_err(|_| format!("set {name}"))?)
}

struct Worker {
    api: OAuthApi,
    origin: String,
    store: Arc<dyn TokenStore>,
    seed: RefreshToken,
    every: Duration,
}

impl Worker {
    /// Works until `stop` is ready. Returns what became of the seed.
    async fn run(self, stop: impl Future<Output = ()>) -> Result<Seeded> {
        // A worker should not find out at its first save.
        self.store.check().await?;
        let policy = RefreshPolicy {
            // The first job after a quiet night does not wait.
            background: Background::KeepWarm,
            ..RefreshPolicy::default()
        };
        let manager =
            TokenManager::builder(self.api.clone(), Arc::clone(&self.store))
                .policy(policy)
                .build()?;
        let worked = self.seed_and_work(&manager, stop).await;
        // After a failure too: a refresh under way would be lost.
        manager.shutdown().await?;
        println!("stopped");
        worked
    }

    async fn seed_and_work(
        &self,
        manager: &TokenManager,
        stop: impl Future<Output = ()>,
    ) -> Result<Seeded> {
        let account = manager.account("default");
        let seed = TokenSet::from_refresh_token(self.seed.clone());
        let seeded = account.seed(seed).await?;
        println!("the seed: {seeded:?}");
        if seeded == Seeded::Spent {
            return Err("the sign-in is over: set another seed".into());
        }
        if let Err(error) = account.token().await
            && !error.is_retryable()
        {
            // A wrong seed is refused here, not at the first job.
            return Err(error.into());
        }

        let auth = TokenRefreshMiddleware::builder(manager)
            .origins([&self.origin])
            .build()?;
        let http = reqwest::Client::builder()
            .redirect(redirect_policy())
            .build()?;
        let client = ClientBuilder::new(http).with(auth).build();
        self.work(&client, stop).await?;
        Ok(seeded)
    }

    async fn work(
        &self,
        client: &ClientWithMiddleware,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                _ = ticks.tick() => {}
            }
            // Outside of the `select!`: a job under way ends by itself.
            match self.job(client).await {
                Ok(status) if status.is_success() => {
                    println!("GET /v3/account: {status}");
                }
                // A 401 too, which is left when a replay did not help.
                Ok(status) => println!("failed: GET /v3/account: {status}"),
                // The next tick tries again.
                Err(error) if passes(&error) => println!("failed: {error}"),
                // A new seed or a corrected setting needs a new start.
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn job(
        &self,
        client: &ClientWithMiddleware,
    ) -> reqwest_middleware::Result<StatusCode> {
        let url = format!("{}/v3/account", self.origin);
        Ok(client.get(url).send().await?.status())
    }
}

/// Whether the same job may succeed later, without help.
fn passes(error: &reqwest_middleware::Error) -> bool {
    let ours = TokenError::from_middleware(error);
    ours.is_none_or(TokenError::is_retryable)
}

/// Ready at `SIGTERM` or Ctrl-C. From the call on, the signals no longer end
/// the process.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = ctrl_c() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = ctrl_c().await;
    })
}
