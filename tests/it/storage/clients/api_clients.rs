//! API clients: stored with every member, found within the reach of a caller, listed newest first.

use mintmark::model::client::{ActiveTokens, ApiClient, ClientRecord};
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::key::Alg;
use mintmark::model::page::Items;
use mintmark::model::reach::Reach;
use mintmark::model::scope::Permission;
use mintmark::model::secret::ClientSecret;
use mintmark::model::status::Slot;
use mintmark::storage::{ClientFilter, ClientSort, Storage, StorageError};

use crate::storage::samples::{NOW, change, client, page, secret, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    clients_are_read_by_their_ids,
    a_client_is_stored_with_all_members,
    a_client_is_read_with_its_live_secrets,
    a_reach_ends_at_its_workspace,
    a_client_needs_its_workspace_and_products_and_a_unique_id_and_ordinal,
    a_client_is_changed_under_its_lock,
    products_are_granted_and_removed,
    deleting_a_client_deletes_its_secrets_and_grants,
    pages_go_from_new_to_old,
    the_list_is_filtered_by_product_and_status,
    labels_are_found_by_any_part_of_them,
    the_first_manager_is_the_oldest,
    the_ids_of_all_clients_are_listed,
    a_change_of_a_client_stores_its_slot_and_active_tokens,
    clients_are_found_by_workspace_and_workspaces_by_client_or_outdated_slots,
    clients_that_may_have_tokens_of_an_algorithm_are_listed,
    expired_clients_are_listed_until_their_slots_are_suspended,
    clients_without_a_slot_are_listed,
);

async fn found(storage: &Storage, client_id: &str) -> ApiClient {
    storage.client(&Reach::Platform, client_id, NOW).await.unwrap().unwrap().client
}

fn ids(items: &Items<ClientRecord>) -> Vec<&str> {
    items.items.iter().map(|record| record.client.client_id.as_str()).collect()
}

async fn a_client_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert_eq!(found(&storage, "cl_1").await, client("cl_1"));
    let bare = ApiClient {
        description: None,
        products: Vec::new(),
        permissions: Vec::new(),
        token_expiry: TokenExpiry::Never {},
        notification_emails: Vec::new(),
        allowed_ips: Vec::new(),
        signing_alg: None,
        expires_at: None,
        metadata: std::collections::BTreeMap::new(),
        disabled_at: Some(NOW),
        ..client("cl_2")
    };
    change!(storage, tx => tx.insert_client(&bare, "0002"));
    assert_eq!(found(&storage, "cl_2").await, bare);
}

async fn clients_are_read_by_their_ids(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    let read = change!(storage, tx => tx.clients_with_ids(&["cl_2", "cl_9", "cl_1"]));
    assert_eq!(read, [client("cl_1"), client("cl_2")]);
    assert_eq!(change!(storage, tx => tx.clients_with_ids(&[])), []);
}

async fn a_client_is_read_with_its_live_secrets(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let ending = ClientSecret { expires_at: Some(NOW + 10), ..secret("s2", "cl_1") };
    change!(storage, tx => tx.insert_secret(&ending));
    let all = ClientFilter::default();
    for (now, live) in
        [(NOW + 9, vec![secret("s1", "cl_1"), ending.clone()]), (NOW + 10, vec![secret("s1", "cl_1")])]
    {
        let record = storage.client(&Reach::Platform, "cl_1", now).await.unwrap().unwrap();
        assert!(record.secrets == live, "at {now}");
        let listed = storage
            .clients(&Reach::Platform, None, &all, ClientSort::default(), &page(50, None), now)
            .await
            .unwrap();
        assert_eq!(listed.items, [record]);
    }
}

