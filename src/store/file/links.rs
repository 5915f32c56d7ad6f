//! Symbolic links, followed anew at each operation.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::{StoreErrorKind, fault::Fault};

/// The path that `path` leads to, without links. The last parts may be missing.
///
/// Fails for a dangling link, which would otherwise read as "not signed in", and be replaced.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Fault> {
    let error = match fs::canonicalize(path) {
        Ok(real) => return Ok(real),
        Err(error) => error,
    };
    if error.kind() != io::ErrorKind::PermissionDenied
        && let Ok(target) = fs::read_link(path)
    {
        return Err(dangling(path, &target));
    }
    match (error.kind(), path.parent(), path.file_name()) {
        (io::ErrorKind::NotFound, Some(parent), Some(name)) => Ok(real_path(parent)?.join(name)),
        _ => Err(Fault::io("resolve", path, error)),
    }
}

fn dangling(link: &Path, target: &Path) -> Fault {
    let (link, target) = (link.display(), target.display());
    let message = format!("{link} is a symbolic link to {target}, which leads nowhere");
    Fault::new(StoreErrorKind::Unavailable, message)
        .with_help("restore the link's target, or remove the link")
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_missing_file_keeps_its_name_below_the_real_directory() {
        let root = tempfile::tempdir().expect("a directory");
        let real = root.path().canonicalize().expect("it exists");
        symlink("a", root.path().join("link")).expect("linked");
        fs::create_dir(root.path().join("a")).expect("created");
        let resolved = real_path(&root.path().join("link/b/c"));
        assert_eq!(resolved.ok(), Some(real.join("a/b/c")));
    }

    #[test]
    fn s84_a_dangling_link_is_found_anywhere_in_a_path() {
        let root = tempfile::tempdir().expect("a directory");
        symlink("nowhere", root.path().join("link")).expect("linked");
        symlink("link", root.path().join("second")).expect("linked");
        symlink("loop", root.path().join("loop")).expect("linked");
        for (path, link) in [
            ("link", "link is a symbolic link to nowhere,"),
            ("second", "second is a symbolic link to link,"),
            ("link/b/c", "link is a symbolic link to nowhere,"),
            ("loop", "loop is a symbolic link to loop,"),
        ] {
            let fault = real_path(&root.path().join(path)).expect_err("dangling");
            assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
            let error = fault.into_error("file store x", None).to_string();
            assert!(error.contains(link), "{error}");
            assert!(error.contains("; restore the link's target"), "{error}");
        }
    }
}
