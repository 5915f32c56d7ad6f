//! The meaning of the database's errors, by SQLSTATE.

use std::{fmt, io};

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use super::{
    super::{
        StoreErrorKind,
        fault::{Fault, corrupt},
    },
    tls,
};

/// The user lacks a privilege.
pub(super) const NO_PRIVILEGE: &str = "42501";

/// The table, or another object of its name, exists already. The last two come if another
/// transaction creates the object at the same time.
pub(super) const EXISTS_ALREADY: &[&str] = &["42P07", "42710", "23505"];

/// The server is a standby, or the transaction is read-only.
pub(super) const READ_ONLY: &str = "25006";

/// The failure of a transaction.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// How to try again. `None`: another try fails alike, or the first try may have taken effect.
    pub(super) retry: Option<Retry>,
}

/// The connection for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Any other connection of the pool.
    OnAnother,
    /// A new connection, since all open connections may lead to the same deposed primary.
    OnNewConnection,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, retry: None }
    }
}

impl From<sqlx::Error> for Failure {
    /// The error comes before the commit, so that the transaction has not taken effect.
    fn from(error: sqlx::Error) -> Self {
        let retry = retry(&error);
        let fault = error.into();
        Self { fault, retry }
    }
}

impl Failure {
    /// The failure of a statement that the database would answer with this SQLSTATE.
    pub(super) fn of_state(code: &str) -> Self {
        Self {
            fault: meaning(Reported {
                code: code.to_owned(),
                message: None,
            }),
            retry: retry_after(code),
        }
    }
}

fn retry(error: &sqlx::Error) -> Option<Retry> {
    match error {
        sqlx::Error::Database(error) => retry_after(&error.code()?),
        sqlx::Error::Io(_) => Some(Retry::OnAnother),
        _ => None,
    }
}

fn retry_after(code: &str) -> Option<Retry> {
    match code {
        READ_ONLY => Some(Retry::OnNewConnection),
        "57P01" | "57P02" | "57P03" | "57P05" | "40001" | "40P01" => Some(Retry::OnAnother),
        // A pooler whose connection to the server failed.
        code if code.starts_with("08") => Some(Retry::OnAnother),
        _ => None,
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        use StoreErrorKind::Unavailable;
        use sqlx::Error as Sqlx;

        if let Some(fault) = tls::fault(&error) {
            return fault;
        }
        match error {
            Sqlx::Database(error) => meaning(Reported::new(&*error)),
            Sqlx::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let message = "the connection was refused: no server listens there";
                Self::new(Unavailable, message).with_source(error)
            }
            Sqlx::Io(error) => Self::new(Unavailable, "the connection failed").with_source(error),
            Sqlx::PoolTimedOut => Self::new(Unavailable, "the pool had no connection free in time"),
            Sqlx::PoolClosed => Self::new(Unavailable, "the pool is closed"),
            Sqlx::ColumnNotFound(_) | Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) => {
                corrupt("a column is not of its type")
            }
            // The text of any other error may hold values.
            _ => Self::new(Unavailable, "the exchange with the server failed"),
        }
    }
}

fn meaning(error: Reported) -> Fault {
    use StoreErrorKind::{AccessDenied, NotSetUp, Unavailable, Unsupported, Unwritable};

    let (kind, message, help) = match error.code.as_str() {
        "42P01" => (NotSetUp, "the table does not exist", "run migrate()"),
        "3F000" => (
            NotSetUp,
            "the schema does not exist",
            "create the schema, then run migrate()",
        ),
        "3D000" => (
            NotSetUp,
            "the database does not exist",
            "create the database, or correct the pool's options",
        ),
        "42703" => (
            NotSetUp,
            "the table lacks a column",
            "run migrate(), or use a table of another name",
        ),
        "42804" | "42P10" => (
            NotSetUp,
            "the table is not as migrate() makes it",
            "use a table of another name",
        ),
        "28000" => (
            AccessDenied,
            "the server does not let this user log in to this database from this host with this \
             TLS mode",
            "create the user with LOGIN, add a line to pg_hba.conf, or correct the pool's options; \
             the password is not at fault",
        ),
        "28P01" => (
            AccessDenied,
            "the server denies the user or the password",
            "correct the user or the password in the pool's options",
        ),
        NO_PRIVILEGE => (
            AccessDenied,
            "the user lacks a privilege on the table or its schema",
            "grant the privileges that the documentation of `PostgresStore` lists",
        ),
        READ_ONLY => (
            Unavailable,
            "the server or its transactions are read-only",
            "wait for the failover to end, or else connect to the primary, as a user who may write",
        ),
        "57P01" | "57P02" | "57P03" => (
            Unavailable,
            "the server is starting, shutting down or failing over",
            "wait until the server is ready",
        ),
        "53300" => (
            Unavailable,
            "the server grants no further connection",
            "let the pools have fewer connections, or raise the server's `max_connections` or the \
             role's connection limit",
        ),
        "53100" => (
            Unwritable,
            "the server's disk is full",
            "make room on that disk",
        ),
        "22021" | "22P05" => (
            Unsupported,
            "the database cannot hold a character of the account's name or of a token",
            "use a database whose encoding is UTF8, and a name without NUL",
        ),
        "57014" => {
            let message = "the server did not finish the statement in time";
            return Fault::new(Unavailable, message).with_source(error);
        }
        _ => {
            let message = "the server responded with an error";
            return Fault::new(Unavailable, message).with_source(error);
        }
    };
    Fault::new(kind, message).with_help(help).with_source(error)
}