async fn a_reach_ends_at_its_workspace(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let [acme, other] = ["acme", "other"].map(|id| Reach::Workspace(id.to_owned()));
    assert!(storage.client(&acme, "cl_1", NOW).await.unwrap().is_some());
    assert!(storage.client(&other, "cl_1", NOW).await.unwrap().is_none());
    assert!(storage.client(&Reach::Platform, "cl_9", NOW).await.unwrap().is_none());
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.lock_client(&other, "cl_1").await.unwrap().is_none());
    assert!(tx.lock_client(&acme, "cl_1").await.unwrap().is_some());
    tx.rollback().await.unwrap();

    let all = ClientFilter::default();
    let list = async |reach: &Reach, workspace: Option<&str>| {
        storage
            .clients(reach, workspace, &all, ClientSort::default(), &page(50, None), NOW)
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!(list(&Reach::Platform, None).await, 1);
    assert_eq!(list(&Reach::Platform, Some("acme")).await, 1);
    assert_eq!(list(&Reach::Platform, Some("other")).await, 0);
    assert_eq!(list(&acme, None).await, 1);
    assert_eq!(list(&acme, Some("acme")).await, 1);
    assert_eq!(list(&other, None).await, 0);
    assert_eq!(list(&other, Some("acme")).await, 0, "naming another workspace does not widen the reach");
}

async fn a_client_needs_its_workspace_and_products_and_a_unique_id_and_ordinal(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let without_workspace = ApiClient { workspace_id: "none".to_owned(), ..client("cl_2") };
    let without_product = ApiClient { products: vec!["none".to_owned()], ..client("cl_2") };
    for (refused, ordinal) in [
        (without_workspace, "0002"),
        (without_product, "0002"),
        (client("cl_1"), "0002"),
        (client("cl_2"), "0001"),
    ] {
        let mut tx = storage.begin().await.unwrap();
        let outcome = tx.insert_client(&refused, ordinal).await;
        assert!(matches!(outcome, Err(StorageError::Conflict(_))), "{refused:?}: {outcome:?}");
    }
    assert_eq!(storage.client_ids().await.unwrap(), ["cl_1"]);
}

async fn a_client_is_changed_under_its_lock(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    let mut tx = storage.begin().await.unwrap();
    let before = tx.lock_client(&Reach::Platform, "cl_1").await.unwrap().unwrap();
    assert_eq!(before, client("cl_1"));
    let changed = ApiClient {
        label: "Oracle".to_owned(),
        description: Some("Another".to_owned()),
        permissions: vec![Permission::Introspect],
        token_expiry: TokenExpiry::Never {},
        notification_emails: vec!["c@example.com".to_owned()],
        allowed_ips: vec!["198.51.100.7/32".parse().unwrap()],
        signing_alg: None,
        expires_at: None,
        metadata: std::collections::BTreeMap::new(),
        disabled_at: Some(NOW + 20),
        generation: 8,
        updated_at: NOW + 20,
        version: 6,
        ..before
    };
    assert!(tx.update_client(&changed).await.unwrap());
    assert!(!tx.update_client(&client("cl_9")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(found(&storage, "cl_1").await, changed);
    assert_eq!(found(&storage, "cl_2").await, client("cl_2"));
}

async fn products_are_granted_and_removed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.ungrant_products("cl_1", &["e-invoicing"]));
    change!(storage, tx => tx.ungrant_products("cl_1", &["e-invoicing"]));
    assert_eq!(found(&storage, "cl_1").await.products, ["gst"]);
    change!(storage, tx => tx.grant_products("cl_1", &["e-invoicing"]));
    change!(storage, tx => tx.grant_products("cl_1", &["e-invoicing"]));
    assert_eq!(found(&storage, "cl_1").await.products, ["e-invoicing", "gst"]);
    let mut tx = storage.begin().await.unwrap();
    let unknown = tx.grant_products("cl_1", &["none"]).await;
    assert!(matches!(unknown, Err(StorageError::Conflict(_))), "{unknown:?}");
}

async fn deleting_a_client_deletes_its_secrets_and_grants(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert!(change!(storage, tx => tx.delete_client("cl_1")));
    assert!(!change!(storage, tx => tx.delete_client("cl_1")));
    assert!(storage.client(&Reach::Platform, "cl_1", NOW).await.unwrap().is_none());
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.secrets("cl_1").await.unwrap().is_empty());
    assert_eq!(tx.count_product_grants("gst").await.unwrap(), 0);
    tx.rollback().await.unwrap();
}

