//! Each row of tests/SCENARIOS.md has a test, and each row that SECURITY.md cites exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn each_row_has_a_test() {
    let tested: BTreeSet<u32> = sources()
        .iter()
        .flat_map(|text| tested_rows(text))
        .collect();
    assert_eq!(tested, rows());
}

#[test]
fn each_row_that_the_security_policy_cites_exists() {
    let policy = read("SECURITY.md");
    let cited: BTreeSet<u32> = policy
        .match_indices("(row")
        .flat_map(|(at, _)| {
            let list = policy[at..].split(')').next().unwrap_or_default();
            list.split(|c: char| !c.is_ascii_digit())
                .filter_map(|row| row.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(cited.len() > 10 && cited.is_subset(&rows()), "{cited:?}");
}

/// The numbers at the beginning of lines.
fn rows() -> BTreeSet<u32> {
    let text = read("tests/SCENARIOS.md");
    let number = |line: &str| line.split_once(". ")?.0.parse().ok();
    text.lines().filter_map(number).collect()
}

/// The numbers in the names of tests: 9 for `fn s09_`.
fn tested_rows(source: &str) -> Vec<u32> {
    let after = source.split("fn s").skip(1);
    after
        .filter_map(|rest| rest.split_once('_')?.0.parse().ok())
        .collect()
}

fn sources() -> Vec<String> {
    let mut folders: Vec<PathBuf> = ["src", "tests", "examples"]
        .map(|name| root().join(name))
        .into();
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(fs::read_to_string(path).expect("a source"));
            }
        }
    }
    texts
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the package")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
