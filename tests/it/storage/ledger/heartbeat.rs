//! The heartbeat: a commit without a change, and the last instant that a serving process saw.

use mintmark::storage::Change;

use crate::storage::samples::{NOW, product, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_heartbeat_does_not_raise_the_change_counter_and_keeps_the_last_instant,
    a_failed_write_is_counted_and_reported_until_a_write_succeeds
);

async fn a_heartbeat_does_not_raise_the_change_counter_and_keeps_the_last_instant(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let (seq, committed) = (storage.change_seq().await.unwrap(), storage.writes().committed());
    for (beat, kept) in
        [(None, None), (Some(NOW), Some(NOW)), (None, Some(NOW)), (Some(NOW + 1), Some(NOW + 1))]
    {
        storage.beat(beat).await.unwrap();
        assert_eq!(storage.last_instant().await.unwrap(), kept);
    }
    assert_eq!(storage.change_seq().await.unwrap(), seq);
    assert_eq!(database.number("SELECT beats FROM service_state").await, 4);
    assert_eq!(storage.writes().committed(), committed + 4);
    assert_eq!((storage.writes().failed(), storage.writes().last_failed()), (0, false));
}

async fn a_failed_write_is_counted_and_reported_until_a_write_succeeds(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    database.execute("ALTER TABLE service_state RENAME TO service_state_away").await;
    storage.beat(None).await.unwrap_err();
    assert_eq!((storage.writes().failed(), storage.writes().last_failed()), (1, true));
    // A commit without a write does not show that writing works again.
    storage.begin().await.unwrap().commit().await.unwrap();
    assert!(storage.writes().last_failed());
    database.execute("ALTER TABLE service_state_away RENAME TO service_state").await;
    let mut tx = storage.begin().await.unwrap();
    tx.insert_product(&product("new")).await.unwrap();
    tx.changed(Change::Product("new".to_owned()));
    tx.commit().await.unwrap();
    assert_eq!((storage.writes().failed(), storage.writes().last_failed()), (1, false));
}
