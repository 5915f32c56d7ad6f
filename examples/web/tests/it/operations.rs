//! What operators see.

use serde_json::Value;

use crate::{
    Result,
    browser::Browser,
    running::{LIFETIME, World},
};

#[tokio::test]
async fn metrics_status_and_logs_show_the_refreshes() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browsers = Vec::new();
    for tenant in ["acme", "globex"] {
        browsers.push(running.signed_in(tenant).await?);
    }
    world.clock.advance(LIFETIME);
    for browser in &mut browsers {
        assert_eq!(browser.get("/signature-requests").await?.status, 200);
    }

    let metrics = running.operations("/metrics").await?;
    let refreshes = "dropbox_sign_oauth_refreshes_total\
        {outcome=\"refreshed\",reason=\"expired\"} 2";
    assert!(metrics.contains(refreshes), "{metrics}");
    for name in ["accounts{state=\"fresh\"}", "nearest_expiry_seconds"] {
        let name = format!("dropbox_sign_oauth_{name}");
        assert!(metrics.contains(&name), "{name}: {metrics}");
    }

    let status: Value =
        serde_json::from_str(&running.operations("/status").await?)?;
    for (at, tenant) in ["acme", "globex"].into_iter().enumerate() {
        assert_eq!(status[at]["account"], tenant);
        assert_eq!(status[at]["state"], "fresh");
        assert_eq!(status[at]["unsaved_tokens"], false);
    }

    let log = running.logs.text();
    let lines: Vec<Value> = log
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<_>>()?;
    let refreshed = lines.iter().find(|line| line["kind"] == "refreshed");
    let refreshed = refreshed.ok_or("no refresh in the log")?;
    assert_eq!(refreshed["account"], "acme");
    assert_eq!(refreshed["span"]["reason"], "expired");
    let request = lines.iter().find(|line| {
        line["span"]["route"] == "/signature-requests" && line["status"] == 200
    });
    let request = request.ok_or("no request in the log")?;
    assert_eq!(request["span"]["tenant"], "acme");
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_process_without_its_store_is_alive_and_not_ready() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut operator = Browser::new(&running.operations)?;
    assert_eq!(operator.get("/readyz").await?.status, 200);
    std::fs::remove_dir_all(world.folder.path())?;
    let page = operator.get("/readyz").await?;
    assert_eq!(page.status, 503, "{}", page.text);
    assert_eq!(operator.get("/healthz").await?.status, 200);
    running.stop().await??;
    Ok(())
}

#[tokio::test]
async fn users_reach_no_page_of_the_operators() -> Result {
    let world = World::new().await?;
    let running = world.start().await?;
    let mut browser = running.browser_of("acme").await?;
    for path in ["/metrics", "/status", "/healthz", "/readyz"] {
        assert_eq!(browser.get(path).await?.status, 404, "{path}");
    }
    running.stop().await??;
    Ok(())
}
