//! `status`: what the store has of each account. Nothing is sent to the service.

use std::{collections::HashSet, time::SystemTime};

use dropbox_sign_oauth::{
    AccountId, AccountState, ErrorKind,
    store::{AccountPages, Record, StoreError, StoreErrorKind, TokenStore},
};
use serde::Serialize;

use crate::{
    arguments::StatusArguments,
    failure::{Exit, Failure, login},
    output, session,
    settings::{Setting, Settings, Source},
    signals,
    store::{self, Use},
    words,
};

pub(super) fn run(settings: &Settings, arguments: &StatusArguments) -> Result<(), Failure> {
    session::block_on(signals::interruptible(async {
        let mut report = Report::new(arguments.json);
        // The environment or the file may name an account for the other commands.
        let account = settings.get(Setting::Account);
        let account = account
            .filter(|account| account.source == Source::Flag)
            .map(|account| AccountId::from(&account.text));
        let store = match store::open(settings, Use::Look).await {
            // No sign-in has made the store yet.
            Err(failure) if failure.exit == Exit::SignIn => {
                return report.end_without(account, failure);
            }
            opened => opened?,
        };
        match account {
            Some(account) => {
                let Some(line) = look(&store, account.clone()).await else {
                    let names = store::names(&store).await?;
                    let why = format_args!("not signed in; {names}");
                    let failure = Failure::not_signed_in(&account, why);
                    return report.end_without(Some(account), failure);
                };
                report.add(line)?;
            }
            None => list(&store, &mut report).await?,
        }
        report.end()
    }))
}

async fn list(store: &dyn TokenStore, report: &mut Report) -> Result<(), Failure> {
    let mut pages = AccountPages::of(store);
    // Redis may list an account twice.
    let mut seen = HashSet::new();
    while let Some(page) = pages.next_page().await? {
        for error in page.errors {
            report.fault(error.into());
        }
        for account in page.accounts {
            if !seen.insert(account.clone()) {
                continue;
            }
            // An account that has just signed out has no record.
            if let Some(line) = look(store, account).await {
                report.add(line)?;
            }
        }
    }
    Ok(())
}

/// An account in the report.
struct Line {
    account: AccountId,
    /// By the record alone. `fresh` is any valid token: when a process refreshes, its policy decides.
    state: AccountState,
    expires_at: Option<SystemTime>,
    /// Why the record cannot be read.
    error: Option<StoreError>,
}

async fn look(store: &dyn TokenStore, account: AccountId) -> Option<Line> {
    let line = |state, expires_at, error| Line {
        account: account.clone(),
        state,
        expires_at,
        error,
    };
    match store.load(&account).await {
        Ok(None) => None,
        Ok(Some(record)) => {
            let state = state(&record, SystemTime::now());
            Some(line(state, record.tokens.expires_at(), None))
        }
        Err(error) => Some(line(AccountState::Failing, None, Some(error))),
    }
}

fn state(record: &Record, now: SystemTime) -> AccountState {
    let is_valid = record.tokens.expires_at().is_some_and(|end| now < end);
    match (is_valid, record.tokens.refresh_token()) {
        // A revocation ends the access token as well.
        _ if record.is_refused() => AccountState::SignInRequired,
        (true, _) => AccountState::Fresh,
        // A refresh token gets the next access token.
        (false, Some(_)) => AccountState::Expired,
        (false, None) => AccountState::SignInRequired,
    }
}

/// An account as JSON, in the words of the library's `AccountStatus`.
#[derive(Serialize)]
struct Row {
    account: String,
    state: &'static str,
    /// Unix seconds.
    expires_at: Option<u64>,
    last_error: Option<LastError>,
    sign_in_required: bool,
}

#[derive(Serialize)]
struct LastError {
    kind: &'static str,
    message: String,
}

impl Row {
    fn of(line: &Line) -> Self {
        Self {
            account: line.account.as_str().to_owned(),
            state: line.state.as_str(),
            expires_at: line.expires_at.map(words::unix_seconds),
            last_error: line.error.as_ref().map(|error| LastError {
                kind: match error.kind() {
                    StoreErrorKind::Unavailable => ErrorKind::StoreUnavailable,
                    _ => ErrorKind::StoreDefective,
                }
                .as_str(),
                message: error.to_string(),
            }),
            sign_in_required: line.state == AccountState::SignInRequired,
        }
    }
}

