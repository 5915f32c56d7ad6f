//! The memory of the process, searched for keys and tokens whose last owner is gone.

use std::{
    fs::{self, File},
    io::BufRead,
    os::unix::fs::FileExt,
};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{EncryptedStore, EncryptionKey, MemoryStore, Record, TokenStore},
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{key, saved_by};

/// A search reads the secrets of other tests into its buffer. So one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A secret that the test itself keeps inverted only.
struct Inverted(Vec<u8>);

impl Inverted {
    fn of(bytes: impl Iterator<Item = u8>) -> Self {
        Self(bytes.map(|byte| !byte).collect())
    }

    fn reveal(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; self.0.len()]);
        for (byte, inverted) in bytes.iter_mut().zip(&self.0) {
            *byte = !inverted;
        }
        bytes
    }

    /// How many copies of the secret are in the memory of the process, in the test's own buffer
    /// perhaps.
    fn copies(&self) -> usize {
        const CHUNK: usize = 1 << 20;

        let memory = File::open("/proc/self/mem").expect("the memory");
        let maps = fs::read_to_string("/proc/self/maps").expect("a list of the memory");
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        let mut copies = 0;
        for map in maps.lines().filter(|map| map.contains(" rw")) {
            let range = map
                .split(' ')
                .next()
                .and_then(|range| range.split_once('-'));
            let (start, end) = range.expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("an address");
            let (mut at, end) = (number(start), number(end));
            while at < end {
                let length = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
                // Another thread may have given the memory back.
                let Ok(read) = memory.read_at(&mut buffer[..length], at) else {
                    break;
                };
                copies += self.count_in(&buffer[..read]);
                let is_last = at + read as u64 >= end;
                at += (read - if is_last { 0 } else { self.0.len() }) as u64;
            }
        }
        copies
    }

    fn count_in(&self, bytes: &[u8]) -> usize {
        let (first, others) = self.0.split_first().expect("a secret");
        let mut count = 0;
        let mut rest = bytes;
        // libc's search, which is fast in a build without optimization, too.
        while rest.skip_until(!first).expect("memory") > 0 {
            let mut here = rest.iter().zip(others);
            let is_whole = rest.len() >= others.len();
            count += usize::from(is_whole && here.all(|(byte, inverted)| *byte == !inverted));
        }
        count
    }
}

#[tokio::test]
async fn s105_no_copy_of_a_key_outlives_its_last_clone() {
    let _alone = ALONE.lock().await;
    let secret = Inverted::of((0..32).map(|n: u8| n.wrapping_mul(37).wrapping_add(11)));
    {
        let read = EncryptionKey::new("a", &secret.reveal()).expect("a key");
        let text = read.to_text();
        let parsed: EncryptionKey = text.expose_secret().parse().expect("a key");
        let store = EncryptedStore::builder(MemoryStore::new(), read).read_with(key("b", 1));
        let store = store.build().expect("a store");
        let clones = vec![store.clone(); 10];
        let record = Record::new(TokenSet::from_refresh_token("refresh"));
        saved_by(store.clone(), &record).await;
        for clone in clones {
            let load = tokio::spawn(async move { clone.load(&AccountId::default()).await });
            load.await.expect("ran").expect("loads").expect("a record");
        }
        assert!(secret.copies() > 0, "the search finds the key in use");
        drop(parsed);
    }
    assert_eq!(secret.copies(), 0);
}

#[tokio::test]
async fn s106_no_copy_of_a_token_outlives_its_record() {
    let _alone = ALONE.lock().await;
    let secret = Inverted::of((0..40).map(|n: u8| b'a' + n.wrapping_mul(7) % 26));
    let inner = MemoryStore::new();
    {
        let token = String::from_utf8(secret.reveal().to_vec()).expect("letters");
        let record = Record::new(TokenSet::from_refresh_token(token));
        let store = EncryptedStore::new(inner.clone(), key("a", 1));
        saved_by(store.clone(), &record).await;
        let loaded = store.load(&AccountId::default()).await.expect("loads");
        assert!(loaded == Some(record) && secret.copies() > 0);
    }
    assert_eq!(secret.copies(), 0);
}
