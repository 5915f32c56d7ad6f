//! A server ends with the test program, though a signal kills the program, or a static holds the server.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Becomes the server, and leaves a watcher behind. The watcher reads from a pipe of the test program: a
/// line says that the program has ended the server; the end of the pipe says that the program is gone.
const SCRIPT: &str = r#"
data=$1; shift
exec 3<&0 </dev/null
( {
    # A signal to the whole group, such as Ctrl-C, ends the program and not the watcher.
    trap '' HUP INT TERM
    read -r _ <&3 && exit
    attempts=0
    while kill -s QUIT $$ && [ $((attempts += 1)) -lt 50 ]; do sleep 0.1; done
    kill -s KILL $$
    rm -rf "$data"
} & )
exec 3<&-
exec "$@"
"#;

/// A command for a server whose data is in the temporary folder `data`.
pub(super) fn ends_with_the_program(server: &Path, data: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "sh"])
        .args([data, server])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Keeps the watcher from removing the data. `Child::wait` closes the pipe, and comes after this call.
pub(super) fn dismiss_the_watcher(server: &mut Child) {
    if let Some(mut pipe) = server.stdin.take() {
        let _ = pipe.write_all(b"\n");
    }
}