struct Report {
    /// `None`: the report is for people.
    rows: Option<Vec<Row>>,
    accounts: usize,
    /// The accounts that have to sign in.
    signed_out: Vec<AccountId>,
    fault: Option<Exit>,
}

impl Report {
    fn new(is_json: bool) -> Self {
        Self {
            rows: is_json.then(Vec::new),
            accounts: 0,
            signed_out: Vec::new(),
            fault: None,
        }
    }

    fn add(&mut self, line: Line) -> Result<(), Failure> {
        self.accounts += 1;
        if let Some(error) = &line.error {
            self.fault(error.clone().into());
        }
        if line.state == AccountState::SignInRequired {
            self.signed_out.push(line.account.clone());
        }
        match &mut self.rows {
            Some(rows) => {
                rows.push(Row::of(&line));
                Ok(())
            }
            None => output::line(in_words(&line)),
        }
    }

    /// Reports an entry of the store that cannot be read.
    fn fault(&mut self, failure: Failure) {
        failure.print();
        self.fault = self.fault.max(Some(failure.exit));
    }

    /// The end of a report on an account that the store does not have, or on a store that is not there.
    fn end_without(self, account: Option<AccountId>, failure: Failure) -> Result<(), Failure> {
        if self.rows.is_some() {
            let row = account.map(|account| {
                Row::of(&Line {
                    account,
                    state: AccountState::NotSignedIn,
                    expires_at: None,
                    error: None,
                })
            });
            output::json(&row.as_slice())?;
        }
        Err(failure)
    }

    fn end(self) -> Result<(), Failure> {
        if let Some(rows) = &self.rows {
            output::json(rows)?;
        }
        match (self.fault, self.signed_out.as_slice()) {
            (Some(exit), _) => Err(Failure::reported(exit)),
            (None, []) if self.accounts == 0 => Err(Failure::new(
                Exit::SignIn,
                "nobody is signed in; run `dropbox-sign-oauth login`",
            )),
            (None, []) => Ok(()),
            (None, [account]) => Err(Failure::not_signed_in(
                account,
                "the sign-in is no longer valid",
            )),
            (None, [account, ..]) => Err(Failure::new(
                Exit::SignIn,
                format!(
                    "{} accounts have to sign in again, the first is `{account}`; run `{}`, and likewise for the \
                     others",
                    self.signed_out.len(),
                    login(account)
                ),
            )),
        }
    }
}

fn in_words(line: &Line) -> String {
    let account = &line.account;
    let expiry = match line.expires_at {
        Some(at) => {
            let (expiry, time) = (words::expiry(at, SystemTime::now()), words::rfc3339(at));
            format!("the token {expiry} ({time})")
        }
        None => "there is no token yet".to_owned(),
    };
    match line.state {
        AccountState::SignInRequired => format!("{account}: the user has to sign in again"),
        AccountState::Failing => format!("{account}: the record cannot be read"),
        AccountState::Expired => format!("{account}: {expiry}; the next use gets a new token"),
        _ => format!("{account}: {expiry}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dropbox_sign_oauth::{TokenSet, store::Lineage};

    use super::*;

    #[test]
    fn a_record_tells_whether_the_user_has_to_sign_in() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let token = |issued_at| TokenSet::new("access", issued_at, hour);
        let fresh = Record::new(token(now));
        assert_eq!(state(&fresh, now), AccountState::Fresh);
        assert_eq!(state(&fresh, now + hour), AccountState::SignInRequired);

        let mut record = Record::new(token(now - hour).with_refresh_token("refresh"));
        assert_eq!(state(&record, now), AccountState::Expired);
        record.refused_at = Some(now);
        // Which token was refused, as a hash.
        let lineage = Lineage::from_text("1735689600123 02e1cb3ec3737d54");
        record.lineage = lineage.expect("a lineage");
        assert_eq!(state(&record, now), AccountState::SignInRequired);
        // An operator has pasted another token.
        record.tokens = record.tokens.with_refresh_token("another");
        assert_eq!(state(&record, now), AccountState::Expired);
        let seed = Record::new(TokenSet::from_refresh_token("refresh"));
        assert_eq!(state(&seed, now), AccountState::Expired);
    }
}
