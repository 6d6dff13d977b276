//! Secrets against the clock and against each other.

use std::net::IpAddr;

use futures_util::future::join_all;
use mintmark::model::clock::to_rfc3339;
use mintmark::model::secret::MAX_LIVE_SECRETS;
use mintmark::registry::{Error, NewSecret, Refusal, Registry};

use super::{Place, START, admin, erp};
use crate::support::{Engine, on_both_engines};

async fn refusal(registry: &Registry, client_id: &str, secret: &str) -> Option<Refusal> {
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    registry.authenticate_secret(client_id, secret, home).await.unwrap().err()
}

async fn ten_at_once_never_make_more_than_five(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (here, there) = (place.registry().await, place.registry().await);
    let id = erp(&here).await.record.client.client_id;
    let (admin, wanted) = (admin(), NewSecret::default());
    let adds = (0..10).map(|n| if n % 2 == 0 { &here } else { &there });
    let outcomes = join_all(adds.map(|registry| registry.add_secret(&admin, &id, &wanted, None))).await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(made, MAX_LIVE_SECRETS - 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict(_)))));
    let record = here.client(&admin, &id).await.unwrap();
    assert_eq!(record.secrets.len(), MAX_LIVE_SECRETS);
    assert_eq!(record.client.version, 1 + i64::try_from(made).unwrap());
}

/// No job runs here: the expiry is what the request finds.
async fn expiry_is_checked_at_use(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let registry = place.registry().await;
    let made = erp(&registry).await;
    let (id, old) = (made.record.client.client_id.as_str(), made.secret.expose());
    place.clock.advance_millis(1);
    let ending = NewSecret { expires_at: Some(to_rfc3339(START + 10)), ..NewSecret::default() };
    let ending = registry.add_secret(&admin(), id, &ending, None).await.unwrap().secret;
    place.clock.advance_millis(1);
    let rotated = NewSecret { expire_others_after_seconds: Some(60), ..NewSecret::default() };
    let new = registry.add_secret(&admin(), id, &rotated, None).await.unwrap().secret;
    let ends = registry.client(&admin(), id).await.unwrap().secrets;
    let ends: Vec<Option<i64>> = ends.into_iter().map(|secret| secret.expires_at).collect();
    assert_eq!(ends, [Some(START + 60), Some(START + 10), None], "one that ends sooner keeps its end");

    place.clock.advance(9);
    for secret in [old, ending.expose(), new.expose()] {
        assert_eq!(refusal(&registry, id, secret).await, None);
    }
    place.clock.advance(1);
    assert_eq!(refusal(&registry, id, ending.expose()).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&registry, id, old).await, None);
    place.clock.advance(50);
    assert_eq!(refusal(&registry, id, old).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&registry, id, new.expose()).await, None);
    assert_eq!(registry.client(&admin(), id).await.unwrap().secrets.len(), 1);

    // Ended at once, and their records cleared by the next.
    let at_once = NewSecret { expire_others_after_seconds: Some(0), ..NewSecret::default() };
    let last = registry.add_secret(&admin(), id, &at_once, None).await.unwrap().secret;
    assert_eq!(refusal(&registry, id, new.expose()).await, Some(Refusal::ExpiredSecret));
    assert_eq!(refusal(&registry, id, last.expose()).await, None);
    registry.add_secret(&admin(), id, &NewSecret::default(), None).await.unwrap();
    let storage = place.storage().await;
    assert_eq!(storage.credentials(id).await.unwrap().0.unwrap().secrets.len(), 2);
    assert_eq!(refusal(&registry, id, new.expose()).await, Some(Refusal::WrongSecret));
}

async fn the_last_use_shows_at_once_and_is_written_later(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let registry = place.registry().await;
    let made = erp(&registry).await;
    let (id, secret) = (made.record.client.client_id.as_str(), made.secret.expose());
    place.clock.advance(5);
    assert_eq!(refusal(&registry, id, secret).await, None);
    let shown = registry.client(&admin(), id).await.unwrap();
    assert_eq!(shown.secrets[0].last_used_at, Some(START + 5));
    let elsewhere = place.registry().await;
    assert_eq!(elsewhere.client(&admin(), id).await.unwrap().secrets[0].last_used_at, None);
    registry.write_last_used().await.unwrap();
    assert_eq!(elsewhere.client(&admin(), id).await.unwrap().secrets[0].last_used_at, Some(START + 5));
    assert_eq!(registry.client(&admin(), id).await.unwrap(), shown, "no version, no other change");
    // A refused secret is no use of it.
    place.clock.advance(5);
    assert_eq!(refusal(&elsewhere, id, made.secret.expose()).await, None);
    let wrong = mintmark::model::secret::PlainSecret::from_random(&[1; 32]);
    assert_eq!(refusal(&registry, id, wrong.expose()).await, Some(Refusal::WrongSecret));
    assert_eq!(registry.client(&admin(), id).await.unwrap().secrets[0].last_used_at, Some(START + 5));
}

on_both_engines!(
    ten_at_once_never_make_more_than_five,
    expiry_is_checked_at_use,
    the_last_use_shows_at_once_and_is_written_later,
);
