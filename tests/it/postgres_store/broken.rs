//! Rows that hold damaged records.

use super::{errors::assert_every_operation_fails, *};

const UPDATE: &str = "update dropbox_sign_tokens set ";

#[tokio::test]
async fn s27_a_row_that_cannot_be_read_is_left_as_it_is() {
    use StoreErrorKind::{Corrupt, NewerFormat};

    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    let version = save(&store, None, "old").await;
    let row = || server.psql("select * from dropbox_sign_tokens");
    for (damage, kind) in [
        ("format = 2", NewerFormat),
        ("format = 0", Corrupt),
        ("format = -1", Corrupt),
        ("format = null", Corrupt),
        ("access_token = null", Corrupt),
        ("issued_at_ms = null", Corrupt),
        ("lifetime_ms = null", Corrupt),
        ("lifetime_ms = -1", Corrupt),
        ("lifetime_ms = 9007199254740991", Corrupt),
        ("issued_at_ms = 9007199254740991", Corrupt),
        ("presented_at_ms = 9007199254740991", Corrupt),
        ("presented_at_ms = -1", Corrupt),
        ("refused_at_ms = 9007199254740991", Corrupt),
        ("lineage = '1,2'", Corrupt),
        ("lineage = E'1\\n'", Corrupt),
        (
            "access_token = null, issued_at_ms = null, lifetime_ms = null, refresh_token = ''",
            Corrupt,
        ),
        (
            "access_token = null, issued_at_ms = null, lifetime_ms = null, refresh_token = null",
            Corrupt,
        ),
        ("version = null", Corrupt),
        ("version = 0", Corrupt),
    ] {
        server.psql("create table whole as select * from dropbox_sign_tokens");
        server.psql(&format!("{UPDATE}{damage}"));
        let damaged = row();
        assert_every_operation_fails(&store, version, kind, damage).await;
        assert_eq!(row(), damaged, "{damage}: the row was changed");
        server.psql("delete from dropbox_sign_tokens");
        server.psql("insert into dropbox_sign_tokens select * from whole");
        server.psql("drop table whole");
    }
    assert_eq!(loaded_version(&store).await, Some(version));
}
