//! The file of settings, in TOML: texts under known keys. Errors name the line and show no value.

use std::{fmt, fs, io, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    Setting,
    secrets::{Secret, has_password},
};
use crate::{failure::Failure, output::shown};

pub(super) struct Entry {
    pub(super) setting: Setting,
    pub(super) text: String,
    pub(super) line: usize,
}

/// The file's settings. A file that nobody has named may be missing.
pub(super) fn read(path: &Path, is_named: bool) -> Result<Vec<Entry>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("the file of settings {}: {error}", path.display());
            return Err(Failure::misconfigured(message));
        }
    };
    let entries = parse(&text).map_err(|Fault { line, what }| {
        Failure::misconfigured(format!("{}:{line}: {what}", path.display()))
    })?;
    for entry in &entries {
        if entry.setting == Setting::Store && has_password(&entry.text) && others_can_read(path) {
            return Err(Failure::misconfigured(format!(
                "{}:{}: other users can read the password; run `chmod 600` on the file",
                path.display(),
                entry.line
            )));
        }
    }
    Ok(entries)
}

struct Fault {
    line: usize,
    what: String,
}

fn parse(text: &str) -> Result<Vec<Entry>, Fault> {
    let line_of = |at: usize| 1 + text[..at].matches('\n').count();
    let fault = |at: usize, what: &dyn fmt::Display| Fault {
        line: line_of(at),
        what: what.to_string(),
    };
    let table = DeTable::parse(text).map_err(|error| {
        // The error's own text shows the line, which may hold a password.
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.lines().nth(line_of(at) - 1).unwrap_or_default();
        let hint = match lacks_quotes(line) {
            true => "; write the value in quotes",
            false => "",
        };
        fault(at, &format_args!("{}{hint}", error.message()))
    })?;
    let entries = table.get_ref().iter().map(|(key, value)| {
        let at = key.span().start;
        let Some(setting) = Setting::ALL
            .into_iter()
            .find(|it| it.key() == key.get_ref())
        else {
            return Err(fault(at, &unknown(key.get_ref())));
        };
        match value.get_ref() {
            DeValue::String(value) => Ok(Entry {
                setting,
                text: value.to_string(),
                line: line_of(at),
            }),
            _ => Err(fault(
                at,
                &format_args!("`{}` takes a text in quotes", setting.key()),
            )),
        }
    });
    // The first line with a fault.
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Ok(entry) => read.push(entry),
            Err(fault) => faults.push(fault),
        }
    }
    read.retain(|entry| !entry.text.is_empty());
    match faults.into_iter().min_by_key(|fault| fault.line) {
        Some(fault) => Err(fault),
        None => Ok(read),
    }
}

fn lacks_quotes(line: &str) -> bool {
    let value = line.split_once('=').map(|(_, value)| value.trim_start());
    value.is_some_and(|value| !value.starts_with(['"', '\'']))
}

fn unknown(key: &str) -> String {
    match Secret::ALL.into_iter().find(|secret| secret.key() == key) {
        Some(secret) => format!(
            "`{key}` is a secret, which does not belong into this file; write the secret into a file of \
             its own and set `{}`, or set {}",
            secret.file().key(),
            secret.variable()
        ),
        None => {
            let keys = Setting::ALL.map(Setting::key).join(", ");
            format!("unknown key `{}`; the keys are {keys}", shown(key))
        }
    }
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let others = 0o077;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & others != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let fault = parse(text).err().expect("a fault");
        (fault.line, fault.what)
    }

    #[test]
    fn s145_a_fault_of_the_file_names_the_line_and_shows_no_value() {
        for (text, line, what) in [
            (
                "client_id = \"a\"\nclientid = \"canary\"",
                2,
                "unknown key `clientid`",
            ),
            (
                "\nclient_secret = \"canary\"",
                2,
                "`client_secret` is a secret",
            ),
            (
                "\n\nencryption_key = \"canary\"",
                3,
                "DROPBOX_SIGN_ENCRYPTION_KEY",
            ),
            ("account = 7", 1, "`account` takes a text in quotes"),
            ("# a\naccount = canary", 2, "; write the value in quotes"),
            ("store = file:/canary", 1, "; write the value in quotes"),
            ("account = \"a\"\naccount = \"canary\"", 2, "duplicate key"),
            ("account = \"canary", 1, ""),
            (
                "[canary]\nstore = \"redis://:canary@host\"",
                1,
                "unknown key",
            ),
        ] {
            let (at, found) = fault(text);
            assert_eq!(at, line, "{text}: {found}");
            assert!(found.contains(what), "{text}: {found}");
            let shows = found.replace("unknown key `canary`", "").contains("canary");
            assert!(!shows, "{text}: {found}");
            assert!(!found.contains('\n'), "{text}: {found}");
        }
    }

    #[test]
    fn an_empty_text_is_no_setting() {
        let entries = parse("account = \"\"\nclient_id = \"a\" # a comment")
            .ok()
            .expect("settings");
        let found: Vec<_> = entries
            .iter()
            .map(|it| (it.setting, it.text.as_str(), it.line))
            .collect();
        assert_eq!(found, [(Setting::ClientId, "a", 2)]);
    }
}
