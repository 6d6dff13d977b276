//! Deleting deliveries that were sent or given up long ago.

use super::webhook;
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(only_deliveries_that_ended_long_ago_are_deleted);

async fn only_deliveries_that_ended_long_ago_are_deleted(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for id in ["waits", "s1", "s2", "s3", "d1", "d2"] {
        change!(storage, tx => tx.enqueue_delivery(&webhook(id, "a:443")));
    }
    let mut session = database.session().await;
    for (id, column, at) in [
        ("s1", "sent_at", NOW),
        ("s2", "sent_at", NOW + 1),
        ("s3", "sent_at", NOW + 2),
        ("d1", "dead_at", NOW),
        ("d2", "dead_at", NOW + 1),
    ] {
        session.execute(&format!("UPDATE deliveries SET {column} = {at} WHERE delivery_id = '{id}'")).await;
    }
    // `purge_deliveries` returns the larger of two numbers: how many sent deliveries it deleted, and how many that were given
    // up. The third call deletes one of each.
    assert_eq!(storage.purge_deliveries(NOW - 1, NOW - 1, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_deliveries(NOW + 1, NOW - 1, 1).await.unwrap(), 1);
    assert_eq!(storage.purge_deliveries(NOW + 1, NOW, 10).await.unwrap(), 1);
    let left = session.texts("SELECT delivery_id FROM deliveries ORDER BY delivery_id").await;
    assert_eq!(left, ["d2", "s3", "waits"]);
    assert_eq!(storage.purge_deliveries(i64::MAX, i64::MAX, 10).await.unwrap(), 1);
    assert_eq!(session.texts("SELECT delivery_id FROM deliveries").await, ["waits"]);
}
