//! A module for each command.

mod check;
mod header;
mod login;
mod logout;
mod pages;
mod refresh;
mod status;
mod token;

use crate::{arguments::Command, failure::Failure, settings::Settings};

/// Runs a command. The settings are read for commands that need settings.
pub(crate) fn run(
    command: Command,
    settings: impl FnOnce() -> Result<Settings, Failure>,
) -> Result<(), Failure> {
    match command {
        Command::Login(arguments) => login::run(&settings()?, &arguments),
        Command::Token(arguments) => token::run(&settings()?, &arguments),
        Command::Header(arguments) => header::run(&settings()?, &arguments),
        Command::Status(arguments) => status::run(&settings()?, &arguments),
        Command::Refresh => refresh::run(&settings()?),
        Command::Logout => logout::run(&settings()?),
        Command::Check => check::run(&settings()?),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { directory: None } => pages::man(),
        Command::Man {
            directory: Some(folder),
        } => pages::man_pages(&folder),
    }
}
