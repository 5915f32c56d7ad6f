//! A disk without room.
//!
//! A limit on the size of files stands in for it, which holds for root as well. It is a process's
//! own: the test runs its second half in another.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use dropbox_sign_oauth::store::FileStore;

use super::*;

const PLACE: &str = "DROPBOX_SIGN_OAUTH_TEST_PLACE";

#[tokio::test]
async fn s27_the_disk_is_full() {
    let signed = Signed::new().await;
    let before = fs::read(&signed.file).expect("a file");
    let this_program = env::current_exe().expect("its path");
    let output = Command::new("sh")
        // Without the trap, the limit would end the process.
        .args(["-c", r#"trap "" XFSZ; ulimit -f 0; exec "$@""#, "sh"])
        .arg(this_program)
        .args(["bad_input::file::full_disk::in_a_process_without_room"])
        .args(["--exact", "--ignored", "--nocapture"])
        .env(PLACE, signed.directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}{errors}");
    assert!(shown.contains("1 passed"), "it ran: {shown}");
    assert_eq!(fs::read(&signed.file).expect("a file"), before);
}

#[tokio::test]
#[ignore = "the second half of s27_the_disk_is_full"]
async fn in_a_process_without_room() {
    let Some(place) = env::var_os(PLACE) else {
        return;
    };
    let store = FileStore::directory(&place).expect("a store");
    let refusal = Refusal {
        kind: ErrorKind::StoreDefective,
        store: format!("file store {}", Path::new(&place).display()),
        problem: "cannot write",
        way_out: "check free space",
    };
    let file = Path::new(&place).join("account-acme.json");
    refusal
        .holds(store, || fs::read(&file).expect("a file"))
        .await;
}
