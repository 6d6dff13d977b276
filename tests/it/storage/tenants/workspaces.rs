//! Workspaces, and which of them a reach includes.

use mintmark::model::client::ApiClient;
use mintmark::model::reach::Reach;
use mintmark::model::workspace::Workspace;

use crate::storage::samples::{NOW, change, client, page, stocked, workspace};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    a_workspace_is_stored_with_all_members,
    a_reach_ends_at_its_workspace,
    pages_are_in_the_order_of_the_bytes_of_the_id,
    a_workspace_is_changed_under_its_lock,
    a_deleted_workspace_is_not_found_and_its_id_is_not_free,
    the_clients_of_a_workspace_are_counted,
    the_clients_of_each_product_are_counted,
);

fn own(id: &str) -> Reach {
    Reach::Workspace(id.to_owned())
}

async fn a_workspace_is_stored_with_all_members(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let every_product =
        Workspace { description: None, products_allowed: None, suspended_at: Some(NOW), ..workspace("all") };
    let no_product =
        Workspace { products_allowed: Some(Vec::new()), never_expires_allowed: false, ..workspace("none") };
    for workspace in [workspace("acme"), every_product, no_product] {
        assert!(change!(storage, tx => tx.insert_workspace(&workspace)));
        let found = storage.workspace(&Reach::Platform, &workspace.workspace_id).await.unwrap();
        assert_eq!(found, Some(workspace));
    }
    let again = Workspace { name: "Another".to_owned(), ..workspace("acme") };
    assert!(!change!(storage, tx => tx.insert_workspace(&again)));
    assert_eq!(storage.workspace(&Reach::Platform, "acme").await.unwrap(), Some(workspace("acme")));
}

async fn a_reach_ends_at_its_workspace(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert_eq!(storage.workspace(&own("acme"), "acme").await.unwrap(), Some(workspace("acme")));
    assert_eq!(storage.workspace(&own("acme"), "other").await.unwrap(), None);
    assert_eq!(storage.workspaces(&own("acme"), &page(50, None)).await.unwrap().items, [workspace("acme")]);
    assert_eq!(storage.workspaces(&own("none"), &page(50, None)).await.unwrap().items, []);
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.lock_workspace(&own("acme"), "other").await.unwrap(), None);
    assert_eq!(tx.lock_workspace(&own("acme"), "acme").await.unwrap(), Some(workspace("acme")));
    assert_eq!(tx.share_workspace(&own("acme"), "other").await.unwrap(), None);
    assert_eq!(tx.share_workspace(&own("acme"), "acme").await.unwrap(), Some(workspace("acme")));
    assert_eq!(tx.share_workspace(&Reach::Platform, "none").await.unwrap(), None);
    tx.rollback().await.unwrap();
}

async fn pages_are_in_the_order_of_the_bytes_of_the_id(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let sorted = ["-a", "0", "B", "_a", "a", "b"];
    for id in ["b", "a", "_a", "B", "-a", "0"] {
        change!(storage, tx => tx.insert_workspace(&workspace(id)));
    }
    let mut seen = Vec::new();
    let mut after = None;
    for _ in 0..20 {
        let items = storage.workspaces(&Reach::Platform, &page(4, after.as_deref())).await.unwrap();
        seen.extend(items.items.into_iter().map(|workspace| workspace.workspace_id));
        after = items.next_after;
        if after.is_none() {
            break;
        }
        assert_eq!(after.as_deref(), Some("_a"));
    }
    assert_eq!(seen, sorted);
}

async fn a_workspace_is_changed_under_its_lock(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    let found = tx.lock_workspace(&Reach::Platform, "acme").await.unwrap().unwrap();
    let changed = Workspace {
        name: "Acme".to_owned(),
        description: Some("Another".to_owned()),
        suspended_at: Some(NOW + 50),
        never_expires_allowed: false,
        products_allowed: None,
        updated_at: NOW + 50,
        version: 5,
        ..found
    };
    assert!(tx.update_workspace(&changed).await.unwrap());
    assert!(!tx.update_workspace(&workspace("none")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(storage.workspace(&Reach::Platform, "acme").await.unwrap(), Some(changed));
    assert_eq!(storage.workspace(&Reach::Platform, "other").await.unwrap(), Some(workspace("other")));
}

async fn a_deleted_workspace_is_not_found_and_its_id_is_not_free(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    assert!(change!(storage, tx => tx.delete_workspace("other", NOW + 60)));
    assert!(!change!(storage, tx => tx.delete_workspace("other", NOW + 61)));
    assert!(!change!(storage, tx => tx.delete_workspace("none", NOW + 61)));
    assert_eq!(storage.workspace(&Reach::Platform, "other").await.unwrap(), None);
    assert_eq!(
        storage.workspaces(&Reach::Platform, &page(50, None)).await.unwrap().items,
        [workspace("acme")]
    );
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.lock_workspace(&Reach::Platform, "other").await.unwrap(), None);
    assert!(!tx.update_workspace(&workspace("other")).await.unwrap());
    assert!(!tx.insert_workspace(&workspace("other")).await.unwrap());
    tx.rollback().await.unwrap();
}

async fn the_clients_of_a_workspace_are_counted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.count_workspace_clients("acme").await.unwrap(), 1);
    assert_eq!(tx.count_workspace_clients("other").await.unwrap(), 0);
    tx.rollback().await.unwrap();
}

async fn the_clients_of_each_product_are_counted(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.insert_client(&client("cl_2"), "0002"));
    change!(storage, tx => tx.ungrant_products("cl_2", &["e-invoicing"]));
    let elsewhere = ApiClient { workspace_id: "other".to_owned(), ..client("cl_3") };
    change!(storage, tx => tx.insert_client(&elsewhere, "0003"));
    let held = change!(storage, tx => tx.products_held("acme"));
    assert_eq!(held, [("e-invoicing".to_owned(), 1), ("gst".to_owned(), 2)]);
    assert_eq!(change!(storage, tx => tx.products_held("none")), []);
}
