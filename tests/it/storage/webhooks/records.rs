//! Records of webhooks and their keys.

use mintmark::model::reach::Reach;
use mintmark::model::webhook::{Events, Webhook};
use mintmark::storage::Storage;

use super::{active, webhook};
use crate::storage::samples::{NOW, change, page, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_webhook_is_stored_with_all_members,
    pages_of_a_workspace_are_in_the_order_of_the_ids,
    a_webhook_is_changed_under_its_lock,
    a_webhook_fails_from_its_first_failure_until_a_success,
    replaced_keys_sign_until_their_time,
    deleting_a_webhook_deletes_its_keys,
);

fn own(id: &str) -> Reach {
    Reach::Workspace(id.to_owned())
}

async fn a_webhook_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let bare = Webhook { description: None, ..active("w2", "acme", Events::Usual) };
    for webhook in [webhook("w1"), bare] {
        change!(storage, tx => tx.insert_webhook(&webhook));
        let found = storage.webhook(&Reach::Platform, &webhook.webhook_id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&webhook));
        assert_eq!(storage.webhook(&own("acme"), &webhook.webhook_id).await.unwrap(), Some(webhook.clone()));
        assert_eq!(storage.webhook(&own("other"), &webhook.webhook_id).await.unwrap(), None);
    }
    assert_eq!(storage.webhook(&Reach::Platform, "w9").await.unwrap(), None);
}

async fn pages_of_a_workspace_are_in_the_order_of_the_ids(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, workspace) in [("w3", "acme"), ("w1", "acme"), ("w2", "other")] {
        change!(storage, tx => tx.insert_webhook(&active(id, workspace, Events::Usual)));
    }
    let ids = |webhooks: Vec<Webhook>| webhooks.into_iter().map(|w| w.webhook_id).collect::<Vec<_>>();
    let first = storage.webhooks("acme", &page(1, None)).await.unwrap();
    assert_eq!(
        (ids(first.items), first.next_after.as_deref(), first.total),
        (vec!["w1".into()], Some("w1"), None)
    );
    let mut counted = page(5, Some("w1"));
    counted.count = true;
    let second = storage.webhooks("acme", &counted).await.unwrap();
    assert_eq!((ids(second.items), second.next_after, second.total), (vec!["w3".into()], None, Some(2)));
    assert_eq!(change!(storage, tx => tx.count_webhooks("acme")), 2);
    assert_eq!(change!(storage, tx => tx.count_webhooks("none")), 0);
}

async fn a_webhook_is_changed_under_its_lock(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_webhook(&webhook("w1")));
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.lock_webhook(&own("other"), "w1").await.unwrap(), None);
    assert_eq!(tx.lock_webhook(&own("acme"), "w1").await.unwrap(), Some(webhook("w1")));
    let changed = Webhook {
        url: "https://other.example.com/".to_owned(),
        host: "other.example.com:443".to_owned(),
        description: None,
        public_key: "whpk_BB==".to_owned(),
        updated_at: NOW + 9,
        version: 4,
        ..active("w1", "acme", Events::Usual)
    };
    assert!(tx.update_webhook(&changed).await.unwrap());
    assert!(!tx.update_webhook(&webhook("w9")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(storage.webhook(&Reach::Platform, "w1").await.unwrap(), Some(changed));
}

async fn a_webhook_fails_from_its_first_failure_until_a_success(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_webhook(&active("w1", "acme", Events::Usual)));
    assert_eq!(change!(storage, tx => tx.note_webhook_failure("w1", NOW + 5)), Some(NOW + 5));
    assert_eq!(change!(storage, tx => tx.note_webhook_failure("w1", NOW + 9)), Some(NOW + 5));
    assert_eq!(change!(storage, tx => tx.note_webhook_failure("w9", NOW)), None);
    change!(storage, tx => tx.note_webhook_success("w1"));
    let found = storage.webhook(&Reach::Platform, "w1").await.unwrap().unwrap();
    assert_eq!((found.failing_since, found.version), (None, 3), "the version of the record did not rise");
}

async fn signing(storage: &Storage, webhook_id: &str, now: i64) -> Vec<(String, Vec<u8>)> {
    let keys = storage.webhook_keys(webhook_id, now).await.unwrap();
    keys.into_iter().map(|keys| (keys.key_id, keys.sealed)).collect()
}

async fn replaced_keys_sign_until_their_time(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let hook = webhook("w1");
    change!(storage, tx => tx.insert_webhook(&hook));
    // `until` is for the keys before: `k1` signs until `NOW + 10`, and `k2` until `NOW + 20`.
    for (id, until) in [("k1", 0), ("k2", NOW + 10), ("k3", NOW + 20)] {
        change!(storage, tx => tx.replace_webhook_keys(&hook, id, id.as_bytes(), until));
    }
    let keys = |ids: &[&str]| -> Vec<(String, Vec<u8>)> {
        ids.iter().map(|&id| (id.to_owned(), id.as_bytes().to_vec())).collect()
    };
    assert_eq!(signing(&storage, "w1", NOW).await, keys(&["k3", "k2", "k1"]));
    assert_eq!(signing(&storage, "w1", NOW + 10).await, keys(&["k3", "k2"]));
    assert_eq!(storage.purge_webhook_keys(NOW + 9, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_webhook_keys(NOW + 20, 1).await.unwrap(), 1);
    assert_eq!(storage.purge_webhook_keys(NOW + 20, 10).await.unwrap(), 1);
    assert_eq!(signing(&storage, "w1", NOW + 100_000).await, keys(&["k3"]));
    for id in ["k4", "k5", "k6"] {
        change!(storage, tx => tx.replace_webhook_keys(&hook, id, id.as_bytes(), NOW + 30));
    }
    change!(storage, tx => tx.replace_webhook_keys(&hook, "k7", b"k7", NOW + 30));
    assert_eq!(signing(&storage, "w1", NOW).await, keys(&["k7", "k6", "k5", "k4"]), "the newest four");
}

async fn deleting_a_webhook_deletes_its_keys(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, workspace) in [("w1", "acme"), ("w2", "acme"), ("w3", "other")] {
        let hook = active(id, workspace, Events::Usual);
        change!(storage, tx => tx.insert_webhook(&hook));
        change!(storage, tx => tx.replace_webhook_keys(&hook, id, b"sealed", NOW));
    }
    assert!(change!(storage, tx => tx.delete_webhook("w1")));
    assert!(!change!(storage, tx => tx.delete_webhook("w1")));
    assert_eq!(signing(&storage, "w1", NOW).await, []);
    assert_eq!(change!(storage, tx => tx.delete_webhooks_of_workspace("acme")), ["w2"]);
    assert_eq!(change!(storage, tx => tx.count_webhooks("other")), 1);
    assert_eq!(signing(&storage, "w3", NOW).await.len(), 1);
}
