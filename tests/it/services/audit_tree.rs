//! The audit trail as a tree: the numbers of its events under load, events from before there was a tree, checkpoints, what a
//! check of the whole trail finds, when a new tree begins, and the deletion of old entries.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use mintmark::clients::ClientChange;
use mintmark::kernel::{Manager, Precondition, Reader};
use mintmark::ledger::{Checkpoint, Verification};
use mintmark::model::member::Member;
use mintmark::services::Services;
use serde_json::Value;

use super::{Place, admin, erp};
use crate::support::{Engine, Session, on_both_engines};

on_both_engines!(
    the_numbers_have_no_gaps_under_load,
    events_from_before_the_tree_are_its_first_entries,
    a_checkpoint_is_signed_when_the_tree_has_grown,
    what_was_changed_by_hand_is_found,
    a_cut_end_is_found_with_a_checkpoint_from_elsewhere,
    a_new_key_begins_a_new_tree,
    a_restored_database_begins_a_new_tree,
    entries_past_their_time_are_deleted_and_their_hashes_stay,
);

const DAY: i64 = 86_400;

/// A process that has created five clients, each with an audit event, and has signed a first checkpoint.
async fn begun(engine: Engine) -> (Place, Arc<Services>) {
    let place = Place::new(engine);
    let services = place.services().await;
    place.furnish().await;
    for _ in 0..5 {
        erp(&services).await;
        place.clock.advance(1);
    }
    services.ledger.keep_audit_tree().await.unwrap();
    (place, services)
}

async fn checked(services: &Services, outside: &[Checkpoint]) -> Verification {
    services.ledger.verify_audit(&admin(), outside).await.unwrap()
}

async fn findings(services: &Services) -> Vec<String> {
    checked(services, &[]).await.findings()
}

async fn note(services: &Services) -> String {
    let reader: &Reader = &admin();
    services.ledger.audit_checkpoint(reader, None).await.unwrap().note
}

async fn relabel(services: &Services, client_id: &str, label: &str) {
    let change = ClientChange { label: Member::Value(label.to_owned()), ..ClientChange::default() };
    services.clients.change_client(&admin(), client_id, &Precondition::None, &change).await.unwrap();
}

/// Writers on two processes. Each changes the clients in its own pseudo-random order, and writes the seed of each step into the
/// label.
async fn the_numbers_have_no_gaps_under_load(engine: Engine) {
    const WRITERS: usize = 50;
    const CHANGES: usize = 4;
    let place = Place::new(engine);
    let processes = [place.services().await, place.services().await];
    place.furnish().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(erp(&processes[0]).await.record.client.client_id);
    }
    let before = place.database.number("SELECT COUNT(*) FROM audit_events").await;
    let writers = (0..WRITERS).map(|writer| {
        let (processes, clients) = (&processes, &clients);
        async move {
            let mut seed = writer * 2_654_435_761 % 4_294_967_291 + 1;
            for change in 0..CHANGES {
                seed = seed * 48_271 % 2_147_483_647;
                let client = &clients[seed % clients.len()];
                relabel(&processes[seed % 2], client, &format!("{writer} {change} of seed {seed}")).await;
            }
        }
    });
    join_all(writers).await;
    let after = place.database.number("SELECT COUNT(*) FROM audit_events").await;
    assert_eq!(after - before, i64::try_from(WRITERS * CHANGES).unwrap());
    for (what, expected) in [
        ("MIN(seq) FROM audit_events", 0),
        ("MAX(seq) FROM audit_events", after - 1),
        ("COUNT(DISTINCT seq) FROM audit_events", after),
        ("size FROM audit_trees", after),
    ] {
        assert_eq!(place.database.number(&format!("SELECT {what}")).await, expected, "{what}");
    }
    processes[0].ledger.keep_audit_tree().await.unwrap();
    let found = checked(&processes[1], &[]).await;
    assert_eq!(found.findings(), [""; 0]);
    assert_eq!((found.logs[0].entries, found.logs[0].covered), (after, after));
}

