//! Why a command failed: its exit code, and one line that says what to do.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};

use dropbox_sign_oauth::{
    AccountId, AuthorizationError, AuthorizationErrorKind, ConfigError, Error, ErrorKind,
    store::{StoreError, StoreErrorKind},
};

/// The exit codes, for `--help` and the man page.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    another failure, a full disk on stdout for example
  2    the command line is wrong
  75   try again later: the service, the store or another process is the reason
  77   not signed in: run `dropbox-sign-oauth login`
  78   misconfigured: correct the settings, the API app or the store
  130  interrupted by Ctrl-C; 143 by SIGTERM";

/// The codes of `sysexits.h`, which systemd shows by name; and the shells' codes for signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    TryAgain = 75,
    NotSignedIn = 77,
    Misconfigured = 78,
    Interrupted = 130,
    Terminated = 143,
}

/// The end of a command that could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// `None`: there is nothing to say.
    message: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: Some(message.into()),
        }
    }

    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(Exit::Misconfigured, message)
    }

    /// A failure of stdout. A reader that has read enough is no failure.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self {
                exit: Exit::Done,
                message: None,
            },
            _ => Self::new(Exit::Failed, format!("stdout: {error}")),
        }
    }

    /// A failure that was reported already.
    pub(crate) fn reported(exit: Exit) -> Self {
        Self {
            exit,
            message: None,
        }
    }

    /// An account whose user has to sign in, again if the account is known.
    pub(crate) fn not_signed_in(account: &AccountId, why: impl fmt::Display) -> Self {
        let message = format!("account `{account}`: {why}; run `{}`", login(account));
        Self::new(Exit::NotSignedIn, message)
    }

    /// Prints the line, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        self.print();
        ExitCode::from(self.exit as u8)
    }

    /// Prints the line.
    pub(crate) fn print(&self) {
        let Some(message) = &self.message else { return };
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        // Where stderr is closed, nobody reads the line.
        let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {message}");
    }
}

/// The command that signs the account in.
pub(crate) fn login(account: &AccountId) -> String {
    let name = account.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@%:,+=".contains(c);
    if name == AccountId::DEFAULT {
        "dropbox-sign-oauth login".to_owned()
    } else if name.chars().all(is_plain) && account.to_string() == name {
        format!("dropbox-sign-oauth login --account {name}")
    } else {
        "dropbox-sign-oauth login --account NAME".to_owned()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The error's own help is for the author of a program.
        if let (true, Some(account)) = (error.is_reauthorization_required(), error.account()) {
            return Self::not_signed_in(account, in_words(&error));
        }
        if let (ErrorKind::SaveFailed, Some(account)) = (error.kind(), error.account()) {
            let message = format!(
                "account `{account}`: the new tokens are lost, since the store could not save them{}; then run `{}`",
                error
                    .store_error()
                    .map_or(String::new(), |error| format!(": {error}")),
                login(account)
            );
            return Self::misconfigured(message);
        }
        let exit = match error.is_retryable() {
            true => Exit::TryAgain,
            false => Exit::Misconfigured,
        };
        Self::new(exit, in_settings(&error))
    }
}

/// The text, with the name of the setting for the name of the builder's method.
fn in_settings(text: &impl fmt::Display) -> String {
    text.to_string().replace("base_url", "--token-host")
}

/// What happened, without a help.
fn in_words(error: &Error) -> String {
    let endpoint = error.endpoint_error();
    let cause = match error.kind() {
        // The kind says the rest.
        ErrorKind::GrantRefused => endpoint.and_then(|error| Some(format!(" ({})", error.code()?))),
        _ => endpoint.map(|error| format!(": {}", error.problem())),
    };
    let code = match error.kind() {
        ErrorKind::SignInFailed => ": the code was used, may be used up or is too old",
        _ => "",
    };
    format!("{}{}{code}", error.kind(), cause.unwrap_or_default())
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        use StoreErrorKind::{LeaseLost, LeaseTimeout, NotSetUp, Unavailable};

        match error.kind() {
            Unavailable | LeaseTimeout | LeaseLost => Self::new(Exit::TryAgain, error.to_string()),
            NotSetUp => Self::misconfigured(format!(
                "{}: the table is not set up; run `dropbox-sign-oauth login`, which creates the table",
                error.store()
            )),
            _ => Self::misconfigured(error.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::misconfigured(in_settings(&error))
    }
}

impl From<AuthorizationError> for Failure {
    fn from(error: AuthorizationError) -> Self {
        let exit = match error.kind() {
            AuthorizationErrorKind::Configuration => Exit::Misconfigured,
            AuthorizationErrorKind::Unavailable => Exit::TryAgain,
            _ => Exit::NotSignedIn,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_each_exit_code() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::TryAgain,
            Exit::NotSignedIn,
            Exit::Misconfigured,
            Exit::Interrupted,
        ] {
            let line = format!("\n  {:<5}", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
        assert!(EXIT_CODES.contains(&format!("{} by SIGTERM", Exit::Terminated as u8)));
    }

    #[test]
    fn the_command_to_sign_in_is_safe_to_paste() {
        for (name, command) in [
            ("default", "dropbox-sign-oauth login"),
            ("acme", "dropbox-sign-oauth login --account acme"),
            ("$(reboot)", "dropbox-sign-oauth login --account NAME"),
            ("a b", "dropbox-sign-oauth login --account NAME"),
        ] {
            assert_eq!(login(&name.into()), command);
        }
    }
}
