//! Settings that cannot work.

use std::time::Duration;

use dropbox_sign_oauth::store::RedisStore;

#[test]
fn settings_that_cannot_work_are_errors_without_the_url() {
    let builder = || RedisStore::builder("redis://:canary@127.0.0.1:1/");
    for (builder, setting) in [
        (RedisStore::builder("canary"), "url"),
        (RedisStore::builder("redis://:canary@host:port/"), "url"),
        (RedisStore::builder("http://u:canary@h/"), "url"),
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
fn s46_a_store_shows_no_password() {
    let builder = RedisStore::builder("redis://user:canary@127.0.0.1:1/");
    let shown = format!("{builder:?} {:?}", builder.clone().build());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
}

#[test]
fn urls_that_cannot_belong_to_one_cluster_are_errors() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "at least one URL"),
        (&["redis://a/", "canary"], "malformed"),
        (&["redis://a/", "canary://b/"], "the scheme"),
        (&["redis://a/", "rediss://:canary@b/"], "TLS needs"),
        (&["redis://a/", "redis://:canary@b/"], "must agree"),
        (&["redis://u:p@a/", "redis://canary:p@b/"], "must agree"),
        (&["redis://a/1"], "no database but 0"),
        (&["redis+unix:///canary"], "no Unix socket"),
    ];
    for (urls, mistake) in cases {
        let error = RedisStore::cluster(urls.iter().copied()).build();
        let error = error.expect_err(mistake);
        let text = error.to_string();
        assert!(text.starts_with("urls: "), "{text}");
        assert!(text.contains(mistake), "{text}");
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    }
}
