//! The same application with its tokens in PostgreSQL.
//!
//! The server is that of the crate's own tests: a copy of this folder outside
//! of the crate's repository does without this file.

#[allow(
    dead_code,
    unexpected_cfgs,
    unused_imports,
    reason = "the other tests of the crate use the rest"
)]
// The crate has longer lines.
#[rustfmt::skip]
#[path = "../../../../tests/servers/mod.rs"]
mod servers;

use self::servers::Postgres;
use crate::{Result, running::World};

#[tokio::test]
async fn a_restart_finds_the_tokens_in_postgresql() -> Result {
    let Some(server) = Postgres::start() else {
        return Ok(());
    };
    let world = World::with_store(server.url(), tempfile::tempdir()?).await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    assert!(running.operations("/readyz").await?.starts_with("ready"));
    running.stop().await??;

    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    // The exchange of the code alone.
    assert_eq!(world.fake.token_requests(), 1);
    running.stop().await??;

    let rows = server.psql("SELECT * FROM dropbox_sign_tokens");
    assert!(rows.contains("sealed:2:test:"), "{rows}");
    Ok(())
}
