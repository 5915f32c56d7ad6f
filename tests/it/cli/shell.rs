//! A home directory, an environment and a fake service for the binary.

use std::{
    process::Stdio,
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{FileStore, Record, TokenStore},
    testing::FakeDropboxSign,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// No command of a test takes as long: the command hangs.
pub(super) const HANGS: Duration = Duration::from_secs(120);

/// Where a user runs commands.
pub(super) struct Shell {
    pub(super) fake: FakeDropboxSign,
    pub(super) home: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Shell {
    pub(super) async fn start() -> Self {
        Self {
            fake: FakeDropboxSign::start().await,
            home: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A command with the settings that reach the fake, and nothing else of this process's environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dropbox-sign-oauth"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DROPBOX_SIGN_CLIENT_ID", FakeDropboxSign::CLIENT_ID)
            .env("DROPBOX_SIGN_CLIENT_SECRET", FakeDropboxSign::CLIENT_SECRET)
            .env("DROPBOX_SIGN_TOKEN_HOST", self.fake.url())
            .env("DROPBOX_SIGN_API_HOST", self.fake.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.command(arguments)).await
    }

    /// Runs a command to its end.
    pub(super) async fn end(&self, mut command: Command) -> Ended {
        Ended::of(command.spawn().expect("the binary")).await
    }

    /// Signs in: starts `login`, gives the callback of the page that `login` names, and waits for the end.
    pub(super) async fn login(&self, arguments: &[&str]) -> Ended {
        self.paste(arguments, |fake, url| fake.authorize(url)).await
    }

    /// Starts `login`, and pastes what `callback` makes of the page's URL.
    pub(super) async fn paste(
        &self,
        arguments: &[&str],
        callback: impl FnOnce(&FakeDropboxSign, &str) -> String,
    ) -> Ended {
        let arguments = [&["login"], arguments].concat();
        self.paste_into(self.command(&arguments), callback).await
    }

    /// Starts this `login`, and pastes what `callback` makes of the page's URL.
    pub(super) async fn paste_into(
        &self,
        mut login: Command,
        callback: impl FnOnce(&FakeDropboxSign, &str) -> String,
    ) -> Ended {
        let mut login = login.stdin(Stdio::piped()).spawn().expect("the binary");
        let url = first_line(&mut login).await;
        let callback = callback(&self.fake, &url);
        let mut stdin = login.stdin.take().expect("a pipe");
        stdin
            .write_all(callback.as_bytes())
            .await
            .expect("it reads");
        drop(stdin);
        Ended::of(login).await
    }

    /// The store that the commands use by default.
    pub(super) fn store(&self) -> FileStore {
        let folder = self
            .home
            .path()
            .join(".local/share/dropbox-sign-oauth/tokens");
        FileStore::directory(folder).expect("a store")
    }

    /// Puts the tokens of a sign-in into the store.
    pub(super) async fn save(&self, account: &str, tokens: TokenSet) {
        let saved = self
            .store()
            .compare_and_swap(&account.into(), None, &Record::new(tokens))
            .await;
        saved.expect("the store saves");
    }

    pub(super) async fn record(&self, account: &str) -> Option<Record> {
        self.store()
            .load(&AccountId::from(account))
            .await
            .expect("the store loads")
    }

    /// A user of the fake, whose access token was issued at this time and lives for a day.
    pub(super) fn user(&self, issued_at: SystemTime) -> TokenSet {
        let tokens = self.fake.sign_in();
        let access_token = tokens.access_token().expect("a token").clone();
        TokenSet::new(access_token, issued_at, DAY)
            .with_refresh_token(tokens.refresh_token().expect("a token").clone())
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// A token that was issued then is fresh.
pub(super) fn fresh() -> SystemTime {
    SystemTime::now() - DAY / 2
}

/// A token that was issued then has expired.
pub(super) fn past() -> SystemTime {
    SystemTime::now() - DAY * 2
}

/// The first line on stdout.
pub(super) async fn first_line(child: &mut Child) -> String {
    let stdout = child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    timeout(HANGS, stdout.read_line(&mut line))
        .await
        .expect("no hang")
        .expect("a line");
    line.trim_end().to_owned()
}

impl Ended {
    pub(super) async fn of(mut child: Child) -> Self {
        let ended = timeout(HANGS, async {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let mut pipes = (child.stdout.take(), child.stderr.take());
            tokio::join!(
                async {
                    if let Some(pipe) = &mut pipes.0 {
                        pipe.read_to_end(&mut stdout).await.expect("stdout");
                    }
                },
                async {
                    if let Some(pipe) = &mut pipes.1 {
                        pipe.read_to_end(&mut stderr).await.expect("stderr");
                    }
                },
            );
            let status = child.wait().await.expect("an end");
            Self {
                code: status.code(),
                stdout: String::from_utf8(stdout).expect("UTF-8"),
                stderr: String::from_utf8(stderr).expect("UTF-8"),
            }
        });
        let ended = ended.await.expect("no hang");
        ended.shows_no_secret();
        ended
    }

    /// The end of a command that has done its work. Returns its stdout.
    pub(super) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The end of a command that has failed: one line on stderr, and nothing on stdout. Returns the line.
    pub(super) fn failed(self, code: i32) -> String {
        assert_eq!(self.stdout, "", "{self:?}");
        self.error(code)
    }

    /// The line on stderr that says why a command has failed. Notes may come before the line.
    pub(super) fn error(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        let mut errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "));
        let error = errors.next().expect("a line");
        assert_eq!(errors.next(), None, "{self:?}");
        assert_eq!(self.stderr.lines().last(), Some(error), "{self:?}");
        error.to_owned()
    }

    /// Tokens and codes of the fake begin with their kind and a number.
    fn shows_no_secret(&self) {
        for kind in ["at", "rt", "code"] {
            for (at, _) in self.stderr.match_indices(&format!("{kind}-")) {
                let rest = &self.stderr[at + kind.len() + 1..];
                let is_secret = rest.starts_with(|c: char| c.is_ascii_digit());
                assert!(!is_secret, "{}", self.stderr);
            }
        }
        for secret in [FakeDropboxSign::CLIENT_SECRET, "canary"] {
            assert!(!self.stderr.contains(secret), "{}", self.stderr);
        }
    }
}
