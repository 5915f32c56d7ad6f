//! The callback URL, as the user pastes it.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use dropbox_sign_oauth::AccountId;
use tokio::sync::oneshot;

use crate::{
    failure::{Exit, Failure},
    output::note,
};

/// The longest input that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Asks for the callback URL. Dropbox Sign refuses callbacks to localhost, so the user brings the URL.
pub(super) async fn callback(account: &AccountId) -> Result<String, Failure> {
    note(
        "then paste the URL that the browser's address bar shows, even if the page does not load:",
    );
    let (sender, line) = oneshot::channel();
    // A thread that no runtime waits for: a read of stdin cannot be ended.
    thread::spawn(move || sender.send(read()));
    match line.await {
        Ok(Ok(Some(line))) => Ok(line),
        Ok(Err(error)) => Err(Failure::new(Exit::Failed, format!("stdin: {error}"))),
        Ok(Ok(None)) | Err(_) => {
            let way = match io::stdin().is_terminal() {
                true => "paste the whole URL",
                false => "run `login` in a terminal, or with `--listen`",
            };
            let message = format!("account `{account}`: no callback URL came in; {way}");
            Err(Failure::new(Exit::NotSignedIn, message))
        }
    }
}

/// The first line that is not blank. `None`: stdin has ended.
fn read() -> io::Result<Option<String>> {
    let lines = io::stdin().lock().take(LONGEST).lines();
    for line in lines {
        let line = line?;
        if !line.trim().is_empty() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}
