//! Audit events: stored, numbered, listed, filtered, and reduced when they are old.

use mintmark::model::audit::{Actor, AuditEvent, Place, Recorded};
use mintmark::model::audit_entry::{Entry, entry_text};
use mintmark::model::page::Items;
use mintmark::model::reach::Reach;
use mintmark::storage::{AuditFilter, Storage};

use crate::storage::samples::{NOW, page};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    an_event_is_stored_with_all_members,
    events_come_newest_first_in_pages,
    the_oldest_entries_are_deleted_in_batches,
    events_of_a_commit_are_numbered_in_order_and_a_rollback_leaves_no_gap,
    the_trail_is_filtered,
    a_reach_ends_at_its_workspace,
);

fn event(number: i64, action: &str, workspace_id: Option<&str>, client_id: Option<&str>) -> AuditEvent {
    let serde_json::Value::Object(detail) = serde_json::json!({"label": ["old ✓", "new \u{0}"], "n": number})
    else {
        panic!("an object is written above")
    };
    AuditEvent {
        event_id: format!("e{number}"),
        at: NOW + number,
        actor: Actor {
            name: "client:cl_1".to_owned(),
            request_id: Some(format!("r{number}")),
            source_ip: Some("203.0.113.7".to_owned()),
        },
        action: action.to_owned(),
        workspace_id: workspace_id.map(str::to_owned),
        client_id: client_id.map(str::to_owned),
        target: "target".to_owned(),
        detail,
    }
}

fn ids(items: &Items<Recorded>) -> String {
    items.items.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>().join(" ")
}

async fn trail(engine: Engine) -> (TestDatabase, Storage) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    for event in [
        event(1, "client.created", Some("acme"), Some("cl_1")),
        event(2, "client.updated", Some("acme"), Some("cl_2")),
        event(3, "client.created", Some("other"), Some("cl_3")),
        event(4, "product.created", None, None),
    ] {
        let entry = entry(&event);
        tx.audit(event, entry);
    }
    assert_eq!(tx.events().len(), 4);
    tx.commit().await.unwrap();
    (database, storage)
}

async fn an_event_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    let bare = AuditEvent {
        actor: Actor::command_line(),
        detail: serde_json::Map::new(),
        ..event(5, "signing_key.created", None, None)
    };
    let mut tx = storage.begin().await.unwrap();
    tx.audit(bare.clone(), entry(&bare));
    tx.commit().await.unwrap();
    let all = storage.audit_events(&Reach::Platform, &AuditFilter::default(), &page(50, None)).await.unwrap();
    let with_entry = |event: AuditEvent| Recorded { entry: Some(entry(&event).text), event, place: None };
    assert_eq!(all.items[0], with_entry(bare.clone()));
    assert_eq!(all.items[4], with_entry(event(1, "client.created", Some("acme"), Some("cl_1"))));
    // `audit_events` reads the entries, and `waiting_events` the columns. Both have the same values, except that only the entry
    // has the detail, which is empty in `bare`.
    let mut tx = storage.begin().await.unwrap();
    let stored = tx.waiting_events("e4", 2).await.unwrap();
    assert_eq!(stored, [with_entry(bare)]);
    tx.rollback().await.unwrap();
}

async fn events_come_newest_first_in_pages(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    let all = AuditFilter::default();
    let first = storage.audit_events(&Reach::Platform, &all, &page(3, None)).await.unwrap();
    assert_eq!((ids(&first).as_str(), first.next_after.as_deref()), ("e4 e3 e2", Some("e2")));
    let last = storage.audit_events(&Reach::Platform, &all, &page(3, Some("e2"))).await.unwrap();
    assert_eq!((ids(&last).as_str(), last.next_after), ("e1", None));
}

/// The entry of an event. The storage does not check its hash.
fn entry(event: &AuditEvent) -> Entry {
    Entry { text: entry_text(event, [7; 16], false), leaf: [7; 32] }
}

