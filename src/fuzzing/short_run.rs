//! The short run of the fuzzers' properties: each seed as it stands, mutations of seeds, and noise.
//!
//! `DROPBOX_SIGN_OAUTH_LONG_TESTS=1` makes sixteen times as many mutations.

use std::{
    env, fmt, fs,
    ops::Range,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use proptest::{prelude::*, sample::Index};

use super::{callback, file_format, origin, scrub, token_response};
#[cfg(feature = "encryption")]
use super::{key_text, sealed_record};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(8_000),
        // An input that breaks a property becomes a seed instead.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn s46_no_response_makes_it_panic_lose_a_grant_or_tell_a_secret(data in data("token_response")) {
        token_response(&data.0);
    }

    #[test]
    fn s129_no_callback_makes_it_panic_pass_without_its_state_or_tell_a_secret(
        data in data("callback"),
    ) {
        callback(&data.0);
    }

    #[test]
    fn s27_any_file_is_refused_or_read_whole(data in data("file_format")) {
        file_format(&data.0);
    }

    #[test]
    fn s43_no_url_takes_the_token_to_another_origin(data in data("origin")) {
        origin(&data.0);
    }

    #[test]
    fn s112_every_secret_in_a_text_is_hidden_in_bounded_steps(data in data("scrub")) {
        scrub(&data.0);
    }
}

#[cfg(feature = "encryption")]
proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn s104_no_stored_token_opens_that_was_not_sealed_for_its_binding(
        data in data("sealed_record"),
    ) {
        sealed_record(&data.0);
    }

    #[test]
    fn s105_a_key_has_one_text_and_no_error_shows_the_text(data in data("key_text")) {
        key_text(&data.0);
    }
}

/// The number of mutations, of which `all` belong to the long run.
fn cases(all: u32) -> u32 {
    match env::var_os("DROPBOX_SIGN_OAUTH_LONG_TESTS") {
        None => all / 16,
        Some(_) => all,
    }
}

#[test]
fn every_seed_holds_as_it_stands() {
    check_seeds("token_response", token_response);
    check_seeds("callback", callback);
    check_seeds("file_format", file_format);
    check_seeds("origin", origin);
    check_seeds("scrub", scrub);
    #[cfg(feature = "encryption")]
    {
        check_seeds("key_text", key_text);
        check_seeds("sealed_record", sealed_record);
    }
}

fn check_seeds(target: &str, check: fn(&[u8])) {
    for (path, seed) in seeds(target) {
        let held = catch_unwind(|| check(&seed)).is_ok();
        assert!(held, "{}", path.display());
    }
}

/// The bytes that a fuzzer makes up, printed readably.
struct Data(Vec<u8>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn data(target: &str) -> impl Strategy<Value = Data> + use<> {
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, seed)| seed).collect();
    let mutated =
        (any::<Index>(), prop::collection::vec(edit(), 1..6)).prop_map(move |(seed, edits)| {
            let mut data = seed.get(&seeds).clone();
            for edit in edits {
                edit.apply(&mut data, &seeds);
            }
            data
        });
    prop_oneof![9 => mutated, 1 => any::<Vec<u8>>()].prop_map(Data)
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/fuzzing/seeds")
        .join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("a seed"));
    paths.into_iter().map(read).collect()
}

/// One mutation. A position in the data is between two bytes, or at an end.
#[derive(Clone, Debug)]
enum Edit {
    Overwrite(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Cut(Index, Index),
    Truncate(Index),
    /// Copies a range to another position.
    Duplicate(Index, Index, Index),
    /// Copies a range of another seed to a position.
    Splice(Index, Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let position = any::<Index>;
    // The formats' own characters, more often than by chance.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(&b"\"\\{}[]:,@/?#.\n\0 01-e%&=+"[..])
        ]
    };
    prop_oneof![
        4 => (position(), byte()).prop_map(|(at, byte)| Edit::Overwrite(at, byte)),
        2 => (position(), 0..8_u32).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        4 => (position(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        4 => (position(), position()).prop_map(|(a, b)| Edit::Cut(a, b)),
        1 => position().prop_map(Edit::Truncate),
        4 => (position(), position(), position()).prop_map(|(a, b, to)| Edit::Duplicate(a, b, to)),
        4 => (position(), position(), position(), position())
            .prop_map(|(seed, a, b, to)| Edit::Splice(seed, a, b, to)),
    ]
}

impl Edit {
    fn apply(&self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        match self {
            Self::Overwrite(at, byte) if !data.is_empty() => *at.get_mut(data) = *byte,
            Self::Flip(at, bit) if !data.is_empty() => *at.get_mut(data) ^= bit,
            Self::Overwrite(..) | Self::Flip(..) => {}
            Self::Insert(at, byte) => data.insert(position(at, data), *byte),
            Self::Truncate(at) => data.truncate(position(at, data)),
            Self::Cut(a, b) => drop(data.drain(range(a, b, data))),
            Self::Duplicate(a, b, to) => {
                let copy = data[range(a, b, data)].to_vec();
                insert(data, to, copy);
            }
            Self::Splice(seed, a, b, to) => {
                let seed = seed.get(seeds);
                insert(data, to, seed[range(a, b, seed)].to_vec());
            }
        }
    }
}

fn position(at: &Index, data: &[u8]) -> usize {
    at.index(data.len() + 1)
}

fn range(a: &Index, b: &Index, data: &[u8]) -> Range<usize> {
    let (a, b) = (position(a, data), position(b, data));
    a.min(b)..a.max(b)
}

fn insert(data: &mut Vec<u8>, at: &Index, bytes: Vec<u8>) {
    let at = position(at, data);
    data.splice(at..at, bytes);
}
