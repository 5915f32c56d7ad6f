//! Bad input: one line that says what to do, and the documented exit code. Nothing stored is touched.

use std::{fs, process::Stdio};

use dropbox_sign_oauth::testing::{Consent, FakeDropboxSign, Fault};
use serde_json::{Value, json};

use super::{Shell, fresh, past};

/// Runs a sign-in that fails, for an account that is signed in.
async fn failed_login(
    code: i32,
    prepare: impl FnOnce(&FakeDropboxSign),
    callback: impl FnOnce(&FakeDropboxSign, &str) -> String,
) -> String {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let before = shell.record("default").await;
    prepare(&shell.fake);
    let ended = shell.paste(&[], callback).await;
    assert_eq!(shell.record("default").await, before);
    let error = ended.error(code);
    shell.run(&["token"]).await.done();
    error
}

fn authorize(fake: &FakeDropboxSign, url: &str) -> String {
    fake.authorize(url)
}

#[tokio::test]
async fn s146_a_foreign_state_a_denial_and_a_callback_without_a_code_are_no_sign_in() {
    let foreign = |fake: &FakeDropboxSign, url: &str| format!("{}x", fake.authorize(url));
    let error = failed_login(77, |_| (), foreign).await;
    assert!(
        error.contains("the callback belongs to another sign-in"),
        "{error}"
    );

    let deny = |fake: &FakeDropboxSign| fake.next_consent(Consent::Denied);
    let error = failed_login(77, deny, authorize).await;
    assert!(error.contains("access_denied"), "{error}");

    let error = failed_login(77, |_| (), |_, _| "https://app.example/".to_owned()).await;
    assert!(error.contains("the callback has no state"), "{error}");
}

#[tokio::test]
async fn s146_a_foreign_state_or_a_denial_ends_a_login_though_another_line_follows() {
    let foreign = |fake: &FakeDropboxSign, url: &str| {
        format!("{}x\n{}\n", fake.authorize(url), fake.authorize(url))
    };
    let error = failed_login(77, |_| (), foreign).await;
    assert!(error.contains("another sign-in"), "{error}");

    let deny = |fake: &FakeDropboxSign| fake.next_consent(Consent::Denied);
    let denied = |fake: &FakeDropboxSign, url: &str| {
        format!("{}\n{}\n", fake.authorize(url), fake.authorize(url))
    };
    let error = failed_login(77, deny, denied).await;
    assert!(error.contains("access_denied"), "{error}");
}

#[tokio::test]
async fn s146_a_code_that_is_too_old_or_was_used_is_no_sign_in() {
    for consent in [Consent::CodeExpired, Consent::CodeUsed] {
        let error = failed_login(77, |fake| fake.next_consent(consent), authorize).await;
        assert!(error.contains("invalid_grant"), "{error}");
        assert!(error.contains("the code was used"), "{error}");
        assert!(error.contains("run `dropbox-sign-oauth login`"), "{error}");
    }
}

#[tokio::test]
async fn s146_an_empty_flag_is_no_account_of_anybody() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    for command in ["logout", "token"] {
        let error = shell.run(&[command, "--account", ""]).await.failed(2);
        assert!(error.contains("--account is empty"), "{error}");
    }
    assert!(shell.record("default").await.is_some());
}