async fn pages_go_from_new_to_old(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for number in 2..=5 {
        change!(storage, tx => tx.insert_client(&client(&format!("cl_{}", 9 - number)), &format!("000{number}")));
    }
    let all = ClientFilter::default();
    let mut pages = Vec::new();
    let mut after = None;
    for _ in 0..20 {
        let items = storage
            .clients(&Reach::Platform, None, &all, ClientSort::default(), &page(2, after.as_deref()), NOW)
            .await
            .unwrap();
        pages.push(ids(&items).join(" "));
        after = items.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["cl_4 cl_5", "cl_6 cl_7", "cl_1"]);
}

async fn the_list_is_filtered_by_product_and_status(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let disabled = ApiClient { disabled_at: Some(NOW), products: vec!["gst".to_owned()], ..client("cl_2") };
    change!(storage, tx => tx.insert_client(&disabled, "0002"));
    let listed = async |product: Option<&str>, status: Option<&str>| {
        let [product, status] = [product, status].map(|text| text.map(str::to_owned));
        let filter = ClientFilter { product, status, ..ClientFilter::default() };
        let items = storage
            .clients(&Reach::Platform, Some("acme"), &filter, ClientSort::default(), &page(50, None), NOW)
            .await
            .unwrap();
        ids(&items).join(" ")
    };
    assert_eq!(listed(None, None).await, "cl_2 cl_1");
    assert_eq!(listed(Some("gst"), None).await, "cl_2 cl_1");
    assert_eq!(listed(Some("e-invoicing"), None).await, "cl_1");
    assert_eq!(listed(Some("none"), None).await, "");
    assert_eq!(listed(None, Some("active")).await, "cl_1");
    assert_eq!(listed(None, Some("disabled")).await, "cl_2");
    assert_eq!(listed(Some("e-invoicing"), Some("disabled")).await, "");
}

async fn labels_are_found_by_any_part_of_them(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let labels = ["100% Oracle", "under_score!", "ÄRZTE Straße", "back\\slash", "ISTANBUL"];
    for (number, label) in (2..).zip(labels) {
        let labelled = ApiClient { label: label.to_owned(), ..client(&format!("cl_{number}")) };
        change!(storage, tx => tx.insert_client(&labelled, &format!("000{number}")));
    }
    for (part, expected) in [
        ("", "cl_6 cl_5 cl_4 cl_3 cl_2 cl_1"),
        ("sap s/4", "cl_1"),
        ("ORACLE", "cl_2"),
        ("0%", "cl_2"),
        ("%", "cl_2"),
        ("_", "cl_3"),
        ("!", "cl_3"),
        ("\\", "cl_5"),
        ("ÄRZTE", "cl_4"),
        ("Ärzte", "cl_4"),
        ("stra", "cl_4"),
        ("istan", "cl_6"),
        ("✓", "cl_1"),
        ("nothing like it", ""),
        ("a\u{0}b", ""),
    ] {
        let filter = ClientFilter { label: Some(part.to_owned()), ..ClientFilter::default() };
        let items = storage
            .clients(&Reach::Platform, None, &filter, ClientSort::default(), &page(50, None), NOW)
            .await
            .unwrap();
        assert_eq!(ids(&items).join(" "), expected, "labels with {part:?}");
    }
}

async fn the_first_manager_is_the_oldest(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, ordinal, permission) in
        [("cl_5", "0000", Permission::Read), ("cl_6", "0009", Permission::Manage)]
    {
        let other = ApiClient { permissions: vec![permission], ..client(id) };
        change!(storage, tx => tx.insert_client(&other, ordinal));
    }
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.first_manager("acme").await.unwrap(), Some(client("cl_1")));
    assert_eq!(tx.first_manager("other").await.unwrap(), None);
    tx.rollback().await.unwrap();
}

