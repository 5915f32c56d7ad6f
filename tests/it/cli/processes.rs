//! Signals, pipes, and several processes at once.

use std::{fs::File, process::Stdio};

use dropbox_sign_oauth::store::TokenStore;
use tokio::process::{Child, Command};

use super::{Ended, Shell, past};
use crate::support::unless_it_hangs;

async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
    assert!(sent.is_ok_and(|status| status.success()));
}

#[tokio::test]
async fn s147_a_signal_in_the_middle_of_a_refresh_loses_no_token() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let shell = Shell::start().await;
        shell.save("default", shell.user(past())).await;
        let before = shell.record("default").await.expect("a record");
        let hold = shell.fake.hold_token_responses();
        let token = shell.command(&["token"]).spawn().expect("the binary");
        unless_it_hangs("a request arrives", hold.arrived(1)).await;
        signal(&token, name).await;
        hold.release();
        let ended = Ended::of(token).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("interrupted"), "{ended:?}");

        let after = shell.record("default").await.expect("a record");
        assert_ne!(after.tokens.refresh_token(), before.tokens.refresh_token());
        assert_eq!(after.presented_at, None);
        assert!(
            shell
                .fake
                .accepts(after.tokens.refresh_token().expect("a token"))
        );
    }
}

#[tokio::test]
async fn s147_a_signal_ends_a_login_that_waits() {
    use super::shell::first_line;

    let shell = Shell::start().await;
    for arguments in [&["login"][..], &["login", "--listen", "127.0.0.1:0"]] {
        let mut login = shell
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary");
        first_line(&mut login).await;
        signal(&login, "INT").await;
        assert!(Ended::of(login).await.error(130).contains("interrupted"));
    }
}

#[tokio::test]
async fn s147_two_processes_at_once_present_the_refresh_token_once() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    let (first, second) = tokio::join!(shell.run(&["token"]), shell.run(&["token"]));
    assert_eq!(first.done(), second.done());
    assert_eq!(shell.fake.token_requests(), 1);
    assert!(
        shell
            .store()
            .load(&"default".into())
            .await
            .is_ok_and(|record| record.is_some())
    );
}

#[tokio::test]
async fn s147_a_reader_that_has_gone_is_no_failure() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    for arguments in [&["token"][..], &["status"], &["man"], &["--help"]] {
        let mut child = shell.command(arguments).spawn().expect("the binary");
        drop(child.stdout.take());
        let ended = Ended::of(child).await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn s147_a_full_disk_on_stdout_is_a_failure() {
    let shell = Shell::start().await;
    shell.save("default", shell.user(past())).await;
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("a device");
    let child = shell
        .command(&["token"])
        .stdout(full)
        .spawn()
        .expect("the binary");
    let error = Ended::of(child).await.failed(1);
    assert!(error.contains("stdout: "), "{error}");
}
