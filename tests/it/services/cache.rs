//! The credential cache agrees with the database: at once in the process that makes a change, and after one poll in every other
//! process (`docs/revocation.md`).

use std::net::IpAddr;

use mintmark::clients::{ClientChange, NewSecret};
use mintmark::kernel::Precondition;
use mintmark::ledger::Freshness;
use mintmark::model::member::Member;
use mintmark::model::reach::Reach;
use mintmark::model::refusal::Refusal;
use mintmark::services::Services;
use mintmark::storage::Change;

use super::{Place, START, admin, erp, wanted};
use crate::support::{Engine, on_both_engines};

fn home() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

/// Why the client is refused; `None` if it is authenticated.
async fn refusal(services: &Services, client_id: &str, secret: &str) -> Option<Refusal> {
    services.clients.authenticate_secret(client_id, secret, home()).await.unwrap().err()
}

async fn a_change_applies_here_at_once_and_elsewhere_after_a_poll(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.services().await, place.services().await);
    let made = erp(&here).await;
    let (id, secret) = (made.record.client.client_id.as_str(), made.secret.expose());
    there.ledger.poll().await.unwrap();
    for services in [&here, &there] {
        assert_eq!(refusal(services, id, secret).await, None);
    }
    let only = |network: &str| ClientChange {
        allowed_ips: Member::Value(vec![network.to_owned()]),
        ..ClientChange::default()
    };
    let status =
        |status: &str| ClientChange { status: Member::Value(status.to_owned()), ..ClientChange::default() };
    let steps = [
        (only("203.0.113.0/24"), Some(Refusal::AddressNotAllowed)),
        (only("192.0.2.0/24"), None),
        (status("disabled"), Some(Refusal::ClientDisabled)),
        (status("active"), None),
    ];
    for (change, expected) in steps {
        let before = refusal(&there, id, secret).await;
        here.clients.change_client(&admin(), id, &Precondition::None, &change).await.unwrap();
        assert_eq!(refusal(&here, id, secret).await, expected, "{change:?}");
        assert_eq!(refusal(&there, id, secret).await, before, "the old state until the poll: {change:?}");
        there.ledger.poll().await.unwrap();
        assert_eq!(refusal(&there, id, secret).await, expected, "{change:?}");
    }

    // The products of a client are stored in their own rows, and not in the row of the client.
    here.clients.change_client(&admin(), id, &Precondition::None, &wanted("ERP", &["gst"])).await.unwrap();
    there.ledger.poll().await.unwrap();
    for services in [&here, &there] {
        let known = services.clients.credentials(id).await.unwrap().unwrap();
        assert_eq!((&*known.offer.whole.scope, known.generation), ("gst", 2));
    }

    // A secret is added, and then the old one is deleted.
    let second = here.clients.add_secret(&admin(), id, &NewSecret::default(), None).await.unwrap();
    assert_eq!(refusal(&here, id, second.secret.expose()).await, None);
    here.clients.delete_secret(&admin(), id, &made.record.secrets[0].secret_id, false).await.unwrap();
    there.ledger.poll().await.unwrap();
    for services in [&here, &there] {
        assert_eq!(refusal(services, id, secret).await, Some(Refusal::WrongSecret));
        assert_eq!(refusal(services, id, second.secret.expose()).await, None);
    }
    here.clients.delete_client(&admin(), id, &Precondition::None).await.unwrap();
    there.ledger.poll().await.unwrap();
    for services in [&here, &there] {
        assert_eq!(refusal(services, id, second.secret.expose()).await, Some(Refusal::UnknownClient));
    }
}

async fn a_workspace_or_product_changed_elsewhere_invalidates_its_clients(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let made = erp(&services).await;
    let (id, secret) = (made.record.client.client_id.as_str(), made.secret.expose());
    assert_eq!(refusal(&services, id, secret).await, None);

    let storage = place.storage().await;
    let mut tx = storage.begin().await.unwrap();
    let mut product = tx.lock_product("gst").await.unwrap().unwrap();
    product.audience = Some("https://gst.example".to_owned());
    assert!(tx.update_product(&product).await.unwrap());
    tx.changed(Change::Product("gst".to_owned()));
    tx.commit().await.unwrap();
    services.ledger.poll().await.unwrap();
    let known = services.clients.credentials(id).await.unwrap().unwrap();
    assert_eq!(&*known.offer.part("gst").unwrap().audience, "https://gst.example");

    let mut tx = storage.begin().await.unwrap();
    let mut workspace = tx.lock_workspace(&Reach::Platform, "acme").await.unwrap().unwrap();
    workspace.suspended_at = Some(START);
    assert!(tx.update_workspace(&workspace).await.unwrap());
    tx.changed(Change::Workspace("acme".to_owned()));
    tx.commit().await.unwrap();
    services.ledger.poll().await.unwrap();
    assert_eq!(refusal(&services, id, secret).await, Some(Refusal::WorkspaceSuspended));
}

async fn a_request_polls_when_the_last_poll_is_a_second_old(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.services().await, place.services().await);
    let made = erp(&here).await;
    let (id, secret) = (made.record.client.client_id.as_str(), made.secret.expose());
    assert_eq!(refusal(&there, id, secret).await, None);
    here.clients.delete_client(&admin(), id, &Precondition::None).await.unwrap();
    assert_eq!(there.ledger.freshness().await, Freshness::Confirmed);
    assert_eq!(refusal(&there, id, secret).await, None, "within the second, the cache may be out of date");
    place.clock.advance_millis(1000);
    assert_eq!(there.ledger.freshness().await, Freshness::Confirmed);
    assert_eq!(refusal(&there, id, secret).await, Some(Refusal::UnknownClient));
}

/// Cache fills race with changes of the same client. In any interleaving, the cache has the last change afterwards.
async fn no_fill_outlives_a_change_it_did_not_see(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let made = erp(&services).await;
    let id = made.record.client.client_id.as_str();
    for round in 1..=60 {
        let seconds = 60 + round;
        let change = ClientChange {
            token_expiry: Member::Value(mintmark::model::expiry::TokenExpiry::After { seconds }),
            ..ClientChange::default()
        };
        let admin = admin();
        let (changed, ..) = tokio::join!(
            services.clients.change_client(&admin, id, &Precondition::None, &change),
            services.clients.credentials(id),
            async {
                for _ in 0..8 {
                    services.clients.credentials(id).await.unwrap();
                }
            }
        );
        changed.unwrap();
        let known = services.clients.credentials(id).await.unwrap().unwrap();
        assert_eq!(known.token_expiry.seconds(), Some(seconds));
    }
}

on_both_engines!(
    a_change_applies_here_at_once_and_elsewhere_after_a_poll,
    a_workspace_or_product_changed_elsewhere_invalidates_its_clients,
    a_request_polls_when_the_last_poll_is_a_second_old,
    no_fill_outlives_a_change_it_did_not_see,
);
