//! Why a command failed: its exit code, and one line that says what to do.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};

use dropbox_sign_oauth::{
    AccountId, AuthorizationError, AuthorizationErrorKind, ConfigError, EndpointError, Error,
    ErrorKind,
    store::{StoreError, StoreErrorKind},
};

/// The exit codes, for `--help` and the man page.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    another failure, a full disk on stdout for example
  2    the command line is wrong
  75   try again later: the service, the store or another process is the reason;
       or `refresh` has kept a token of the last minute
  77   a sign-in is needed: run `dropbox-sign-oauth login`
  78   misconfigured: correct the settings, the API app or the store
  130  interrupted by Ctrl-C; 143 by SIGTERM";

/// The codes of `sysexits.h`, which systemd shows by name; and the shells' codes for signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    TryAgain = 75,
    /// The user has to sign in.
    SignIn = 77,
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
        Self::new(Exit::SignIn, message)
    }

    /// Prints the line, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        self.print();
        ExitCode::from(self.exit as u8)
    }

    /// What there is to say.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
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
        Self::new(exit, with_flag(&error))
    }
}

/// The builder's method that the library's texts name, and the flag that a user knows.
const METHOD: &str = "base_url";
const FLAG: &str = "--token-host";

/// The text, with the flag in the place of the method in the library's help. The text before the help may
/// have the same word: in the name of the account, or in the service's words.
fn with_flag(error: &Error) -> String {
    let text = error.to_string();
    let problem = error.endpoint_error().map(EndpointError::problem);
    let parts = problem.as_deref().and_then(|it| text.rsplit_once(it));
    match (&problem, parts) {
        (Some(problem), Some((before, help))) => {
            format!("{before}{problem}{}", help.replace(METHOD, FLAG))
        }
        _ => text,
    }
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
        let text = error.to_string();
        // Errors about a setting begin with the setting.
        let rest = text
            .strip_prefix(METHOD)
            .filter(|rest| rest.starts_with(':'));
        Self::misconfigured(rest.map_or_else(|| text.clone(), |rest| format!("{FLAG}{rest}")))
    }
}

impl From<AuthorizationError> for Failure {
    fn from(error: AuthorizationError) -> Self {
        let exit = match error.kind() {
            AuthorizationErrorKind::Configuration => Exit::Misconfigured,
            AuthorizationErrorKind::Unavailable => Exit::TryAgain,
            _ => Exit::SignIn,
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
            Exit::SignIn,
            Exit::Misconfigured,
            Exit::Interrupted,
        ] {
            let line = format!("\n  {:<5}", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
        assert!(EXIT_CODES.contains(&format!("{} by SIGTERM", Exit::Terminated as u8)));
    }

    #[test]
    fn only_the_setting_that_an_error_names_becomes_a_flag() {
        let build = |host: &str| {
            dropbox_sign_oauth::OAuthApi::builder("id", "secret")
                .base_url(host)
                .build()
        };
        let error = build("http://base_url.example").expect_err("plain http");
        let failure = Failure::from(error);
        assert!(
            failure.message().starts_with("--token-host: "),
            "{failure:?}"
        );
        let error = ConfigError::Invalid {
            setting: "environment",
            reason: "no base_url".to_owned(),
        };
        assert_eq!(Failure::from(error).message(), "environment: no base_url");
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
