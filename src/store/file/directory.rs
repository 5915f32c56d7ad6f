//! Directories, and files that only their owner can read.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// Creates the directory and its missing parents, with mode 0700 on Unix.
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);

    let missing: Vec<_> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.is_dir())
        .collect();
    builder.create(directory)?;
    // A new directory survives a power cut once its parent is synced.
    missing
        .into_iter()
        .try_for_each(|created| sync_directory(directory_of(created)))
}

/// Opens a file for reading. Does not follow a link, on Unix.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    without_links().read(true).open(path)
}

/// Opens a file to lock, with mode 0600 on Unix if it is missing. Nothing is written to the file. Does
/// not follow a link, on Unix.
pub(super) fn open_lock_file(path: &Path) -> io::Result<File> {
    // Two steps: in `/tmp`, Linux may deny one call that creates or opens another user's file. Then no
    // error could name the owner.
    let open = || without_links().read(true).write(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match private().read(true).create_new(true).open(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(),
        created => created,
    }
}

/// Creates a file with mode 0600 on Unix. Fails if the file exists.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    private().create_new(true).open(path)
}

/// Links were followed before, and their owners checked. A link that appears now was planted.
#[cfg(unix)]
fn without_links() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    options
}

#[cfg(not(unix))]
fn without_links() -> OpenOptions {
    OpenOptions::new()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, Unsupported};

    match File::open(directory)?.sync_all() {
        // Some file systems cannot sync a directory, and need not.
        Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// `path` with `suffix` appended to its last part.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
