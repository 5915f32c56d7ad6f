//! What users see while something is out of order.

use dropbox_sign_oauth::testing::Fault;

use crate::{
    Result,
    running::{LIFETIME, World},
};

#[tokio::test]
async fn an_outage_asks_to_come_back_and_ends_by_itself() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    world.clock.advance(LIFETIME);
    world.fake.every_token_request(Some(Fault::status(503)));
    let page = browser.get("/signature-requests").await?;
    assert_eq!(page.status, 503);
    let wait: u64 = page.header("retry-after").parse()?;
    assert!((1..=60).contains(&wait), "{wait}");

    // A request before that time asks nobody.
    let posts = world.fake.token_requests();
    let page = browser.get("/signature-requests").await?;
    assert_eq!(page.status, 503);
    assert_eq!(world.fake.token_requests(), posts);

    world.fake.every_token_request(None);
    world.clock.advance(std::time::Duration::from_secs(wait));
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_user_who_has_removed_the_app_is_led_to_the_sign_in() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    world.fake.revoke_all();
    world.clock.advance(LIFETIME);
    let page = browser.get("/signature-requests").await?;
    assert_eq!(page.status, 403);
    assert!(page.text.contains(r#"href="/dropbox-sign/sign-in""#));

    let callback = browser.consent().await?;
    assert_eq!(browser.get(&callback).await?.location(), "/");
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn the_home_page_makes_no_token_request_and_works_in_an_outage() -> Result
{
    let world = World::new().await?;
    let running = world.start().await?;
    running.signed_in("acme").await?;
    running.stop().await??;

    // The next process has used no account yet, and the tokens are expired.
    let running = world.start().await?;
    world.clock.advance(LIFETIME);
    world.fake.stop_listening().await;
    let posts = world.fake.token_requests();
    for (tenant, shown) in [("acme", "Signed in to"), ("globex", "Sign in to")]
    {
        let mut browser = running.browser_of(tenant).await?;
        let page = browser.get("/").await?;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(shown), "{}", page.text);
    }
    assert_eq!(world.fake.token_requests(), posts);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_the_api_is_no_page_of_ours() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    for (fault, status) in [(403, 403), (429, 503), (500, 503), (404, 502)] {
        world
            .fake
            .next_api_request(Fault::api_error(fault, "scripted"));
        let page = browser.get("/signature-requests").await?;
        assert_eq!(page.status.as_u16(), status, "{fault}");
    }
    running.stop().await??;
    Ok(())
}
