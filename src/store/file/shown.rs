//! Paths in errors. Another user may choose a link's target, or the name of a file in `/tmp`.

use std::path::Path;

/// The path in one line, without control characters.
pub(super) fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            // Windows separates names by `\`.
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// The path as an argument of a command for a shell: in quotes, if the shell would read more than a
/// path.
pub(super) fn argument(path: &Path) -> String {
    let shown = shown(path);
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=~".contains(c);
    match shown.chars().all(is_plain) {
        true => shown,
        false => format!("'{}'", shown.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s102_a_path_is_shown_in_one_line_and_as_one_argument() {
        for (path, in_text, in_command) in [
            (
                "/d/account-%c3.json",
                "/d/account-%c3.json",
                "/d/account-%c3.json",
            ),
            ("/my d", "/my d", "'/my d'"),
            ("/x;id`", "/x;id`", "'/x;id`'"),
            ("/O'B", "/O'B", r"'/O'\''B'"),
            (
                "/a\nERROR\u{1b}[31m\u{202e}",
                r"/a\nERROR\u{1b}[31m\u{202e}",
                r"'/a\nERROR\u{1b}[31m\u{202e}'",
            ),
        ] {
            assert_eq!(shown(Path::new(path)), in_text);
            assert_eq!(argument(Path::new(path)), in_command);
        }
    }
}
