//! The command line, as a shell or another program runs it: the built binary, on a fake and a store of its
//! own.

mod bad_input;
mod commands;
mod login;
#[cfg(unix)]
mod processes;
mod settings;
mod shell;

use shell::{Ended, Shell, fresh, past};
