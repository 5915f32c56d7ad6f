//! Several tenants, each with tokens of its own.

use std::{fs, time::SystemTime};

use dropbox_sign_oauth::testing::Consent;
use serde_json::json;
use tokio::try_join;

use crate::{
    Result,
    running::{LIFETIME, World},
};

#[tokio::test]
async fn each_tenant_signs_in_once_and_works_with_its_own_token() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let fake = &world.fake;

    let mut browsers = Vec::new();
    for tenant in ["acme", "globex"] {
        fake.next_consent(Consent::GivenBy(format!("owner of {tenant}")));
        browsers.push(running.signed_in(tenant).await?);
    }
    // A code was exchanged for each.
    assert_eq!(fake.token_requests(), 2);

    for browser in &mut browsers {
        let page = browser.get("/signature-requests").await?;
        assert_eq!(page.status, 200);
        assert!(
            page.text.contains("NDA &lt;1&gt; (complete)"),
            "{}",
            page.text
        );
    }

    // An hour later all tokens have expired. Many requests of a tenant share
    // one refresh.
    world.clock.advance(LIFETIME);
    for (tenant, posts) in [("acme", 3), ("globex", 4)] {
        let mut first = running.browser_of(tenant).await?;
        let mut second = running.browser_of(tenant).await?;
        let mut third = running.browser_of(tenant).await?;
        let (a, b, c) = try_join!(
            first.get("/signature-requests"),
            second.get("/signature-requests"),
            third.get("/signature-requests"),
        )?;
        assert_eq!([a.status, b.status, c.status], [200, 200, 200]);
        assert_eq!(fake.token_requests(), posts);
    }
    assert_eq!(fake.max_uses_of_one_refresh_token(), 1);
    assert_eq!(fake.unauthorized_responses(), 0);

    let requests = fake.recorded_api_requests();
    let tenants: Vec<_> = requests
        .iter()
        .map(|request| request.account.as_deref().unwrap_or("nobody"))
        .collect();
    let (acme, globex) = ("owner of acme", "owner of globex");
    let expected = [acme, globex, acme, acme, acme, globex, globex, globex];
    assert_eq!(tenants, expected);

    // Neither the store nor the log shows a token, even at the level TRACE.
    let log = running.logs.text();
    let mut files = String::new();
    for entry in fs::read_dir(world.folder.path())? {
        files += &String::from_utf8_lossy(&fs::read(entry?.path())?);
    }
    assert!(files.contains("sealed:2:"), "{files}");
    for request in &requests {
        let token = request.bearer().ok_or("no token")?;
        assert!(!log.contains(token.expose_secret()));
        assert!(!files.contains(token.expose_secret()));
    }
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_stranger_gets_no_page_and_makes_no_account() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut stranger = running.browser()?;
    for path in ["/", "/signature-requests", "/dropbox-sign/sign-in"] {
        let page = stranger.get(path).await?;
        assert_eq!((page.status.as_u16(), page.location()), (303, "/login"));
    }
    // A password of another tenant, and a name that is no tenant's.
    for form in [
        "tenant=acme&password=the-password-of-globex",
        "tenant=initech&password=the-password-of-initech",
    ] {
        assert_eq!(stranger.post("/login", form).await?.status, 403);
    }
    // A cookie without a signature.
    let forged = json!({
        "tenant": "acme",
        "logged_in_at": SystemTime::now(),
    });
    stranger.set_cookie("session", &forged.to_string());
    assert_eq!(stranger.get("/").await?.location(), "/login");

    assert!(running.manager.accounts().is_empty());
    assert_eq!(world.fake.api_requests(), 0);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn another_site_can_neither_log_a_browser_in_nor_sign_it_out() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.signed_in("acme").await?;
    let evil = "https://evil.example";
    let form = "tenant=globex&password=the-password-of-globex";
    let page = browser.post_from(evil, "/login", form).await?;
    assert_eq!(page.status, 403);
    let page = browser
        .post_from(evil, "/dropbox-sign/sign-out", "")
        .await?;
    assert_eq!(page.status, 403);
    assert_eq!(browser.get("/signature-requests").await?.status, 200);
    running.stop().await??;
    Ok(())
}
