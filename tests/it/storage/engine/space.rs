//! SQLite returns the space of deleted rows to the file system.

use crate::storage::samples::NOW;
use crate::support::{Engine, TestDatabase};

const BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";

#[tokio::test]
async fn deleted_rows_give_their_space_back() {
    let database = TestDatabase::new(Engine::Sqlite);
    let storage = database.open().await;
    let mut session = database.session().await;
    session
        .execute(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
             INSERT INTO denied_tokens (jti, client_id, expires_at) SELECT 'jti-' || i, 'cl_1', {NOW} FROM n"
        ))
        .await;
    let bytes = session.number(BYTES).await;
    assert!(bytes > 16_000_000, "{bytes} bytes are too few for three steps");
    while storage.purge_denied_tokens(NOW, 50_000).await.unwrap() > 0 {}
    // One step frees at most 4 MB (`GIVEN_BACK` in `src/storage/engine/sqlite.rs`), so that other writers do not wait for long.
    let mut steps = 0;
    while storage.give_back_space().await.unwrap() {
        steps += 1;
    }
    assert!(steps >= 3, "the space is returned in {steps} steps, so a step frees more than it may");
    // 4 MB of free pages are kept for the next rows (`KEPT_FREE`), and the schema takes less than 2 MB.
    let left = session.number(BYTES).await;
    assert!(left <= 6_000_000, "{left} of {bytes} bytes");
    drop(session);
    storage.close().await;
    // The file itself is smaller too, and not only its number of pages.
    assert!(database.file().metadata().unwrap().len() < 8_000_000);
}

#[tokio::test]
async fn on_postgresql_there_is_nothing_to_give_back() {
    let database = TestDatabase::new(Engine::Postgres);
    assert!(!database.open().await.give_back_space().await.unwrap());
}
