//! Flags, environment and file.

use std::{fs, path::PathBuf};

use dropbox_sign_oauth::{
    store::{EncryptedStore, EncryptionKey, Record, StoreErrorKind, TokenStore},
    testing::FakeDropboxSign,
};

use super::{Shell, fresh, past};

/// Writes the default file of settings.
fn configure(shell: &Shell, text: &str) -> PathBuf {
    let folder = shell.home.path().join(".config/dropbox-sign-oauth");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("config.toml");
    fs::write(&path, text).expect("a file");
    path
}

#[tokio::test]
async fn s145_a_flag_goes_before_the_environment_which_goes_before_the_file() {
    let shell = Shell::start().await;
    for account in ["of-file", "of-environment", "of-flag"] {
        shell.save(account, shell.user(fresh())).await;
    }
    configure(&shell, "account = \"of-file\"\n");
    let account = async |arguments: &[&str], variable: Option<&str>| {
        let arguments = [&["token", "--json"], arguments].concat();
        let mut command = shell.command(&arguments);
        command.envs(variable.map(|value| ("DROPBOX_SIGN_ACCOUNT", value)));
        let printed = shell.end(command).await.done();
        let json: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        json["account"].as_str().expect("a text").to_owned()
    };
    assert_eq!(account(&[], None).await, "of-file");
    assert_eq!(account(&[], Some("of-environment")).await, "of-environment");
    // Container systems set variables to nothing.
    assert_eq!(account(&[], Some("")).await, "of-file");
    let flag = ["--account", "of-flag"];
    assert_eq!(account(&flag, Some("of-environment")).await, "of-flag");
    // The account of the file is the default of the other commands, and hides no account.
    assert_eq!(shell.run(&["status"]).await.done().lines().count(), 3);
}

#[tokio::test]
async fn s145_secrets_come_from_files_beside_the_file_of_settings() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    let config = shell.home.path().join("elsewhere.toml");
    fs::write(&config, "client_secret_file = \"secret\"\n").expect("a file");
    let secret = shell.home.path().join("secret");
    // Editors and shells add line ends.
    fs::write(&secret, format!("{}\r\n\n", FakeDropboxSign::CLIENT_SECRET)).expect("a file");
    let mut token = shell.command(&["token"]);
    token
        .env_remove("DROPBOX_SIGN_CLIENT_SECRET")
        .env("DROPBOX_SIGN_CONFIG", &config);
    shell.end(token).await.done();
    assert_eq!(shell.fake.token_requests(), 1);

    // The secret of the environment goes before the file's, and a flag before both.
    fs::write(&secret, "canary-of-a-file").expect("a file");
    shell.save("acme", shell.user(past())).await;
    let flag = ["--client-secret-file", secret.to_str().expect("a path")];
    let error = shell
        .run(&[&["token", "--account", "acme"], &flag[..]].concat())
        .await
        .failed(78);
    assert!(error.contains("invalid_client"), "{error}");
    shell.run(&["token", "--account", "acme"]).await.done();
}

#[tokio::test]
async fn s145_a_broken_file_is_an_error_that_names_the_line() {
    let shell = Shell::start().await;
    for (text, expected) in [
        (
            "account = \"a\"\nclient-id = \"canary\"\n",
            "config.toml:2: unknown key `client-id`",
        ),
        (
            "client_secret = \"canary\"\n",
            "config.toml:1: `client_secret` is a secret",
        ),
        (
            "\n\naccount = [\"canary\"]\n",
            "config.toml:3: `account` takes a text",
        ),
        ("account = \"canary\n", "config.toml:1: "),
    ] {
        let path = configure(&shell, text);
        let error = shell.run(&["token"]).await.failed(78);
        assert!(error.contains(expected), "{error}");
        fs::remove_file(path).expect("a file");
    }
    let error = shell
        .run(&["token", "--config", "/no/such.toml"])
        .await
        .failed(78);
    assert!(error.contains("/no/such.toml"), "{error}");
    // Texts about the program itself need no settings.
    configure(&shell, "broken");
    shell.run(&["completions", "bash"]).await.done();
}

