//! The name of the table, and the schema that the name leads to.
//!
//! A search path may lead to objects of strangers: up to PostgreSQL 14, every role may create
//! functions, operators and types in `public`, and temporary tables come before all others
//! (CVE-2018-1058). So each transaction sets a search path of its own, and each statement names the
//! schemas of its table, functions, operators and types.

use std::sync::OnceLock;

/// The longest name that PostgreSQL does not cut.
const LONGEST_NAME: usize = 63;

/// The table's name: plain identifiers, and perhaps no schema.
pub(super) struct TableName {
    /// In quotes. Unset until the first success, unless the program names the schema.
    schema: OnceLock<String>,
    name: String,
}

impl TableName {
    /// `None`: the name is no plain name.
    pub(super) fn new(table: &str) -> Option<Self> {
        let (schema, name) = match table.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, table),
        };
        let valid = is_identifier(name) && schema.is_none_or(is_identifier);
        valid.then(|| Self {
            schema: schema.map_or_else(OnceLock::new, |schema| format!("\"{schema}\"").into()),
            name: name.to_owned(),
        })
    }

    /// The statement that sets a safe search path until the transaction ends, and gives the table's
    /// schema in quotes. Gives no row if the user's search path has no schema.
    ///
    /// Until the first success, a name without a schema means the first table of this name in the
    /// user's search path, temporary tables left out; or else a table to come, in the first schema of
    /// the path. The table's schema stays in the path for triggers.
    pub(super) fn set_search_path(&self) -> String {
        let schema = match self.schema.get() {
            Some(schema) => format!("SELECT {}::pg_catalog.text AS schema", literal(schema)),
            None => format!(
                "SELECT pg_catalog.quote_ident(p.schema::pg_catalog.text) AS schema \
                 FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) \
                     WITH ORDINALITY AS p (schema, position) \
                 ORDER BY pg_catalog.to_regclass(pg_catalog.concat( \
                     pg_catalog.quote_ident(p.schema::pg_catalog.text), '.\"{}\"')) IS NULL, \
                     p.position \
                 LIMIT 1",
                self.name
            ),
        };
        format!(
            "SELECT home.schema, pg_catalog.set_config('search_path', \
             pg_catalog.concat('pg_catalog, ', home.schema, ', pg_temp'), true) \
             FROM ({schema}) AS home"
        )
    }

    /// Keeps the schema that a successful transaction used, in quotes. A table that somebody creates
    /// later in another schema of the path then does not take the place of the table.
    pub(super) fn keep_schema(&self, schema: String) {
        self.schema.get_or_init(|| schema);
    }

    /// The table's full name, in quotes. `schema` is in quotes, too.
    pub(super) fn within(&self, schema: &str) -> String {
        format!("{schema}.\"{}\"", self.name)
    }
}

/// The text as a literal. An `E` literal does not depend on the server's `standard_conforming_strings`.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// In lower case alone: an unquoted name in another program is folded to lower case, and would mean
/// another table.
fn is_identifier(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    starts_well && name.chars().all(goes_on) && name.len() <= LONGEST_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_only_plain_identifiers_are_names() {
        for name in ["tokens", "auth.tokens", "_t1", "user", &"a".repeat(63)] {
            assert!(TableName::new(name).is_some(), "{name}");
        }
        let long = "a".repeat(64);
        for name in [
            "", ".", "a.", ".a", "a.b.c", "1a", "Tokens", "a b", "a;b", "a\"b", "ä", &long,
        ] {
            assert!(TableName::new(name).is_none(), "{name}");
        }
        let table = TableName::new("auth.user").expect("a name");
        assert_eq!(table.within("auth"), r#"auth."user""#);
    }
}
