//! The store of the tokens: files or PostgreSQL, encrypted in both.

use std::sync::Arc;

use dropbox_sign_oauth::store::{
    EncryptedStore, EncryptionKey, FileStore, PostgresStore, TokenStore,
};
use sqlx::PgPool;

use crate::Result;

/// Opens the store at `file:PATH` or `postgres://…`. No error shows the URL,
/// which may hold a password.
pub async fn open(
    url: &str,
    key: EncryptionKey,
) -> Result<Arc<dyn TokenStore>> {
    let plain: Arc<dyn TokenStore> = match url.split_once(':') {
        // For one machine; any number of processes.
        Some(("file", path)) => Arc::new(FileStore::directory(path)?),
        // For several machines.
        Some(("postgres" | "postgresql", _)) => {
            let pool = PgPool::connect_lazy(url)
                .map_err(|_| "DROPBOX_SIGN_STORE: no PostgreSQL URL")?;
            let store = PostgresStore::new(pool)?;
            // Makes the table, unless there is one.
            store.migrate().await?;
            Arc::new(store)
        }
        _ => {
            return Err(
                "DROPBOX_SIGN_STORE: write `file:PATH` or `postgres://…`"
                    .into(),
            );
        }
    };
    // Give each environment a key of its own: then staging cannot read a copy
    // of production.
    let encrypted = EncryptedStore::new(plain, key);
    // Better now than at the first sign-in.
    encrypted.check().await?;
    Ok(Arc::new(encrypted))
}
