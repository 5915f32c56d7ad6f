//! The server's own log.

use std::time::Instant;

use super::*;

/// The settings that the documentation of `PostgresStore` advises.
const ADVICE: [&str; 3] = [
    "log_parameter_max_length = 0",
    "log_parameter_max_length_on_error = 0",
    "log_error_verbosity = terse",
];

#[tokio::test]
async fn s97_the_documented_settings_keep_tokens_out_of_the_server_s_log() {
    let options = [
        "logging_collector=on",
        "log_destination=stderr,csvlog",
        "log_statement=mod",
        "log_min_duration_statement=0",
        "log_parameter_max_length_on_error=-1",
    ];
    let options: Vec<_> = options.iter().flat_map(|option| ["-c", option]).collect();
    let Some(server) = Postgres::start_with(&options) else {
        return;
    };
    migrated(&server).await;
    server.psql("create role app login password 'right'");
    server.psql("grant all on dropbox_sign_tokens to app");
    let saved = async |name| save(&store(&server.url_for("app:right")), None, name).await;
    let leaks = |format| log(&server, format).matches("canary").count();

    saved("a").await;
    assert_ne!(leaks("stderr"), 0, "without the settings");
    assert_ne!(leaks("csvlog"), 0, "without the settings");
    for setting in ADVICE {
        server.psql(&format!("alter role app set {setting}"));
    }
    let before = ["stderr", "csvlog"].map(leaks);
    server.psql("delete from dropbox_sign_tokens");
    saved("b").await;
    assert_eq!(["stderr", "csvlog"].map(leaks), before);

    // The DETAIL of this error is the whole row, which `csvlog` gets in spite of the settings.
    server.psql("alter table dropbox_sign_tokens add check (version = 0) not valid");
    let store = store(&server.url_for("app:right"));
    let record = Record::new(tokens("c"));
    let other = AccountId::from("other");
    let error = store.compare_and_swap(&other, None, &record).await;
    error.expect_err("a violated constraint");
    assert_eq!(leaks("stderr"), before[0]);
    assert!(leaks("csvlog") > before[1]);
}

/// The log up to now. The server's processes write in the order of their statements.
fn log(server: &Postgres, format: &str) -> String {
    let now = server.psql("select 'now ' || clock_timestamp()::text");
    server.psql(&format!("comment on table dropbox_sign_tokens is '{now}'"));
    let read = format!("select pg_read_file(pg_current_logfile('{format}'))");
    let since = Instant::now();
    loop {
        let log = server.psql(&read);
        if log.contains(&now) {
            return log;
        }
        assert!(since.elapsed() < HANGS, "the log does not get {now:?}");
    }
}
