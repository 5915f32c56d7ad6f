//! The disk of all stores.

use std::{env, fs, io::Write, path::Path, time::Instant};

use super::milliseconds;
use crate::harness::{Effort, median};

/// Names the disk, and measures a synced write: the largest part of a save.
pub(crate) fn describe(effort: Effort) -> String {
    let folder = env::temp_dir();
    let kind = file_system(&folder).unwrap_or_else(|| "an unknown file system".to_owned());
    let synced = median(writes(effort.rounds(200)));
    let folder = folder.display();
    format!("Data in {folder} (TMPDIR), {kind}: 1 KiB is appended and synced in {synced:.2} ms.")
}

/// The file system's kind. On `tmpfs` the figures mean nothing, since `tmpfs` syncs nothing.
fn file_system(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let holding = mounts.lines().filter_map(|mount| {
        let mut fields = mount.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    // The last of equal mount points is on top.
    let (_, kind) = holding.max_by_key(|(length, _)| *length)?;
    Some(kind.to_owned())
}

fn writes(times: usize) -> Vec<f64> {
    let mut file = tempfile::tempfile().expect("a file");
    let one = |_| {
        let start = Instant::now();
        file.write_all(&[7; 1024]).expect("written");
        file.sync_all().expect("synced");
        milliseconds(start.elapsed())
    };
    (0..times).map(one).collect()
}
