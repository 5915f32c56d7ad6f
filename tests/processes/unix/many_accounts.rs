//! Many accounts in a process that may open few files.

use std::{
    ffi::OsStr,
    io::{self, Write},
    process::Command,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    Account, EndpointError, Error, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant,
    TokenManager, TokenSet, store::FileStore,
};
use futures_util::future::try_join_all;
use libtest_mimic::Trial;

use super::{on_each, service::HOUR, stores::Kind};

/// The argument that makes the test program a process with many accounts. The directory follows.
pub(crate) const ARGUMENT: &str = "--many-accounts";

const ACCOUNTS: usize = 600;
const OPEN_FILES: usize = 400;

pub(crate) fn tests() -> Vec<Trial> {
    on_each!(
        [Kind::Directory],
        s119_more_accounts_than_a_process_may_open_files_refresh_together
    )
}

async fn s119_more_accounts_than_a_process_may_open_files_refresh_together(_: Kind) {
    let directory = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("a path");
    let output = Command::new("sh")
        .args(["-c", r#"ulimit -n "$1"; shift; exec "$@""#, "sh"])
        .arg(OPEN_FILES.to_string())
        .args([program.as_os_str(), OsStr::new(ARGUMENT)])
        .arg(directory.path())
        .output()
        .expect("a process");
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(report, format!("{ACCOUNTS} tokens"));
}

/// Signs the accounts in, and refreshes them, all at once. Prints the first error.
pub(crate) fn main() {
    let directory = std::env::args_os().nth(2).expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = match runtime.block_on(refresh_all(&directory)) {
        Ok(tokens) => format!("{tokens} tokens"),
        Err(error) => error.to_string(),
    };
    let written = io::stdout().write_all(report.as_bytes());
    written.expect("a director that reads");
}

async fn refresh_all(directory: &OsStr) -> Result<usize, Error> {
    let store = FileStore::directory(directory).expect("a directory of our own");
    let manager = TokenManager::builder(Endpoint, store)
        .build()
        .expect("a valid configuration");
    let accounts: Vec<Account> = (0..ACCOUNTS)
        .map(|n| manager.account(n.to_string()))
        .collect();
    let issued_at = SystemTime::now() - HOUR;
    try_join_all(accounts.iter().map(|account| {
        let tokens = TokenSet::new("expired", issued_at, HOUR);
        account.install(tokens.with_refresh_token(format!("refresh-{}", account.id())))
    }))
    .await?;
    let tokens = try_join_all(accounts.iter().map(Account::token)).await?;
    manager.shutdown().await?;
    Ok(tokens.len())
}

/// Grants tokens at once.
#[derive(Debug)]
struct Endpoint;

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        Ok(TokenGrant::new("granted").with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
