//! What a change of a client writes, two concurrent changes, and the filter by label.

use mintmark::clients::{ClientChange, ClientFilter, ClientSort};
use mintmark::kernel::{Error, Precondition};
use mintmark::model::member::Member;
use mintmark::model::page::Page;
use mintmark::model::reach::Reach;
use mintmark::storage::{AuditFilter, Change};
use serde_json::{Value, json};

use super::{Place, admin, erp, wanted};
use crate::support::{Engine, on_both_engines, outcome_after};

fn contacts(addresses: &[&str]) -> ClientChange {
    ClientChange {
        notification_emails: Member::Value(addresses.iter().map(|&address| address.to_owned()).collect()),
        ..ClientChange::default()
    }
}

async fn newest_event(place: &Place, client_id: &str) -> (String, Value) {
    let filter = AuditFilter { client_id: Some(client_id.to_owned()), ..AuditFilter::default() };
    let page = Page::first(1);
    let event = place.storage().await.audit_events(&Reach::Platform, &filter, &page).await.unwrap();
    let event = event.items.into_iter().next().unwrap().event;
    (event.action, Value::Object(event.detail))
}

async fn a_change_is_audited_and_mailed_to_old_and_new_contacts(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let id = erp(&services).await.record.client.client_id;
    place.clock.advance_millis(1);
    services
        .clients
        .change_client(&admin(), &id, &Precondition::None, &contacts(&["a@acme.example"]))
        .await
        .unwrap();
    // Long enough that two mails of the same kind are not merged into one.
    place.clock.advance(60);
    let record = services
        .clients
        .change_client(&admin(), &id, &Precondition::None, &contacts(&["b@acme.example"]))
        .await
        .unwrap();
    let client = record.record.client;
    assert_eq!((client.version, client.generation), (3, 1));
    let (action, detail) = newest_event(&place, &id).await;
    assert_eq!(action, "client.updated");
    let addresses = json!({ "old": ["a@acme.example"], "new": ["b@acme.example"] });
    assert_eq!(detail, json!({ "changed": { "notification_emails": addresses } }));
    let mails = place.storage().await.mails_about(&id).await.unwrap();
    let mut recipients: Vec<&str> = mails.iter().map(|(_, recipient)| recipient.as_str()).collect();
    recipients.sort_unstable();
    assert_eq!(recipients, ["a@acme.example", "a@acme.example", "b@acme.example"]);
}

async fn a_change_of_nothing_writes_nothing(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let id = erp(&services).await.record.client.client_id;
    services
        .clients
        .change_client(&admin(), &id, &Precondition::None, &contacts(&["a@acme.example"]))
        .await
        .unwrap();
    let before = services.clients.client(&admin(), &id).await.unwrap();
    let seq = place.storage().await.change_seq().await.unwrap();
    place.clock.advance(60);
    let same = ClientChange {
        notification_emails: contacts(&["a@acme.example"]).notification_emails,
        token_expiry: Member::Null,
        status: Member::Value("active".to_owned()),
        metadata: Member::Value([("gone".to_owned(), None)].into()),
        ..wanted("ERP", &["gst", "e-invoicing"])
    };
    assert_eq!(
        services.clients.change_client(&admin(), &id, &Precondition::None, &same).await.unwrap().record,
        before
    );
    assert_eq!(services.clients.client(&admin(), &id).await.unwrap(), before);
    let storage = place.storage().await;
    assert_eq!(storage.change_seq().await.unwrap(), seq);
    assert_eq!(storage.mails_about(&id).await.unwrap().len(), 1);
}

/// The second change waits for the first, and then sees its grants.
async fn a_change_that_waited_sees_the_new_grants(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let id = erp(&services).await.record.client.client_id;
    let storage = place.storage().await;
    let mut first = storage.begin().await.unwrap();
    assert!(first.lock_client(&Reach::Platform, &id).await.unwrap().is_some());
    first.ungrant_products(&id, &["gst"]).await.unwrap();
    first.changed(Change::Client(id.clone()));

    let (admin, change) =
        (admin(), ClientChange { label: Member::Value("Renamed".to_owned()), ..Default::default() });
    let second = services.clients.change_client(&admin, &id, &Precondition::None, &change);
    let committing = async { drop(first.commit().await.unwrap()) };
    let client = outcome_after(&place.database, second, committing).await.unwrap().record.client;
    assert_eq!(client.products, ["e-invoicing"]);
    assert_eq!((client.generation, client.label.as_str()), (1, "Renamed"));
}

async fn of_two_changes_of_one_version_one_is_refused(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.services().await, place.services().await);
    let id = erp(&here).await.record.client.client_id;
    let first = Precondition::Versions(vec![1]);
    let (admin, one, other) = (admin(), contacts(&["a@acme.example"]), contacts(&["b@acme.example"]));
    let (one, other) = tokio::join!(
        here.clients.change_client(&admin, &id, &first, &one),
        there.clients.change_client(&admin, &id, &first, &other)
    );
    assert!(
        matches!((&one, &other), (Ok(_), Err(Error::Changed)) | (Err(Error::Changed), Ok(_))),
        "{one:?} {other:?}"
    );
}

async fn the_label_filter_ignores_the_case_of_ascii_only_and_has_no_wildcards(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    for label in ["SAP 100%", "sap_x", "ÄRGER", "Straße!"] {
        services.clients.create_client(&admin(), "acme", &wanted(label, &["gst"]), None).await.unwrap();
    }
    let page = Page::first(50);
    for (text, found) in [
        ("sap", vec!["sap_x", "SAP 100%"]),
        ("%", vec!["SAP 100%"]),
        ("_", vec!["sap_x"]),
        ("!", vec!["Straße!"]),
        ("ÄRg", vec!["ÄRGER"]),
        ("ärg", vec![]),
        ("\0", vec![]),
    ] {
        let filter = ClientFilter { label: Some(text.to_owned()), ..ClientFilter::default() };
        let listed = services
            .clients
            .clients(&admin(), Some("acme"), &filter, ClientSort::default(), &page)
            .await
            .unwrap();
        let labels: Vec<&str> = listed.items.iter().map(|record| record.client.label.as_str()).collect();
        assert_eq!(labels.len(), found.len(), "{text}: {labels:?}");
        assert!(found.iter().all(|label| labels.contains(label)), "{text}: {labels:?}");
    }
}

on_both_engines!(
    a_change_is_audited_and_mailed_to_old_and_new_contacts,
    a_change_of_nothing_writes_nothing,
    a_change_that_waited_sees_the_new_grants,
    of_two_changes_of_one_version_one_is_refused,
    the_label_filter_ignores_the_case_of_ascii_only_and_has_no_wildcards,
);