/// The states whose messages quote no values: names of users and columns, and reasons alone.
///
/// A missing or forbidden object is not among these states. Functions like `to_regclass` quote their
/// argument as the name, and a `CHECK` constraint may pass a token to such a function.
const QUOTES_NO_VALUES: &[&str] = &[
    "08P01", "25006", "28000", "28P01", "40001", "40P01", "42804", "42P10", "53100", "53300",
    "57014", "57P01", "57P02", "57P03",
];

/// The part of a database error that may be shown: never its DETAIL, which quotes whole rows.
struct Reported {
    /// Empty if the server's text is no SQLSTATE.
    code: String,
    message: Option<String>,
}

impl Reported {
    /// Keeps the message of a known state only. A function or a trigger may raise any state with any
    /// message, and PostgreSQL then says in which function: the context.
    fn new(error: &dyn DatabaseError) -> Self {
        let code = error.code().filter(|code| is_sqlstate(code));
        let code = code.unwrap_or_default().into_owned();
        let of_postgres = error.try_downcast_ref::<PgDatabaseError>();
        let context = of_postgres.is_none_or(|error| error.r#where().is_some());
        let message = (is_known(&code) && !context).then(|| error.message().to_owned());
        Self { code, message }
    }
}

fn is_sqlstate(code: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    code.len() == 5 && code.bytes().all(valid)
}

fn is_known(code: &str) -> bool {
    QUOTES_NO_VALUES.contains(&code)
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), &self.message) {
            ("", _) => f.write_str("no valid SQLSTATE"),
            (code, None) => write!(f, "SQLSTATE {code}"),
            (code, Some(message)) => write!(f, "SQLSTATE {code}: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn s27_each_sqlstate_has_its_kind() {
        use StoreErrorKind::{AccessDenied, NotSetUp, Unavailable, Unwritable};

        let reported = |code: &str| Reported {
            code: code.into(),
            message: None,
        };
        let kind = |code: &str| meaning(reported(code)).kind();
        for (codes, expected) in [
            (&["42P01", "3F000", "42703", "3D000"][..], NotSetUp),
            (&["42501", "28P01", "28000"], AccessDenied),
            (&["53100"], Unwritable),
            (&["57P01", "53300", "40P01", "57014", "XX000"], Unavailable),
            (&["25006", "57P02", "57P03"], Unavailable),
        ] {
            for code in codes {
                assert_eq!(kind(code), expected, "{code}");
            }
        }
    }

    /// A TLS library's error shows the names that the peer's certificate holds.
    #[test]
    fn s97_the_words_of_a_peer_are_shown_without_control_characters_and_shortened() {
        let words = || format!("\u{1b}[31mforged\u{7}{}", "x".repeat(5_000));
        for error in [
            sqlx::Error::Io(io::Error::other(words())),
            sqlx::Error::Tls(words().into()),
        ] {
            let error = Fault::from(error).into_error("postgres store x", None);
            let source = error.source().expect("a source").to_string();
            assert!(source.starts_with("[31mforgedx"), "{source:?}");
            assert_eq!(source.chars().count(), 200);
            assert!(format!("{error:?}").len() < 1_000, "{error:?}");
        }
    }

    /// The tests of the errors of a server have the rest.
    #[test]
    fn s97_the_message_of_an_unknown_state_is_withheld() {
        for code in [
            "23514", "22P02", "P0001", "44000", "", "ZZ999", "38001", "A0001", "XX000", "42P01",
            "3F000", "3D000", "42703", "42501",
        ] {
            assert!(!is_known(code), "{code}");
        }
        let reported = Reported {
            code: "53300".into(),
            message: Some("too many clients".into()),
        };
        assert_eq!(reported.to_string(), "SQLSTATE 53300: too many clients");
    }

    #[test]
    fn s97_a_state_has_five_digits_or_upper_case_letters() {
        assert!(is_sqlstate("42P01"));
        for code in ["", "42P0", "42P011", "42p01", "42P0\u{7}", "canary", "42é1"] {
            assert!(!is_sqlstate(code), "{code}");
        }
    }
}
