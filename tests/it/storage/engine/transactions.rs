//! Transactions: their changes become visible to others all at once, at the commit, or not at all. Transactions that change the
//! same row wait for each other.

use mintmark::model::audit::{Actor, AuditEvent};
use mintmark::model::audit_entry::Entry;
use mintmark::model::mail::{Mail, MailKind};
use mintmark::model::reach::Reach;
use mintmark::storage::{AuditFilter, Change, Changes, SealedRoot, Storage, StoredReply, Tx};

use crate::storage::samples::{NOW, client, page, product, secret, signing_key, stocked, token, workspace};
use crate::support::{Engine, TestDatabase, ended, on_both_engines, outcome_after};

on_both_engines!(
    a_commit_is_seen_by_all,
    a_rollback_undoes_everything,
    dropping_a_transaction_undoes_everything,
    a_conflict_undoes_everything,
    a_change_waits_for_an_earlier_change_of_the_same_row,
);

/// Writes one record of each kind that [`there`] looks for.
async fn write_all(tx: &mut Tx) {
    tx.insert_product(&product("new")).await.unwrap();
    tx.insert_workspace(&workspace("new")).await.unwrap();
    tx.insert_client(&client("cl_2"), "0002").await.unwrap();
    tx.insert_secret(&secret("s2", "cl_2")).await.unwrap();
    tx.insert_signing_key(&signing_key("k2")).await.unwrap();
    tx.insert_recorded_token(&token("t1")).await.unwrap();
    tx.insert_sealed_root(&SealedRoot { master_fingerprint: vec![1], sealed: vec![2] }, NOW).await.unwrap();
    let event = AuditEvent {
        event_id: "e1".to_owned(),
        at: NOW,
        actor: Actor::system(),
        action: "client.created".to_owned(),
        workspace_id: None,
        client_id: None,
        target: "cl_2".to_owned(),
        detail: serde_json::Map::new(),
    };
    tx.audit(event, Entry { text: "{}".to_owned(), leaf: [7; 32] });
    let mail = Mail {
        mail_id: "m1".to_owned(),
        queued_at: NOW,
        kind: MailKind::ClientCreated,
        recipient: "a@example.com".to_owned(),
        client_id: "cl_2".to_owned(),
        workspace_id: None,
        facts: serde_json::Map::new(),
    };
    tx.enqueue(&[mail]).await.unwrap();
    let reply = StoredReply {
        caller: "cl_1".to_owned(),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        idempotency_key: "k".to_owned(),
        body_hash: vec![1],
        sealed_reply: vec![2],
        expires_at: NOW + 1,
        subject: None,
        erased_at: None,
        holds: None,
    };
    assert!(tx.save_reply(&reply, NOW).await.unwrap());
    tx.changed(Change::Client("cl_2".to_owned()));
    assert_eq!(tx.changed_status_lists(), [0; 0]);
}

/// Which records of [`write_all`] exist.
async fn there(storage: &Storage) -> Vec<&'static str> {
    let everyone = Reach::Platform;
    let events = storage.audit_events(&everyone, &AuditFilter::default(), &page(9, None)).await.unwrap();
    let record = storage.client(&everyone, "cl_2", NOW).await.unwrap();
    let checks = [
        ("product", storage.product("new").await.unwrap().is_some()),
        ("workspace", storage.workspace(&everyone, "new").await.unwrap().is_some()),
        ("client", record.is_some()),
        ("secret", record.is_some_and(|record| !record.secrets.is_empty())),
        ("key", storage.signing_key("k2").await.unwrap().is_some()),
        ("token", !storage.live_tokens_by_kid(NOW).await.unwrap().is_empty()),
        ("root", storage.sealed_root().await.unwrap().is_some()),
        ("event", !events.items.is_empty()),
        ("mail", storage.count_waiting_deliveries().await.unwrap() > 0),
        ("reply", storage.saved_reply("cl_1", "POST", "/", "k", NOW).await.unwrap().is_some()),
        ("counter", storage.change_seq().await.unwrap() > 0),
    ];
    checks.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

async fn a_commit_is_seen_by_all(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    write_all(&mut tx).await;
    assert_eq!(there(&storage).await, [""; 0], "readers do not wait, and see nothing yet");
    tx.commit().await.unwrap();
    assert_eq!(there(&storage).await.len(), 11);
    assert_eq!(there(&database.open().await).await.len(), 11);
}

async fn a_rollback_undoes_everything(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    write_all(&mut tx).await;
    tx.rollback().await.unwrap();
    assert_eq!(there(&storage).await, [""; 0]);
}

async fn dropping_a_transaction_undoes_everything(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    write_all(&mut tx).await;
    drop(tx);
    // If the next transaction gets the same connection, it must not find changes of the dropped one.
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.commit().await.unwrap(), Changes::These { seq: 0, changes: Vec::new() });
    assert_eq!(there(&storage).await, [""; 0]);
}

async fn a_conflict_undoes_everything(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    write_all(&mut tx).await;
    tx.insert_secret(&secret("s2", "cl_2")).await.unwrap_err();
    drop(tx);
    assert_eq!(there(&storage).await, [""; 0]);
}

async fn a_change_waits_for_an_earlier_change_of_the_same_row(engine: Engine) {
    async fn rename(tx: &mut Tx, suffix: &str) {
        let everyone = Reach::Platform;
        let mut product = tx.lock_product("gst").await.unwrap().unwrap();
        product.name.push_str(suffix);
        tx.update_product(&product).await.unwrap();
        let mut workspace = tx.lock_workspace(&everyone, "acme").await.unwrap().unwrap();
        workspace.name.push_str(suffix);
        tx.update_workspace(&workspace).await.unwrap();
        let mut client = tx.lock_client(&everyone, "cl_1").await.unwrap().unwrap();
        client.label.push_str(suffix);
        tx.update_client(&client).await.unwrap();
    }
    let (database, storage) = stocked(engine).await;
    let other = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    rename(&mut tx, " first").await;
    let theirs = async {
        let mut tx = other.begin().await.unwrap();
        rename(&mut tx, " second").await;
        tx.commit().await.unwrap();
    };
    outcome_after(&database, theirs, async { drop(tx.commit().await.unwrap()) }).await;
    let names = [
        storage.product("gst").await.unwrap().unwrap().name,
        storage.workspace(&Reach::Platform, "acme").await.unwrap().unwrap().name,
        storage.client(&Reach::Platform, "cl_1", NOW).await.unwrap().unwrap().client.label,
    ];
    for name in names {
        assert!(name.ends_with(" first second"), "{name}: a change was lost");
    }
}

/// A cancelled request drops its transaction while it waits for the database. On SQLite, one connection makes all writes.
#[tokio::test]
async fn a_dropped_transaction_does_not_block_the_next_writer() {
    let database = TestDatabase::new(Engine::Sqlite);
    let storage = database.open().await;
    for _ in 0..20 {
        let abandoned = async {
            let mut tx = storage.begin().await.unwrap();
            tx.insert_product(&product("a")).await.unwrap();
            tx.commit().await.unwrap();
        };
        let mut abandoned = Box::pin(abandoned);
        assert!(!ended(abandoned.as_mut()).await);
        drop(abandoned);
        storage.begin().await.unwrap().rollback().await.unwrap();
    }
}
