//! Settings that cannot work.

use std::time::Duration;

use dropbox_sign_oauth::{ConfigError, store::RedisStore};

#[test]
fn settings_that_cannot_work_are_errors_without_the_url() {
    let builder = || RedisStore::builder("redis://:canary@127.0.0.1:1/");
    for (builder, setting) in [
        (RedisStore::builder("canary"), "url"),
        (RedisStore::builder("redis://:canary@host:port/"), "url"),
        (RedisStore::builder("http://u:canary@h/"), "url"),
        #[cfg(not(feature = "redis-rustls"))]
        (RedisStore::builder("rediss://u:canary@h/"), "url"),
        (RedisStore::builder("redis://u:canary@h/first"), "url"),
        (builder().prefix("a{}"), "prefix"),
        (builder().timeout(Duration::ZERO), "timeout"),
        (builder().poll_interval(Duration::ZERO), "poll_interval"),
    ] {
        let error = builder.build().expect_err(setting);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{setting}: ")), "{text}");
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    }
}

#[test]
fn s98_a_plain_url_of_another_machine_is_refused_without_the_opt_out() {
    for (builder, setting) in [
        (
            RedisStore::builder("redis://:canary@redis.internal/"),
            "url: ",
        ),
        (RedisStore::builder("valkey://:canary@192.0.2.1/"), "url: "),
        (
            RedisStore::cluster(["redis://:canary@127.0.0.1/", "redis://:canary@redis-2/"]),
            "urls: ",
        ),
    ] {
        let error = builder.clone().build().expect_err(setting);
        assert!(matches!(error, ConfigError::Insecure { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(setting), "{text}");
        for part in ["unencrypted", "danger_accept_insecure_transport()"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
        let built = builder.danger_accept_insecure_transport().build();
        built.expect("the program has chosen so");
    }
    for url in [
        "redis://:p@127.0.0.1/",
        "redis://[::1]/",
        "redis://localhost/",
        "redis+unix:///run/redis.sock",
    ] {
        RedisStore::builder(url).build().expect(url);
    }
}

#[test]
fn s99_trusted_nodes_are_hosts_of_a_cluster() {
    let cluster = || RedisStore::cluster(["redis://:canary@127.0.0.1/"]);
    let server = RedisStore::builder("redis://:canary@127.0.0.1/");
    for (builder, mistake) in [
        (server.trusted_nodes(["host"]), "use `RedisStore::cluster`"),
        (cluster().trusted_nodes(["canary:6379"]), "without scheme"),
        (cluster().trusted_nodes([""; 0]), "lists no host"),
    ] {
        let error = builder.build().expect_err(mistake);
        let text = error.to_string();
        assert!(text.starts_with("trusted_nodes: "), "{text}");
        assert!(text.contains(mistake), "{text}");
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    }
}

#[test]
fn s46_a_store_shows_no_password() {
    let builder = RedisStore::builder("redis://user:canary@127.0.0.1:1/");
    let shown = format!("{builder:?} {:?}", builder.clone().build());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
}

#[test]
fn urls_that_cannot_belong_to_one_cluster_are_errors() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "at least one URL"),
        (&["redis://a/", "canary"], "malformed"),
        (&["redis://a/", "canary://b/"], "the scheme"),
        #[cfg(not(feature = "redis-rustls"))]
        (&["redis://a/", "rediss://:canary@b/"], "TLS needs"),
        #[cfg(feature = "redis-rustls")]
        (&["redis://:canary@a/", "rediss://:canary@b/"], "must agree"),
        (&["redis://a/", "redis://:canary@b/"], "must agree"),
        (&["redis://u:p@a/", "redis://canary:p@b/"], "must agree"),
        (&["redis://a/1"], "no database but 0"),
        (&["redis+unix:///canary"], "no Unix socket"),
    ];
    for &(urls, mistake) in cases {
        let cluster = RedisStore::cluster(urls.iter().copied());
        let error = cluster.danger_accept_insecure_transport().build();
        let error = error.expect_err(mistake);
        let text = error.to_string();
        assert!(text.starts_with("urls: "), "{text}");
        assert!(text.contains(mistake), "{text}");
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    }
}
