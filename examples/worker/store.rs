//! The store at a URL. Leave out the kinds that you do not use.

use std::{error::Error, sync::Arc};

use dropbox_sign_oauth::store::{
    FileStore, PostgresStore, RedisStore, TokenStore,
};
use sqlx::PgPool;

/// Opens the store at `file:PATH`, `redis://…`, `rediss://…` or
/// `postgres://…`. No error shows the URL, which may hold a password.
pub(crate) async fn open(
    url: &str,
) -> Result<Arc<dyn TokenStore>, Box<dyn Error>> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    Ok(match scheme {
        Some("file") => Arc::new(FileStore::directory(&url["file:".len()..])?),
        // `rediss:` needs the feature `redis-rustls`.
        Some("redis" | "rediss") => Arc::new(RedisStore::builder(url).build()?),
        // Another machine needs TLS: the feature `postgres-rustls`.
        Some("postgres" | "postgresql") => {
            let pool = PgPool::connect_lazy(url)?;
            let store = PostgresStore::new(pool)?;
            store.migrate().await?;
            Arc::new(store)
        }
        _ => {
            let kinds = "`file:PATH`, `redis://…` or `postgres://…`";
            return Err(format!("the store's URL has to be {kinds}").into());
        }
    })
}
