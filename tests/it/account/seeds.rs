//! Tokens that a program passes at each start.

use dropbox_sign_oauth::{
    Clock, EndpointErrorKind, ErrorKind, ExpiresIn, LostResponse, RefreshPolicy, Seeded,
    TokenGrant, TokenSet, store::Record,
};

use crate::support::{HOUR, Kind, MINUTE, TestAccount};

async fn seed(account: &TestAccount, token: &str) -> Seeded {
    let tokens = TokenSet::from_refresh_token(token);
    account.handle.seed(tokens).await.expect("the store works")
}

/// The same account after a restart of the program.
async fn restarted(account: &TestAccount, seed_token: &str) -> (TestAccount, Seeded) {
    let next = account.in_another_process();
    let seeded = seed(&next, seed_token).await;
    (next, seeded)
}

async fn refuse(account: &TestAccount) {
    account.clock.advance(HOUR);
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    let error = account.token().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::GrantRefused);
}

#[tokio::test]
async fn s62_a_seed_is_installed_once_and_does_not_replace_the_tokens_that_came_from_it() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        assert_eq!(seed(&account, "seed").await, Seeded::Installed);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["seed"]);
        for _ in 0..3 {
            account.clock.advance(HOUR);
            let (next, seeded) = restarted(&account, "seed").await;
            assert_eq!(seeded, Seeded::Kept);
            next.token().await.expect("a token");
        }
        assert_eq!(account.presented(), ["seed"]);
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

#[tokio::test]
async fn s62_another_seed_replaces_a_refused_refresh_token_and_an_earlier_seed_does_not() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        seed(&account, "seed-1").await;
        account.token().await.expect("a token");
        // While the tokens may be good, even another seed changes nothing.
        assert_eq!(restarted(&account, "seed-2").await.1, Seeded::Kept);
        refuse(&account).await;

        assert_eq!(restarted(&account, "seed-1").await.1, Seeded::Spent);
        let (healed, seeded) = restarted(&account, "seed-2").await;
        assert_eq!(seeded, Seeded::Installed);
        assert_eq!(restarted(&account, "seed-1").await.1, Seeded::Kept);
        refuse(&healed).await;
        for spent in ["seed-1", "seed-2"] {
            assert_eq!(restarted(&account, spent).await.1, Seeded::Spent);
        }
        // The process that knows the refusal installs the next seed as well.
        assert_eq!(seed(&healed, "seed-3").await, Seeded::Installed);
        healed.token().await.expect("a token");
        assert_eq!(healed.presented().last().expect("a POST"), "seed-3");
    }
}

#[tokio::test]
async fn s62_another_seed_heals_an_account_whose_access_token_has_not_expired() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        seed(&account, "seed-1").await;
        let token = account.handle.token().await.expect("a token");
        // The user has revoked the app.
        account.clock.advance(2 * MINUTE);
        account
            .endpoint
            .fail_with([EndpointErrorKind::GrantRefused]);
        let error = account.handle.replace_rejected(token.generation()).await;
        assert_eq!(error.expect_err("refused").kind(), ErrorKind::GrantRefused);

        assert_eq!(restarted(&account, "seed-1").await.1, Seeded::Spent);
        assert_eq!(seed(&account, "seed-2").await, Seeded::Installed);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["seed-1", "refresh-1", "seed-2"]);
    }
}

#[tokio::test]
async fn s62_a_token_that_may_be_spent_gives_way_to_another_seed_if_it_is_never_replayed() {
    let policy = RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
    account.token().await.expect_err("may be spent");
    assert_eq!(seed(&account, "refresh-0").await, Seeded::Spent);
    assert_eq!(seed(&account, "seed").await, Seeded::Installed);
    account.token().await.expect("a token");
}

#[tokio::test]
async fn s62_an_expired_access_token_without_a_refresh_token_gives_way_to_a_seed() {
    let account = TestAccount::new(Kind::Memory).await;
    let alone = TokenSet::new("access-alone", account.clock.wall(), HOUR);
    account.save_elsewhere(&Record::new(alone)).await;
    assert_eq!(seed(&account, "seed").await, Seeded::Kept);
    account.clock.advance(HOUR);
    assert_eq!(seed(&account, "seed").await, Seeded::Installed);
}

#[tokio::test]
async fn s62_a_seed_gives_way_to_tokens_that_are_yet_to_be_saved() {
    let account = TestAccount::new(Kind::Memory).await;
    account.store.every_save(crate::support::Fate::Fail);
    let tokens = account.tokens(HOUR);
    account.handle.install(tokens).await.expect_err("unsaved");
    assert_eq!(seed(&account, "seed").await, Seeded::Kept);
    assert_eq!(account.token().await.expect("a token"), "access-0");
}

#[tokio::test]
async fn s62_a_seed_that_cannot_be_saved_is_not_used() {
    let account = TestAccount::new(Kind::Memory).await;
    account.store.set_down(true);
    let tokens = TokenSet::from_refresh_token("seed");
    let error = account.handle.seed(tokens).await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    account.store.set_down(false);
    account.clock.advance(MINUTE);
    let error = account.token().await.expect_err("not signed in");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
}

