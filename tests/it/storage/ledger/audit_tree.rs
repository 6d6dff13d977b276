//! The trees of the audit trail, their stored hashes and checkpoints, and the lease for their upkeep.

use mintmark::model::audit::{Actor, AuditEvent, Place};
use mintmark::model::audit_entry::Entry;
use mintmark::model::reach::Reach;
use mintmark::storage::{Numbered, Storage, StoredCheckpoint};

use crate::storage::samples::NOW;
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_tree_is_named_once_and_replaced,
    waiting_events_are_numbered_in_steps,
    a_leaf_is_known_within_reach,
    hashes_and_checkpoints_are_stored_once,
    of_each_day_the_last_checkpoint_stays,
    one_process_at_a_time_does_the_upkeep,
);

const DAY: i64 = 86_400;

async fn record(storage: &Storage, ids: &[&str], workspace_id: Option<&str>) {
    let mut tx = storage.begin().await.unwrap();
    for id in ids {
        let event = AuditEvent {
            event_id: (*id).to_owned(),
            at: NOW,
            actor: Actor::system(),
            action: "client.created".to_owned(),
            workspace_id: workspace_id.map(str::to_owned),
            client_id: None,
            target: "target".to_owned(),
            detail: serde_json::Map::new(),
        };
        tx.audit(event, Entry { text: format!("{id} first"), leaf: [1; 32] });
    }
    tx.commit().await.unwrap();
}

