//! The first management client: `bootstrap` creates it once, even if it runs again or several times at once. A process that
//! starts uses the signing keys that another one makes at the same time.

use std::net::IpAddr;

use mintmark::kernel::Manager;
use mintmark::model::page::Page;
use mintmark::model::reach::Reach;
use mintmark::model::scope::Permission;
use mintmark::model::secret::is_well_formed;
use mintmark::storage::{AuditFilter, Change};

use super::{Place, admin};
use crate::support::{Engine, on_both_engines, outcome_after};

async fn a_second_run_changes_nothing_and_shows_no_secret(engine: Engine) {
    let place = Place::new(engine);
    let services = place.services().await;
    let first = services.tenants.bootstrap(&Manager::command_line()).await.unwrap();
    let secret = first.client_secret.unwrap();
    assert!(is_well_formed(secret.expose()));
    assert_eq!(first.workspace_id, "platform");
    let client = services.clients.client(&admin(), &first.client_id).await.unwrap().client;
    assert_eq!(
        (client.label.as_str(), client.permissions.as_slice()),
        ("bootstrap", Permission::ALL.as_slice())
    );
    assert!(client.products.is_empty());
    let home: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(
        services.clients.authenticate_secret(&first.client_id, secret.expose(), home).await.unwrap().is_ok()
    );

    let trail = events(&place).await;
    let second = place.services().await.tenants.bootstrap(&Manager::command_line()).await.unwrap();
    assert!(second.client_secret.is_none());
    assert_eq!((second.client_id, second.workspace_id), (first.client_id, first.workspace_id));
    assert_eq!(events(&place).await, trail);
    assert_eq!(trail.iter().filter(|action| *action == "client.created").count(), 1);
    assert_eq!(trail.iter().filter(|action| *action == "workspace.created").count(), 1);
}

async fn several_runs_at_the_same_time_create_one_client(engine: Engine) {
    let place = Place::new(engine);
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let services = place.services().await;
        runs.spawn(async move { services.tenants.bootstrap(&Manager::command_line()).await.unwrap() });
    }
    let made = runs.join_all().await;
    assert_eq!(made.iter().filter(|made| made.client_secret.is_some()).count(), 1);
    assert!(made.iter().all(|one| one.client_id == made[0].client_id));
}

/// A process that starts reads the keys before it waits for another one, and has to read them again afterwards.
async fn a_process_that_waited_for_another_uses_the_keys_of_the_other(engine: Engine) {
    let place = Place::new(engine);
    drop(place.core().await);
    let storage = place.storage().await;
    let (keys, _) = storage.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    place.database.execute("DELETE FROM signing_keys").await;
    let mut tx = storage.begin().await.unwrap();
    tx.serialise_key_changes().await.unwrap();
    let other = async {
        for key in &keys {
            assert!(tx.insert_signing_key(key).await.unwrap());
        }
        tx.changed(Change::SigningKeys);
        tx.commit().await.unwrap();
    };
    let started = outcome_after(&place.database, place.core(), other).await;
    assert_eq!(started.services.signing.missing_signing_keys(), None);
}

async fn events(place: &Place) -> Vec<String> {
    let page = Page::first(200);
    let trail =
        place.storage().await.audit_events(&Reach::Platform, &AuditFilter::default(), &page).await.unwrap();
    trail.items.into_iter().map(|event| event.event.action).collect()
}

on_both_engines!(
    a_second_run_changes_nothing_and_shows_no_secret,
    several_runs_at_the_same_time_create_one_client,
    a_process_that_waited_for_another_uses_the_keys_of_the_other,
);