#[tokio::test]
async fn s146_a_token_host_with_a_password_is_asked_nothing_and_printed_nowhere() {
    let shell = Shell::start().await;
    let host = shell.fake.url().replace("http://", "http://user:canary@");
    let ended = shell.run(&["check", "--token-host", &host]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
    let named =
        "error: --token-host: the URL is not valid: it may not hold a user name or password";
    assert_eq!(ended.stderr.matches("--token-host").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(named), "{ended:?}");
    assert!(!ended.stderr.contains("base_url"), "{ended:?}");
}

#[tokio::test]
async fn s146_an_account_whose_name_is_that_of_a_method_keeps_its_name() {
    let shell = Shell::start().await;
    shell.save("base_url", shell.user(past())).await;
    let body = json!({ "error": { "error_name": "unauthorized", "error_msg": "not at base_url" } });
    shell.fake.next_token_request(Fault::json(401, body));
    let error = shell
        .run(&["token", "--account", "base_url"])
        .await
        .failed(78);
    assert!(error.starts_with("error: account `base_url`: "), "{error}");
    assert!(error.contains("\"not at base_url\""), "{error}");
    assert!(error.contains("the secret and --token-host"), "{error}");
}

#[tokio::test]
async fn s146_a_duration_that_is_none_names_the_form() {
    let shell = Shell::start().await;
    let ended = shell.run(&["token", "--valid-for", "abc"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`10m` or `1h`"), "{ended:?}");
}

#[tokio::test]
async fn s146_an_environment_without_a_key_is_misconfigured() {
    let shell = Shell::start().await;
    let error = shell
        .run(&["login", "--environment", "production"])
        .await
        .failed(78);
    assert!(error.contains("--environment: "), "{error}");
    assert!(error.contains("there is no encryption key"), "{error}");
    assert!(!shell.home.path().join(".local").exists());
}

#[tokio::test]
async fn s146_a_sign_in_that_the_service_cannot_do_now_is_to_be_tried_again() {
    let outage =
        |fake: &FakeDropboxSign| fake.next_token_request(Fault::oauth_error("maintenance"));
    let error = failed_login(75, outage, authorize).await;
    assert!(error.contains("maintenance"), "{error}");
}

#[tokio::test]
async fn s146_without_a_terminal_a_login_ends_and_names_the_other_way() {
    let shell = Shell::start().await;
    let ended = shell.run(&["login"]).await;
    assert!(ended.stdout.starts_with(&shell.fake.url()), "{ended:?}");
    let error = ended.error(77);
    assert!(error.contains("no callback URL came in"), "{error}");
    assert!(error.contains("--listen"), "{error}");
    assert_eq!(shell.fake.token_requests(), 0);
}

#[tokio::test]
async fn s146_an_address_in_use_is_named_before_the_page() {
    let shell = Shell::start().await;
    let taken = shell.fake.url().replace("http://", "");
    let error = shell.run(&["login", "--listen", &taken]).await.failed(2);
    assert!(error.contains(&format!("--listen {taken}")), "{error}");
}

#[tokio::test]
async fn s146_an_account_that_is_not_there_names_up_to_five_that_are() {
    let shell = Shell::start().await;
    // Only a sign-in makes the store.
    let error = shell.run(&["token"]).await.failed(77);
    assert!(
        error.contains("does not exist, so nobody is signed in"),
        "{error}"
    );
    assert!(!shell.home.path().join(".local").exists());

    drop(shell.store());
    let error = shell.run(&["token"]).await.failed(77);
    assert!(
        error.ends_with("not signed in; the store has no account; run `dropbox-sign-oauth login`"),
        "{error}"
    );
    let error = shell.run(&["status"]).await.failed(77);
    assert!(error.contains("nobody is signed in"), "{error}");

    for account in ["f", "e", "d", "c", "b", "a"] {
        shell.save(account, shell.user(fresh())).await;
        if account == "b" {
            let error = shell.run(&["header", "--account", "x"]).await.failed(77);
            assert!(
                error.contains("has `b`, `c`, `d`, `e`, `f`; run"),
                "{error}"
            );
        }
    }
    for command in ["token", "header", "refresh", "status"] {
        let error = shell.run(&[command, "--account", "x"]).await.failed(77);
        let expected = "account `x`: not signed in; the store has `a`, `b`, `c`, `d`, `e` and more; run \
                        `dropbox-sign-oauth login --account x`";
        assert_eq!(error, format!("error: {expected}"), "{command}");
    }
    assert_eq!(shell.fake.token_requests(), 0);
}

#[tokio::test]
async fn s146_a_store_that_cannot_be_used_is_named_with_the_next_step() {
    let shell = Shell::start().await;
    for (url, code, expected) in [
        (
            "ftp://host/a",
            78,
            "DROPBOX_SIGN_STORE: unknown kind of store; begin the URL with `file:`",
        ),
        ("tokens", 78, "DROPBOX_SIGN_STORE: unknown kind of store"),
        ("file:tokens", 78, "write `file:` and an absolute path"),
        ("redis://:canary@redis.example", 78, "write `rediss://`"),
        ("redis://:canary@127.0.0.1:1", 75, "redis store 127.0.0.1:1"),
        ("redis://:can:ary@host:port", 78, "DROPBOX_SIGN_STORE: "),
        (
            "postgres://app:canary@db.example/app",
            78,
            "add `?sslmode=verify-full`",
        ),
        (
            "postgres://app:canary@127.0.0.1:1/app",
            75,
            "postgres store dropbox_sign_tokens",
        ),
        (
            "postgres://app:canary@host:port",
            78,
            "DROPBOX_SIGN_STORE: malformed",
        ),
    ] {
        for command in ["token", "status"] {
            let mut command = shell.command(&[command]);
            command.env("DROPBOX_SIGN_STORE", url);
            let error = shell.end(command).await.failed(code);
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[tokio::test]
async fn s146_missing_and_wrong_credentials_are_a_configuration() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    for (variable, expected) in [
        (
            "DROPBOX_SIGN_CLIENT_ID",
            "there is no client id; set --client-id or DROPBOX_SIGN_CLIENT_ID",
        ),
        (
            "DROPBOX_SIGN_CLIENT_SECRET",
            "there is no client secret; set DROPBOX_SIGN_CLIENT_SECRET",
        ),
    ] {
        let mut token = shell.command(&["token"]);
        token.env_remove(variable);
        let error = shell.end(token).await.failed(78);
        assert!(error.contains(expected), "{error}");
    }
    let mut token = shell.command(&["token"]);
    token.env("DROPBOX_SIGN_CLIENT_SECRET", "canary-secret");
    let error = shell.end(token).await.failed(78);
    assert!(error.contains("invalid_client"), "{error}");
}

#[tokio::test]
async fn s146_an_outage_is_to_be_tried_again() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    shell
        .fake
        .every_token_request(Some(Fault::oauth_error("maintenance")));
    let error = shell.run(&["token"]).await.failed(75);
    assert!(error.contains("maintenance"), "{error}");
}

#[tokio::test]
async fn s146_a_duration_beyond_the_tokens_lifetime_is_an_error_that_names_both() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let error = shell
        .run(&["token", "--valid-for", "2days"])
        .await
        .failed(78);
    assert!(error.contains("ask for a shorter time"), "{error}");
}

#[tokio::test]
async fn s146_a_damaged_record_is_left_as_it_is() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let path = shell
        .home
        .path()
        .join(".local/share/dropbox-sign-oauth/tokens/account-default.json");
    fs::write(&path, "canary {").expect("a file");
    for command in ["token", "refresh", "logout"] {
        let error = shell.run(&[command]).await.failed(78);
        assert!(error.contains("left as it is"), "{error}");
    }
    let ended = shell.run(&["status", "--json"]).await;
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json[0]["state"], "failing");
    assert_eq!(json[0]["expires_at"], Value::Null);
    assert_eq!(json[0]["last_error"]["kind"], "store_defective");
    let message = json[0]["last_error"]["message"].as_str().expect("a text");
    let error = ended.error(78);
    assert!(error.contains(message), "{error}");
    assert!(!message.contains("canary"), "{message}");
    assert_eq!(fs::read_to_string(path).expect("a file"), "canary {");
}

#[tokio::test]
async fn s146_a_wrong_command_line_is_a_usage_error() {
    let shell = Shell::start().await;
    for arguments in [
        &["nonsense"][..],
        &["token", "--client-secret", "x"],
        &["token", "--valid-for", "soon"],
        &["login", "--listen", "localhost"],
        &[],
    ] {
        let ended = shell.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("--help"), "{ended:?}");
    }
}

#[tokio::test]
async fn s146_no_colour_without_a_terminal_and_no_line_of_two() {
    let shell = Shell::start().await;
    let mut token = shell.command(&["token"]);
    token.env("TERM", "xterm-256color").stdin(Stdio::null());
    let error = shell.end(token).await.failed(77);
    assert!(!error.contains('\u{1b}'), "{error}");
}
