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
    fault::{EXISTS_ALREADY, Failure},
    session::Session,
};

impl PostgresStore {
    /// Creates the table if it does not exist. Any number of processes may call this at the same
    /// time, at each start. A schema is not created.
    ///
    /// The user needs `CREATE` on the schema, which since PostgreSQL 15 not every user has on
    /// `public`. If the table exists, the user needs no further privilege.
    ///
    /// An existing table belongs to this user, to an owner of the schema or the database (or a member
    /// of the owner's role), to a superuser, or to a role without `LOGIN` that this user is a member
    /// of. Any other owner may be a stranger who made the table to get the tokens.
    ///
    /// # Errors
    ///
    /// Those of any operation, and
    ///
    /// - [`StoreErrorKind::NotSetUp`] if the table exists without the necessary columns;
    /// - [`StoreErrorKind::Insecure`] if the table belongs to another role than those above.
    ///
    /// # Cancel safety
    ///
    /// A dropped future creates the table, or leaves the database as it is.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let work = async |mut session: Session| {
            // A table that exists is not created again, so that no lock is waited for.
            let owner = match owner(&mut session).await? {
                Some(owner) => Some(owner),
                None => create(&mut session).await?,
            };
            if let Some(Owner {
                trusted: false,
                name,
            }) = owner
            {
                return Err(belongs_to_a_stranger(&name).into());
            }
            let columns_exist = session.sql.columns_exist();
            session.raw(&columns_exist).await?;
            session.commit().await?;
            Ok(())
        };
        self.transact(None, work).await
    }
}

struct Owner {
    name: String,
    /// Whether the owner is a role of those that [`PostgresStore::migrate`] accepts.
    trusted: bool,
}

/// The owner of the table. `None`: the table does not exist.
async fn owner(session: &mut Session) -> Result<Option<Owner>, Failure> {
    let owner = session.sql.owner();
    let owner = sqlx::query(&owner).bind(session.sql.table().to_owned());
    let Some(row) = session.read(owner).await? else {
        return Ok(None);
    };
    let (name, trusted) = (row.try_get("owner")?, row.try_get("trusted")?);
    Ok(Some(Owner { name, trusted }))
}

/// Creates the table. If another transaction creates the table at the same time, waits for that
/// transaction, and returns the owner. Only a role that may create the table can cause this wait.
async fn create(session: &mut Session) -> Result<Option<Owner>, Failure> {
    let create = session.sql.create();
    let Some(error) = session.raw_unless(&create, EXISTS_ALREADY).await? else {
        return Ok(None);
    };
    match owner(session).await? {
        None => Err(error.into()),
        owner => Ok(owner),
    }
}

fn belongs_to_a_stranger(owner: &str) -> Fault {
    let owner = server_words(owner);
    let message = format!(
        "the table belongs to {owner:?}, who can read all tokens in the table; the owner has to be \
         this user, its group role, an owner of the schema or the database, or a superuser"
    );
    let help = "if the owner is a stranger, drop the table; otherwise run ALTER TABLE … OWNER TO, for \
                this user or the schema's owner";
    Fault::new(StoreErrorKind::Insecure, message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s97_the_name_of_an_owner_is_shown_without_control_characters_and_shortened() {
        let owner = format!("mal\u{1b}lory{}", "x".repeat(5_000));
        let error = belongs_to_a_stranger(&owner).into_error("postgres store x", None);
        let text = error.to_string();
        assert!(text.contains("belongs to \"malloryxx"), "{text}");
        assert!(text.len() < 1_000, "{} bytes", text.len());
    }
}
