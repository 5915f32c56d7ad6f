//! The program itself: its settings, its signals and its exit codes.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use crate::{Result, running::World};

const VARIABLES: [&str; 8] = [
    "DROPBOX_SIGN_CLIENT_ID",
    "DROPBOX_SIGN_CLIENT_SECRET",
    "DROPBOX_SIGN_STORE",
    "DROPBOX_SIGN_ENCRYPTION_KEY",
    "WEB_SESSION_KEY",
    "WEB_TENANTS",
    "WEB_LISTEN",
    "WEB_OPERATIONS_LISTEN",
];

fn program() -> Command {
    let mut program =
        Command::new(env!("CARGO_BIN_EXE_dropbox-sign-oauth-web"));
    program.env_clear().stdout(Stdio::piped());
    program
}

#[test]
fn without_settings_the_program_names_the_first_that_is_missing() -> Result {
    let output = program().output()?;
    let log = String::from_utf8(output.stdout)?;
    assert!(log.contains("set DROPBOX_SIGN_CLIENT_ID"), "{log}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn at_a_signal_the_program_shuts_down_and_exits_with_success() -> Result {
    use rustix::process::Signal;

    for signal in [Signal::TERM, Signal::INT] {
        ends_with_success_at(signal).await?;
    }
    Ok(())
}

#[cfg(unix)]
async fn ends_with_success_at(signal: rustix::process::Signal) -> Result {
    use rustix::process::{Pid, kill_process};

    let world = World::new().await?;
    let mut program = program();
    for name in VARIABLES {
        program.env(name, world.variable(name).ok_or(name)?);
    }
    let mut process = program
        .env("WEB_PUBLIC_URL", "https://app.example")
        .spawn()?;
    let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    assert!(line.contains(r#""message":"serving""#), "{line}");

    let id = Pid::from_raw(process.id().try_into()?).ok_or("no process")?;
    kill_process(id, signal)?;
    let mut rest = String::new();
    output.read_to_string(&mut rest)?;
    assert!(rest.contains(r#""message":"stopped""#), "{rest}");
    assert!(process.wait()?.success());
    Ok(())
}
