//! What the database's errors mean, by SQLSTATE.

use std::{error::Error as StdError, fmt, io};

use super::super::{
    StoreErrorKind,
    fault::{Fault, corrupt},
};

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;

        match error {
            Sqlx::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                refused(Refusal::new(code, error.message()))
            }
            Sqlx::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let message = "the connection was refused: no server listens there";
                Self::new(StoreErrorKind::Unavailable, message).with_source(error)
            }
            Sqlx::Io(error) => {
                Self::new(StoreErrorKind::Unavailable, "the connection failed").with_source(error)
            }
            Sqlx::Tls(error) => Self::new(
                StoreErrorKind::Unavailable,
                "no TLS connection could be made",
            )
            .with_source(error),
            Sqlx::PoolTimedOut => Self::new(
                StoreErrorKind::Unavailable,
                "the pool had no connection to give in time",
            ),
            Sqlx::PoolClosed => Self::new(StoreErrorKind::Unavailable, "the pool is closed"),
            Sqlx::ColumnNotFound(_) | Sqlx::ColumnDecode { .. } | Sqlx::Decode(_) => {
                corrupt("a column is not of its type")
            }
            // Its text is not known to be free of values.
            _ => Self::new(
                StoreErrorKind::Unavailable,
                "the exchange with the server failed",
            ),
        }
    }
}

fn refused(refusal: Refusal) -> Fault {
    use StoreErrorKind::{Unavailable, Unsupported, Unwritable};

    let (kind, message, help) = match refusal.code.as_str() {
        "42P01" => (Unwritable, "the table does not exist", "run migrate()"),
        "3F000" => (
            Unwritable,
            "the schema does not exist",
            "create it, then run migrate()",
        ),
        "42703" => (
            Unwritable,
            "the table lacks a column",
            "run migrate(), or use a table of another name",
        ),
        "42804" | "42P10" => (
            Unwritable,
            "the table is not as migrate() makes it",
            "use a table of another name",
        ),
        "42501" => (
            Unwritable,
            "the user lacks a privilege on the table or its schema",
            "grant what the documentation of `PostgresStore` lists",
        ),
        "25006" => (
            Unwritable,
            "the server or its transactions are read-only",
            "connect to the primary, as a user who may write",
        ),
        "53100" => (Unwritable, "the server's disk is full", "make room on it"),
        "28000" | "28P01" => (
            Unwritable,
            "the server refuses the user or the password",
            "correct the pool's options",
        ),
        "3D000" => (
            Unwritable,
            "the database does not exist",
            "create it, or correct the pool's options",
        ),
        "22021" | "22P05" => (
            Unsupported,
            "the database cannot hold a character of the account's name or of a token",
            "use a database whose encoding is UTF8, and a name without NUL",
        ),
        "57014" => {
            let message = "the server did not finish the statement in time";
            return Fault::new(Unavailable, message).with_source(refusal);
        }
        _ => {
            let message = "the server answered with an error";
            return Fault::new(Unavailable, message).with_source(refusal);
        }
    };
    Fault::new(kind, message)
        .with_help(help)
        .with_source(refusal)
}

/// What may be shown of a database's error: never its DETAIL, which quotes whole rows.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: Option<String>,
}

impl Refusal {
    fn new(code: String, message: &str) -> Self {
        // Data exceptions, violated constraints and what triggers raise may quote values.
        let quotes_values = ["22", "23", "44", "P0"]
            .iter()
            .any(|class| code.starts_with(class));
        let known_by_us = code.len() == 5 && !code.starts_with(|c: char| c > 'H');
        let message = (known_by_us && !quotes_values).then(|| message.to_owned());
        Self { code, message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLSTATE {}", self.code)?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_states_are_told_apart() {
        let kind = |code: &str| refused(Refusal::new(code.into(), "m")).kind();
        for code in [
            "42P01", "42501", "25006", "53100", "28P01", "3F000", "42703",
        ] {
            assert_eq!(kind(code), StoreErrorKind::Unwritable, "{code}");
        }
        for code in ["57P01", "53300", "40P01", "57014", "XX000"] {
            assert_eq!(kind(code), StoreErrorKind::Unavailable, "{code}");
        }
    }

    #[test]
    fn s46_messages_that_may_quote_values_are_withheld() {
        for code in ["23514", "22P02", "P0001", "44000", "", "ZZ999"] {
            let shown = format!("{:?}", refused(Refusal::new(code.into(), "canary")));
            assert!(!shown.contains("canary"), "{shown}");
        }
        let shown = Refusal::new("42P01".into(), "no such table").to_string();
        assert_eq!(shown, "SQLSTATE 42P01: no such table");
    }
}
