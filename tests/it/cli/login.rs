//! `login`.

use std::{process::Stdio, time::Duration};

use dropbox_sign_oauth::testing::{Consent, FakeDropboxSign};
use http::Method;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    Ended, Shell,
    shell::{HANGS, first_line},
};
use crate::support::unless_it_hangs;

#[tokio::test]
async fn s143_a_pasted_callback_url_signs_in_and_the_token_is_the_users() {
    let shell = Shell::start().await;
    let user = json!({ "account": { "email_address": "ada@example.com" } });
    shell.fake.on(Method::GET, "/v3/account").json(user);

    let ended = shell.login(&[]).await;
    assert!(
        ended
            .stderr
            .contains("account `default`: signed in as ada@example.com"),
        "{ended:?}"
    );
    assert_eq!(ended.code, Some(0));
    assert_eq!(shell.fake.token_requests(), 1);

    let token = shell.run(&["token"]).await.done();
    let token = token.strip_suffix('\n').expect("a line").into();
    assert!(shell.fake.account_of(&token).is_some());
    assert_eq!(shell.fake.token_requests(), 1);
}

#[tokio::test]
async fn s143_a_user_without_an_address_is_signed_in_all_the_same() {
    let shell = Shell::start().await;
    shell.fake.on(Method::GET, "/v3/account").with_status(403);
    let ended = shell.login(&["--account", "acme"]).await;
    assert!(
        ended.stderr.ends_with("account `acme`: signed in\n"),
        "{ended:?}"
    );
    assert!(shell.record("acme").await.is_some());
    assert!(shell.record("default").await.is_none());
}

#[tokio::test]
async fn s143_the_words_of_the_api_come_without_control_characters() {
    let shell = Shell::start().await;
    let user = json!({ "account": { "email_address": "\u{1b}[2Ja\nerror: forged" } });
    shell.fake.on(Method::GET, "/v3/account").json(user);
    let ended = shell.login(&[]).await;
    assert!(
        ended.stderr.ends_with("as \\u{1b}[2Ja\\nerror: forged\n"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn s143_the_page_knows_the_callback_url_of_the_settings() {
    let shell = Shell::start().await;
    let callback = "https://tunnel.example/callback";
    shell.fake.register_callback(callback);
    let ended = shell
        .paste(&["--redirect-uri", callback], |fake, url| {
            let pasted = fake.authorize(url);
            assert!(pasted.starts_with(callback), "{pasted}");
            // A terminal and a person add lines.
            format!("\n  {pasted}  \n")
        })
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn s154_after_a_text_that_is_no_callback_the_login_asks_again() {
    let shell = Shell::start().await;
    for slip in [
        "",
        "dropbox-sign-oauth login",
        "https://app.example/?code=a",
    ] {
        let ended = shell
            .paste(&[], |fake, url| {
                let slip = if slip.is_empty() { url } else { slip };
                format!("{slip}\n{}\n", fake.authorize(url))
            })
            .await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            ended.stderr.matches("paste the URL").count(),
            2,
            "{ended:?}"
        );
    }

    // The end of stdin ends the sign-in, with the reason and the way on.
    let ended = shell.paste(&[], |_, url| format!("{url}\n")).await;
    let error = "error: account `default`: the URL is that of the consent page, not of the callback; \
                 run `dropbox-sign-oauth login`";
    assert_eq!(ended.error(77), error);
}

#[tokio::test]
async fn s143_a_callback_is_served_behind_a_tunnel_once() {
    for (consent, status, page, code) in [
        (Consent::Given, 200, "You are signed in", 0),
        (Consent::Denied, 400, "The sign-in failed", 77),
    ] {
        let shell = Shell::start().await;
        shell.fake.next_consent(consent);
        let mut login = shell
            .command(&["login", "--listen", "127.0.0.1:0"])
            .spawn()
            .expect("the binary");
        let url = first_line(&mut login).await;
        let callback = shell.fake.authorize(&url);
        let (_, query) = callback.split_once('?').expect("a query");
        let address = listening_at(&mut login).await;

        let get = async |path: &str| {
            let client = reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client");
            client.get(format!("http://{address}{path}")).send().await
        };
        let icon = get("/favicon.ico").await.expect("a response");
        assert_eq!(icon.status(), 404);
        // Strangers reach the address through the tunnel.
        for foreign in [
            "code=a&state=b",
            "error=access_denied",
            &format!("{query}x"),
        ] {
            let response = get(&format!("/callback?{foreign}")).await;
            let response = response.expect("a response");
            assert_eq!(response.status(), 400, "{foreign}");
            let text = response.text().await.expect("a text");
            assert!(text.contains("belongs to another sign-in"), "{text}");
        }
        let response = get(&format!("/callback?{query}"))
            .await
            .expect("a response");
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.text().await.expect("a text").contains(page));

        let ended = Ended::of(login).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(get("/").await.is_err(), "it still listens");
    }
}

/// Reads notes up to the address.
async fn listening_at(login: &mut tokio::process::Child) -> String {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let stderr = login.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    loop {
        let line = unless_it_hangs("the program listens", lines.next_line()).await;
        let line = line.expect("stderr").expect("a line");
        if let Some(address) = line.strip_prefix("waiting for the callback at ") {
            let address = address.to_owned();
            // The program goes on writing.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return address;
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn s143_a_browser_opens_the_page_where_there_is_one() {
    use std::{fs, os::unix::fs::PermissionsExt};

    let shell = Shell::start().await;
    let browser = shell.home.path().join("browser");
    let opened = shell.home.path().join("opened");
    fs::write(
        &browser,
        format!(
            "#!/bin/sh\nprintf %s \"$1\" > {}.tmp\nmv {0}.tmp {0}\n",
            opened.display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("a program");

    for (arguments, opens) in [(&["login", "--no-browser"][..], false), (&["login"], true)] {
        let mut login = shell
            .command(arguments)
            .env("BROWSER", &browser)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary");
        let url = first_line(&mut login).await;
        assert!(url.contains(&format!("client_id={}", FakeDropboxSign::CLIENT_ID)));
        let stdin = login.stdin.take();
        if opens {
            // A browser starts in the background.
            let opens = async {
                while !opened.exists() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(HANGS, opens).await.expect("a browser");
            assert_eq!(fs::read_to_string(&opened).expect("a URL"), url);
        }
        drop(stdin);
        let ended = Ended::of(login).await;
        assert_eq!(
            ended.stderr.contains("the browser opens"),
            opens,
            "{ended:?}"
        );
        assert_eq!(opened.exists(), opens);
    }
}
