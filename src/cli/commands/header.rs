//! `header`: a configuration for curl, which keeps the token off the command line.

use crate::{
    arguments::ForArguments, commands::token, failure::Failure, output, settings::Settings,
};

pub(super) fn run(settings: &Settings, arguments: &ForArguments) -> Result<(), Failure> {
    let token = token::valid(settings, arguments)?;
    output::line(curl_config(token.access_token().expose_secret()))
}

/// A line of curl's configuration. Within quotes, curl reads `\` as an escape.
fn curl_config(token: &str) -> String {
    let token = token.replace('\\', r"\\").replace('"', "\\\"");
    format!("header = \"Authorization: Bearer {token}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_of_a_token_are_escaped() {
        let line = r#"header = "Authorization: Bearer a\"b\\c==""#;
        assert_eq!(curl_config(r#"a"b\c=="#), line);
    }
}