async fn events_from_before_the_tree_are_its_first_entries(engine: Engine) {
    const OLD: usize = 4_321;
    let (place, services) = begun(engine).await;
    let recorded = place.database.number("SELECT COUNT(*) FROM audit_events").await;
    place.database.session().await.forget_audit_tree(OLD).await;
    // A new event is recorded, but waits behind the old ones; nothing is signed.
    let services_too = place.services().await;
    let client = erp(&services_too).await.record.client.client_id;
    assert_eq!(place.database.number("SELECT COUNT(*) FROM audit_events WHERE seq IS NOT NULL").await, 0);
    assert_eq!(place.database.number("SELECT COUNT(*) FROM audit_checkpoints").await, 0);
    // The first process numbers the old events while the other one writes. When the lease of the first has ended, after 180 s,
    // the other one continues.
    let (kept, ()) = tokio::join!(services.ledger.keep_audit_tree(), async {
        for n in 0..20 {
            relabel(&services_too, &client, &format!("during {n}")).await;
        }
    });
    kept.unwrap();
    place.clock.advance(200);
    services_too.ledger.keep_audit_tree().await.unwrap();
    relabel(&services, &client, "after").await;
    services_too.ledger.keep_audit_tree().await.unwrap();
    let found = checked(&services, &[]).await;
    assert_eq!(found.findings(), [""; 0]);
    let log = &found.logs[0];
    let old = i64::try_from(OLD).unwrap() + recorded;
    // There are 22 new events: a client was created, changed 20 times during the numbering, and once after it.
    assert_eq!((log.entries, log.imported, log.covered, found.waiting), (old + 22, old, old + 22, 0));
    let mut session = place.database.session().await;
    // The oldest event that `forget_audit_tree` added.
    let first = "SELECT entry FROM audit_events WHERE seq = 0";
    let first: Value = serde_json::from_str(&session.texts(first).await[0]).unwrap();
    assert_eq!((&first["event_id"], &first["imported"]), (&"0-0000001".into(), &true.into()));
    assert_eq!(
        (&first["at"], &first["detail"]),
        (&"2023-11-14T22:13:21Z".into(), &serde_json::json!({"n": 1}))
    );
    let out_of_order = "SELECT COUNT(*) FROM audit_events a JOIN audit_events b ON b.seq = a.seq + 1
        WHERE a.event_id > b.event_id AND b.entry LIKE '%\"imported\":true%'";
    assert_eq!(session.number(out_of_order).await, 0);
}

async fn a_checkpoint_is_signed_when_the_tree_has_grown(engine: Engine) {
    let (place, services) = begun(engine).await;
    let first = note(&services).await;
    services.ledger.keep_audit_tree().await.unwrap();
    assert_eq!(note(&services).await, first, "the tree has not grown");
    erp(&services).await;
    assert_eq!(note(&services).await, first, "an event alone signs no checkpoint");
    // Another process signs nothing while the first one has the lease, which ends after 180 s.
    let other = place.services().await;
    other.ledger.keep_audit_tree().await.unwrap();
    assert_eq!(note(&services).await, first);
    place.clock.advance(200);
    other.ledger.keep_audit_tree().await.unwrap();
    let second = note(&services).await;
    let [first, second] = [first, second].map(|note| Checkpoint::read(&note).unwrap());
    assert_eq!(first.origin, "127.0.0.1:1/audit");
    assert_eq!(second.size, first.size + 1);
    let keys = services.ledger.audit_keys();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].to_string().starts_with("127.0.0.1:1/audit+"), "{}", keys[0]);
    assert_eq!(keys, other.ledger.audit_keys());
}

