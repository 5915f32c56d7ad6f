//! Symbolic links, followed anew at each operation.

use std::{
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    access::check_link,
    shown::shown,
};

/// As many as Linux follows.
const MOST_LINKS: usize = 40;
/// Each part costs a call of the operating system. The targets of links may be another user's choice.
const MOST_PARTS: usize = 4096;

/// The path that `path` leads to, without links. The last parts may be missing. `path` is absolute.
///
/// Fails for a dangling link, which would otherwise read as "not signed in", and be replaced. Fails for
/// a link that another user planted: [`fs::canonicalize`] does not tell whose links it follows.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Fault> {
    let mut real = PathBuf::new();
    // The last step is the next.
    let mut steps = Vec::new();
    add_parts(&mut steps, path);
    let (mut links, mut parts) = (0, 0);
    while let Some(step) = steps.pop() {
        let name = match step {
            Step::Root(root) => {
                real.push(root);
                continue;
            }
            Step::Up => {
                real.pop();
                continue;
            }
            Step::EndOf { link, target } => {
                if inspect(&real)?.is_none() {
                    return Err(dangling(&link, &target));
                }
                continue;
            }
            Step::Into(name) => name,
        };
        parts += 1;
        if parts > MOST_PARTS {
            return Err(too_long(path));
        }
        real.push(name);
        let Some(metadata) = inspect(&real)?.filter(fs::Metadata::is_symlink) else {
            continue;
        };
        check_link(&real, &metadata)?;
        let target = fs::read_link(&real).map_err(|error| Fault::io("resolve", &real, error))?;
        links += 1;
        if links > MOST_LINKS {
            return Err(dangling(&real, &target));
        }
        let link = real.clone();
        real.pop();
        steps.push(Step::EndOf {
            link,
            target: target.clone(),
        });
        add_parts(&mut steps, &target);
    }
    Ok(real)
}

/// A step on the way along a path.
enum Step {
    /// To the root, or to the drive of Windows.
    Root(OsString),
    /// To the parent directory.
    Up,
    /// To the entry with this name.
    Into(OsString),
    /// No step: the parts of the link's target have ended.
    EndOf { link: PathBuf, target: PathBuf },
}

fn add_parts(steps: &mut Vec<Step>, path: &Path) {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Prefix(_) | Component::RootDir => Some(Step::Root(part.as_os_str().into())),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.into())),
        Component::CurDir => None,
    });
    steps.extend(parts);
}

/// `None`: there is no such entry.
fn inspect(path: &Path) -> Result<Option<fs::Metadata>, Fault> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        inspected => inspected
            .map(Some)
            .map_err(|error| Fault::io("resolve", path, error)),
    }
}

fn too_long(path: &Path) -> Fault {
    let path = shown(path);
    let message = format!("the links of {path} lead through more than {MOST_PARTS} directories");
    Fault::new(StoreErrorKind::Unsupported, message).with_help("name the place without links")
}

fn dangling(link: &Path, target: &Path) -> Fault {
    let (link, target) = (shown(link), shown(target));
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

    /// The owner of a directory above the store's may choose such a target.
    #[test]
    fn s84_a_link_with_thousands_of_parts_is_followed_or_refused_on_a_small_stack() {
        let root = tempfile::tempdir().expect("a directory");
        let real = root.path().canonicalize().expect("it exists");
        fs::create_dir_all(real.join("l0/x")).expect("created");
        let mut target = String::from("l0/");
        target.push_str(&"x/../".repeat(800));
        symlink(&target, real.join("l1")).expect("linked");
        for n in 1..20 {
            let target = target.replacen("l0", &format!("l{n}"), 1);
            symlink(target, real.join(format!("l{}", n + 1))).expect("linked");
        }
        let on_a_small_stack = move |name| {
            let link = real.join(name);
            let thread = std::thread::Builder::new().stack_size(128 * 1024);
            let resolved = thread.spawn(move || real_path(&link)).expect("a thread");
            resolved.join().expect("no panic")
        };
        let resolved = on_a_small_stack("l1");
        assert!(resolved.expect("as the kernel").ends_with("l0"));
        let fault = on_a_small_stack("l20").expect_err("too long");
        assert_eq!(fault.kind(), StoreErrorKind::Unsupported);
        let error = fault.into_error("file store x", None).to_string();
        for part in ["l20", "more than 4096 directories; name the place without"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
