//! The creation of the table.
//!
//! A version that needs another column adds a nullable column to the existing table (`ALTER TABLE …
//! ADD COLUMN IF NOT EXISTS`), and gives the records that use the column another format. All
//! statements name their columns, so that older versions go on working.

use sqlx::Row;

use super::{
    super::{
        StoreErrorKind,
        fault::{Fault, server_words},
    },
    PostgresStore, StoreError,
    fault::{EXISTS_ALREADY, Failure, NO_PRIVILEGE},
    session::Session,
};

impl PostgresStore {
    /// Creates the table if it does not exist. Any number of processes may call this at the same
    /// time, at each start. A schema is not created.
    ///
    /// The user needs `CREATE` on the schema, which since PostgreSQL 15 not every user has on
    /// `public`. If the table exists, the user needs no further privilege.
    ///
    /// The schema, and a table that exists, belong to this user, to a role without `LOGIN` that this
    /// user is a member of, to the database's owner (or a member of its role), or to a superuser; the
    /// table may also belong to a member of the schema's owner. Any other owner may be a stranger who
    /// made the schema or the table to get the tokens. No other operation looks at the owners, so call
    /// this at each start, before the first operation.
    ///
    /// # Errors
    ///
    /// Those of any operation, and
    ///
    /// - [`StoreErrorKind::NotSetUp`] if the table exists without the necessary columns;
    /// - [`StoreErrorKind::Insecure`] if the schema or the table belongs to any other role.
    ///
    /// # Cancel safety
    ///
    /// A dropped future creates the table, or leaves the database as it is.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let work = async |mut session: Session| {
            // A table that exists is not created again, so that no lock is waited for.
            if !exists(&mut session).await? {
                create(&mut session).await?;
            }
            let columns_exist = session.sql.columns_exist();
            session.raw(&columns_exist).await?;
            session.commit().await?;
            Ok(())
        };
        self.transact(None, work).await
    }
}

/// Whether the table exists. Fails if the schema or the table belongs to a stranger.
async fn exists(session: &mut Session) -> Result<bool, Failure> {
    let owners = session.sql.owners();
    let owners = sqlx::query(&owners)
        .bind(session.sql.schema.clone())
        .bind(session.sql.table.clone());
    let Some(row) = session.read(owners).await? else {
        return Ok(false);
    };
    if !row.try_get::<bool, _>("schema_trusted")? {
        let schema: String = row.try_get("schema")?;
        let owner: String = row.try_get("schema_owner")?;
        return Err(schema_of_a_stranger(&schema, &owner).into());
    }
    let Some(table_owner) = row.try_get::<Option<String>, _>("table_owner")? else {
        return Ok(false);
    };
    if !row.try_get::<bool, _>("table_trusted")? {
        return Err(table_of_a_stranger(&table_owner).into());
    }
    Ok(true)
}

/// Creates the table. If another transaction creates the table at the same time, waits for that
/// transaction. Only a role that may create the table can cause this wait.
async fn create(session: &mut Session) -> Result<(), Failure> {
    let create = session.sql.create();
    let created = session.raw_unless(&create, EXISTS_ALREADY).await;
    let error = created.map_err(not_created)?;
    // The schema's owner may have changed before the table was created, but no longer.
    match (exists(session).await?, error) {
        (false, Some(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn not_created(error: sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code());
    let is_denied = code.is_some_and(|code| code == NO_PRIVILEGE);
    let mut failure = Failure::from(error);
    if is_denied {
        let help = "grant `CREATE` on the schema, or create the table as the documentation of \
                    `PostgresStore` shows";
        failure.fault = failure.fault.with_help(help);
    }
    failure
}

fn schema_of_a_stranger(schema: &str, owner: &str) -> Fault {
    let (schema, owner) = (server_words(schema), server_words(owner));
    let message = format!(
        "the schema {schema:?} belongs to {owner:?}, who can replace the table and read all tokens; \
         {TRUSTED}, the database's owner, or a superuser"
    );
    let help = "if the owner is a stranger, use the table of another schema; otherwise run ALTER SCHEMA \
                … OWNER TO, for this user or the database's owner";
    Fault::new(StoreErrorKind::Insecure, message).with_help(help)
}

fn table_of_a_stranger(owner: &str) -> Fault {
    let owner = server_words(owner);
    let message = format!(
        "the table belongs to {owner:?}, who can read all tokens in the table; {TRUSTED}, an owner of \
         the schema or the database, or a superuser"
    );
    let help = "if the owner is a stranger, drop the table; otherwise run ALTER TABLE … OWNER TO, for \
                this user or the schema's owner";
    Fault::new(StoreErrorKind::Insecure, message).with_help(help)
}

const TRUSTED: &str =
    "the owner has to be this user, a role without LOGIN that this user is a member of";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s97_the_name_of_an_owner_is_shown_without_control_characters_and_shortened() {
        let owner = format!("mal\u{1b}lory{}", "x".repeat(5_000));
        for fault in [
            table_of_a_stranger(&owner),
            schema_of_a_stranger(&owner, &owner),
        ] {
            let text = fault.into_error("postgres store x", None).to_string();
            assert!(text.contains("belongs to \"malloryxx"), "{text}");
            assert!(text.len() < 1_000, "{} bytes", text.len());
        }
    }
}
