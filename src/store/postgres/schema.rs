//! The table, and every statement on the table.

use super::{
    super::fields::{FORMAT, LATEST},
    notifications::CHANNEL,
};
use crate::token::LONGEST_LIFETIME;

/// The statement that creates the table; `{table}` stands for the name. Part of the docs of
/// [`PostgresStore`](super::PostgresStore).
pub(super) const CREATE_TABLE: &str = include_str!("schema.sql");

pub(super) const DEFAULT_TABLE: &str = "dropbox_sign_tokens";

/// The longest name that PostgreSQL does not cut.
const LONGEST_NAME: usize = 63;

/// The table's name in quotes. `None`: the name is no plain name.
pub(super) fn quoted(table: &str) -> Option<String> {
    let parts: Vec<_> = table.split('.').collect();
    let valid = parts.len() <= 2 && parts.iter().all(|part| is_identifier(part));
    // A quoted name may be a reserved word, `user` for example.
    valid.then(|| format!("\"{}\"", parts.join("\".\"")))
}

/// In lower case alone: an unquoted name in another program is folded to lower case, and would mean
/// another table.
fn is_identifier(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    starts_well && name.chars().all(goes_on) && name.len() <= LONGEST_NAME
}

/// The statements for one table. Values are bound, never part of a statement's text.
pub(super) struct Sql {
    pub(super) create: String,
    pub(super) columns_exist: String,
    pub(super) load: String,
    pub(super) insert: String,
    pub(super) update: String,
    pub(super) delete: String,
    pub(super) tidy: String,
    pub(super) acquire: String,
    pub(super) held_for: String,
    pub(super) renew: String,
    pub(super) release: String,
    pub(super) release_and_notify: String,
}

impl Sql {
    /// `table` is [`quoted`].
    pub(super) fn new(table: &str) -> Self {
        const FIELDS: &str = "format, version, access_token, issued_at_ms, lifetime_ms, \
            refresh_token, presented_at_ms, refused_at_ms, lineage";
        const NEW: &str = "version = $2, access_token = $3, issued_at_ms = $4, \
            lifetime_ms = $5, refresh_token = $6, presented_at_ms = $7, refused_at_ms = $8, \
            lineage = $9";

        let readable = readable();
        let empty = "num_nonnulls(t.format, t.version, t.access_token, t.issued_at_ms, \
            t.lifetime_ms, t.refresh_token, t.presented_at_ms, t.refused_at_ms, t.lineage) = 0";
        let until = "clock_timestamp() + $3::bigint * interval '1 millisecond'";
        let release = format!(
            "UPDATE {table} SET lease_owner = NULL, lease_until = NULL \
             WHERE account = $1 AND lease_owner = $2"
        );
        Self {
            create: CREATE_TABLE.replace("{table}", table),
            columns_exist: format!(
                "SELECT account, {FIELDS}, lease_owner, lease_until FROM {table} LIMIT 0"
            ),
            load: format!("SELECT {FIELDS} FROM {table} WHERE account = $1"),
            insert: format!(
                "INSERT INTO {table} AS t (account, {FIELDS}) \
                 VALUES ($1, {FORMAT}, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (account) DO UPDATE SET format = {FORMAT}, {NEW} WHERE {empty}"
            ),
            update: format!(
                "UPDATE {table} AS t SET {NEW} \
                 WHERE t.account = $1 AND t.version = $10 AND {readable}"
            ),
            delete: format!(
                "UPDATE {table} AS t SET format = NULL, version = NULL, access_token = NULL, \
                 issued_at_ms = NULL, lifetime_ms = NULL, refresh_token = NULL, \
                 presented_at_ms = NULL, refused_at_ms = NULL, lineage = NULL \
                 WHERE t.account = $1 AND t.version = $2 AND {readable}"
            ),
            tidy: format!(
                "DELETE FROM {table} AS t WHERE t.account = $1 AND {empty} \
                 AND (t.lease_until IS NULL OR t.lease_until <= clock_timestamp())"
            ),
            acquire: format!(
                "INSERT INTO {table} AS t (account, lease_owner, lease_until) \
                 VALUES ($1, $2, {until}) \
                 ON CONFLICT (account) DO UPDATE SET lease_owner = $2, lease_until = {until} \
                 WHERE t.lease_until IS NULL OR t.lease_until <= clock_timestamp()"
            ),
            // A day at most, since `infinity` has no difference from now.
            held_for: format!(
                "SELECT ceil(1000 * extract(epoch FROM \
                 least(lease_until, clock_timestamp() + interval '1 day') - clock_timestamp()))::bigint \
                 FROM {table} WHERE account = $1"
            ),
            renew: format!(
                "UPDATE {table} SET lease_until = {until} WHERE account = $1 AND lease_owner = $2"
            ),
            release_and_notify: format!(
                "WITH released AS ({release} RETURNING account) \
                 SELECT pg_notify('{CHANNEL}', $3) FROM released"
            ),
            release,
        }
    }
}

/// The condition for a record that this version of the crate can read: the record that
/// `StoredFields::into_record` accepts. The condition belongs to the statement that writes, so that
/// no other process can write in between.
fn readable() -> String {
    let longest = LONGEST_LIFETIME.as_millis();
    format!(
        "t.format = {FORMAT} AND t.version BETWEEN 1 AND {} \
         AND (t.presented_at_ms IS NULL OR t.presented_at_ms BETWEEN 0 AND {LATEST}) \
         AND (t.refused_at_ms IS NULL OR t.refused_at_ms BETWEEN 0 AND {LATEST}) \
         AND (t.lineage IS NULL OR t.lineage COLLATE \"C\" ~ '^([0-9]{{1,15}}( [0-9a-f]{{16}})*)?$') \
         AND (t.issued_at_ms BETWEEN 0 AND {LATEST} AND t.lifetime_ms BETWEEN 0 AND {longest} \
              AND t.access_token COLLATE \"C\" ~ '^[!-~]+$' \
              OR num_nonnulls(t.access_token, t.issued_at_ms, t.lifetime_ms) = 0 \
              AND t.refresh_token <> '')",
        super::super::Version::MAX.as_u64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_only_plain_identifiers_are_names() {
        for name in ["tokens", "auth.tokens", "_t1", "user", &"a".repeat(63)] {
            assert!(quoted(name).is_some(), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "", ".", "a.", ".a", "a.b.c", "1a", "Tokens", "a b", "a;b", "a\"b", "ä", &long,
        ] {
            assert_eq!(quoted(name), None, "{name}");
        }
        assert_eq!(quoted("auth.user").as_deref(), Some(r#""auth"."user""#));
    }
}
