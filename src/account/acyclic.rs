//! Reads the sources of this folder: each module uses modules of lower floors only.

use std::{collections::BTreeMap, fs, path::Path};

#[test]
fn acyclic_modules_use_lower_floors_only() {
    let sources = sources();
    let floors = floors(&sources["mod"]);
    let (listed, present) = (floors.keys(), sources.keys());
    assert!(listed.eq(present), "the table lists {:?}", floors.keys());
    let methods = methods(&sources);
    for (module, source) in &sources {
        let code: Vec<_> = source.lines().filter(is_code).collect();
        for used in used_modules(&code.join("\n"), &methods) {
            let (floor, used_floor) = (floors[module], floors.get(&used));
            assert!(
                used == *module || used_floor.is_some_and(|used| *used < floor),
                "`{module}` (floor {floor}) uses `{used}` (floor {used_floor:?})"
            );
        }
    }
}

fn is_code(line: &&str) -> bool {
    !line.trim_start().starts_with("//")
}

/// The source of each module, without the tests at its end.
fn sources() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/account");
    let files = fs::read_dir(folder).expect("the folder");
    let sources = files.filter_map(|file| {
        let path = file.expect("an entry").path();
        let module = path.file_name()?.to_str()?.strip_suffix(".rs")?.to_owned();
        let mut source = fs::read_to_string(&path).expect("a source");
        source.truncate(source.find("#[cfg(test)]\nmod ").unwrap_or(source.len()));
        (module != "acyclic").then_some((module, source))
    });
    sources.collect()
}

/// The floor of each module: the rows `//! | floor | modules | … |` of the table.
fn floors(source: &str) -> BTreeMap<String, u8> {
    let mut floors = BTreeMap::new();
    for row in source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
    {
        let (floor, rest) = row.split_once(" | ").expect("cells");
        let (modules, _) = rest.split_once(" | ").expect("cells");
        // The row of the headings has no number.
        let Ok(floor) = floor.parse() else { continue };
        for module in modules.split(", ") {
            let twice = floors.insert(module.trim_matches('`').to_owned(), floor);
            assert_eq!(twice, None, "two floors have {module}");
        }
    }
    floors
}

/// The module of each method. The modules share the type `AccountContext`, so that an import does
/// not show where a method is.
fn methods(sources: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut methods = BTreeMap::new();
    for (module, source) in sources {
        if !source.contains("\nimpl AccountContext {") {
            continue;
        }
        let visible = source
            .lines()
            .filter_map(|line| line.strip_prefix("    pub(super) "));
        let functions = visible.map(|line| line.strip_prefix("async ").unwrap_or(line));
        for function in functions.filter_map(|line| line.strip_prefix("fn ")) {
            let name = identifier(function).to_owned();
            let twice = methods.insert(name, module.clone());
            assert_eq!(twice, None, "two modules have a method {function}");
        }
    }
    methods
}

/// The modules of the paths that start with `super::`, and of the methods that the code calls.
fn used_modules(code: &str, methods: &BTreeMap<String, String>) -> Vec<String> {
    let mut used = Vec::new();
    for prefix in ["super::", "crate::account::"] {
        for (at, _) in code.match_indices(prefix) {
            used.extend(first_segments(&code[at + prefix.len()..]));
        }
    }
    if code.contains("AccountContext") {
        let called = methods
            .iter()
            .filter(|(name, _)| code.contains(&format!(".{name}(")));
        used.extend(called.map(|(_, module)| module.clone()));
    }
    used
}

/// The first segments of a path or a list of paths: `a` and `d` of `{a::{b, c}, d::e}`.
fn first_segments(paths: &str) -> Vec<String> {
    let Some(list) = paths.strip_prefix('{') else {
        return vec![identifier(paths).to_owned()];
    };
    let mut segments = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                segments.push(identifier(list[start..at].trim_start()).to_owned());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    // A comma may follow the last path.
    segments.retain(|segment| !segment.is_empty());
    segments
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}
