//! The kinds of errors, and what to do about each.

use std::fmt;

use crate::names::stable_names;

pub(super) const TRY_AGAIN: &str = "try again";

/// Why there is no token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The account has no token. Not retried: [sign in](crate::Account::sign_in).
    NotAuthorized,
    /// The service refused the refresh token for good. Not retried: sign in again.
    GrantRefused,
    /// The refresh token may be spent (a response was lost or not understood, or a refresh ended without
    /// a result), and the policy forbids presenting the token again. Not retried: sign in again.
    Ambiguous,
    /// The token service refused the code of a sign-in (the code was used, is too old or another
    /// client's), or the response was lost and the code may be used up. Earlier tokens of the account stay
    /// in use. Not retried: start the sign-in again.
    SignInFailed,
    /// The token service refused the client's credentials or its request, or the request cannot be
    /// sent as it is configured. Correct the configuration: the account tries again by itself, with backoff.
    Configuration,
    /// The account's plan does not include the API. Its owner has to act; the account tries again by itself, with backoff.
    AccountRestricted,
    /// The token service is unreachable or cannot grant a token now. Retried with backoff.
    Unavailable,
    /// The policy's patience, the request's own timeout or the bound of an installation, a sign-out, a
    /// flush or a shutdown ended before the work did. The work is still under way, and its result is not
    /// known yet: a refresh that queues may still be refused by a limit of the token host. Try again.
    Timeout,
    /// The token store was unreachable, before anything was spent. Retried with backoff.
    StoreUnavailable,
    /// The token store cannot read or write the record, before anything was spent. Repair the
    /// store, as the error says: the account tries again by itself, with backoff.
    StoreDefective,
    /// Another process held the account's lease for too long. Retried with backoff.
    LeaseTimeout,
    /// Another process took over the account's lease while this process was held up, before
    /// anything was spent. Retried with backoff.
    LeaseLost,
    /// New tokens could not be saved. They stay in memory, and saving is retried.
    SaveFailed,
    /// The tokens to install cannot be used, and nothing was saved. Not retried: pass the token
    /// exactly as the service issued it.
    InvalidToken,
    /// The request does not say clearly which account it is for, and was not sent. Not retried: pass
    /// an [`AccountId`](crate::AccountId) or an [`Account`](crate::Account) as the request's extension.
    AccountNotChosen,
    /// The service's tokens do not live for as long as
    /// [`Account::token_valid_for`](crate::Account::token_valid_for) was asked for. Not retried for a
    /// while: ask for a shorter time, or take another token for each part of the work.
    LifetimeTooShort,
    /// The manager has been shut down.
    ShutDown,
    /// The work ended without a result: its runtime was shut down, or its task panicked. Try again.
    Aborted,
    /// No Tokio runtime can do the work, or none has begun it: the manager was built on a runtime that
    /// has ended or does not run, for example, and the call came from a plain thread. Not retried:
    /// call from within a runtime, as [`build`](crate::TokenManagerBuilder::build) says.
    NoRuntime,
}

stable_names! {
    ErrorKind {
        NotAuthorized => "not_authorized",
        GrantRefused => "grant_refused",
        SignInFailed => "sign_in_failed",
        Ambiguous => "ambiguous",
        Configuration => "configuration",
        AccountRestricted => "account_restricted",
        Unavailable => "unavailable",
        Timeout => "timeout",
        StoreUnavailable => "store_unavailable",
        StoreDefective => "store_defective",
        LeaseTimeout => "lease_timeout",
        LeaseLost => "lease_lost",
        SaveFailed => "save_failed",
        InvalidToken => "invalid_token",
        AccountNotChosen => "account_not_chosen",
        LifetimeTooShort => "lifetime_too_short",
        ShutDown => "shut_down",
        Aborted => "aborted",
        NoRuntime => "no_runtime",
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAuthorized => "not signed in",
            Self::GrantRefused => "the sign-in is no longer valid",
            Self::Ambiguous => "the refresh token may be spent",
            Self::SignInFailed => "the sign-in failed",
            Self::Configuration => "the configuration for the token service is wrong",
            Self::AccountRestricted => "the account's plan does not include the API",
            Self::Unavailable => "the token service is unavailable",
            Self::Timeout => "the work takes longer than the caller waits",
            Self::StoreUnavailable => "the token store is unavailable",
            Self::StoreDefective => "the token store cannot be used",
            Self::LeaseTimeout => "another process is refreshing for too long",
            Self::LeaseLost => "another process took over the refresh",
            Self::SaveFailed => "the new tokens could not be saved and stay in memory",
            Self::InvalidToken => "the tokens cannot be used",
            Self::AccountNotChosen => "the request's account is not clear",
            Self::LifetimeTooShort => "the service's tokens live for too short a time",
            Self::ShutDown => "the token manager is shut down",
            Self::Aborted => "the work ended without a result",
            Self::NoRuntime => "there is no Tokio runtime to work on",
        })
    }
}

impl ErrorKind {
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::NotAuthorized => "sign the user in",
            Self::GrantRefused | Self::Ambiguous => "sign the user in again, or set another seed",
            Self::SignInFailed => "start the sign-in again",
            Self::Configuration => "check the client id, the secret and the API app's settings",
            Self::AccountRestricted => "the account's owner has to change its plan or add-ons",
            Self::StoreDefective | Self::SaveFailed => "repair the store",
            Self::InvalidToken => "pass the token exactly as the service issued it",
            Self::AccountNotChosen => {
                "use `.with_extension(AccountId::new(…))`, or bind the client's middleware with \
                 `for_account(…)`"
            }
            Self::LifetimeTooShort => {
                "ask for a shorter time, or take another token for each part of the work"
            }
            Self::ShutDown => "build a new manager",
            Self::NoRuntime => "call from within a Tokio runtime with a timer (`enable_all`)",
            Self::Unavailable
            | Self::Timeout
            | Self::StoreUnavailable
            | Self::LeaseTimeout
            | Self::LeaseLost
            | Self::Aborted => TRY_AGAIN,
        }
    }
}
