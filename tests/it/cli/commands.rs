//! Commands for an account that is signed in.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::testing::FakeDropboxSign;
use serde_json::Value;

use super::{Shell, fresh, past};

#[tokio::test]
async fn s144_token_prints_a_valid_token_and_nothing_else() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let stored = shell.record("default").await.expect("a record");
    let stored = stored.tokens.access_token().expect("a token");
    let ended = shell.run(&["token"]).await;
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.done(), format!("{}\n", stored.expose_secret()));
    assert_eq!(shell.fake.token_requests(), 0);

    // A day holds no 20 hours when half of it is over.
    let newer = shell.run(&["token", "--valid-for", "20h"]).await.done();
    assert_ne!(newer.trim_end(), stored.expose_secret());
    assert_eq!(shell.fake.token_requests(), 1);
    assert_eq!(shell.run(&["token"]).await.done(), newer);
}

#[tokio::test]
async fn s144_an_expired_token_is_refreshed_and_saved_before_it_is_printed() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(past())).await;
    let printed = shell.run(&["token", "--account", "acme"]).await.done();
    assert_eq!(shell.fake.token_requests(), 1);
    let record = shell.record("acme").await.expect("a record");
    let saved = record.tokens.access_token().expect("a token");
    assert_eq!(printed.trim_end(), saved.expose_secret());
}

#[tokio::test]
async fn s144_token_as_json_has_the_token_its_expiry_and_the_account() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(fresh())).await;
    let printed = shell
        .run(&["token", "--json", "--account", "acme"])
        .await
        .done();
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    let record = shell.record("acme").await.expect("a record");
    let token = record
        .tokens
        .access_token()
        .expect("a token")
        .expose_secret();
    assert_eq!(json["access_token"], token);
    assert_eq!(json["account"], "acme");
    let stored = record.tokens.expires_at().expect("an expiry");
    let stored = stored.duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(json["expires_at"], stored.expect("a time").as_secs());
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(3));
}

#[tokio::test]
async fn s144_header_is_a_configuration_of_curl() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let token = shell.run(&["token"]).await.done();
    let config = shell.run(&["header"]).await.done();
    let line = format!("header = \"Authorization: Bearer {}\"\n", token.trim_end());
    assert_eq!(config, line);
}

#[tokio::test]
async fn s144_status_says_of_each_account_when_its_token_expires_and_sends_nothing() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(fresh())).await;
    shell.save("globex", shell.user(past())).await;
    let text = shell.run(&["status"]).await.done();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("acme: the token is valid for 11h 5"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("globex: the token expired 1day ago (")
            && lines[1].ends_with("); the next use gets a new token"),
        "{text}"
    );
    assert_eq!(lines.len(), 2);

    let json: Value =
        serde_json::from_str(&shell.run(&["status", "--json"]).await.done()).expect("JSON");
    assert_eq!(json[0]["account"], "acme");
    assert_eq!(json[0]["state"], "fresh");
    assert_eq!(json[1]["state"], "expired");
    assert_eq!(json[1]["sign_in_required"], false);
    assert_eq!(json[1]["last_error"], Value::Null);
    // The same number as in the line for people.
    let expires_at = json[1]["expires_at"].as_u64().expect("Unix seconds");
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(expires_at);
    let shown = humantime::format_rfc3339_seconds(expires_at).to_string();
    assert!(lines[1].contains(&format!("({shown})")), "{text}");
    assert_eq!(shell.fake.token_requests(), 0);

    let one = shell.run(&["status", "--account", "globex"]).await.done();
    assert_eq!(one.trim_end(), lines[1]);
}

#[tokio::test]
async fn s144_status_ends_with_77_if_an_account_has_to_sign_in() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(past())).await;
    shell.fake.revoke_all();
    let error = shell.run(&["token", "--account", "acme"]).await.failed(77);
    let expected = "error: account `acme`: the sign-in is no longer valid (invalid_grant); run \
                    `dropbox-sign-oauth login --account acme`";
    assert_eq!(error, expected);

    let ended = shell.run(&["status"]).await;
    assert_eq!(ended.stdout, "acme: the user has to sign in again\n");
    assert!(ended.error(77).contains("login --account acme"));
}

#[tokio::test]
async fn s144_refresh_gets_a_new_token_though_the_present_token_is_valid_but_no_two_at_once() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(fresh())).await;
    let before = shell.run(&["token"]).await.done();
    let ended = shell.run(&["refresh"]).await;
    let text = "account `default`: refreshed; the token is valid for 23h 59m\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), text));
    let after = shell.run(&["token"]).await.done();
    assert_ne!(before, after);

    let error = shell.run(&["refresh"]).await.failed(75);
    assert!(error.contains("not refreshed"), "{error}");
    assert_eq!(shell.run(&["token"]).await.done(), after);
    assert_eq!(shell.fake.token_requests(), 1);
}

#[tokio::test]
async fn s144_refresh_of_an_expired_token_presents_once() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    let ended = shell.run(&["refresh"]).await;
    assert!(
        ended.stderr.contains("refreshed; the token is valid"),
        "{ended:?}"
    );
    assert_eq!(shell.fake.token_requests(), 1);
}

