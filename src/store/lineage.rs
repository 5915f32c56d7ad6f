//! The sign-in that the tokens of a record come from.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::fnv::fnv_1a;
use crate::{clock::since_epoch, secret::RefreshToken, token::TokenSet};

/// The sign-in that the tokens of a record come from: when the sign-in was, and the refresh tokens
/// that began it or were refused, as hashes. Refreshes pass the lineage on.
///
/// A process that could not save a sign-in looks at the lineage of the stored record before it saves
/// later: the stored record may have come from that sign-in, or from a newer one.
///
/// A store keeps the lineage as text. The empty text stands for a record of unknown origin:
///
/// ```
/// use dropbox_sign_oauth::store::Lineage;
///
/// let lineage = Lineage::from_text("1735689600123 af63dc4c8601ec8c").expect("a lineage");
/// assert_eq!(lineage.to_string(), "1735689600123 af63dc4c8601ec8c");
/// assert_eq!(Lineage::from_text(""), Some(Lineage::default()));
/// assert_eq!(Lineage::from_text("yesterday"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Unix milliseconds; zero if unknown.
    began_at_ms: u64,
    /// The latest first. A collision of hashes would let a new seed pass for a refused one.
    tried: Vec<u64>,
}

impl Lineage {
    /// Any older token that a deployment still passes as a seed is among the last sixteen.
    const MOST_TRIED: usize = 16;

    /// The length of the longest text: a time of 15 digits, and each hash with a space.
    #[cfg(feature = "encryption")]
    pub(super) const LONGEST_TEXT: usize = 15 + 17 * Self::MOST_TRIED;

    /// The lineage that a store has kept; `None` for a text that is no lineage.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = text.split(' ');
        Some(Self {
            began_at_ms: parts.next().and_then(milliseconds)?,
            tried: parts.map(hash).collect::<Option<_>>()?,
        })
    }

    /// When the sign-in was, by the wall clock of the process that installed its tokens, and not before
    /// the tokens were issued; `None` if unknown. Later than the sign-in that it replaced, even if that
    /// clock was wrong.
    pub fn began_at(&self) -> Option<SystemTime> {
        let began_at = UNIX_EPOCH + Duration::from_millis(self.began_at_ms);
        (self.began_at_ms > 0).then_some(began_at)
    }

    /// Begins with `tokens`, which take the place of the tokens of an earlier lineage.
    pub(crate) fn of_sign_in(tokens: &TokenSet, now: SystemTime, earlier: &Self) -> Self {
        // Another machine, whose clock is ahead, may have received the tokens.
        let now = tokens
            .issued_at()
            .map_or(now, |issued_at| issued_at.max(now));
        let now = u64::try_from(since_epoch(now).as_millis()).unwrap_or(LATEST);
        let began_at_ms = now.max(earlier.began_at_ms + 1).min(LATEST);
        let lineage = Self {
            began_at_ms,
            tried: earlier.tried.clone(),
        };
        match tokens.refresh_token() {
            Some(token) => lineage.with_tried(token),
            None => lineage,
        }
    }

    /// Remembers that this refresh token began the lineage, or was refused.
    pub(crate) fn with_tried(mut self, token: &RefreshToken) -> Self {
        let hash = hash_of(token);
        self.tried.retain(|tried| *tried != hash);
        self.tried.insert(0, hash);
        self.tried.truncate(Self::MOST_TRIED);
        self
    }

    pub(crate) fn has_tried(&self, token: &RefreshToken) -> bool {
        self.tried.contains(&hash_of(token))
    }

    /// Whether this is the same sign-in as `other`, or a newer one.
    pub(crate) fn is_as_new_as(&self, other: &Self) -> bool {
        self.began_at_ms >= other.began_at_ms
    }
}

/// The latest time of a lineage, in Unix milliseconds: the largest number of 15 digits.
const LATEST: u64 = 999_999_999_999_999;

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn hash(text: &str) -> Option<u64> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_hash = text.len() == 16 && text.bytes().all(digits);
    u64::from_str_radix(text, 16).ok().filter(|_| is_hash)
}

/// Leaves at least 64 bits of a refresh token of 128 bits unknown.
fn hash_of(token: &RefreshToken) -> u64 {
    fnv_1a(token.expose_secret().as_bytes())
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        write!(f, "{}", self.began_at_ms)?;
        self.tried
            .iter()
            .try_for_each(|hash| write!(f, " {hash:016x}"))
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lineage")
            .field("began_at", &self.began_at())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn signed_in(token: &str, ms: u64, earlier: &Lineage) -> Lineage {
        Lineage::of_sign_in(&TokenSet::from_refresh_token(token), at(ms), earlier)
    }

    #[test]
    fn a_lineage_is_read_as_it_was_written() {
        let first = signed_in("a", 7, &Lineage::default());
        for lineage in [
            Lineage::default(),
            signed_in("b", 9, &first),
            Lineage::default().with_tried(&"a".into()),
            first,
        ] {
            let read = Lineage::from_text(&lineage.to_string());
            assert!(read == Some(lineage));
        }
    }

    #[test]
    fn a_text_that_no_lineage_has_is_refused() {
        for text in [
            " ",
            "x",
            "-1",
            "+1",
            "1 ",
            " 1",
            "1 2",
            "1  8594417f",
            "1000000000000000",
            "1 AF63DC4C8601EC8C",
            "1 +f63dc4c8601ec8c",
            "1,af63dc4c8601ec8c",
        ] {
            assert!(Lineage::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_sign_in_is_newer_than_the_one_that_it_replaced_even_if_its_clock_is_behind() {
        let first = signed_in("a", 5_000, &Lineage::default());
        let second = signed_in("b", 1_000, &first);
        assert!(second.is_as_new_as(&first) && !first.is_as_new_as(&second));
        assert_eq!(second.began_at(), Some(at(5_001)));
        let far = Lineage::from_text("999999999999999").expect("a lineage");
        assert!(signed_in("b", 0, &far).is_as_new_as(&far));
    }

    #[test]
    fn the_refresh_tokens_that_were_tried_are_remembered_up_to_a_bound() {
        let mut lineage = signed_in("first", 1, &Lineage::default());
        for n in 0..15 {
            lineage = lineage.with_tried(&format!("{n}").into());
        }
        assert!(lineage.has_tried(&"first".into()) && lineage.has_tried(&"0".into()));
        lineage = lineage.with_tried(&"first".into()).with_tried(&"15".into());
        assert!(lineage.has_tried(&"first".into()) && !lineage.has_tried(&"0".into()));
        assert!(!lineage.has_tried(&"new".into()));
    }

    #[test]
    fn debug_shows_no_hash() {
        let text = format!("{:?}", signed_in("a", 7, &Lineage::default()));
        assert!(!text.contains("af63dc4c8601ec8c"), "{text}");
    }
}
