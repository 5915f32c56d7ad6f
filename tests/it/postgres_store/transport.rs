//! Pools that lead to other machines. Nothing connects.

use dropbox_sign_oauth::ConfigError;

use super::*;

const INSECURE: [&str; 10] = [
    "postgres://app:canary@db.example.com/app?sslmode=disable",
    "postgres://app:canary@db.example.com/app?sslmode=allow",
    "postgres://app:canary@db.example.com/app?sslmode=prefer",
    "postgres://app:canary@db.example.com/app?sslmode=require",
    "postgres://app:canary@db.example.com/app?sslmode=verify-ca",
    "postgres://app:canary@localhost.example.com/app?sslmode=prefer",
    "postgres://app:canary@0.0.0.0/app?sslmode=prefer",
    "postgres://app:canary@[::ffff:127.0.0.1]/app?sslmode=prefer",
    "postgres://app:canary@localhost/app?sslmode=prefer&hostaddr=192.0.2.1",
    "postgres://app:canary@localhost/app?sslmode=prefer&host=db.example.com",
];

const SECURE: [&str; 8] = [
    "postgres://app:canary@db.example.com/app?sslmode=verify-full",
    "postgres://app:canary@localhost/app?sslmode=disable",
    "postgres://app:canary@LocalHost/app?sslmode=prefer",
    "postgres://app:canary@127.0.0.1/app?sslmode=prefer",
    "postgres://app:canary@127.8.9.10/app?sslmode=prefer",
    "postgres://app:canary@[::1]/app?sslmode=prefer",
    "postgres:///app?sslmode=prefer&host=/run/postgresql",
    "postgres://%2Frun%2Fpostgresql/app?sslmode=prefer",
];

#[tokio::test]
async fn s98_a_postgres_pool_without_verified_tls_to_another_machine_is_refused() {
    for url in INSECURE {
        let secure = || pool(SECURE[0]);
        for (setting, built) in [
            ("pool", PostgresStore::new(pool(url))),
            ("pool", PostgresStore::builder(pool(url)).build()),
            (
                "notifications",
                PostgresStore::builder(secure())
                    .notifications(pool(url))
                    .build(),
            ),
        ] {
            let error = built.expect_err(url);
            assert!(matches!(error, ConfigError::Insecure { .. }), "{error:?}");
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{setting}: the pool leads to another")),
                "{text}"
            );
            let mode = ["disable", "allow", "prefer", "require", "verify-ca"]
                .into_iter()
                .find(|mode| url.contains(&format!("sslmode={mode}")));
            let mode = format!("`sslmode={}`", mode.expect("a mode"));
            assert!(text.contains(&mode), "{url}: {text}");
            assert!(text.contains("use `sslmode=verify-full`"), "{text}");
            assert!(
                text.contains("danger_accept_insecure_transport()"),
                "{text}"
            );
            assert!(!text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn s98_a_postgres_pool_with_verified_tls_or_to_this_machine_is_accepted() {
    for url in SECURE {
        let builder = PostgresStore::builder(pool(url)).notifications(pool(url));
        builder.build().expect(url);
    }
}

#[tokio::test]
async fn s98_a_program_may_accept_an_insecure_postgres_pool_by_name() {
    for url in INSECURE {
        let builder = PostgresStore::builder(pool(url)).notifications(pool(url));
        let builder = builder.danger_accept_insecure_transport();
        builder.build().expect(url);
    }
}

/// `sqlx` has no TLS feature in the tests that the README names.
#[cfg(not(feature = "postgres-rustls"))]
#[tokio::test]
async fn s100_a_sqlx_without_tls_is_an_error_that_names_the_feature() {
    let error = load_with_verified_tls().await;
    let Some(error) = error else { return };
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    let text = error.to_string();
    assert!(text.contains("`sqlx` was built without TLS"), "{text}");
    assert!(text.contains("`postgres-rustls`"), "{text}");
}

#[cfg(feature = "postgres-rustls")]
#[tokio::test]
async fn s100_a_server_that_offers_no_tls_gets_nothing_from_a_sqlx_with_tls() {
    let error = load_with_verified_tls().await;
    let Some(error) = error else { return };
    assert_eq!(error.kind(), StoreErrorKind::Insecure, "{error}");
    let text = error.to_string();
    assert!(text.contains("the server offers no TLS"), "{text}");
}

/// `None`: PostgreSQL is not installed.
async fn load_with_verified_tls() -> Option<StoreError> {
    let server = Postgres::lent()?;
    let store = store(&format!("{}?sslmode=verify-full", server.url()));
    Some(store.load(&acme()).await.expect_err("no TLS"))
}
