//! `completions` and `man`: texts that clap makes.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{
    arguments::Arguments,
    failure::{Exit, Failure},
    output,
};

pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // Written in one piece: the generator panics if its output fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    output::write(&text)
}

pub(super) fn man() -> Result<(), Failure> {
    let mut text = Vec::new();
    Man::new(documented())
        .render(&mut text)
        .map_err(|error| Failure::output(&error))?;
    output::write(&text)
}

pub(super) fn man_pages(folder: &Path) -> Result<(), Failure> {
    clap_mangen::generate_to(documented(), folder)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", folder.display())))
}

/// The program with the help of each argument: a man page leaves out what `-h` leaves out.
fn documented() -> Command {
    Arguments::command().mut_args(|argument| argument.hide_short_help(false))
}
