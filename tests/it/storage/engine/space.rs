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
    assert!(bytes > 16_000_000, "{bytes}");
    while storage.purge_denied_tokens(NOW, 50_000).await.unwrap() > 0 {}
    let mut rounds = 0;
    while storage.give_back_space().await.unwrap() {
        rounds += 1;
    }
    assert!(rounds >= 3, "the space is returned in {rounds} steps, which are too few");
    let left = session.number(BYTES).await;
    assert!(left <= 6_000_000, "{left} of {bytes} bytes");
    drop(session);
    storage.close().await;
    assert!(database.file().metadata().unwrap().len() < 8_000_000);
}

#[tokio::test]
async fn on_postgresql_there_is_nothing_to_give_back() {
    let database = TestDatabase::new(Engine::Postgres);
    assert!(!database.open().await.give_back_space().await.unwrap());
}
