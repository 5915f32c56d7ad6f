//! The table, and every statement on the table.
//!
//! Each statement names the schema `pg_catalog` of its functions, operators, types and collations. A
//! bare name leads to a stranger's object in the table's schema if the stranger's object matches the
//! arguments better than each object of `pg_catalog`. `BETWEEN` and `IN` stand for bare operators;
//! PostgreSQL's grammar knows `bigint` and `IS NULL` without a search.

use super::{
    super::fields::{FORMAT, LATEST},
    notifications::CHANNEL,
};
use crate::token::LONGEST_LIFETIME;

/// The statement that creates the table; `{table}` stands for the name. Part of the docs of
/// [`PostgresStore`](super::PostgresStore).
const CREATE_TABLE: &str = include_str!("schema.sql");

const FIELDS: &str = "format, version, access_token, issued_at_ms, lifetime_ms, refresh_token, \
    presented_at_ms, refused_at_ms, lineage";

/// The assignments of a save.
const NEW: &str = "version = $2, access_token = $3, issued_at_ms = $4, lifetime_ms = $5, \
    refresh_token = $6, presented_at_ms = $7, refused_at_ms = $8, lineage = $9";

/// The condition for a row without a record.
const EMPTY: &str = "(t.format, t.version, t.access_token, t.issued_at_ms, t.lifetime_ms, \
    t.refresh_token, t.presented_at_ms, t.refused_at_ms, t.lineage) IS NULL";

/// The end of a lease that begins now and lives for `$3` milliseconds.
const UNTIL: &str = "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) \
    ($3::pg_catalog.float8 OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval)";

/// The condition for a row without a lease.
const FREE: &str = "(t.lease_until IS NULL \
    OR t.lease_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())";

const IS: &str = "OPERATOR(pg_catalog.=)";

/// The statements for one table. Values are bound, never part of a statement's text.
pub(super) struct Sql {
    /// In quotes.
    pub(super) schema: String,
    /// The full name, in quotes.
    pub(super) table: String,
}

/// The beginning of a list of accounts.
#[derive(Clone, Copy)]
pub(super) enum From {
    Name,
    AfterName,
}

impl Sql {
    pub(super) fn create(&self) -> String {
        CREATE_TABLE.replace("{table}", &self.table)
    }

    /// The owners of the schema and of the table, and whether they are trusted. No row if the schema
    /// does not exist; NULL if the table does not exist.
    ///
    /// The schema's owner can drop the table and create another one in its place. So the table's owner
    /// may belong to the schema's owner, but the schema's owner has to be trusted in any case.
    pub(super) fn owners(&self) -> String {
        let (schema_trusted, table_trusted) = (trusted("s"), trusted("t"));
        format!(
            "SELECT n.nspname::pg_catalog.text AS schema, \
                 s.rolname::pg_catalog.text AS schema_owner, {schema_trusted} AS schema_trusted, \
                 t.rolname::pg_catalog.text AS table_owner, {table_trusted} \
                     OR pg_catalog.pg_has_role(t.oid, s.oid, 'MEMBER') AS table_trusted \
             FROM pg_catalog.pg_namespace AS n \
             JOIN pg_catalog.pg_roles AS s ON s.oid {IS} n.nspowner \
             JOIN pg_catalog.pg_roles AS me ON me.rolname {IS} current_user \
             JOIN pg_catalog.pg_database AS d ON d.datname {IS} pg_catalog.current_database() \
             LEFT JOIN pg_catalog.pg_class AS c \
                 ON c.oid {IS} pg_catalog.to_regclass($2)::pg_catalog.oid \
             LEFT JOIN pg_catalog.pg_roles AS t ON t.oid {IS} c.relowner \
             WHERE n.oid {IS} pg_catalog.to_regnamespace($1)::pg_catalog.oid"
        )
    }

    pub(super) fn columns_exist(&self) -> String {
        let table = &self.table;
        format!("SELECT account, {FIELDS}, lease_owner, lease_until FROM {table} LIMIT 0")
    }

    pub(super) fn load(&self) -> String {
        let table = &self.table;
        format!("SELECT {FIELDS} FROM {table} WHERE account {IS} $1")
    }

    /// The names of `$2` accounts from `$1` on, or after `$1`, in the order of the primary key. The
    /// comparison and the order have the same collation, the column's.
    pub(super) fn accounts(&self, first: From) -> String {
        let table = &self.table;
        let comes = match first {
            From::Name => ">=",
            From::AfterName => ">",
        };
        format!(
            "SELECT t.account FROM {table} AS t \
             WHERE t.account OPERATOR(pg_catalog.{comes}) $1 AND NOT {EMPTY} \
             ORDER BY t.account LIMIT $2"
        )
    }

    /// Whether the transaction is read-only, and whether the user may save. `$1` is the table.
    pub(super) fn rights(&self) -> String {
        let may = |privilege| {
            format!(
                "pg_catalog.has_any_column_privilege($1::pg_catalog.text, '{privilege}'::pg_catalog.text)"
            )
        };
        format!(
            "SELECT pg_catalog.current_setting('transaction_read_only') {IS} 'on' AS is_read_only, \
             {} AND {} AS may_save",
            may("INSERT"),
            may("UPDATE")
        )
    }

