use super::*;
use crate::token::TokenSet;

#[test]
fn the_header_is_sensitive_and_holds_the_token() {
    let header = bearer_header(&AccessToken::new("abc=")).expect("a valid header");
    assert!(header.is_sensitive());
    assert_eq!(header, "Bearer abc=");
}

#[test]
fn a_token_that_no_header_can_carry_makes_no_header() {
    for token in ["", "a b", "a\n", "\u{e4}"] {
        assert!(
            bearer_header(&AccessToken::new(token)).is_none(),
            "{token:?}"
        );
    }
}

#[test]
fn the_jitter_is_the_tokens_own_and_stable() {
    let of = |token: &str| jitter(&AccountId::default(), &AccessToken::new(token));
    assert!((0.0..1.0).contains(&of("a")));
    assert_eq!(of("a").to_bits(), of("a").to_bits());
    assert_ne!(of("a").to_bits(), of("b").to_bits());
}

const SECOND: Duration = Duration::from_secs(1);
const NOW: Moment = Moment {
    monotonic: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_735_689_600),
};

type Maker = fn(&Access, Generation, Moment, (&AccountId, &RefreshPolicy)) -> Option<LiveToken>;

/// A token that lives for 100 seconds from `issued` on; no jitter.
fn live(make: Maker, issued: Duration) -> LiveToken {
    let policy = RefreshPolicy {
        jitter: 0.0,
        ..RefreshPolicy::default()
    };
    let tokens = TokenSet::new("abc", SystemTime::UNIX_EPOCH + issued, 100 * SECOND);
    let context = (&AccountId::default(), &policy);
    let access = tokens.access().expect("an access token");
    make(access, Generation(3), NOW, context).expect("a valid header")
}

fn after(seconds: u32) -> Moment {
    Moment {
        monotonic: NOW.monotonic + seconds * SECOND,
        wall: NOW.wall + seconds * SECOND,
    }
}

#[test]
fn a_granted_token_lives_from_the_request_on_and_cools_down() {
    let token = live(LiveToken::granted, NOW.wall);
    assert_eq!(token.freshness(after(49)), Freshness::Fresh);
    assert_eq!(token.freshness(after(50)), Freshness::Stale);
    assert_eq!(token.freshness(after(90)), Freshness::Expired);
    assert!(token.is_newly_granted(after(9)));
    assert!(!token.is_newly_granted(after(10)));
}

#[test]
fn a_found_token_lives_for_the_rest_of_its_lifetime_and_never_longer() {
    let aged = live(LiveToken::found, NOW.wall - 30 * SECOND);
    assert_eq!(aged.freshness(after(19)), Freshness::Fresh);
    assert_eq!(aged.freshness(after(20)), Freshness::Stale);
    assert_eq!(aged.freshness(after(60)), Freshness::Expired);
    assert!(!aged.is_newly_granted(after(0)));

    let ahead = live(LiveToken::found, NOW.wall + 100 * SECOND);
    assert_eq!(ahead.freshness(after(49)), Freshness::Fresh);
    let far_ahead = live(LiveToken::found, NOW.wall + 101 * SECOND);
    assert_eq!(far_ahead.freshness(after(0)), Freshness::Stale);
    assert_eq!(far_ahead.freshness(after(89)), Freshness::Stale);
    assert_eq!(far_ahead.freshness(after(90)), Freshness::Expired);
    let from_long_ago = live(LiveToken::found, NOW.wall - 3_600 * SECOND);
    assert_eq!(from_long_ago.freshness(after(0)), Freshness::Expired);
}

#[test]
fn s109_the_cooldown_of_a_token_that_another_process_was_granted_counts_from_the_grant() {
    let aged = live(LiveToken::refreshed_elsewhere, NOW.wall - 4 * SECOND);
    assert!(aged.is_newly_granted(after(5)) && !aged.is_newly_granted(after(6)));
    assert_eq!(aged.granted_at(), None);
    let old = live(LiveToken::refreshed_elsewhere, NOW.wall - 30 * SECOND);
    assert!(!old.is_newly_granted(after(0)));
    // The other process's clock was ahead.
    let ahead = live(LiveToken::refreshed_elsewhere, NOW.wall + 4 * SECOND);
    assert!(ahead.is_newly_granted(after(5)) && !ahead.is_newly_granted(after(6)));
    let far_ahead = live(LiveToken::refreshed_elsewhere, NOW.wall + 30 * SECOND);
    assert!(!far_ahead.is_newly_granted(after(0)));
}

#[test]
fn an_unshared_copy_says_the_same_from_memory_of_its_own() {
    let bearer = live(LiveToken::granted, NOW.wall).bearer;
    let copy = bearer.unshared();
    assert_eq!(copy.header(), bearer.header());
    assert_ne!(
        copy.header().as_bytes().as_ptr(),
        bearer.header().as_bytes().as_ptr()
    );
    assert!(copy.header().is_sensitive());
    assert_eq!(copy.generation(), Generation(3));
    assert_eq!(
        copy.expires_at(),
        SystemTime::UNIX_EPOCH + NOW.wall + 100 * SECOND
    );
    assert_eq!(copy.access_token(), AccessToken::new("abc"));
    assert_eq!(copy.into_header(), "Bearer abc");
}

#[test]
fn debug_names_the_generation_and_hides_the_token() {
    let token = live(LiveToken::granted, NOW.wall);
    for text in [format!("{token:?}"), format!("{:?}", token.bearer)] {
        assert!(text.contains("Generation(3)"), "{text}");
        assert!(!text.contains("abc"), "{text}");
    }
}
