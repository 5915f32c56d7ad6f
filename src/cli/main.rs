//! The program `dropbox-sign-oauth`: signs users in, and gives access tokens to shells and to programs in
//! any language.
//!
//! | module | what is in it |
//! |---|---|
//! | `arguments` | the command line |
//! | `commands` | a module for each command |
//! | `failure` | exit codes, and the line on stderr |
//! | `output` | stdout, which a reader may close, and notes on stderr |
//! | `session` | the manager and the account of one command, shut down at the end |
//! | `settings` | flags, environment and file in one |
//! | `signals` | the first signal ends the command, the second the process |
//! | `store` | the store at a URL |
//! | `words` | times for people and for programs |
//!
//! The program uses the library's public API alone.

mod arguments;
mod commands;
mod failure;
mod output;
mod session;
mod settings;
mod signals;
mod store;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use self::{arguments::Arguments, settings::Settings};

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let settings = || Settings::read(&matches);
    match commands::run(arguments.command, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
