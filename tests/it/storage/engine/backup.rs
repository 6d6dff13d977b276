//! Backups of a SQLite database, which are made while it is in use, and restoring them. A backup replaces no file, and a
//! restore replaces no database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mintmark::storage::{Storage, StorageError};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::storage::samples::{change, product, stocked};
use crate::support::{Engine, TestDatabase};

async fn products_in(file: &Path) -> usize {
    let storage = Storage::open(&format!("sqlite://{}", file.display()), 2).await.unwrap();
    let count = storage.all_products().await.unwrap().len();
    storage.close().await;
    count
}

#[tokio::test]
async fn a_copy_is_complete_and_private_and_made_while_another_transaction_writes() {
    let (database, storage) = stocked(Engine::Sqlite).await;
    let copy = database.file().with_file_name("copy.db");
    // Committed changes are in the copy, even if they are only in the write-ahead log yet; uncommitted ones are not.
    change!(storage, tx => tx.insert_product(&product("committed")));
    let mut tx = storage.begin().await.unwrap();
    tx.insert_product(&product("open")).await.unwrap();
    let made = Storage::back_up(database.url(), &copy).await.unwrap();
    Storage::verify_backup(&copy).await.unwrap();
    assert_eq!(made.master_fingerprint, None, "no service has started on this database");
    let bytes = made.bytes;
    tx.commit().await.unwrap();
    let metadata = fs::metadata(&copy).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (bytes, 0o600));
    assert_eq!(products_in(&copy).await, 3);
    assert_eq!(storage.all_products().await.unwrap().len(), 4);
}

#[tokio::test]
async fn commits_that_a_crash_left_in_the_log_are_copied_too() {
    let (database, storage) = stocked(Engine::Sqlite).await;
    let crashed = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let from = format!("{}{end}", database.file().display());
        fs::copy(from, crashed.path().join(format!("mintmark.db{end}"))).unwrap();
    }
    storage.close().await;
    let copy = crashed.path().join("copy.db");
    Storage::back_up(&format!("sqlite://{}", crashed.path().join("mintmark.db").display()), &copy)
        .await
        .unwrap();
    assert_eq!(products_in(&copy).await, 2);
}

#[tokio::test]
async fn a_backup_overwrites_no_file_and_leaves_none_when_it_fails() {
    let (database, storage) = stocked(Engine::Sqlite).await;
    storage.close().await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    fs::write(&copy, "precious").unwrap();
    let exists = Storage::back_up(database.url(), &copy).await.unwrap_err();
    assert!(matches!(exists, StorageError::Backup(_)), "{exists:?}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "precious");

    let other = folder.path().join("other.db");
    let missing = format!("sqlite://{}", folder.path().join("none.db").display());
    let absent = Storage::back_up(&missing, &other).await.unwrap_err();
    assert!(matches!(absent, StorageError::Backup(_)), "{absent:?}");
    let bytes = fs::read(database.file()).unwrap();
    fs::write(database.file(), &bytes[..bytes.len() / 2]).unwrap();
    let damaged = Storage::back_up(database.url(), &other).await.unwrap_err();
    assert!(matches!(damaged, StorageError::Damaged(_)), "{damaged:?}");
    Storage::back_up(database.url(), &folder.path().join("no/such/folder.db")).await.unwrap_err();
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["copy.db"]);
}

#[tokio::test]
async fn a_backup_leaves_the_database_as_it_is_and_postgresql_is_refused() {
    let database = TestDatabase::blank(Engine::Sqlite);
    fs::write(database.file(), "").unwrap();
    let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
    connection.execute("CREATE TABLE foreign_to_us (id INTEGER)").await.unwrap();
    connection.close().await.unwrap();
    let before = fs::read(database.file()).unwrap();
    Storage::back_up(database.url(), &database.file().with_file_name("copy.db")).await.unwrap();
    assert!(fs::read(database.file()).unwrap() == before);
    let server = Storage::back_up("postgres://localhost/mintmark", Path::new("copy.db")).await.unwrap_err();
    assert!(matches!(server, StorageError::Open { .. } | StorageError::Backup(_)), "{server:?}");
}

/// The files of a database that is still there may be the only record of what happened since the backup.
#[tokio::test]
async fn a_copy_is_restored_only_where_there_is_no_database_and_can_be_discarded() {
    let (database, storage) = stocked(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    Storage::back_up(database.url(), &copy).await.unwrap();
    storage.close().await;
    let target = folder.path().join("new/data/mintmark.db");
    let url = format!("sqlite://{}", target.display());
    let refused = |why: &str| {
        let error = Storage::stage(&url, &copy).unwrap_err();
        assert!(matches!(&error, StorageError::Restore(text) if text.contains(why)), "{why}: {error}");
    };
    let restore = || {
        assert_eq!(Storage::stage(&url, &copy).unwrap(), format!("{url}.restoring"));
        assert!(!target.exists(), "the database appears only when `put_in_place` is called");
        Storage::put_in_place(&url).unwrap();
    };
    restore();
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(products_in(&target).await, 2);
    refused("mintmark.db exists already");
    assert!(Storage::put_in_place(&url).unwrap_err().to_string().contains("mintmark.db exists already"));
    fs::remove_file(&target).unwrap();
    let log = target.with_file_name("mintmark.db-wal");
    fs::write(&log, "not checkpointed").unwrap();
    refused("mintmark.db-wal exists already");
    fs::write(&log, "").unwrap();
    fs::write(target.with_file_name("mintmark.db-shm"), "of the old one").unwrap();
    // An empty log and a `-shm` file of the old database do not prevent a restore. A copy that was staged but not put in place
    // is replaced by the next.
    Storage::stage(&url, &copy).unwrap();
    restore();
    assert_eq!(products_in(&target).await, 2);
    fs::remove_file(&target).unwrap();
    Storage::stage(&url, &copy).unwrap();
    fs::write(target.with_file_name("mintmark.db.restoring-wal"), "not checkpointed").unwrap();
    assert!(Storage::put_in_place(&url).unwrap_err().to_string().contains("did not close it"));
    Storage::discard_staged(&url).unwrap();
    let left: Vec<_> = fs::read_dir(target.parent().unwrap()).unwrap().collect();
    assert!(!format!("{left:?}").contains("restoring"), "{left:?}");
    let missing = Storage::stage("sqlite://elsewhere.db", &folder.path().join("none.db")).unwrap_err();
    assert!(missing.to_string().contains("none.db"), "{missing}");
    // Not even root can create a file in /proc.
    let unwritable = Storage::stage("sqlite:///proc/self/mintmark.db", &copy).unwrap_err();
    assert!(
        matches!(&unwritable, StorageError::Restore(why) if why.contains("cannot write")),
        "{unwritable:?}"
    );
}