async fn events_of_a_commit_are_numbered_in_order_and_a_rollback_leaves_no_gap(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.lock_audit_tree().await.unwrap().opened_at, None);
    tx.open_audit_tree(1, NOW).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = storage.begin().await.unwrap();
    for number in [9, 8] {
        let event = event(number, "client.created", None, None);
        let entry = entry(&event);
        tx.audit(event, entry);
    }
    assert_eq!(tx.events().len(), 2);
    tx.commit().await.unwrap();
    // An event that is rolled back leaves no gap in the numbers.
    let mut undone = storage.begin().await.unwrap();
    let event = event(7, "client.created", None, None);
    undone.audit(event.clone(), entry(&event));
    undone.rollback().await.unwrap();
    let numbered = storage.events_of_tree(1, 0, 10).await.unwrap();
    let places: Vec<_> = numbered.iter().map(|(event, _)| (event.event_id.as_str(), event.place)).collect();
    let place = |seq| Some(Place { log: 1, seq });
    assert_eq!(places, [("e9", place(0)), ("e8", place(1))]);
    assert_eq!(numbered[0].1, [7; 32]);
    assert_eq!(storage.audit_trees().await.unwrap()[0].size, 2);
    // The events of `trail` were recorded before the tree was opened, and wait for their numbers.
    assert_eq!(storage.count_waiting_events(10).await.unwrap(), 4);
    assert_eq!(storage.count_events_astray().await.unwrap(), 0);
}

async fn the_oldest_entries_are_deleted_in_batches(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    assert_eq!(storage.pruned_to().await.unwrap(), "");
    assert_eq!(storage.prune_audit_events("e1", 10).await.unwrap(), 0);
    assert_eq!(storage.prune_audit_events("e4", 2).await.unwrap(), 2);
    assert_eq!(storage.prune_audit_events("e4", 2).await.unwrap(), 1);
    assert_eq!(storage.prune_audit_events("e4", 2).await.unwrap(), 0);
    assert_eq!(storage.pruned_to().await.unwrap(), "e3");
    let all = storage.audit_events(&Reach::Platform, &AuditFilter::default(), &page(9, None)).await.unwrap();
    assert_eq!(ids(&all), "e4 e3 e2 e1");
    assert!(all.items[0].entry.is_some() && all.items[0].actor.source_ip.is_some());
    // The event still says what was done, when, by whom and to what.
    let full = event(3, "client.created", Some("other"), Some("cl_3"));
    let actor = Actor { request_id: None, source_ip: None, ..full.actor.clone() };
    let event = AuditEvent { actor, detail: serde_json::Map::new(), ..full };
    assert_eq!(all.items[1], Recorded { event, place: None, entry: None });
}

async fn the_trail_is_filtered(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    let none = AuditFilter::default();
    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (AuditFilter { workspace_id: some("acme"), ..none.clone() }, "e2 e1"),
        (AuditFilter { client_id: some("cl_3"), ..none.clone() }, "e3"),
        (AuditFilter { action: some("client.created"), ..none.clone() }, "e3 e1"),
        (AuditFilter { since: Some(NOW + 3), ..none.clone() }, "e4 e3"),
        (AuditFilter { until: Some(NOW + 3), ..none.clone() }, "e2 e1"),
        (AuditFilter { since: Some(NOW + 2), until: Some(NOW + 3), ..none.clone() }, "e2"),
        (AuditFilter { workspace_id: some("acme"), action: some("client.created"), ..none.clone() }, "e1"),
        (AuditFilter { workspace_id: some("none"), ..none.clone() }, ""),
        (AuditFilter { client_id: some("a\u{0}b"), ..none.clone() }, ""),
    ] {
        let items = storage.audit_events(&Reach::Platform, &filter, &page(50, None)).await.unwrap();
        assert_eq!(ids(&items), expected, "{filter:?}");
    }
}

async fn a_reach_ends_at_its_workspace(engine: Engine) {
    let (_database, storage) = trail(engine).await;
    let acme = Reach::Workspace("acme".to_owned());
    let items = storage.audit_events(&acme, &AuditFilter::default(), &page(50, None)).await.unwrap();
    assert_eq!(ids(&items), "e2 e1", "no events of another workspace or of the platform");
    let widened = AuditFilter { workspace_id: Some("other".to_owned()), ..AuditFilter::default() };
    assert_eq!(ids(&storage.audit_events(&acme, &widened, &page(50, None)).await.unwrap()), "");
}