async fn the_ids_of_all_clients_are_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, ordinal) in [("cl_a", "0002"), ("cl_B", "0003")] {
        change!(storage, tx => tx.insert_client(&client(id), ordinal));
    }
    assert_eq!(storage.client_ids().await.unwrap(), ["cl_1", "cl_B", "cl_a"]);
}

async fn a_change_of_a_client_stores_its_slot_and_active_tokens(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for changed in [
        ApiClient {
            active_tokens: ActiveTokens::Many,
            slot: Some(Slot { list: 9, idx: 0 }),
            slots_suspended_at: None,
            ..client("cl_1")
        },
        ApiClient { active_tokens: ActiveTokens::Replace { grace_seconds: 0 }, slot: None, ..client("cl_1") },
    ] {
        assert!(change!(storage, tx => tx.update_client(&changed)));
        assert_eq!(found(&storage, "cl_1").await, changed);
    }
}

async fn clients_are_found_by_workspace_and_workspaces_by_client_or_outdated_slots(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let elsewhere = ApiClient { workspace_id: "other".to_owned(), ..client("cl_0") };
    for (other, ordinal) in [(client("cl_a"), "0002"), (client("cl_B"), "0003"), (elsewhere, "0004")] {
        change!(storage, tx => tx.insert_client(&other, ordinal));
    }
    assert_eq!(storage.client_ids_of_workspace("acme").await.unwrap(), ["cl_1", "cl_B", "cl_a"]);
    assert_eq!(storage.client_ids_of_workspace("other").await.unwrap(), ["cl_0"]);
    assert_eq!(storage.client_ids_of_workspace("none").await.unwrap(), [""; 0]);
    assert_eq!(
        change!(storage, tx => tx.lock_client_unless_held("cl_a")).unwrap(),
        found(&storage, "cl_a").await
    );
    assert_eq!(change!(storage, tx => tx.lock_client_unless_held("cl_9")), None);
    // The slots of a client are outdated if they do not show that its workspace is suspended. They are also outdated if they
    // show a suspension, but the workspace is active, and the client itself is neither disabled nor expired.
    let left = async || storage.workspaces_with_outdated_slots(NOW).await.unwrap();
    let marked = async |client_id: &str, slots_suspended_at: Option<i64>| {
        let client = ApiClient { slots_suspended_at, ..found(&storage, client_id).await };
        change!(storage, tx => tx.update_client(&client))
    };
    for client_id in ["cl_1", "cl_B", "cl_a", "cl_0"] {
        marked(client_id, None).await;
    }
    assert_eq!(left().await, [""; 0]);
    marked("cl_B", Some(NOW)).await;
    assert_eq!(left().await, ["acme"]);
    let mut suspended = storage.workspace(&Reach::Platform, "other").await.unwrap().unwrap();
    suspended.suspended_at = Some(NOW);
    change!(storage, tx => tx.update_workspace(&suspended));
    assert_eq!(left().await, ["acme", "other"]);
    marked("cl_0", Some(NOW)).await;
    let disabled = ApiClient { disabled_at: Some(NOW), ..found(&storage, "cl_B").await };
    change!(storage, tx => tx.update_client(&disabled));
    assert_eq!(left().await, [""; 0]);
    let [acme, other] = ["acme", "other"].map(|id| Reach::Workspace(id.to_owned()));
    for (reach, client_id, workspace) in [
        (&Reach::Platform, "cl_1", Some("acme")),
        (&Reach::Platform, "cl_0", Some("other")),
        (&acme, "cl_1", Some("acme")),
        (&other, "cl_1", None),
        (&Reach::Platform, "cl_9", None),
    ] {
        let found = change!(storage, tx => tx.workspace_of_client(reach, client_id));
        assert_eq!(found.as_deref(), workspace, "{client_id} for {reach:?}");
    }
}

