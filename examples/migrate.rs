//! Imports a table of tokens into a store, without new sign-ins: run the
//! import as often as you like. The guide's page on migration says what to do
//! while the old program still runs:
//! <https://docs.rs/dropbox-sign-oauth/latest/dropbox_sign_oauth/guide/migration/index.html>
//!
//! ```sh
//! cargo run --example migrate
//! ```
//!
//! The rows are those of a fake Dropbox Sign on loopback.

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    error::Error,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dropbox_sign_oauth::{
    Seeded, TokenManager, TokenSet, store::FileStore, testing::FakeDropboxSign,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// `SELECT user, access_token, refresh_token, expires_at FROM tokens`
#[derive(Clone)]
struct Row {
    user: String,
    access_token: String,
    refresh_token: String,
    /// Unix seconds.
    expires_at: u64,
}

impl Row {
    fn tokens(self) -> TokenSet {
        let expires_at = UNIX_EPOCH + Duration::from_secs(self.expires_at);
        TokenSet::expiring_at(self.access_token, expires_at)
            .with_refresh_token(self.refresh_token)
    }
}

/// The users of each outcome.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    imported: Vec<String>,
    /// The store has tokens that are as good or better.
    kept: Vec<String>,
    /// Sign these users in again. The other rows are imported all the same.
    failed: Vec<String>,
}

async fn import(
    manager: &TokenManager,
    rows: impl IntoIterator<Item = Row>,
) -> Report {
    let mut report = Report::default();
    for row in rows {
        let user = row.user.clone();
        let account = manager.account(user.as_str());
        match account.seed(row.tokens()).await {
            Ok(Seeded::Installed) => report.imported.push(user),
            Ok(Seeded::Kept) => report.kept.push(user),
            // The service refused the row's refresh token before.
            Ok(_) => report.failed.push(user),
            Err(error) => {
                println!("{user}: {error}");
                report.failed.push(user);
            }
        }
    }
    report
}

#[tokio::main]
async fn main() -> Result<()> {
    let fake = FakeDropboxSign::start().await;
    let folder = tempfile::tempdir()?;
    let rows = rows(&fake);

    let first = start(&fake, folder.path())?;
    let report = import(&first, rows.clone()).await;
    println!("first run: {report:?}");
    assert_eq!(report.imported, ["acme", "globex"]);
    // A line break came along when somebody copied this token.
    assert_eq!(report.failed, ["initech"]);

    // The token of acme is valid; that of globex has expired, so a refresh
    // spends the refresh token of the table.
    first.account("acme").token().await?;
    assert_eq!(fake.token_requests(), 0);
    first.account("globex").token().await?;
    assert_eq!(fake.token_requests(), 1);
    first.shutdown().await?;

    // The second run brings no spent refresh token back.
    let second = start(&fake, folder.path())?;
    let report = import(&second, rows).await;
    println!("second run: {report:?}");
    assert_eq!(report.kept, ["acme", "globex"]);
    assert!(report.imported.is_empty());
    for user in ["acme", "globex"] {
        second.account(user).token().await?;
    }
    assert_eq!(fake.max_uses_of_one_refresh_token(), 1);
    second.shutdown().await?;
    Ok(())
}

fn start(fake: &FakeDropboxSign, folder: &Path) -> Result<TokenManager> {
    let store = FileStore::directory(folder)?;
    Ok(TokenManager::builder(fake.api(), store).build()?)
}

fn rows(fake: &FakeDropboxSign) -> Vec<Row> {
    let hour = Duration::from_secs(3_600);
    let now = SystemTime::now();
    let row = |user: &str, expires_at: SystemTime| {
        let tokens = fake.sign_in_as(user);
        let since = expires_at.duration_since(UNIX_EPOCH);
        let (access_token, refresh_token) =
            (tokens.access_token(), tokens.refresh_token());
        Row {
            user: user.to_owned(),
            access_token: access_token
                .map(|token| token.expose_secret().to_owned())
                .unwrap_or_default(),
            refresh_token: refresh_token
                .map(|token| token.expose_secret().to_owned())
                .unwrap_or_default(),
            expires_at: since.unwrap_or_default().as_secs(),
        }
    };
    let damaged = Row {
        refresh_token: "refresh\n".to_owned(),
        ..row("initech", now)
    };
    vec![row("acme", now + hour), row("globex", now - hour), damaged]
}
