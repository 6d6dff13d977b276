//! Opening and closing: the first opening, several at once, the permissions of files, and errors, which contain no password.

use std::os::unix::fs::PermissionsExt as _;

use std::fs;

use mintmark::storage::{Storage, StorageError};

use crate::storage::samples::{change, product};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    the_first_opening_makes_the_schema,
    opening_again_keeps_everything,
    four_first_openings_at_once_all_succeed,
    a_closed_storage_answers_nothing,
    a_watch_does_not_hold_up_closing,
);

async fn the_first_opening_makes_the_schema(engine: Engine) {
    let database = TestDatabase::blank(engine);
    let storage = Storage::open(database.url(), 4).await.unwrap();
    assert!(storage.schema_is_current().await.unwrap());
    assert_eq!(storage.all_products().await.unwrap(), []);
}

async fn opening_again_keeps_everything(engine: Engine) {
    let database = TestDatabase::blank(engine);
    let storage = Storage::open(database.url(), 4).await.unwrap();
    change!(storage, tx => tx.insert_product(&product("gst")));
    storage.close().await;
    let storage = Storage::open(database.url(), 4).await.unwrap();
    assert_eq!(storage.all_products().await.unwrap(), [product("gst")]);
    assert!(storage.schema_is_current().await.unwrap());
}

async fn four_first_openings_at_once_all_succeed(engine: Engine) {
    for round in 0..5 {
        let database = TestDatabase::blank(engine);
        let openings = (0..4).map(async |number| {
            let storage = Storage::open(database.url(), 4).await?;
            change!(storage, tx => tx.insert_product(&product(&format!("p{number}"))));
            Ok::<_, StorageError>(storage)
        });
        for outcome in futures_util::future::join_all(openings).await {
            let storage = outcome.unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_eq!(storage.all_products().await.unwrap().len(), 4);
        }
    }
}

async fn a_closed_storage_answers_nothing(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    storage.close().await;
    assert!(matches!(storage.product("gst").await, Err(StorageError::Unavailable(_))));
    assert!(matches!(storage.begin().await, Err(StorageError::Unavailable(_))));
}

async fn a_watch_does_not_hold_up_closing(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let (_watch, _) = storage.watch_changes().await.unwrap();
    storage.close().await;
}

#[tokio::test]
async fn a_file_is_made_with_its_folders_and_holds_everything_once_closed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/folders/mintmark.db");
    let storage = Storage::open(&format!("sqlite://{}", file.display()), 2).await.unwrap();
    change!(storage, tx => tx.insert_product(&product("gst")));
    storage.close().await;

    // A copy of the file without its write-ahead log is a complete database.
    let copy = folder.path().join("copy.db");
    fs::copy(&file, &copy).unwrap();
    let storage = Storage::open(&format!("sqlite:{}", copy.display()), 2).await.unwrap();
    assert_eq!(storage.all_products().await.unwrap(), [product("gst")]);
}

#[tokio::test]
async fn only_the_owner_can_read_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/data/mintmark.db");
    let storage = Storage::open(&format!("sqlite://{}", file.display()), 2).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for name in ["mintmark.db", "mintmark.db-wal", "mintmark.db-shm"] {
        assert_eq!(mode(&file.with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&folder.path().join("deep")), 0o700);
    storage.close().await;
    // The mode that an operator has set is not changed.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    Storage::open(&format!("sqlite://{}", file.display()), 2).await.unwrap().close().await;
    assert_eq!(mode(&file), 0o640);
}

#[tokio::test]
async fn an_invalid_url_is_refused_with_an_example() {
    for url in
        ["", "mintmark.db", "mysql://localhost/x", "sqlite://", "sqlite::memory:", "sqlite://a.db?mode=ro"]
    {
        let error = Storage::open(url, 2).await.unwrap_err();
        assert!(matches!(error, StorageError::Open { .. }), "{url}: {error:?}");
        let said = error.to_string();
        assert!(said.contains("sqlite://"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_password_is_never_printed() {
    for url in [
        "postgres://mintmark:hunter2@localhost/db?host=/nonexistent",
        "postgres://mintmark:hunter2@[bad/db",
        "postgres://localhost/db?host=/nonexistent&password=hunter2",
        "postgres://mintmark:hun@ter2@localhost/db?host=/nonexistent",
    ] {
        let error = Storage::open(url, 2).await.unwrap_err();
        assert!(matches!(error, StorageError::Open { .. }), "{url}: {error:?}");
        for said in [error.to_string(), format!("{error:?}")] {
            assert!(!said.contains("ter2"), "{said}");
        }
    }
}
