//! Symbolic links, followed anew at each operation.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    access::check_link,
};

/// As many as Linux follows.
const MOST_LINKS: u32 = 40;

/// The path that `path` leads to, without links. The last parts may be missing.
///
/// Fails for a dangling link, which would otherwise read as "not signed in", and be replaced. Fails for
/// a link that another user planted: [`fs::canonicalize`] does not tell whose links it follows.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Fault> {
    follow(path, &mut 0)
}

/// `followed` counts the links.
fn follow(path: &Path, followed: &mut u32) -> Result<PathBuf, Fault> {
    let Some(parent) = path.parent() else {
        return Ok(path.to_owned());
    };
    let mut directory = follow(parent, followed)?;
    let Some(name) = path.file_name() else {
        // `..`, of the directory without links.
        directory.pop();
        return Ok(directory);
    };
    let named = directory.join(name);
    let fault = |error| Fault::io("resolve", path, error);
    let metadata = match fs::symlink_metadata(&named) {
        Ok(metadata) if metadata.is_symlink() => metadata,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => return Ok(named),
    };
    check_link(&named, &metadata)?;
    let target = fs::read_link(&named).map_err(fault)?;
    *followed += 1;
    if *followed > MOST_LINKS {
        return Err(dangling(path, &target));
    }
    let real = follow(&directory.join(&target), followed)?;
    match fs::symlink_metadata(&real) {
        Ok(_) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(dangling(path, &target)),
        Err(error) => Err(fault(error)),
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
            ("second", "link is a symbolic link to nowhere,"),
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
