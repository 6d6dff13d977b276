//! Databases and servers that cannot be used are refused with an error that says what to do next, and a refused file is not
//! changed. A missing table or an invalid value is an error of the method that reads it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use mintmark::model::reach::Reach;
use mintmark::storage::{Storage, StorageError};

use crate::storage::samples::{change, client, signing_key, stocked};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_schema_of_a_newer_version_is_refused,
    a_migration_in_another_form_is_refused,
    a_missing_table_is_an_error_also_of_the_readiness_check,
    an_unknown_stored_value_is_damage,
);

/// Opens a file that must be refused; the file must not change.
async fn refusal(file: &Path) -> StorageError {
    let before = fs::read(file).unwrap();
    let error = Storage::open(&format!("sqlite://{}", file.display()), 2).await.unwrap_err();
    assert!(fs::read(file).unwrap() == before, "a refused file was changed");
    error
}

fn assert_damaged(error: &StorageError) {
    assert!(matches!(error, StorageError::Damaged(_)), "{error:?}");
    assert!(error.to_string().contains("Restore the database from a backup"), "{error}");
}

/// A closed SQLite database with the sample records.
async fn closed_database() -> TestDatabase {
    let (database, storage) = stocked(Engine::Sqlite).await;
    storage.close().await;
    database
}

