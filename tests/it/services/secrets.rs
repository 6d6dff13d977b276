//! Client secrets: how many there may be, when they expire, and when they were last used.

use std::net::IpAddr;

use futures_util::future::join_all;
use mintmark::clients::NewSecret;
use mintmark::kernel::Error;
use mintmark::model::clock::to_rfc3339;
use mintmark::model::refusal::Refusal;
use mintmark::model::secret::MAX_LIVE_SECRETS;
use mintmark::services::Services;

use super::{Place, START, admin, erp};
use crate::support::{Engine, on_both_engines};

async fn refusal(services: &Services, client_id: &str, secret: &str) -> Option<Refusal> {
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    services.clients.authenticate_secret(client_id, secret, home).await.unwrap().err()
}

async fn ten_requests_at_once_make_no_more_than_five_secrets(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.services().await, place.services().await);
    let id = erp(&here).await.record.client.client_id;
    let (admin, wanted) = (admin(), NewSecret::default());
    let adds = (0..10).map(|n| if n % 2 == 0 { &here } else { &there });
    let outcomes =
        join_all(adds.map(|services| services.clients.add_secret(&admin, &id, &wanted, None))).await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(made, MAX_LIVE_SECRETS - 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict(_)))));
    let record = here.clients.client(&admin, &id).await.unwrap();
    assert_eq!(record.secrets.len(), MAX_LIVE_SECRETS);
    assert_eq!(record.client.version, 1 + i64::try_from(made).unwrap());
}

/// No job runs here: the request itself checks the expiry.
async fn expiry_is_checked_at_use(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let made = erp(&services).await;
    let (id, old) = (made.record.client.client_id.as_str(), made.secret.expose());
    place.clock.advance_millis(1);
    let ending = NewSecret { expires_at: Some(to_rfc3339(START + 10)), ..NewSecret::default() };
    let ending = services.clients.add_secret(&admin(), id, &ending, None).await.unwrap().secret;
    place.clock.advance_millis(1);
    let rotated = NewSecret { expire_others_after_seconds: Some(60), ..NewSecret::default() };
    let new = services.clients.add_secret(&admin(), id, &rotated, None).await.unwrap().secret;
    // Oldest first: `old`, `ending`, `new`.
    let ends = services.clients.client(&admin(), id).await.unwrap().secrets;
    let ends: Vec<Option<i64>> = ends.into_iter().map(|secret| secret.expires_at).collect();
    assert_eq!(ends, [Some(START + 60), Some(START + 10), None], "a secret that ends sooner keeps its end");

    place.clock.advance(9);
    for secret in [old, ending.expose(), new.expose()] {
        assert_eq!(refusal(&services, id, secret).await, None);
    }
    place.clock.advance(1);
    assert_eq!(refusal(&services, id, ending.expose()).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&services, id, old).await, None);
    place.clock.advance(50);
    assert_eq!(refusal(&services, id, old).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&services, id, new.expose()).await, None);
    assert_eq!(services.clients.client(&admin(), id).await.unwrap().secrets.len(), 1);

    // The other secrets expire at once, and the next creation deletes their records.
    let at_once = NewSecret { expire_others_after_seconds: Some(0), ..NewSecret::default() };
    let last = services.clients.add_secret(&admin(), id, &at_once, None).await.unwrap().secret;
    assert_eq!(refusal(&services, id, new.expose()).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&services, id, last.expose()).await, None);
    services.clients.add_secret(&admin(), id, &NewSecret::default(), None).await.unwrap();
    let storage = place.storage().await;
    assert_eq!(storage.credentials(id).await.unwrap().0.unwrap().secrets.len(), 2);
    assert_eq!(refusal(&services, id, new.expose()).await, Some(Refusal::WrongSecret));
}

async fn the_last_use_shows_at_once_and_is_written_later(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let made = erp(&services).await;
    let (id, secret) = (made.record.client.client_id.as_str(), made.secret.expose());
    place.clock.advance(5);
    assert_eq!(refusal(&services, id, secret).await, None);
    let shown = services.clients.client(&admin(), id).await.unwrap();
    assert_eq!(shown.secrets[0].last_used_at, Some(START + 5));
    let elsewhere = place.services().await;
    assert_eq!(elsewhere.clients.client(&admin(), id).await.unwrap().secrets[0].last_used_at, None);
    services.write_last_used().await.unwrap();
    assert_eq!(
        elsewhere.clients.client(&admin(), id).await.unwrap().secrets[0].last_used_at,
        Some(START + 5)
    );
    assert_eq!(services.clients.client(&admin(), id).await.unwrap(), shown, "nothing else changed");
    // A use in another process is not shown before it is written, and a refused request is not a use.
    place.clock.advance(5);
    assert_eq!(refusal(&elsewhere, id, made.secret.expose()).await, None);
    let wrong = mintmark::model::secret::PlainSecret::from_random(&[1; 32]);
    assert_eq!(refusal(&services, id, wrong.expose()).await, Some(Refusal::WrongSecret));
    assert_eq!(services.clients.client(&admin(), id).await.unwrap().secrets[0].last_used_at, Some(START + 5));
}

on_both_engines!(
    ten_requests_at_once_make_no_more_than_five_secrets,
    expiry_is_checked_at_use,
    the_last_use_shows_at_once_and_is_written_later,
);
