//! Reading and replacing whole files, so that a crash leaves the old one or the new one.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

#[cfg(unix)]
use super::super::StoreErrorKind;
use super::{
    super::fault::{Fault, corrupt},
    format::LONGEST_FILE,
};

/// One step of a write. Each may fail on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

/// The way to the disk.
pub(super) struct Disk {
    /// Asked before each step. Tests let it fail there.
    pub(super) before: fn(Step) -> io::Result<()>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { before: |_| Ok(()) }
    }
}

impl Disk {
    /// The file's bytes, or `None` if there is no such file.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let fault = |error| Fault::io("read", path, error);
        // Looked at before it is opened, for opening a pipe waits for its other end.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                return Err(corrupt(format!("{} is not a regular file", path.display())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        }
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let metadata = file.metadata().map_err(fault)?;
        refuse_world_access(path, &metadata)?;
        if metadata.len() > LONGEST_FILE {
            return Err(corrupt(format!("{} exceeds 64 MiB", path.display())));
        }
        // Large enough at once: a buffer that grows would leave copies of secrets behind. Files
        // are replaced, never extended, so the length holds.
        let capacity = usize::try_from(metadata.len()).unwrap_or_default() + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        (&mut file)
            .take(metadata.len())
            .read_to_end(&mut bytes)
            .map_err(fault)?;
        Ok(Some(bytes))
    }

    /// Makes `bytes` the contents of `path`, durably. On an error, the old contents stand, unless
    /// it was the last step that failed: then the new ones do, and may not survive a power cut.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let aside = self.write_aside(path, bytes)?;
        self.rename(aside, path)?;
        self.sync_directory_of(path)
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), Fault> {
        fs::remove_file(path).map_err(|error| Fault::io("remove", path, error))?;
        self.sync_directory_of(path)
    }

    /// Writes a file beside `path`, durably. It is 0600 from the start, and is removed again
    /// unless it is renamed. The caller holds the lock of `path`, so that the name is ours, and
    /// what a killed process left under it is garbage.
    fn write_aside(&self, path: &Path, bytes: &[u8]) -> Result<NamedTempFile, Fault> {
        let name = with_suffix(path, ".tmp");
        let written = (|| {
            self.before(Step::Create)?;
            match fs::remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut aside = tempfile::Builder::new()
                .prefix(name.file_name().unwrap_or_default())
                .rand_bytes(0)
                .tempfile_in(directory_of(path))?;
            self.before(Step::Write)?;
            aside.write_all(bytes)?;
            self.before(Step::Sync)?;
            aside.as_file().sync_all()?;
            Ok(aside)
        })();
        written.map_err(|error| Fault::io("write", &name, error))
    }

    fn rename(&self, aside: NamedTempFile, path: &Path) -> Result<(), Fault> {
        let renamed = self
            .before(Step::Rename)
            .and_then(|()| aside.persist(path).map_err(|error| error.error));
        renamed
            .map(drop)
            .map_err(|error| Fault::io("replace", path, error))
    }

    fn sync_directory_of(&self, path: &Path) -> Result<(), Fault> {
        let directory = directory_of(path);
        self.before(Step::SyncDirectory)
            .and_then(|()| sync_directory(directory))
            .map_err(|error| Fault::io("sync", directory, error))
    }

    fn before(&self, step: Step) -> io::Result<()> {
        (self.before)(step)
    }
}

/// `path` with something appended to its last part.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates the directory and its parents where they are missing, each for its owner alone.
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
    // A directory survives a power cut once its own entry does.
    missing
        .into_iter()
        .try_for_each(|created| sync_directory(directory_of(created)))
}

/// Opens a file to lock, creating it where it is missing. Nothing is ever written to it.
pub(super) fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems cannot, and need not.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A token file that everybody can read has leaked its tokens, and one that everybody can write
/// may be anybody's. Access for the group is the operator's choice: Kubernetes sets it on the
/// volumes that it mounts.
#[cfg(unix)]
fn refuse_world_access(path: &Path, metadata: &fs::Metadata) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let path = path.display();
    let message = format!("{path} is open to every user (mode {mode:o})");
    let help = format!("use `chmod 600 {path}`");
    Err(Fault::new(StoreErrorKind::Insecure, message).with_help(help))
}

#[cfg(not(unix))]
fn refuse_world_access(_: &Path, _: &fs::Metadata) -> Result<(), Fault> {
    Ok(())
}

/// In a directory that everybody can write to, anybody could replace a record; unless its sticky
/// bit is set, as that of `/tmp` is.
#[cfg(unix)]
pub(super) fn refuse_world_writable(directory: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;

    let metadata =
        fs::metadata(directory).map_err(|error| Fault::io("inspect", directory, error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o1002 != 0o0002 {
        return Ok(());
    }
    let path = directory.display();
    let message = format!("every user can write to {path} (mode {mode:o})");
    let help = format!("use `chmod 700 {path}`");
    Err(Fault::new(StoreErrorKind::Insecure, message).with_help(help))
}

#[cfg(not(unix))]
pub(super) fn refuse_world_writable(_: &Path) -> Result<(), Fault> {
    Ok(())
}
