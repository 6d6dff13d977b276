//! The change counter and its log: how the caches of other processes learn of changes.

use std::collections::HashSet;

use mintmark::model::product::Product;
use mintmark::storage::{Change, ChangeWatch, Changes, Storage};

use crate::storage::samples::{NOW, change, product, stocked};
use crate::support::{Engine, TestDatabase, ended, on_both_engines};

on_both_engines!(
    changes_of_clients_workspaces_products_and_keys_are_reported,
    a_change_noted_twice_is_one,
    a_rollback_is_not_reported,
    another_process_learns_of_changes,
    writes_without_an_entry_in_the_log_are_not_reported,
    a_gap_in_the_log_invalidates_everything,
    a_reader_that_is_far_behind_invalidates_everything,
    an_unknown_kind_of_change_invalidates_everything,
    a_restored_database_invalidates_everything,
    sixteen_writers_number_their_changes_in_the_order_of_commit,
    a_watch_leaves_the_only_reading_connection_free,
);

fn product_change(number: i64) -> Change {
    Change::Product(format!("p{number}"))
}

async fn commit(storage: &Storage, changes: impl IntoIterator<Item = Change>) -> Changes {
    let mut tx = storage.begin().await.unwrap();
    for change in changes {
        let list = if let Change::StatusList(list) = change { Some(list) } else { None };
        tx.changed(change);
        assert!(list.is_none_or(|list| tx.changed_status_lists().contains(&list)));
    }
    tx.commit().await.unwrap()
}

fn these(seq: i64, changes: &[(i64, Change)]) -> Changes {
    Changes::These { seq, changes: changes.to_vec() }
}

async fn watched(database: &TestDatabase) -> (Storage, ChangeWatch, i64) {
    let storage = database.open().await;
    let (watch, seq) = storage.watch_changes().await.unwrap();
    (storage, watch, seq)
}

async fn changes_of_clients_workspaces_products_and_keys_are_reported(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let (other, mut watch, seq) = watched(&database).await;
    assert_eq!(seq, 0);
    let [client, workspace] = [Change::Client("cl_1".to_owned()), Change::Workspace("acme".to_owned())];
    let all = [(1, client), (2, workspace), (3, product_change(1)), (4, Change::SigningKeys)];
    let reported = commit(&storage, all.iter().map(|(_, change)| change.clone())).await;
    assert_eq!(reported, these(4, &all));
    assert_eq!(storage.change_seq().await.unwrap(), 4);
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(4, &all));
}

async fn a_change_noted_twice_is_one(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let reported = commit(&storage, [product_change(1), product_change(2), product_change(1)]).await;
    assert_eq!(reported, these(2, &[(1, product_change(1)), (2, product_change(2))]));
}

async fn a_rollback_is_not_reported(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    tx.changed(product_change(1));
    tx.rollback().await.unwrap();
    let mut tx = storage.begin().await.unwrap();
    tx.changed(product_change(2));
    drop(tx);
    assert_eq!(storage.change_seq().await.unwrap(), 0);
    assert_eq!(commit(&storage, [product_change(3)]).await, these(1, &[(1, product_change(3))]));
}

async fn another_process_learns_of_changes(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    commit(&storage, [product_change(0)]).await;
    let (other, mut watch, seq) = watched(&database).await;
    assert_eq!(seq, 1);
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(1, &[]));
    commit(&storage, [product_change(1)]).await;
    commit(&storage, [product_change(2)]).await;
    let both = [(2, product_change(1)), (3, product_change(2))];
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(3, &both));
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(3, &[]));
    // A poll also returns the commits of the process that polls.
    commit(&other, [product_change(3)]).await;
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(4, &[(4, product_change(3))]));
}

async fn writes_without_an_entry_in_the_log_are_not_reported(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let (other, mut watch, _) = watched(&database).await;
    change!(storage, tx => tx.update_product(&Product { name: "New".to_owned(), ..product("gst") }));
    storage.touch_secrets(&[("s1".to_owned(), NOW)]).await.unwrap();
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(0, &[]));
}

