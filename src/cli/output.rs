//! Results on stdout, notes for people on stderr.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// Writes a result, whole or with an error.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::output(&error))
}

/// Writes a line of a result.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Writes a result as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("the result is no JSON: {error}")))?;
    line(text)
}

/// Writes a line for the person at the terminal.
pub(crate) fn note(text: impl fmt::Display) {
    // Where stderr is closed, nobody reads the line.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Words from elsewhere in one line, without control characters, and shortened.
pub(crate) fn shown(words: &str) -> String {
    const MOST: usize = 100;

    words
        .chars()
        .take(MOST)
        .flat_map(|c| match c {
            '"' | '\'' => vec![c],
            _ => c.escape_debug().collect(),
        })
        .collect()
}