/// Bytes without a pattern, the same in each run.
fn garbage(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn a_file_overwritten_with_garbage_is_damaged() {
    let database = closed_database().await;
    let length = fs::read(database.file()).unwrap().len();
    fs::write(database.file(), garbage(length)).unwrap();
    assert_damaged(&refusal(&database.file()).await);
}

#[tokio::test]
async fn garbage_after_a_complete_header_is_damage() {
    let database = closed_database().await;
    let mut bytes = fs::read(database.file()).unwrap();
    let rest = garbage(bytes.len() - 100);
    bytes[100..].copy_from_slice(&rest);
    fs::write(database.file(), bytes).unwrap();
    assert_damaged(&refusal(&database.file()).await);
}

#[tokio::test]
async fn garbage_in_the_tables_is_damage() {
    let database = closed_database().await;
    let mut bytes = fs::read(database.file()).unwrap();
    // The header says how long a page is: two bytes at offset 16.
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let schema = bytes[..page].to_vec();
    let rest = garbage(bytes.len() - page);
    bytes[page..].copy_from_slice(&rest);
    fs::write(database.file(), &bytes).unwrap();
    assert_damaged(&refusal(&database.file()).await);
    assert!(fs::read(database.file()).unwrap()[..page] == schema);
}

#[tokio::test]
async fn a_truncated_file_is_damaged() {
    // SQLite treats a file of one byte as empty, so it is a new database.
    for keep in [2, 50, 99, 100, 4095, 4096, 8191, 8192, 10_000, 40_000] {
        let database = closed_database().await;
        let bytes = fs::read(database.file()).unwrap();
        fs::write(database.file(), &bytes[..keep]).unwrap();
        assert_damaged(&refusal(&database.file()).await);
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_not_taken_for_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mintmark.db");
    for text in ["xy", "[server]\nlisten = \"127.0.0.1:8080\"\n", &"-- a dump in SQL\n".repeat(1000)] {
        fs::write(&file, text).unwrap();
        assert_damaged(&refusal(&file).await);
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "a file").unwrap();
    // Not even root can create a file in /proc, or a folder in a file.
    for place in [Path::new("/proc/mintmark.db"), &file.join("mintmark.db"), folder.path()] {
        let error = Storage::open(&format!("sqlite://{}", place.display()), 2).await.unwrap_err();
        assert!(matches!(error, StorageError::Open { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(&*place.to_string_lossy()), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused_when_it_is_opened() {
    if run_by_nobody("storage::engine::damage::a_file_that_may_not_be_written_is_refused_when_it_is_opened") {
        return;
    }
    for (file_mode, folder_mode) in [(0o444, 0o755), (0o644, 0o555), (0o444, 0o555), (0o000, 0o755)] {
        let database = closed_database().await;
        let file = database.file();
        let folder = file.parent().unwrap();
        fs::set_permissions(&file, Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(folder_mode)).unwrap();
        let error = Storage::open(database.url(), 2).await.unwrap_err();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(error, StorageError::Open { .. }), "{file_mode:o} {folder_mode:o}: {error:?}");
        assert!(error.to_string().contains("Check the path, its owner"), "{error}");
    }
}

/// Root may write every file. If this process runs as root, runs the named test as the user nobody and returns true.
fn run_by_nobody(test: &str) -> bool {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    if fs::metadata(folder.path()).unwrap().uid() != 0 {
        return false;
    }
    let copy = folder.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let ran = Command::new(&copy)
        .args(["--exact", test])
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "as nobody: {said}");
    true
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let url = "postgres://mintmark@localhost/db?host=/nonexistent";
    let error = Storage::open(url, 2).await.unwrap_err();
    assert!(matches!(error, StorageError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("Is PostgreSQL running"), "{error}");
}

async fn a_schema_of_a_newer_version_is_refused(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    database
        .execute(match engine {
            Engine::Sqlite => {
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                    VALUES (9999, 'later', 1, x'00', 0)"
            }
            Engine::Postgres => {
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                    VALUES (9999, 'later', TRUE, '\\x00', 0)"
            }
        })
        .await;
    assert!(!storage.schema_is_current().await.unwrap());
    storage.close().await;
    let error = match engine {
        Engine::Sqlite => refusal(&database.file()).await,
        Engine::Postgres => Storage::open(database.url(), 2).await.unwrap_err(),
    };
    assert!(matches!(error, StorageError::Migrate(_)), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("9999") && said.contains("newer Mintmark"), "{said}");
}

async fn a_migration_in_another_form_is_refused(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    storage.close().await;
    database
        .execute(match engine {
            Engine::Sqlite => "UPDATE _sqlx_migrations SET checksum = x'00'",
            Engine::Postgres => "UPDATE _sqlx_migrations SET checksum = '\\x00'",
        })
        .await;
    let error = Storage::open(database.url(), 2).await.unwrap_err();
    assert!(matches!(error, StorageError::Migrate(_)), "{error:?}");
    assert!(error.to_string().contains("another form"), "{error}");
}

async fn a_missing_table_is_an_error_also_of_the_readiness_check(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    database.execute("DROP TABLE idempotency_keys").await;
    storage.saved_reply("cl_1", "POST", "/", "k", 0).await.unwrap_err();
    database.execute("DROP TABLE _sqlx_migrations").await;
    storage.schema_is_current().await.unwrap_err();
}

async fn an_unknown_stored_value_is_damage(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    for sql in [
        "UPDATE api_clients SET permissions = 'mintmark:everything'",
        "UPDATE api_clients SET allowed_ips = '300.0.0.0/8'",
        "UPDATE api_clients SET signing_alg = 'none'",
        "UPDATE api_clients SET metadata = '{'",
        "UPDATE api_clients SET metadata = '[]'",
    ] {
        database.execute(sql).await;
        assert_damaged(&storage.client(&Reach::Platform, "cl_1", 0).await.unwrap_err());
        assert_damaged(&storage.credentials("cl_1").await.unwrap_err());
        assert!(change!(storage, tx => tx.update_client(&client("cl_1"))), "the record is repaired");
    }
    for (kid, sql) in [
        ("a", "UPDATE signing_keys SET alg = 'none' WHERE kid = 'a'"),
        ("p", "UPDATE signing_keys SET phase = 'lost' WHERE kid = 'p'"),
        ("u", "UPDATE signing_keys SET use_for = 'all' WHERE kid = 'u'"),
    ] {
        change!(storage, tx => tx.insert_signing_key(&signing_key(kid)));
        database.execute(sql).await;
        assert_damaged(&storage.signing_key(kid).await.unwrap_err());
        assert_damaged(&storage.signing_keys().await.unwrap_err());
    }
}
