//! Counts the tokens in the memory of another process.

use std::{fmt, fs::File, io::BufRead, os::unix::fs::FileExt};

use super::service::PADDING;

/// The first bytes of a freed buffer hold the allocator's pointers. The rest of a token is a copy, too.
const LOST: usize = 16;

/// The numbers of copies of tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copies {
    /// Of access tokens, in the head of a request that hyper wrote to a connection.
    pub(crate) sent: usize,
    /// Of access tokens, elsewhere.
    pub(crate) unsent: usize,
    /// Of refresh tokens.
    pub(crate) refresh: usize,
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = self.sent + self.unsent;
        f.pad(&format!("{access}, {}", self.refresh))
    }
}

/// Counts in all memory that the process can write to. The process is a child of this process.
pub(crate) fn copies(process: u32) -> Copies {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("a process");
    let memory = File::open(format!("/proc/{process}/mem")).expect("a child");
    let mut copies = Copies::default();
    for line in maps.lines() {
        if let Some((start, end)) = writable(line) {
            let mut bytes = vec![0; (end - start) as usize];
            // Without the memory of devices, which cannot be read.
            if memory.read_exact_at(&mut bytes, start).is_ok() {
                copies.add_all(&bytes);
            }
        }
    }
    copies
}

/// The addresses of a mapping that can be read and written: "7f00-7fff rw-p 0 00:00 0 [heap]".
fn writable(line: &str) -> Option<(u64, u64)> {
    let (addresses, rest) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("rw")
        .then_some((address(start)?, address(end)?))
}

impl Copies {
    fn add_all(&mut self, bytes: &[u8]) {
        const HEADER: &[u8] = b": Bearer ";

        let (lost, kept) = PADDING.as_bytes().split_at(LOST);
        let mut rest = bytes;
        // libc's search, which is fast in a build without optimization, too.
        while rest.skip_until(b'-').expect("memory") > 0 {
            let so_far = &bytes[..bytes.len() - rest.len()];
            let Some(before) = so_far.strip_suffix(kept) else {
                continue;
            };
            let Some((kind, after)) = kind_of_token(rest) else {
                continue;
            };
            // A later owner of the freed memory may have overwritten the one or the other.
            let begins_a_header = before
                .strip_suffix(lost)
                .is_some_and(|before| before.ends_with(HEADER));
            let ends_a_line = after.starts_with(b"\r\n");
            match kind {
                b"at" if begins_a_header || ends_a_line => self.sent += 1,
                b"at" => self.unsent += 1,
                b"rt" => self.refresh += 1,
                _ => {}
            }
        }
    }
}

/// The kind of the token whose padding ends here, and the bytes after the token:
/// "at-12-0123456789abcdef+/=", or as PHP escapes it.
fn kind_of_token(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = bytes.split_at_checked(2)?;
    let rest = rest.strip_prefix(b"-")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest[digits..].strip_prefix(b"-")?;
    let (random, rest) = rest.split_at_checked(16)?;
    let after = rest
        .strip_prefix(b"+/=")
        .or_else(|| rest.strip_prefix(br"+\/="))?;
    let is_whole = random.iter().all(u8::is_ascii_hexdigit);
    is_whole.then_some((kind, after))
}