async fn clients_that_may_have_tokens_of_an_algorithm_are_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    // The tokens of the sample client are signed with EdDSA; it was last changed a second after `NOW`.
    for (client_id, ordinal, signing_alg) in
        [("cl_0", "0002", None), ("cl_2", "0003", Some(Alg::RS256)), ("cl_a", "0004", Some(Alg::EdDSA))]
    {
        let other = ApiClient { signing_alg, ..client(client_id) };
        change!(storage, tx => tx.insert_client(&other, ordinal));
    }
    for (alg, since, expected) in [
        (Alg::EdDSA, NOW + 1, vec!["cl_0", "cl_1", "cl_a"]),
        (Alg::RS256, NOW + 1, vec!["cl_0", "cl_2"]),
        (Alg::ES256, NOW + 1, vec!["cl_0"]),
        // A client that was changed since may have had another algorithm before.
        (Alg::ES256, NOW, vec!["cl_0", "cl_1", "cl_2", "cl_a"]),
    ] {
        let found = change!(storage, tx => tx.client_ids_signed_by(alg, since, i64::MAX));
        assert_eq!(found, expected, "{alg} since {since}");
    }
    // A client whose generation began after the key was retired has no token signed with that key. The first generation began
    // when the client was created. Earlier versions did not store when a later generation began. If that is unknown, the client
    // is listed.
    let generation = client("cl_1").generation;
    assert!(generation > 1);
    for (client_id, generation) in [("cl_0", 1), ("cl_a", generation)] {
        let signing_alg = if client_id == "cl_0" { None } else { Some(Alg::EdDSA) };
        let changed = ApiClient { generation, signing_alg, ..client(client_id) };
        assert!(change!(storage, tx => tx.update_client(&changed)));
    }
    change!(storage, tx => tx.generation_began("cl_a", NOW + 100));
    for (until, expected) in [
        (NOW + 100, vec!["cl_0", "cl_1", "cl_a"]),
        (NOW + 99, vec!["cl_0", "cl_1"]),
        (client("cl_0").created_at - 1, vec!["cl_1"]),
    ] {
        let found = change!(storage, tx => tx.client_ids_signed_by(Alg::EdDSA, NOW + 1, until));
        assert_eq!(found, expected, "until {until}");
        assert_eq!(storage.client_ids_signed_by(Alg::EdDSA, NOW + 1, until).await.unwrap(), expected);
    }
}

async fn expired_clients_are_listed_until_their_slots_are_suspended(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (client_id, ordinal, expires_at, slots_suspended_at) in [
        ("cl_a", "0002", Some(NOW + 10), None),
        ("cl_B", "0003", Some(NOW + 5), None),
        ("cl_shown", "0004", Some(NOW + 5), Some(NOW + 6)),
        ("cl_never", "0005", None, None),
    ] {
        let other = ApiClient { expires_at, slots_suspended_at, ..client(client_id) };
        change!(storage, tx => tx.insert_client(&other, ordinal));
    }
    for (now, limit, expected) in [
        (NOW + 4, 10, vec![]),
        (NOW + 5, 10, vec!["cl_B"]),
        (NOW + 10, 10, vec!["cl_B", "cl_a"]),
        (NOW + 10, 1, vec!["cl_B"]),
    ] {
        assert_eq!(storage.expired_clients_not_suspended(now, limit).await.unwrap(), expected, "at {now}");
    }
}

async fn clients_without_a_slot_are_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (client_id, ordinal) in [("cl_a", "0002"), ("cl_B", "0003")] {
        let other = ApiClient { slot: None, ..client(client_id) };
        change!(storage, tx => tx.insert_client(&other, ordinal));
    }
    assert_eq!(storage.clients_without_slot(10).await.unwrap(), ["cl_B", "cl_a"]);
    assert_eq!(storage.clients_without_slot(1).await.unwrap(), ["cl_B"]);
    let slot = Some(Slot { list: 1, idx: 0 });
    for client_id in ["cl_a", "cl_B"] {
        change!(storage, tx => tx.update_client(&ApiClient { slot, ..client(client_id) }));
    }
    assert_eq!(storage.clients_without_slot(10).await.unwrap(), [""; 0]);
}