    pub(super) fn insert(&self) -> String {
        let table = &self.table;
        format!(
            "INSERT INTO {table} AS t (account, {FIELDS}) \
             VALUES ($1, {FORMAT}, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (account) DO UPDATE SET format = {FORMAT}, {NEW} WHERE {EMPTY}"
        )
    }

    pub(super) fn update(&self) -> String {
        let (table, readable) = (&self.table, readable());
        format!(
            "UPDATE {table} AS t SET {NEW} \
             WHERE t.account {IS} $1 AND t.version {IS} $10 AND {readable}"
        )
    }

    pub(super) fn delete(&self) -> String {
        let (table, readable) = (&self.table, readable());
        format!(
            "UPDATE {table} AS t SET format = NULL, version = NULL, access_token = NULL, \
             issued_at_ms = NULL, lifetime_ms = NULL, refresh_token = NULL, \
             presented_at_ms = NULL, refused_at_ms = NULL, lineage = NULL \
             WHERE t.account {IS} $1 AND t.version {IS} $2 AND {readable}"
        )
    }

    /// Removes a row that holds nothing.
    pub(super) fn tidy(&self) -> String {
        let table = &self.table;
        format!("DELETE FROM {table} AS t WHERE t.account {IS} $1 AND {EMPTY} AND {FREE}")
    }

    pub(super) fn acquire(&self) -> String {
        let table = &self.table;
        format!(
            "INSERT INTO {table} AS t (account, lease_owner, lease_until) \
             VALUES ($1, $2, {UNTIL}) \
             ON CONFLICT (account) DO UPDATE SET lease_owner = $2, lease_until = {UNTIL} \
             WHERE {FREE}"
        )
    }

    /// The lease's owner, and how long the lease is held, in milliseconds: a day at most, since
    /// `infinity` has no difference from now.
    pub(super) fn holder(&self) -> String {
        let table = &self.table;
        format!(
            "SELECT lease_owner, pg_catalog.ceil(1000::pg_catalog.float8 OPERATOR(pg_catalog.*) \
             pg_catalog.date_part('epoch', LEAST(lease_until, pg_catalog.clock_timestamp() \
             OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval) \
             OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp()))::pg_catalog.int8 \
             FROM {table} WHERE account {IS} $1"
        )
    }

    pub(super) fn renew(&self) -> String {
        let table = &self.table;
        format!(
            "UPDATE {table} SET lease_until = {UNTIL} \
             WHERE account {IS} $1 AND lease_owner {IS} $2"
        )
    }

    pub(super) fn release(&self) -> String {
        let table = &self.table;
        format!(
            "UPDATE {table} SET lease_owner = NULL, lease_until = NULL \
             WHERE account {IS} $1 AND lease_owner {IS} $2"
        )
    }

    /// The notification carries the owner.
    pub(super) fn release_and_notify(&self) -> String {
        format!(
            "WITH released AS ({} RETURNING account) \
             SELECT pg_catalog.pg_notify('{CHANNEL}', $2) FROM released",
            self.release()
        )
    }
}

/// Whether a role is trusted with all tokens: the current user; a superuser, the database's owner or a
/// member of its role; or a group role of the current user. A group role cannot log in: up to
/// PostgreSQL 15, a role that logs in may grant itself to any other role.
///
/// Since PostgreSQL 14, `pg_database_owner` stands for the database's owner, and owns `public`.
fn trusted(role: &str) -> String {
    format!(
        "({role}.oid {IS} me.oid \
         OR pg_catalog.pg_has_role({role}.oid, d.datdba, 'MEMBER') \
         OR {role}.rolname {IS} 'pg_database_owner' \
         OR NOT {role}.rolcanlogin AND NOT me.rolsuper \
             AND pg_catalog.pg_has_role(me.oid, {role}.oid, 'MEMBER'))"
    )
}

/// The condition for a record that this version of the crate can read: the record that
/// `StoredFields::into_record` accepts. The condition belongs to the statement that writes, so that
/// no other process can write in between.
fn readable() -> String {
    let longest = LONGEST_LIFETIME.as_millis();
    let (access, lineage) = ("'^[!-~]+$'", "'^([0-9]{1,15}( [0-9a-f]{16})*)?$'");
    let version = within("version", 1, super::super::Version::MAX.as_u64().into());
    let presented = within("presented_at_ms", 0, LATEST.into());
    let refused = within("refused_at_ms", 0, LATEST.into());
    let issued = within("issued_at_ms", 0, LATEST.into());
    let lifetime = within("lifetime_ms", 0, longest);
    format!(
        "t.format {IS} {FORMAT} AND {version} \
         AND (t.presented_at_ms IS NULL OR {presented}) \
         AND (t.refused_at_ms IS NULL OR {refused}) \
         AND (t.lineage IS NULL \
              OR t.lineage COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.~) {lineage}) \
         AND ({issued} AND {lifetime} \
              AND t.access_token COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.~) {access} \
              OR (t.access_token, t.issued_at_ms, t.lifetime_ms) IS NULL \
              AND t.refresh_token OPERATOR(pg_catalog.<>) '')"
    )
}

fn within(column: &str, least: u128, greatest: u128) -> String {
    format!(
        "t.{column} OPERATOR(pg_catalog.>=) {least} \
         AND t.{column} OPERATOR(pg_catalog.<=) {greatest}"
    )
}
