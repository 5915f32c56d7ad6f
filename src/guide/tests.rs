//! The README and the guide hold what they promise: links, widths, pictures, and the table of errors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, ErrorKind};

const README: &str = include_str!("../../README.md");

/// In the order of the table.
const KINDS: [ErrorKind; 19] = [
    ErrorKind::NotAuthorized,
    ErrorKind::GrantRefused,
    ErrorKind::Ambiguous,
    ErrorKind::SignInFailed,
    ErrorKind::Configuration,
    ErrorKind::AccountRestricted,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::StoreUnavailable,
    ErrorKind::StoreDefective,
    ErrorKind::LeaseTimeout,
    ErrorKind::LeaseLost,
    ErrorKind::SaveFailed,
    ErrorKind::InvalidToken,
    ErrorKind::AccountNotChosen,
    ErrorKind::LifetimeTooShort,
    ErrorKind::ShutDown,
    ErrorKind::Aborted,
    ErrorKind::NoRuntime,
];

/// The files of the guide with this extension: name and text.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("the guide's folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a text");
            (
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                text,
            )
        })
        .collect()
}

fn pages() -> Vec<(String, String)> {
    files("src/guide", "md")
}

/// The lines of a page, each with the language of the code block that it stands in.
fn lines(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut block = None;
    text.lines().filter_map(move |line| {
        match (block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (_, None) => return Some((block, line)),
        }
        None
    })
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    lines(text).filter_map(|(block, line)| block.map(|_| line))
}

fn prose(text: &str) -> String {
    let lines = lines(text).filter(|(block, _)| block.is_none());
    lines.map(|(_, line)| line.to_owned() + "\n").collect()
}

/// What stands between the end of `open` and the next `close`, everywhere in the text.
fn between<'t>(text: &'t str, open: &'t str, close: char) -> impl Iterator<Item = &'t str> {
    let starts = text.match_indices(open).map(|(at, _)| at + open.len());
    starts.filter_map(move |start| text[start..].split(close).next())
}

#[test]
fn the_table_of_errors_is_complete_and_agrees_with_the_three_questions() {
    let all: BTreeSet<_> = ErrorKind::NAMES
        .iter()
        .map(|(variant, _)| (*variant).to_owned())
        .collect();
    let listed: BTreeSet<_> = KINDS.iter().map(|kind| format!("{kind:?}")).collect();
    assert_eq!(listed, all);

    let page = include_str!("failure.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| [`ErrorKind::"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), KINDS.len());
    for (row, kind) in rows.iter().zip(KINDS) {
        let error = Error::new(kind, &"acme".into());
        let retried = if error.is_retryable() { "yes" } else { "no" };
        let may_act: &[&str] = if error.is_reauthorization_required() {
            &["user"]
        } else if error.is_configuration() {
            &["developer", "operator", "account's owner"]
        } else {
            &["nobody", "operator"]
        };
        assert_eq!(row[1], format!("[`ErrorKind::{kind:?}`]"));
        assert_eq!(row[2], retried, "{kind:?}");
        assert!(may_act.contains(&row[3]), "{kind:?}");
        assert!(!row[4].is_empty(), "{kind:?}");
    }
}

#[test]
fn each_link_of_the_readme_is_absolute() {
    let text = prose(README);
    let definitions: BTreeMap<_, _> = text.lines().filter_map(definition).collect();
    for url in between(&text, "](", ')').chain(definitions.values().copied()) {
        assert!(url.starts_with("https://"), "{url}");
    }
    // Without a definition, rustdoc finds an item, and crates.io shows brackets.
    let used = text.lines().filter(|line| definition(line).is_none());
    let used = used.collect::<Vec<_>>().join("\n");
    for label in between(&used, "[", ']') {
        let is_text =
            used.contains(&format!("[{label}](")) || used.contains(&format!("[{label}]["));
        assert!(is_text || definitions.contains_key(label), "{label}");
    }
}

/// `[label]: url`
fn definition(line: &str) -> Option<(&str, &str)> {
    let (label, rest) = line.strip_prefix('[')?.split_once(']')?;
    Some((label, rest.strip_prefix(": ")?))
}

#[test]
fn each_link_of_the_readme_to_the_guide_has_a_page() {
    let guide = "https://docs.rs/dropbox-sign-oauth/latest/dropbox_sign_oauth/guide/";
    let linked: BTreeSet<_> = between(README, guide, '/')
        .filter(|page| !page.starts_with("index.html"))
        .map(str::to_owned)
        .collect();
    let pages: BTreeSet<_> = pages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(linked, pages);
}

#[test]
fn the_readme_lists_each_feature() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, features) = manifest.split_once("[features]\n").expect("features");
    let (features, _) = features.split_once("\n[").expect("the next table");
    let names = features.lines().filter_map(|line| line.split_once(" = ["));
    for (name, _) in names {
        assert!(README.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[test]
fn the_readme_lists_each_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(folder).expect("the folder of examples");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (packages, others): (Vec<_>, Vec<_>) =
        paths.partition(|path| path.join("Cargo.toml").is_file());
    let programs = others.into_iter().filter(|path| {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        is_source || path.join("main.rs").is_file()
    });
    let name = |path: PathBuf| {
        let name = path.file_stem().expect("a name");
        name.to_string_lossy().into_owned()
    };
    let programs: BTreeSet<_> = programs.map(name).collect();
    let packages: BTreeSet<_> = packages.into_iter().map(name).collect();
    let (_, section) = README.split_once("\n## Examples\n").expect("a section");
    let section = section.split("\n## ").next().expect("a text");
    let listed = |open| -> BTreeSet<_> { between(section, open, '`').map(str::to_owned).collect() };
    assert_eq!(listed("\n| [`"), programs);
    // docs.rs and crates.io have no packages of their own to link to, nor has a published package.
    if !packages.is_empty() {
        assert_eq!(listed("\n| `"), packages);
    }
}

#[test]
fn code_fits_80_columns() {
    let readme = ("README".to_owned(), README.to_owned());
    for (name, text) in pages().into_iter().chain([readme]) {
        for line in code(&text).filter(|line| !line.starts_with("# ")) {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}

#[test]
fn the_readme_hides_no_line_of_code() {
    // crates.io shows the lines that rustdoc hides.
    assert_eq!(code(README).find(|line| line.starts_with("# ")), None);
}

#[test]
fn a_picture_has_a_title_follows_the_theme_and_is_one_block_of_html() {
    let pictures = files("src/guide/pictures", "svg");
    assert_eq!(pictures.len(), 3);
    for (name, svg) in pictures {
        for needed in ["<title ", "<desc ", "currentColor", "role=\"img\""] {
            assert!(svg.contains(needed), "{name}: {needed}");
        }
        // A colour of its own would be hard to read in the dark or in the light.
        assert!(!svg.contains("=\"#"), "{name}");
        // Markdown ends a block of HTML at an empty line.
        assert!(svg.lines().all(|line| !line.trim().is_empty()), "{name}");
    }
}
