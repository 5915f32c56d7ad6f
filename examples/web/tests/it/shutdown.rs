//! The graceful stop.

use std::time::Duration;

use dropbox_sign_oauth::testing::Hold;
use tokio::task::{JoinHandle, yield_now};

use crate::{
    Result,
    browser::Page,
    running::{LIFETIME, Running, World},
};

#[tokio::test]
async fn a_stop_ends_the_requests_and_saves_the_refresh() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let (hold, page) = waiting_request(&world, &running).await?;
    let served = running.stop();
    hold.release();
    assert_eq!(page.await??.status, 200);
    served.await??;

    the_next_process_finds_the_new_tokens(&world).await
}

#[tokio::test]
async fn a_stop_waits_for_a_refresh_that_no_request_waits_for() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;

    // The token ends soon: the request takes it, and a refresh starts in the
    // background.
    world.clock.advance(LIFETIME - Duration::from_secs(60));
    let hold = world.fake.hold_token_responses();
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    hold.arrived(1).await;
    let served = running.stop();
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert!(!served.is_finished());
    hold.release();
    served.await??;

    the_next_process_finds_the_new_tokens(&world).await
}

#[tokio::test]
async fn a_stop_that_cannot_save_is_an_error() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let (hold, page) = waiting_request(&world, &running).await?;
    std::fs::remove_dir_all(world.folder.path())?;
    let served = running.stop();
    hold.release();
    // The user gets the page: the new tokens are good.
    assert_eq!(page.await??.status, 200);
    let error = served.await?.expect_err("nothing was saved").to_string();
    assert!(error.contains("could not be saved"), "{error}");
    Ok(())
}

async fn the_next_process_finds_the_new_tokens(world: &World) -> Result {
    let posts = world.fake.token_requests();
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    assert_eq!(world.fake.token_requests(), posts);
    running.stop().await??;
    Ok(())
}

/// A request that waits for a refresh: the refresh token is spent, and the new
/// one is on its way.
async fn waiting_request(
    world: &World,
    running: &Running,
) -> Result<(Hold, JoinHandle<Result<Page>>)> {
    let mut browser = running.signed_in("acme").await?;
    world.clock.advance(LIFETIME);
    let hold = world.fake.hold_token_responses();
    let page =
        tokio::spawn(async move { browser.get("/signature-requests").await });
    hold.arrived(1).await;
    Ok((hold, page))
}
