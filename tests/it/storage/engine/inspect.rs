//! Inspecting a database changes nothing, and says what a start would find. An open storage reports its connections, the times
//! of its work, and the last backup.

use mintmark::storage::{SchemaState, Storage, StorageError};

use crate::storage::samples::stocked;
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_schema_is_compared_with_that_of_this_program,
    connections_timings_and_the_last_backup_are_reported
);

async fn a_schema_is_compared_with_that_of_this_program(engine: Engine) {
    let database = TestDatabase::blank(engine);
    let look = async || Storage::inspect(database.url()).await.unwrap();
    let found = look().await;
    assert_eq!((found.schema, found.root.clone()), (SchemaState::New, None));
    if engine == Engine::Sqlite {
        assert!(!database.file().exists(), "inspecting creates no file");
    } else {
        assert!(found.engine.starts_with("PostgreSQL 1"), "{found:?}");
        assert!(found.database_millis.unwrap() > 1_700_000_000_000);
    }
    Storage::open(database.url(), 2).await.unwrap().close().await;
    assert_eq!(look().await.schema, SchemaState::Current);
    database.execute("DELETE FROM _sqlx_migrations WHERE version >= 4").await;
    assert!(matches!(look().await.schema, SchemaState::Behind(missing) if missing >= 2));
    database.execute("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await;
    assert_eq!(look().await.schema, SchemaState::Unknown(9999));
}

async fn connections_timings_and_the_last_backup_are_reported(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let (used, idle) = storage.connections();
    assert!(used + idle >= 1, "{used} {idle}");
    let counts = || storage.timings().all().map(|(_, times)| times.counted().count);
    let before = counts();
    storage.begin().await.unwrap().commit().await.unwrap();
    // One more transaction has begun and was committed; there was no poll.
    assert_eq!(counts(), [before[0] + 1, before[1] + 1, before[2]]);
    assert_eq!(storage.last_backup(), None);
    if engine == Engine::Sqlite {
        let copy = database.file().with_file_name("copy.db");
        Storage::back_up(database.url(), &copy).await.unwrap();
        assert!(storage.last_backup().unwrap() > 1_700_000_000);
    }
}

#[tokio::test]
async fn an_unreachable_database_is_named_without_its_password() {
    for url in
        ["postgres://me:hunter2@127.0.0.1:1/db", "postgres://me:hunter2@localhost/db?host=/nonexistent"]
    {
        let error = Storage::inspect(url).await.unwrap_err();
        assert!(matches!(error, StorageError::Open { .. }), "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