/// Each case is a change by hand, and a part of what the check then finds.
async fn what_was_changed_by_hand_is_found(engine: Engine) {
    let (place, services) = begun(engine).await;
    assert_eq!(findings(&services).await, [""; 0]);
    let mut session = place.database.session().await;
    let last = session.number("SELECT MAX(seq) FROM audit_events").await;
    let copy = "INSERT INTO audit_events (event_id, at, actor, action, target, detail, log, seq, entry, leaf)
        SELECT 'added', at, actor, action, target, detail, log";
    // `swap` and `make_room` change numbers in two steps, since no two entries of a log may have the same number.
    let swap = "UPDATE audit_events SET seq = CASE seq WHEN 1 THEN 1002 ELSE 1001 END WHERE seq IN (1, 2);
        UPDATE audit_events SET seq = seq - 1000 WHERE seq > 1000";
    let make_room = "UPDATE audit_events SET seq = seq + 1001 WHERE seq >= 2;
        UPDATE audit_events SET seq = seq - 1000 WHERE seq > 1000; UPDATE audit_trees SET size = size + 1";
    let cases = [
        (
            "UPDATE audit_events SET entry = REPLACE(entry, '\"at\":\"2026', '\"at\":\"2025') WHERE seq = 2",
            "entry 2 was changed",
        ),
        (
            "UPDATE audit_events SET actor = 'operator:x' WHERE seq = 3",
            "the columns of entry 3, by which it is found, were changed: actor",
        ),
        (
            "UPDATE audit_events SET at = at - 1, workspace_id = NULL WHERE seq = 4",
            "were changed: at, workspace_id",
        ),
        ("UPDATE audit_events SET entry = NULL WHERE seq = 1", "the bytes of entry 1 were removed"),
        ("DELETE FROM audit_events WHERE seq = 2", "entry 2 is missing"),
        (swap, "some were changed, moved, added or removed"),
        (
            &format!("DELETE FROM audit_events WHERE seq = {last}"),
            &format!("entry {last} is missing at the end"),
        ),
        (
            &format!("{make_room}; {copy}, 2, entry, leaf FROM audit_events WHERE seq = 3"),
            "some were changed, moved, added or removed",
        ),
        (
            &format!("{copy}, seq + 1, entry, leaf FROM audit_events WHERE seq = {last}"),
            "was added beyond the recorded size of the log",
        ),
        (
            "UPDATE audit_events SET log = 7 WHERE seq = 1",
            "events with a number in a log that does not exist: 1",
        ),
        ("UPDATE audit_checkpoints SET note = REPLACE(note, 'audit', 'other')", "the checkpoint over"),
        ("UPDATE audit_checkpoints SET size = size + 1", "was changed"),
        ("UPDATE audit_trees SET public_key = sealed_key", "cannot be checked: the log has no key"),
    ];
    for (by_hand, expected) in cases {
        let saved = Saved::of(&mut session).await;
        session.begin().await;
        session.execute(by_hand).await;
        session.execute("COMMIT").await;
        let found = findings(&services).await;
        assert!(found.iter().any(|found| found.contains(expected)), "{by_hand}: {found:?}");
        saved.put_back(&mut session).await;
        assert_eq!(findings(&services).await, [""; 0], "after {by_hand}");
    }
}

/// Copies of the tables of the audit trail.
struct Saved;

impl Saved {
    const TABLES: [&str; 3] = ["audit_events", "audit_checkpoints", "audit_trees"];

    async fn of(session: &mut Session) -> Self {
        for table in Self::TABLES {
            session.execute(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
        }
        Self
    }

    async fn put_back(self, session: &mut Session) {
        for table in Self::TABLES {
            let again = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}");
            session.execute(&format!("{again}; DROP TABLE saved_{table}")).await;
        }
    }
}

async fn a_cut_end_is_found_with_a_checkpoint_from_elsewhere(engine: Engine) {
    let (place, services) = begun(engine).await;
    let early = Checkpoint::read(&note(&services).await).unwrap();
    erp(&services).await;
    services.ledger.keep_audit_tree().await.unwrap();
    let late = Checkpoint::read(&note(&services).await).unwrap();
    let intact = checked(&services, &[early.clone(), late.clone()]).await;
    assert_eq!(intact.findings(), [""; 0]);
    assert_eq!(intact.logs[0].checkpoints, 4, "two in the database and two given");
    // The last entries are deleted, and with them everything in the database that shows that they existed.
    let mut session = place.database.session().await;
    let size = early.size;
    session
        .execute(&format!(
            "DELETE FROM audit_events WHERE seq >= {size}; DELETE FROM audit_checkpoints WHERE size > {size};
             UPDATE audit_trees SET size = {size}"
        ))
        .await;
    assert_eq!(findings(&services).await, [""; 0], "the database alone does not show the cut");
    assert_eq!(checked(&services, &[early]).await.findings(), [""; 0]);
    let found = checked(&services, std::slice::from_ref(&late)).await.findings();
    assert_eq!(found, [format!("127.0.0.1:1/audit: entry {size} is missing at the end")]);
    // The tree grows to its old size again, with another history.
    erp(&services).await;
    place.clock.advance(200);
    services.ledger.keep_audit_tree().await.unwrap();
    let found = checked(&services, &[late]).await.findings();
    assert!(found[0].contains("do not match the given checkpoint"), "{found:?}");
}

