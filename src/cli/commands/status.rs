//! `status`: what the store has of each account. Nothing is sent to the service.

use std::{collections::HashSet, time::SystemTime};

use dropbox_sign_oauth::{
    AccountId,
    store::{AccountPages, Record, TokenStore},
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
        let store = store::open(settings, Use::Look).await?;
        let mut report = Report::new(arguments.json);
        // The environment or the file may name an account for the other commands.
        match settings.get(Setting::Account) {
            Some(account) if account.source == Source::Flag => {
                let account = AccountId::from(&account.text);
                let Some(line) = look(&store, account.clone()).await else {
                    let names = store::names(&store).await?;
                    let why = format_args!("not signed in; {names}");
                    return Err(Failure::not_signed_in(&account, why));
                };
                report.add(line)?;
            }
            _ => list(&store, &mut report).await?,
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
    state: Result<State, Failure>,
    expires_at: Option<SystemTime>,
}

/// What the record alone tells. `fresh` is any valid token: when a process refreshes, its policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Fresh,
    /// A refresh token gets the next access token.
    Expired,
    SignInRequired,
    Unreadable,
}

async fn look(store: &dyn TokenStore, account: AccountId) -> Option<Line> {
    let (state, expires_at) = match store.load(&account).await {
        Ok(None) => return None,
        Ok(Some(record)) => {
            let state = state(&record, SystemTime::now());
            (Ok(state), record.tokens.expires_at())
        }
        Err(error) => (Err(error.into()), None),
    };
    Some(Line {
        account,
        state,
        expires_at,
    })
}

fn state(record: &Record, now: SystemTime) -> State {
    let is_valid = record.tokens.expires_at().is_some_and(|end| now < end);
    let refreshes = record.tokens.refresh_token().is_some() && record.refused_at.is_none();
    match (is_valid, refreshes) {
        // A revocation ends the access token as well.
        _ if record.refused_at.is_some() => State::SignInRequired,
        (true, _) => State::Fresh,
        (false, true) => State::Expired,
        (false, false) => State::SignInRequired,
    }
}

/// An account as JSON.
#[derive(Serialize)]
struct Row {
    account: String,
    state: State,
    expires_at: Option<String>,
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
        let Line {
            account,
            state,
            expires_at,
        } = line;
        let state = match state {
            Ok(state) => state,
            Err(failure) => {
                self.fault(failure);
                State::Unreadable
            }
        };
        if state == State::SignInRequired {
            self.signed_out.push(account.clone());
        }
        match &mut self.rows {
            Some(rows) => {
                rows.push(Row {
                    account: account.as_str().to_owned(),
                    state,
                    expires_at: expires_at.map(words::rfc3339),
                });
                Ok(())
            }
            None => output::line(in_words(&account, state, expires_at)),
        }
    }

    /// Reports an entry of the store that cannot be read.
    fn fault(&mut self, failure: Failure) {
        failure.print();
        self.fault = self.fault.max(Some(failure.exit));
    }

    fn end(self) -> Result<(), Failure> {
        if let Some(rows) = &self.rows {
            output::json(rows)?;
        }
        match (self.fault, self.signed_out.as_slice()) {
            (Some(exit), _) => Err(Failure::reported(exit)),
            (None, []) if self.accounts == 0 => Err(Failure::new(
                Exit::NotSignedIn,
                "nobody is signed in; run `dropbox-sign-oauth login`",
            )),
            (None, []) => Ok(()),
            (None, [account]) => Err(Failure::not_signed_in(
                account,
                "the sign-in is no longer valid",
            )),
            (None, [account, ..]) => Err(Failure::new(
                Exit::NotSignedIn,
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

fn in_words(account: &AccountId, state: State, expires_at: Option<SystemTime>) -> String {
    let expiry = match expires_at {
        Some(at) => format!("the token {}", words::expiry(at, SystemTime::now())),
        None => "there is no token yet".to_owned(),
    };
    match state {
        State::Fresh => format!("{account}: {expiry}"),
        State::Expired => format!("{account}: {expiry}; the next use gets a new token"),
        State::SignInRequired => format!("{account}: the user has to sign in again"),
        State::Unreadable => format!("{account}: the record cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dropbox_sign_oauth::TokenSet;

    use super::*;

    #[test]
    fn a_record_tells_whether_the_user_has_to_sign_in() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let token = |issued_at| TokenSet::new("access", issued_at, hour);
        let fresh = Record::new(token(now));
        assert_eq!(state(&fresh, now), State::Fresh);
        assert_eq!(state(&fresh, now + hour), State::SignInRequired);

        let mut record = Record::new(token(now - hour).with_refresh_token("refresh"));
        assert_eq!(state(&record, now), State::Expired);
        record.refused_at = Some(now);
        assert_eq!(state(&record, now), State::SignInRequired);
        let seed = Record::new(TokenSet::from_refresh_token("refresh"));
        assert_eq!(state(&seed, now), State::Expired);
    }
}