async fn a_gap_in_the_log_invalidates_everything(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let (other, mut behind, _) = watched(&database).await;
    commit(&storage, (1..=7).map(product_change)).await;
    let (mut watch, seq) = other.watch_changes().await.unwrap();
    assert_eq!(seq, 7);
    commit(&storage, (8..=10).map(product_change)).await;

    assert_eq!(storage.purge_changes(3).await.unwrap(), 7);
    assert_eq!(storage.purge_changes(3).await.unwrap(), 0);
    assert_eq!(other.poll_changes(&mut behind).await.unwrap(), Changes::Everything { seq: 10 });
    assert_eq!(other.poll_changes(&mut behind).await.unwrap(), these(10, &[]));
    let rest: Vec<_> = (8..=10).map(|number| (number, product_change(number))).collect();
    assert_eq!(
        other.poll_changes(&mut watch).await.unwrap(),
        these(10, &rest),
        "this watch needs only what is left"
    );

    commit(&storage, [product_change(11)]).await;
    assert_eq!(storage.purge_changes(0).await.unwrap(), 4);
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), Changes::Everything { seq: 11 });
}

async fn a_reader_that_is_far_behind_invalidates_everything(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let (other, mut watch, _) = watched(&database).await;
    commit(&storage, (1..=999).map(product_change)).await;
    let Changes::These { seq: 999, changes } = other.poll_changes(&mut watch).await.unwrap() else {
        panic!("up to 1,000 changes are listed one by one")
    };
    assert_eq!(changes.len(), 999);
    commit(&storage, (1..=1200).map(product_change)).await;
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), Changes::Everything { seq: 2199 });
}

async fn an_unknown_kind_of_change_invalidates_everything(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let (other, mut watch, _) = watched(&database).await;
    commit(&storage, [product_change(1)]).await;
    database.execute("UPDATE change_log SET kind = 'certificate' WHERE seq = 1").await;
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), Changes::Everything { seq: 1 });
}

async fn a_restored_database_invalidates_everything(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    commit(&storage, (1..=5).map(product_change)).await;
    let (other, mut watch, seq) = watched(&database).await;
    assert_eq!(seq, 5);
    database.execute("DELETE FROM change_log WHERE seq > 3").await;
    database.execute("UPDATE service_state SET change_seq = 3").await;
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), Changes::Everything { seq: 3 });
    commit(&storage, [product_change(4)]).await;
    assert_eq!(other.poll_changes(&mut watch).await.unwrap(), these(4, &[(4, product_change(4))]));
}

async fn sixteen_writers_number_their_changes_in_the_order_of_commit(engine: Engine) {
    const WRITERS: i64 = 16;
    const COMMITS: i64 = 4;
    let database = TestDatabase::new(engine);
    let storages = [database.open().await, database.open().await];
    let (other, mut watch, _) = watched(&database).await;

    let writers = (0..WRITERS).map(|writer| {
        let storage = &storages[usize::try_from(writer % 2).unwrap()];
        async move {
            for commit in 0..COMMITS {
                let mut tx = storage.begin().await.unwrap();
                tx.changed(Change::Product(format!("{writer}/{commit}/a")));
                tx.changed(Change::Product(format!("{writer}/{commit}/b")));
                tx.commit().await.unwrap();
            }
        }
    });
    let mut writing = std::pin::pin!(futures_util::future::join_all(writers));

    // Polls between the commits return every change once, in order and without a gap that would invalidate everything.
    let mut seen = 0;
    let mut met = HashSet::new();
    let mut done = false;
    while !done {
        done = ended(writing.as_mut()).await;
        let Changes::These { seq, changes } = other.poll_changes(&mut watch).await.unwrap() else {
            panic!("a gap after {seen}")
        };
        for (number, change) in changes {
            seen += 1;
            assert_eq!(number, seen);
            assert!(met.insert(change));
        }
        assert_eq!(seq, seen);
    }
    assert_eq!(seen, WRITERS * COMMITS * 2);
}

async fn a_watch_leaves_the_only_reading_connection_free(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = Storage::open(database.url(), 1).await.unwrap();
    let (mut watch, _) = storage.watch_changes().await.unwrap();
    assert_eq!(storage.change_seq().await.unwrap(), 0, "the pool has one connection for reading");
    assert_eq!(storage.poll_changes(&mut watch).await.unwrap(), these(0, &[]));
    storage.close().await;
}
