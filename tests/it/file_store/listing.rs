//! The accounts of a directory, and whether the store is ready.

use std::collections::BTreeSet;

use dropbox_sign_oauth::{
    AccountId,
    store::{AccountPages, AccountsPage, PageRequest, StoreError},
};

use super::*;

/// All pages of this size, as one page.
async fn list(store: &FileStore, limit: usize) -> Result<AccountsPage, StoreError> {
    let mut pages = AccountPages::with_limit(store, limit);
    let mut all = AccountsPage::default();
    while let Some(page) = pages.next_page().await? {
        assert!(page.accounts.len() + page.errors.len() <= limit);
        all.accounts.extend(page.accounts);
        all.errors.extend(page.errors);
    }
    Ok(all)
}

fn names(page: &AccountsPage) -> Vec<&str> {
    page.accounts.iter().map(AccountId::as_str).collect()
}

/// Files with names of 10,000 accounts and no records: the pages need the names alone.
#[tokio::test]
async fn s137_a_directory_of_many_accounts_is_listed_once_each_in_order() {
    let directory = temporary();
    let store = FileStore::directory(directory.path()).expect("a store");
    for n in 0..10_000 {
        let file = directory.path().join(format!("account-user-{n:05}.json"));
        fs::File::create(file).expect("created");
    }
    let all = list(&store, 3_000).await.expect("listed");
    let expected: Vec<_> = (0..10_000).map(|n| format!("user-{n:05}")).collect();
    assert_eq!(names(&all), expected);
    assert!(all.errors.is_empty());
}

#[tokio::test]
async fn s137_a_file_that_no_account_has_is_reported_and_other_files_are_not() {
    let directory = temporary();
    let store = FileStore::directory(directory.path()).expect("a store");
    save(&store, None, "a").await;
    let lease = store.lease(&acme(), PATIENT).await.expect("a lease");
    for name in ["account-%zz.json", "account-Globex.json"] {
        fs::write(directory.path().join(name), "").expect("written");
    }
    for name in [
        "notes.json",
        "account-x.json.bak",
        "account-y.lock",
        "tokens.json",
    ] {
        fs::write(directory.path().join(name), "").expect("written");
    }
    for limit in [1, 2, 10] {
        let all = list(&store, limit).await.expect("listed");
        assert_eq!(names(&all), ["acme"]);
        let texts: Vec<_> = all.errors.iter().map(ToString::to_string).collect();
        let shown = directory.path().display();
        assert_eq!(
            texts,
            ["account-%zz.json", "account-Globex.json"].map(|name| format!(
                "file store {shown}: no account has a file of the name {shown}/{name}; \
                 move the file away"
            ))
        );
    }
    drop(lease);
}

/// The file of a long name holds the end of the name.
#[tokio::test]
async fn s137_a_long_name_is_read_from_its_file_and_a_damaged_file_is_reported() {
    let directory = temporary();
    let store = FileStore::directory(directory.path()).expect("a store");
    let accounts = ["a", "b"].map(|end| AccountId::from("long".repeat(50) + end));
    for account in &accounts {
        let record = Record::new(tokens("long"));
        let saved = store.compare_and_swap(account, None, &record).await;
        saved.expect("saved");
    }
    let all = list(&store, 1).await.expect("listed");
    assert_eq!(BTreeSet::from_iter(all.accounts), accounts.clone().into());

    // The record is damaged, and the name is not.
    let files = record_files(directory.path());
    let text = fs::read_to_string(&files[0]).expect("read");
    fs::write(&files[0], text.replace("refresh_token", "x")).expect("written");
    let all = list(&store, 1).await.expect("listed");
    assert_eq!(BTreeSet::from_iter(all.accounts), accounts.into());

    fs::write(&files[0], &text[..20]).expect("written");
    let all = list(&store, 1).await.expect("listed");
    assert_eq!(all.accounts.len(), 1);
    assert_eq!(all.errors.len(), 1);
    let error = all.errors[0].to_string();
    let path = files[0].display().to_string();
    for part in [
        &*path,
        "the file is damaged at line",
        "restore it from a backup",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    fs::rename(&files[1], &files[0]).expect("renamed");
    let all = list(&store, 1).await.expect("listed");
    let error = all.errors[0].to_string();
    assert!(
        error.contains("the file holds the account `long"),
        "{error}"
    );
}

#[tokio::test]
async fn s137_damaged_and_sealed_records_are_listed_by_their_names() {
    for signed in Signed::in_each_layout().await {
        let text = fs::read_to_string(&signed.file).expect("read");
        for damage in [
            ("\"version\"", "\"noisrev\""),
            ("canary-refresh-old", "sealed:9:x"),
        ] {
            fs::write(&signed.file, text.replace(damage.0, damage.1)).expect("written");
            let all = list(&signed.store, 10).await.expect("listed");
            assert_eq!(names(&all), ["acme"]);
        }
    }
}

/// An empty directory in the place of a volume is no list of no accounts.
#[tokio::test]
async fn s137_a_location_that_is_gone_is_an_error() {
    let signed = Signed::in_each_layout().await;
    for signed in signed {
        let directory = signed.file.parent().expect("a directory");
        for entry in fs::read_dir(directory).expect("listed") {
            fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
        let error = list(&signed.store, 10).await.expect_err("gone");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(
            error.to_string().contains("no longer the location"),
            "{error}"
        );
        let error = signed.store.check().await.expect_err("gone");
        assert!(
            error.to_string().contains("no longer the location"),
            "{error}"
        );
        assert_eq!(fs::read_dir(directory).expect("listed").count(), 0);
    }
}

#[tokio::test]
async fn s138_the_check_changes_no_file() {
    for signed in Signed::in_each_layout().await {
        let directory = signed.file.parent().expect("a directory");
        let files = || {
            let entries = fs::read_dir(directory).expect("listed");
            let entries = entries.map(|entry| entry.expect("an entry"));
            let seen = entries.map(|entry| {
                let metadata = entry.metadata().expect("metadata");
                let changed = metadata.modified().expect("a time");
                (entry.path(), metadata.len(), changed)
            });
            let mut seen: Vec<_> = seen.collect();
            seen.sort();
            (
                seen,
                fs::metadata(directory).expect("metadata").modified().ok(),
            )
        };
        let before = files();
        signed.store.check().await.expect("ready");
        list(&signed.store, PageRequest::DEFAULT_LIMIT)
            .await
            .expect("listed");
        assert_eq!(files(), before);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn s138_a_directory_or_a_file_that_is_open_to_every_user_is_not_ready() {
    use std::os::unix::fs::PermissionsExt;

    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    for signed in Signed::in_each_layout().await {
        let directory = signed.file.parent().expect("a directory");
        open(directory, 0o777);
        let error = signed.store.check().await.expect_err("open");
        assert_eq!(error.kind(), StoreErrorKind::Insecure);
        assert!(error.to_string().contains("use `chmod 700 "), "{error}");
        open(directory, 0o700);
        signed.store.check().await.expect("ready");
    }
    let [single, _] = Signed::in_each_layout().await;
    open(&single.file, 0o644);
    let error = single.store.check().await.expect_err("open");
    assert_eq!(error.kind(), StoreErrorKind::Insecure);
    assert!(error.to_string().contains("use `chmod 600 "), "{error}");
}

fn record_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("listed");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}
