//! The version of a record.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Names one save of a record. Every save draws a new version, also after a deletion, so a late save
/// never matches a newer record. Stores keep versions and compare them, and do nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// The largest version, 2⁵³ − 1. Programs that read numbers as floats read this number exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Draws a new version at random.
    pub fn unique() -> Self {
        Self(random() % Self::MAX.0 + 1)
    }

    /// The version that a store has kept; `None` for a number outside of 1 to [`MAX`](Self::MAX).
    pub const fn from_u64(version: u64) -> Option<Self> {
        match version {
            1..=9_007_199_254_740_991 => Some(Self(version)),
            _ => None,
        }
    }

    /// The number for a store to keep.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Random, because the standard library keys its hasher with the operating system's random numbers.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