#[tokio::test]
async fn s144_logout_forgets_one_account() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(fresh())).await;
    shell.save("globex", shell.user(fresh())).await;
    let mut logout = shell.command(&["logout", "--account", "acme"]);
    // The token host is not asked.
    logout
        .env_remove("DROPBOX_SIGN_CLIENT_ID")
        .env_remove("DROPBOX_SIGN_CLIENT_SECRET");
    let ended = shell.end(logout).await;
    assert!(
        ended.stderr.contains("account `acme`: the tokens are gone"),
        "{ended:?}"
    );
    ended.done();
    assert!(shell.record("acme").await.is_none());
    assert!(shell.record("globex").await.is_some());
}

#[tokio::test]
async fn s144_logout_of_an_account_that_is_not_signed_in_is_no_failure() {
    let shell = Shell::start().await;
    shell.save("acme", shell.user(fresh())).await;
    for _ in 0..2 {
        let ended = shell.run(&["logout", "--account", "b"]).await;
        assert_eq!(
            ended.stderr,
            "account `b`: was not signed in; the store has `acme`\n"
        );
        ended.done();
    }
    assert!(shell.record("acme").await.is_some());
}

#[tokio::test]
async fn s144_status_of_an_account_that_is_not_there_has_a_row() {
    let shell = Shell::start().await;
    let row = serde_json::json!([{
        "account": "nobody",
        "state": "not_signed_in",
        "expires_at": null,
        "last_error": null,
        "sign_in_required": false,
    }]);
    let nobody = ["status", "--json", "--account", "nobody"];
    let none = serde_json::json!([]);
    for (arguments, rows) in [(&nobody[..], &row), (&["status", "--json"], &none)] {
        // Before the first sign-in, there is no store.
        let ended = shell.run(arguments).await;
        assert_eq!(ended.stdout.parse::<Value>().ok().as_ref(), Some(rows));
        assert!(ended.error(77).contains("nobody is signed in"));
    }

    shell.save("acme", shell.user(fresh())).await;
    let ended = shell.run(&nobody).await;
    assert_eq!(ended.stdout.parse::<Value>().ok(), Some(row));
    assert!(ended.error(77).contains("the store has `acme`"));
}

#[tokio::test]
async fn s144_check_notes_a_store_that_the_first_login_makes() {
    let shell = Shell::start().await;
    let text = shell.run(&["check"]).await.done();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("note: the store /"), "{text}");
    assert!(
        lines[1].contains("`dropbox-sign-oauth login`, which makes the store"),
        "{text}"
    );
    assert!(lines[2].starts_with("ok: token host"), "{text}");
    assert!(!shell.home.path().join(".local").exists());
}

#[tokio::test]
async fn s144_check_names_what_works_and_spends_nothing() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    let text = shell.run(&["check"]).await.done();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("ok: settings"), "{text}");
    assert!(lines[1].starts_with("ok: store: file store"), "{text}");
    assert!(lines[2].starts_with("ok: token host"), "{text}");
    assert_eq!(shell.fake.token_requests(), 0);
}

#[tokio::test]
async fn s144_check_reports_each_thing_that_does_not_work() {
    let shell = Shell::start().await;
    shell.fake.stop_listening().await;
    let mut check = shell.command(&["check", "--store", "ftp://host"]);
    check.env_remove("DROPBOX_SIGN_CLIENT_SECRET");
    let ended = shell.end(check).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines[0].contains("DROPBOX_SIGN_CLIENT_SECRET"), "{ended:?}");
    assert!(lines[1].contains("--store"), "{ended:?}");
    assert!(lines[2].contains("token host"), "{ended:?}");
    assert_eq!(ended.stdout, "");
}

#[tokio::test]
async fn s144_completions_and_the_man_page_need_no_settings() {
    let shell = Shell::start().await;
    for shell_name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = shell.run(&["completions", shell_name]).await.done();
        assert!(text.contains("dropbox-sign-oauth"), "{shell_name}");
    }
    let man = shell.run(&["man"]).await.done();
    assert!(man.starts_with(".ie"), "{man}");
    for text in [
        "Exit codes",
        "misconfigured",
        "DROPBOX_SIGN_CLIENT_SECRET",
        // An argument that `-h` leaves out.
        "The PostgreSQL table",
        "DROPBOX_SIGN_TABLE",
    ] {
        assert!(man.contains(text), "{text}");
    }
    let folder = shell.home.path().to_str().expect("a path");
    shell.run(&["man", "--directory", folder]).await.done();
    assert!(
        shell
            .home
            .path()
            .join("dropbox-sign-oauth-token.1")
            .exists()
    );
}

#[tokio::test]
async fn s144_the_help_names_the_exit_codes_and_shows_no_value_of_the_environment() {
    let shell = Shell::start().await;
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["token", "--help"],
        &["login", "-h"],
    ] {
        let help = shell.run(arguments).await.done();
        assert!(!help.contains(FakeDropboxSign::CLIENT_ID), "{help}");
        assert!(help.contains("DROPBOX_SIGN_CLIENT_ID"), "{help}");
    }
    let help = shell.run(&["--help"]).await.done();
    for text in [
        "77   a sign-in is needed",
        "75   try again",
        "78   misconfigured",
        "config.toml",
    ] {
        assert!(help.contains(text), "{help}");
    }
}
