//! Starts the worker twice with the same seed, on a fake Dropbox Sign.

use std::time::Duration;

use dropbox_sign_oauth::{Seeded, testing::FakeDropboxSign};
use tokio::time::{sleep, timeout};

use crate::{Result, Worker, stop_signal, store};

pub(crate) async fn run() -> Result<()> {
    let fake = FakeDropboxSign::start().await;
    let signed_in = fake.sign_in();
    let seed = signed_in.refresh_token().ok_or("no refresh token")?;
    let folder = tempfile::tempdir()?;
    let url = format!("file:{}", folder.path().display());

    // The first start presents the seed, which is spent from then on. The
    // second start finds better tokens in the store.
    for (jobs, expected) in [(3, Seeded::Installed), (6, Seeded::Kept)] {
        let worker = Worker {
            api: fake.api(),
            origin: fake.url(),
            store: store::open(&url).await?,
            seed: seed.clone(),
            every: Duration::from_millis(20),
        };
        let run = worker.run(stop_signal()?);
        let terminate = terminate_after(&fake, jobs);
        let both = async { tokio::try_join!(run, terminate) };
        let (seeded, ()) = timeout(Duration::from_secs(30), both).await??;
        assert_eq!(seeded, expected);
        assert!(fake.api_requests() >= jobs);
        assert_eq!(fake.unauthorized_responses(), 0);
        assert_eq!(fake.token_requests(), 1);
    }
    assert!(store::open("tokens").await.is_err());
    Ok(())
}

/// Sends this process a `SIGTERM`, as the system would.
async fn terminate_after(fake: &FakeDropboxSign, jobs: usize) -> Result<()> {
    while fake.api_requests() < jobs {
        sleep(Duration::from_millis(10)).await;
    }
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        Ok(kill_process(getpid(), Signal::TERM)?)
    }
    #[cfg(not(unix))]
    Err("only Unix has `SIGTERM`".into())
}
