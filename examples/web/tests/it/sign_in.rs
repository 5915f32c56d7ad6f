//! The sign-in, and callbacks that go wrong.

use dropbox_sign_oauth::testing::Consent;

use crate::{Result, running::World};

#[tokio::test]
async fn the_cookie_is_for_this_application_alone() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let page = running.browser()?.log_in("acme").await?;
    let cookie = page.header("set-cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    // http on loopback.
    assert!(!cookie.contains("Secure"), "{cookie}");
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_callback_with_another_state_is_refused() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;

    // A stranger sends the callback of a sign-in of the stranger's own.
    let forged = running.browser_of("globex").await?.consent().await?;
    let mut browser = running.browser_of("acme").await?;
    let page = browser.get(&forged).await?;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("No sign-in"), "{}", page.text);

    // The same while a sign-in of acme is under way.
    let callback = browser.consent().await?;
    let page = browser.get(&forged).await?;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("forged"), "{}", page.text);
    assert_eq!(world.fake.token_requests(), 0);

    // The sign-in under way is none the worse.
    assert_eq!(browser.get(&callback).await?.location(), "/");
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_reload_of_the_callback_says_so_and_keeps_the_sign_in() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    let callback = browser.consent().await?;
    assert_eq!(browser.get(&callback).await?.location(), "/");

    // A second exchange of a code may end the tokens of the first.
    let posts = world.fake.token_requests();
    let page = browser.get(&callback).await?;
    assert_eq!(page.status, 409);
    assert!(page.text.contains("has succeeded before"), "{}", page.text);
    assert_eq!(world.fake.token_requests(), posts);
    assert_eq!(browser.get("/signature-requests").await?.status, 200);

    // The same while the next sign-in is under way, which is none the worse.
    let next = browser.consent().await?;
    assert_eq!(browser.get(&callback).await?.status, 409);
    assert_eq!(browser.get(&next).await?.location(), "/");
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_user_who_declines_can_start_again() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    world.fake.next_consent(Consent::Denied);
    let callback = browser.consent().await?;
    let page = browser.get(&callback).await?;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("access_denied"), "{}", page.text);
    assert!(page.text.contains(r#"href="/dropbox-sign/sign-in""#));
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_code_that_is_too_old_signs_nobody_in() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    world.fake.next_consent(Consent::CodeExpired);
    let callback = browser.consent().await?;
    let page = browser.get(&callback).await?;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("too old"), "{}", page.text);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_failed_second_sign_in_says_so_and_keeps_the_first() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    world.fake.next_consent(Consent::CodeExpired);
    let callback = browser.consent().await?;
    let page = browser.get(&callback).await?;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("did not succeed"), "{}", page.text);
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn after_a_sign_out_a_page_leads_to_the_sign_in() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    let page = browser.post("/dropbox-sign/sign-out", "").await?;
    assert_eq!(page.location(), "/");
    let page = browser.get("/signature-requests").await?;
    assert_eq!(page.status, 403);
    assert!(page.text.contains(r#"href="/dropbox-sign/sign-in""#));
    assert!(
        browser
            .get("/")
            .await?
            .text
            .contains("Sign in to Dropbox Sign")
    );
    assert_eq!(world.fake.api_requests(), 0);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn no_log_shows_a_code_or_a_state() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    let callback = browser.consent().await?;
    browser.get(&callback).await?;
    let log = running.logs.text();
    assert!(log.contains(r#""route":"/dropbox-sign/callback""#), "{log}");
    let (_, query) = callback.split_once('?').ok_or("no query")?;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or("no value")?;
        assert!(!log.contains(value), "{name}");
    }
    running.stop().await??;
    Ok(())
}