#[tokio::test]
async fn s145_a_password_stands_in_no_flag_and_in_no_file_that_others_can_read() {
    let shell = Shell::start().await;
    let url = "redis://:canary@127.0.0.1:1";
    let error = shell.run(&["token", "--store", url]).await.failed(2);
    assert!(error.contains("set DROPBOX_SIGN_STORE"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let path = configure(&shell, &format!("store = \"{url}\"\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file");
        let error = shell.run(&["token"]).await.failed(78);
        assert!(
            error.contains("config.toml:1: other users can read the password"),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file");
        // Nothing listens at port 1.
        let error = shell.run(&["token"]).await.failed(75);
        assert!(error.contains("redis store 127.0.0.1:1"), "{error}");
    }
}

#[tokio::test]
async fn s145_a_key_encrypts_the_store() {
    let shell = Shell::start().await;
    let key = EncryptionKey::generate("2026-11").expect("a key");
    let text = key.to_text();
    let file = shell.home.path().join("key");
    fs::write(&file, text.expose_secret()).expect("a file");
    let flags = [
        "--encryption-key-file",
        file.to_str().expect("a path"),
        "--environment",
        "test",
    ];
    assert_eq!(shell.login(&flags).await.code, Some(0));
    shell.run(&[&["token"], &flags[..]].concat()).await.done();

    let encrypted = EncryptedStore::builder(shell.store(), key).environment("test");
    let encrypted = encrypted.build().expect("a store");
    assert!(
        encrypted
            .load(&"default".into())
            .await
            .is_ok_and(|record| record.is_some())
    );
    let error = shell.run(&["token", flags[0], flags[1]]).await.failed(78);
    assert!(error.contains("encrypted file store"), "{error}");
    let error = encrypted.load(&"other".into()).await;
    assert!(!matches!(error, Err(error) if error.kind() == StoreErrorKind::Undecryptable));

    // A record that was never encrypted is an error, and the other accounts are shown.
    let saved = shell.store();
    let saved = saved
        .compare_and_swap(&"plain".into(), None, &Record::new(shell.user(fresh())))
        .await;
    saved.expect("the store saves");
    let ended = shell.run(&[&["status"], &flags[..]].concat()).await;
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(
        lines[0].starts_with("default: the token is valid"),
        "{ended:?}"
    );
    assert_eq!(lines[1], "plain: the record cannot be read");
    assert!(ended.error(78).contains("`plain`"));
}

#[tokio::test]
async fn s145_one_file_may_hold_all_accounts() {
    let shell = Shell::start().await;
    let url = format!("file:{}/tokens/all.json", shell.home.path().display());
    assert_eq!(shell.login(&["--store", &url]).await.code, Some(0));
    assert_eq!(
        shell
            .login(&["--store", &url, "--account", "acme"])
            .await
            .code,
        Some(0)
    );
    assert!(shell.home.path().join("tokens/all.json").is_file());
    assert_eq!(
        shell
            .run(&["status", "--store", &url])
            .await
            .done()
            .lines()
            .count(),
        2
    );
}

#[cfg(all(unix, feature = "redis"))]
#[tokio::test]
async fn s145_a_store_in_redis_by_its_url() {
    use crate::servers::Redis;

    let Some(server) = Redis::shared() else {
        return;
    };
    let shell = Shell::start().await;
    let mut login = shell.command(&["login", "--prefix", "dropbox-sign-oauth:cli:"]);
    login.env("DROPBOX_SIGN_STORE", server.url());
    sign_in_and_read(
        &shell,
        login,
        &server.url(),
        "--prefix",
        "dropbox-sign-oauth:cli:",
    )
    .await;
}

#[cfg(all(unix, feature = "postgres"))]
#[tokio::test]
async fn s145_a_store_in_postgresql_by_its_url_whose_table_the_login_makes() {
    use crate::servers::Postgres;

    let Some(server) = Postgres::shared() else {
        return;
    };
    let shell = Shell::start().await;
    let mut status = shell.command(&["status", "--table", "cli_tokens"]);
    status.env("DROPBOX_SIGN_STORE", server.url());
    let error = shell.end(status).await.failed(78);
    assert!(
        error.contains("run `dropbox-sign-oauth login`, which creates the table"),
        "{error}"
    );

    let mut login = shell.command(&["login", "--table", "cli_tokens"]);
    login.env("DROPBOX_SIGN_STORE", server.url());
    sign_in_and_read(&shell, login, &server.url(), "--table", "cli_tokens").await;
}

#[cfg(unix)]
async fn sign_in_and_read(
    shell: &Shell,
    login: tokio::process::Command,
    url: &str,
    flag: &str,
    value: &str,
) {
    let ended = shell.paste_into(login, |fake, page| fake.authorize(page));
    let ended = ended.await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (command, lines) in [("token", 1), ("status", 1), ("check", 3)] {
        let mut command = shell.command(&[command, flag, value]);
        command.env("DROPBOX_SIGN_STORE", url);
        assert_eq!(shell.end(command).await.done().lines().count(), lines);
    }
}
