//! The callback URL, as the user pastes it.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use dropbox_sign_oauth::{
    AccountId, AuthorizationError, AuthorizationErrorKind, AuthorizationResponse,
    AuthorizationState,
};
use tokio::sync::mpsc;

use crate::{
    failure::{Exit, Failure},
    output::note,
};

/// The longest input that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Asks for the callback URL. Dropbox Sign refuses callbacks to localhost, so the user brings the URL.
///
/// Asks again after a text that is no callback: the sign-in is still under way.
pub(super) async fn response(
    account: &AccountId,
    state: &AuthorizationState,
) -> Result<AuthorizationResponse, Failure> {
    note(
        "then paste the URL that the browser's address bar shows, even if the page does not load:",
    );
    let mut lines = lines();
    let mut last_slip = None;
    while let Some(line) = lines.recv().await {
        let line = line.map_err(|error| Failure::new(Exit::Failed, format!("stdin: {error}")))?;
        match AuthorizationResponse::parse(&line, state) {
            Err(error) if is_slip(&line, &error) => {
                note(format_args!(
                    "{}; allow the access in the browser, and paste the URL that the address bar shows then:",
                    error.problem()
                ));
                last_slip = Some(error);
            }
            parsed => return Ok(parsed?),
        }
    }
    Err(match last_slip {
        Some(error) => Failure::not_signed_in(account, error.problem()),
        None => nothing_came_in(account),
    })
}

/// Whether the user has pasted another text than a callback. A callback with another state is no slip.
fn is_slip(line: &str, error: &AuthorizationError) -> bool {
    match error.kind() {
        AuthorizationErrorKind::Malformed => true,
        AuthorizationErrorKind::StateMismatch => !line.contains("state="),
        _ => false,
    }
}

fn nothing_came_in(account: &AccountId) -> Failure {
    let way = match io::stdin().is_terminal() {
        true => "paste the whole URL",
        false => "run `login` in a terminal, or with `--listen`",
    };
    let message = format!("account `{account}`: no callback URL came in; {way}");
    Failure::new(Exit::SignIn, message)
}

/// The lines of stdin that are not blank.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    // A thread that no runtime waits for: a read of stdin cannot be ended.
    thread::spawn(move || {
        let lines = io::stdin().lock().take(LONGEST).lines();
        let is_blank =
            |line: &io::Result<String>| matches!(line, Ok(line) if line.trim().is_empty());
        for line in lines.filter(|line| !is_blank(line)) {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    lines
}