async fn a_new_key_begins_a_new_tree(engine: Engine) {
    let (place, services) = begun(engine).await;
    erp(&services).await;
    services.ledger.renew_audit_key(&admin()).await.unwrap();
    erp(&services).await;
    services.ledger.keep_audit_tree().await.unwrap();
    let found = checked(&services, &[]).await;
    assert_eq!(found.findings(), [""; 0]);
    let [old, new] = &found.logs[..] else { panic!("{found:?}") };
    // The entries of the new tree: the log was begun, and a client was created.
    assert_eq!((new.origin.as_str(), new.entries), ("127.0.0.1:1/audit/2", 2));
    assert_eq!(old.covered, old.entries, "the old tree ended with a checkpoint");
    let keys: BTreeSet<String> = services.ledger.audit_keys().iter().map(ToString::to_string).collect();
    assert_eq!(keys.len(), 2);
    let reader: &Reader = &admin();
    let last = services.ledger.audit_checkpoint(reader, Some(1)).await.unwrap().note;
    let first = "SELECT entry FROM audit_events WHERE log = 2 AND seq = 0";
    let first: Value = serde_json::from_str(&place.database.session().await.texts(first).await[0]).unwrap();
    assert_eq!(first["action"], "audit.log_begun");
    assert_eq!(first["detail"]["last_checkpoint"], last.as_str());
    assert_eq!(first["detail"]["reason"], "new_key");
    let private = "SELECT COUNT(*) FROM audit_trees WHERE sealed_key IS NOT NULL";
    assert_eq!(place.database.number(private).await, 1, "nobody can sign for the old tree again");
}

async fn a_restored_database_begins_a_new_tree(engine: Engine) {
    let (place, services) = begun(engine).await;
    services.tokens.make_restored_safe(&admin(), false).await.unwrap();
    services.ledger.keep_audit_tree().await.unwrap();
    let found = checked(&services, &[]).await;
    assert_eq!(found.findings(), [""; 0]);
    assert_eq!((found.logs.len(), found.logs[1].entries), (2, 2));
    let actions = "SELECT action FROM audit_events WHERE log = 2 ORDER BY seq";
    let actions = place.database.session().await.texts(actions).await;
    assert_eq!(actions, ["audit.log_begun", "database.restored"]);
}

async fn entries_past_their_time_are_deleted_and_their_hashes_stay(engine: Engine) {
    let place = Place::new(engine);
    let services = place.services_with("audit.keep_days = 30").await;
    place.furnish().await;
    erp(&services).await;
    place.clock.advance(40 * DAY);
    erp(&services).await;
    services.ledger.keep_audit_tree().await.unwrap();
    let before = note(&services).await;
    services.clean_up().await.unwrap();
    let found = checked(&services, &[Checkpoint::read(&before).unwrap()]).await;
    assert_eq!(found.findings(), [""; 0]);
    let log = &found.logs[0];
    assert!(log.pruned > 0 && log.pruned < log.entries, "{log:?}");
    let reader: &Reader = &admin();
    let [old, new] = [0, log.entries - 1].map(|seq| services.ledger.audit_proof(reader, None, seq));
    let (old, new) = (old.await.unwrap(), new.await.unwrap());
    // A proof has the entry in its `extra` line, unless the entry was deleted.
    assert!(!old.contains("\nextra ") && old.contains("\nindex 0\n"), "{old}");
    let entry = new.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
    let entry: Value = serde_json::from_slice(&STANDARD.decode(entry).unwrap()).unwrap();
    assert_eq!(entry["action"], "client.created");
    let personal =
        "SELECT COUNT(*) FROM audit_events WHERE entry IS NULL AND (source_ip IS NOT NULL OR detail <> '{}')";
    assert_eq!(place.database.number(personal).await, 0);
}

/// These calls are for managers of the platform.
#[tokio::test]
async fn a_manager_of_a_workspace_cannot_check_or_export_the_trail_or_renew_its_key() {
    let (_place, services) = begun(Engine::Sqlite).await;
    let caller = mintmark::kernel::Caller {
        reach: mintmark::model::reach::Reach::Workspace("acme".to_owned()),
        ..(**admin()).clone()
    };
    let own = Manager::try_from(caller).unwrap();
    assert!(services.ledger.verify_audit(&own, &[]).await.is_err());
    assert!(services.ledger.export_audit(&own, 1, 0, 1).await.is_err());
    assert!(services.ledger.renew_audit_key(&own).await.is_err());
}
