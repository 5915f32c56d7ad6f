//! A service with a user of its own, and a record that another user planted.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
};

use dropbox_sign_oauth::{
    AccountId,
    store::{FileStore, Record, TokenStore},
};
use libtest_mimic::Trial;
use tempfile::TempDir;

use super::{
    on_each,
    process::Process,
    servers::another_user,
    service::{LONG_LEASES, MINUTE, Reuse, Service},
    stores::{Kind, StoreAddress},
    wire::Command,
};

pub(crate) fn tests() -> Vec<Trial> {
    on_each!(
        [Kind::Directory, Kind::SingleFile],
        s102_a_record_that_another_user_planted_in_a_sticky_directory_is_not_used
    )
}

async fn s102_a_record_that_another_user_planted_in_a_sticky_directory_is_not_used(kind: Kind) {
    let Some((user, group)) = another_user() else {
        return;
    };
    let mut service = Service::start(Reuse::Revokes).await;
    let sticky = directory_of_mode(0o1777);
    let planted = sticky.path().join("account-default.json");
    let (_directory, record) = signed_in(&service).await;
    fs::copy(record, &planted).expect("copied");
    let location = match kind {
        Kind::SingleFile => planted.clone(),
        _ => sticky.path().to_owned(),
    };
    let address = StoreAddress::new(kind, location.display().to_string());
    let setup = service.setup_at(address, LONG_LEASES);
    let mut process = Process::start_as((user, group), &setup).await;

    // As a user of the same group plants it: no other user can read the file.
    fs::set_permissions(&planted, Permissions::from_mode(0o640)).expect("chmod");
    let planter = user + 1;
    chown(&planted, Some(planter), Some(group)).expect("given away");
    let results = process.request(1).await;
    let rule = format!("only this process's user ({user}) and root may own the file");
    for part in [
        format!("{} belongs to the user {planter}", planted.display()),
        rule,
        format!("`chown {user} "),
    ] {
        assert!(results.wrong[0].contains(&part), "{part}: {results:?}");
    }
    assert_eq!(service.fake.token_requests(), 0);
    assert_eq!(service.fake.api_requests(), 0);

    // As an operator, or Kubernetes, gives the record to the service.
    for owner in [0, user] {
        chown(&planted, Some(owner), Some(group)).expect("given away");
        // Over the backoff after the error.
        service.advance(MINUTE);
        process.command(Command::Advance(MINUTE)).await;
        let results = process.request(1).await;
        assert_eq!(results.ok, 1, "owned by the user {owner}: {results:?}");
    }
}

/// A directory with the record of a sign-in, and the record.
async fn signed_in(service: &Service) -> (TempDir, PathBuf) {
    let directory = directory_of_mode(0o700);
    let store = FileStore::directory(directory.path()).expect("a store");
    let (account, record) = (AccountId::default(), Record::new(service.fake.sign_in()));
    let saved = store.compare_and_swap(&account, None, &record).await;
    saved.expect("saved");
    let file = directory.path().join("account-default.json");
    (directory, file)
}

fn directory_of_mode(mode: u32) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("chmod");
    directory
}