async fn a_tree_is_named_once_and_replaced(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for origin in ["a.example/audit", "b.example/audit"] {
        let mut tx = storage.begin().await.unwrap();
        tx.name_audit_tree(1, origin, &[1; 32], &[2; 60]).await.unwrap();
        tx.open_audit_tree(1, NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
    record(&storage, &["e1"], None).await;
    let mut tx = storage.begin().await.unwrap();
    let tree = tx.lock_audit_tree().await.unwrap();
    assert_eq!((tree.log, tree.size, tree.origin.as_deref()), (1, 1, Some("a.example/audit")));
    tx.replace_audit_tree(1, "a.example/audit/2", &[3; 32], &[4; 60], NOW + 1).await.unwrap();
    tx.commit().await.unwrap();
    record(&storage, &["e2"], None).await;
    let trees = storage.audit_trees().await.unwrap();
    assert_eq!((trees[0].ended_at, &trees[0].sealed_key, trees[0].size), (Some(NOW + 1), &None, 1));
    assert_eq!(
        (trees[1].log, trees[1].opened_at, trees[1].ended_at, trees[1].size),
        (2, Some(NOW + 1), None, 1)
    );
    assert_eq!(trees[1].public_key.as_deref(), Some(&[3_u8; 32][..]));
    let first = storage.events_of_tree(2, 0, 5).await.unwrap();
    assert_eq!(first[0].0.place, Some(Place { log: 2, seq: 0 }));
}

async fn waiting_events_are_numbered_in_steps(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    record(&storage, &["e3", "e1", "e2"], None).await;
    assert_eq!(storage.count_waiting_events(2).await.unwrap(), 2);
    let mut tx = storage.begin().await.unwrap();
    let waiting = tx.waiting_events("", 2).await.unwrap();
    assert_eq!(waiting.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>(), ["e1", "e2"]);
    assert_eq!((waiting[0].place, waiting[0].entry.as_deref()), (None, Some("e1 first")));
    let numbered: Vec<Numbered> = ["e1", "e2"]
        .map(|id| Numbered {
            event_id: id.to_owned(),
            entry: Entry { text: format!("{id} entered"), leaf: [2; 32] },
        })
        .into();
    tx.number_events(1, 0, &numbered).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(storage.count_waiting_events(9).await.unwrap(), 1);
    let leaves = storage.audit_leaves(1, 0, 9).await.unwrap();
    assert_eq!(leaves.iter().map(|leaf| leaf.seq).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(leaves[1].leaf, [2; 32]);
    let events = storage.events_of_tree(1, 1, 9).await.unwrap();
    assert_eq!((events[0].0.entry.as_deref(), events.len()), (Some("e2 entered"), 1));
    assert_eq!(storage.audit_trees().await.unwrap()[0].size, 2);
}

async fn a_leaf_is_known_within_reach(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    tx.open_audit_tree(1, NOW).await.unwrap();
    tx.commit().await.unwrap();
    record(&storage, &["e1"], Some("acme")).await;
    record(&storage, &["e2"], None).await;
    let [acme, other] = ["acme", "other"].map(|id| Reach::Workspace(id.to_owned()));
    for (reach, log, seq, known) in [
        (&Reach::Platform, 1, 0, true),
        (&Reach::Platform, 1, 1, true),
        (&Reach::Platform, 1, 2, false),
        (&Reach::Platform, 2, 0, false),
        (&acme, 1, 0, true),
        (&acme, 1, 1, false),
        (&other, 1, 0, false),
    ] {
        assert_eq!(storage.knows_leaf(reach, log, seq).await.unwrap(), known, "{reach:?} {log} {seq}");
    }
}

fn checkpoint(size: i64, at: i64) -> StoredCheckpoint {
    StoredCheckpoint { log: 1, size, at, edge: vec![3; 32], note: format!("{size} ✓\n") }
}

async fn hashes_and_checkpoints_are_stored_once(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for round in 0..2 {
        let mut tx = storage.begin().await.unwrap();
        for position in 0..3 {
            tx.insert_audit_node(1, 1, position, &[9; 32]).await.unwrap();
        }
        for size in [5, 10] {
            assert_eq!(tx.insert_checkpoint(&checkpoint(size, NOW)).await.unwrap(), round == 0);
        }
        tx.commit().await.unwrap();
    }
    let nodes = storage.audit_nodes(1, 1, 1, 9).await.unwrap();
    assert_eq!(nodes.iter().map(|node| node.position).collect::<Vec<_>>(), [1, 2]);
    assert!(storage.audit_nodes(1, 2, 0, 9).await.unwrap().is_empty());
    assert_eq!(storage.last_checkpoint(1).await.unwrap(), Some(checkpoint(10, NOW)));
    assert_eq!(storage.last_checkpoint(2).await.unwrap(), None);
    assert_eq!(storage.checkpoints(1, 5, 9).await.unwrap(), [checkpoint(10, NOW)]);
    assert_eq!(storage.checkpoints(1, 0, 1).await.unwrap(), [checkpoint(5, NOW)]);
}

async fn of_each_day_the_last_checkpoint_stays(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let midnight = NOW - NOW % DAY;
    let mut tx = storage.begin().await.unwrap();
    for size in 0..12 {
        tx.insert_checkpoint(&checkpoint(size, midnight + size * DAY / 4)).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(storage.thin_checkpoints(midnight + 2 * DAY).await.unwrap(), 6);
    let kept = storage.checkpoints(1, -1, 99).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.size).collect::<Vec<_>>(), [3, 7, 8, 9, 10, 11]);
    assert_eq!(storage.thin_checkpoints(midnight + 2 * DAY).await.unwrap(), 0);
}

async fn one_process_at_a_time_does_the_upkeep(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert!(storage.lease_audit_upkeep("a", NOW, NOW + 10).await.unwrap());
    assert!(!storage.lease_audit_upkeep("b", NOW + 9, NOW + 19).await.unwrap());
    assert!(storage.lease_audit_upkeep("a", NOW + 9, NOW + 19).await.unwrap());
    assert!(storage.lease_audit_upkeep("b", NOW + 19, NOW + 29).await.unwrap());
    storage.release_audit_upkeep("a").await.unwrap();
    assert!(!storage.lease_audit_upkeep("a", NOW + 20, NOW + 30).await.unwrap());
    storage.release_audit_upkeep("b").await.unwrap();
    assert!(storage.lease_audit_upkeep("a", NOW + 20, NOW + 30).await.unwrap());
}