#[tokio::test]
async fn s65_pasted_tokens_with_white_space_or_control_characters_are_refused_at_every_entrance() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        let before = account.record().await;
        for pasted in [
            "rt-1\n",
            " rt-1",
            "rt-1\t",
            "\u{feff}rt-1",
            "rt\u{0}1",
            "  ",
            "rt\n1",
        ] {
            let tokens = || TokenSet::from_refresh_token(pasted);
            let installed = account.handle.install(tokens()).await;
            let seeded = account.handle.seed(tokens()).await.map(drop);
            for result in [installed, seeded] {
                let error = result.expect_err("pasted badly");
                assert_eq!(error.kind(), ErrorKind::InvalidToken, "{pasted:?}");
                let text = error.to_string();
                assert!(
                    text.contains("the refresh token") && !text.contains("rt-1"),
                    "{text}"
                );
            }
        }
        assert_eq!(account.record().await, before);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(account.endpoint.posts(), 0);
    }
}

#[tokio::test]
async fn s65_a_token_that_was_pasted_badly_into_the_record_is_not_presented() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        let pasted = Record::new(TokenSet::from_refresh_token("refresh-0\n"));
        account.save_elsewhere(&pasted).await;
        let error = account.token().await.expect_err("pasted badly");
        assert_eq!(error.kind(), ErrorKind::StoreDefective);
        assert!(error.to_string().contains("white space"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);
        assert_eq!(account.record().await, Some(pasted), "changed");
        // A sign-in replaces the record.
        account.install().await;
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
}

#[tokio::test]
async fn s153_a_token_that_was_pasted_with_quotes_a_scheme_or_a_name_is_refused() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let before = account.record().await;
    for pasted in [
        "\"hush\"",
        "'hush'",
        "Bearer hush",
        "DROPBOX_SIGN_TOKEN=hush",
    ] {
        let refresh = TokenSet::from_refresh_token(pasted);
        let access = TokenSet::new(pasted, account.clock.wall(), HOUR);
        for (tokens, name) in [(refresh, "refresh"), (access, "access")] {
            let installed = account.handle.install(tokens.clone()).await;
            let seeded = account.handle.seed(tokens).await.map(drop);
            for result in [installed, seeded] {
                let error = result.expect_err("pasted badly");
                assert_eq!(error.kind(), ErrorKind::InvalidToken, "{pasted:?}");
                let text = format!("{error} {error:?}");
                assert!(text.contains(&format!("the {name} token")), "{text}");
                assert!(!text.contains("hush"), "{text}");
            }
        }
    }
    assert_eq!(account.record().await, before);
    // A service may grant what a person would not paste.
    account.clock.advance(HOUR);
    account.endpoint.respond_with(Ok(TokenGrant::new("access-1")
        .with_refresh_token("\"odd\"")
        .with_expires_in(ExpiresIn::After(HOUR))));
    account.token().await.expect("a token");
    account.clock.advance(HOUR);
    account.token().await.expect("a token");
    assert_eq!(account.presented(), ["refresh-0", "\"odd\""]);
}

/// The classic mistake: `install` in place of `seed`.
#[tokio::test]
async fn s155_a_refusal_after_an_install_over_newer_tokens_names_the_mistake() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        let settings = || TokenSet::from_refresh_token("settings");
        let installed = account.handle.install(settings()).await;
        installed.expect("the first start");
        account.token().await.expect("a token");
        assert_eq!(account.saved().await.1, "refresh-1");

        // The second start spends the token of the settings again, and so does a third.
        for _ in 0..2 {
            let next = account.in_another_process();
            let installed = next.handle.install(settings()).await;
            installed.expect("as the program asked");
            next.endpoint.fail_with([EndpointErrorKind::GrantRefused]);
            let error = next.token().await.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::GrantRefused);
            let text = error.to_string();
            assert!(text.contains("at each start to `seed`"), "{text}");
            let again = next.token().await.expect_err("refused");
            assert_eq!(again.to_string(), text);
        }
    }
}

#[tokio::test]
async fn s155_a_token_that_this_process_has_spent_is_known_as_well() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.token().await.expect("a token");
    account.clock.advance(HOUR);
    account.token().await.expect("a token");
    assert_eq!(account.saved().await.1, "refresh-2");
    let spent = TokenSet::from_refresh_token("refresh-1");
    account.handle.install(spent).await.expect("installed");
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    let text = account.token().await.expect_err("refused").to_string();
    assert!(text.contains("at each start to `seed`"), "{text}");
}

#[tokio::test]
async fn s155_the_refusal_of_a_new_sign_in_names_no_such_mistake() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.token().await.expect("a token");
    account.clock.advance(HOUR);
    for token in ["another", "refresh-1"] {
        let tokens = TokenSet::from_refresh_token(token);
        account.handle.install(tokens).await.expect("installed");
        let text = {
            account
                .endpoint
                .fail_with([EndpointErrorKind::GrantRefused]);
            account.token().await.expect_err("refused").to_string()
        };
        assert!(!text.contains("`install`"), "{token}: {text}");
    }
}
