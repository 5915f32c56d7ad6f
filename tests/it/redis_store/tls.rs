//! Servers with TLS, whose certificates a private CA has signed.

use dropbox_sign_oauth::{
    ConfigError,
    store::{RedisStore, RedisStoreBuilder, StoreErrorKind, TokenStore},
};

use super::{AT_ONCE, acme, calls, faults::all_operations, save};
use crate::servers::{Certificates, Redis, RedisTls};

#[tokio::test]
async fn s100_a_server_and_a_cluster_with_a_private_ca_are_reached() {
    let Some(certificates) = Certificates::make("IP:127.0.0.1") else {
        return;
    };
    for builder_of in BUILDERS {
        let Some(redis) = RedisTls::start(&certificates, "no") else {
            return;
        };
        let builder = builder_of(&redis.url()).root_certificate(certificates.root());
        let store = builder.build().expect("a store");
        let version = save(&store, None, "a").await;
        let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
        lease.release().await.expect("released");
        assert!(store.delete(&acme(), version).await.expect("deleted"));
    }
}

#[tokio::test]
async fn s100_a_server_with_an_untrusted_certificate_gets_nothing() {
    let made = ["IP:127.0.0.1", "IP:127.0.0.1", "DNS:redis.example"].map(Certificates::make);
    let [Some(right), Some(other), Some(elsewhere)] = made else {
        return;
    };
    for (served, roots, cause) in [
        (&right, Some(other.root()), "UnknownIssuer"),
        (&right, None, "UnknownIssuer"),
        (&elsewhere, Some(elsewhere.root()), "not valid for name"),
    ] {
        let Some(redis) = RedisTls::start(served, "no") else {
            return;
        };
        for builder_of in BUILDERS {
            let mut builder = builder_of(&redis.url());
            if let Some(roots) = &roots {
                builder = builder.root_certificate(&**roots);
            }
            for error in all_operations(&builder.build().expect("a store"), None).await {
                assert_eq!(error.kind(), StoreErrorKind::Insecure, "{error}");
                let text = error.to_string();
                assert!(text.contains("is not trusted"), "{text}");
                assert!(text.contains(cause), "{text}");
                assert!(text.contains("`root_certificate`"), "{text}");
            }
        }
        assert_eq!(calls(redis.plain(), "auth"), 0);
    }
}

#[tokio::test]
async fn s100_a_server_that_asks_for_a_client_certificate_is_named() {
    let Some(certificates) = Certificates::make("IP:127.0.0.1") else {
        return;
    };
    let Some(redis) = RedisTls::start(&certificates, "yes") else {
        return;
    };
    for builder_of in BUILDERS {
        let builder = builder_of(&redis.url()).root_certificate(certificates.root());
        for error in all_operations(&builder.build().expect("a store"), None).await {
            let text = error.to_string();
            assert!(text.contains("asks for a client certificate"), "{text}");
            assert!(text.contains("`tls-auth-clients`"), "{text}");
        }
    }
}

#[tokio::test]
async fn s100_a_server_without_tls_gets_nothing() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url().replace("redis://", "rediss://");
    for builder_of in BUILDERS {
        let builder = builder_of(&url).timeout(std::time::Duration::from_millis(200));
        let errors = all_operations(&builder.build().expect("a store"), None).await;
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == StoreErrorKind::Unavailable)
        );
    }
    assert_eq!(calls(&redis, "auth"), 0);
}

#[test]
fn s100_a_root_certificate_that_cannot_be_read_is_an_error() {
    let Some(certificates) = Certificates::make("IP:127.0.0.1") else {
        return;
    };
    let root = String::from_utf8(certificates.root()).expect("PEM");
    let cut_off = format!("{root}{}", root.split_at(root.len() / 2).0);
    let damaged = root.replace("MI", "AA");
    let key = String::from_utf8(certificates.key()).expect("PEM");
    for (pem, mistake) in [
        ("", "holds no certificate"),
        ("canary", "holds no certificate"),
        (&key, "holds no certificate"),
        (&cut_off, "certificate 2 cannot be read"),
        (&damaged, "certificate 1 cannot be read"),
    ] {
        for builder_of in BUILDERS {
            let builder = builder_of("rediss://h/").root_certificate(pem);
            let error = builder.build().expect_err(mistake);
            assert!(matches!(error, ConfigError::Invalid { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with("root_certificate: "), "{text}");
            assert!(text.contains(mistake), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }
    // Such a certificate would protect nothing.
    for builder_of in BUILDERS {
        let builder = builder_of("redis://127.0.0.1/").root_certificate(&*root);
        let text = builder.build().expect_err("no TLS").to_string();
        assert!(text.contains("use `rediss://`"), "{text}");
    }
}

#[test]
fn s98_tls_without_verification_is_refused_without_the_opt_out() {
    for builder_of in BUILDERS {
        let builder = builder_of("rediss://:canary@redis.internal/#insecure");
        let error = builder.clone().build().expect_err("unverified");
        assert!(matches!(error, ConfigError::Insecure { .. }), "{error:?}");
        assert!(error.to_string().contains("`#insecure`"), "{error}");
        let built = builder.danger_accept_insecure_transport().build();
        built.expect("the program has chosen so");
    }
}

/// A server, and a cluster.
const BUILDERS: [fn(&str) -> RedisStoreBuilder; 2] = [
    |url| RedisStore::builder(url),
    |url| RedisStore::cluster([url]),
];
