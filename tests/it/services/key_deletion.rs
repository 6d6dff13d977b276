//! A signing key is deleted while a token that it signed is being recorded, or before the token is recorded.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::client::ActiveTokens;
use mintmark::model::key::{Phase, SigningKey, UseFor};
use mintmark::model::reach::Reach;
use mintmark::model::token::RecordedToken;
use mintmark::storage::{IssueCheck, IssueGuard};

use super::{Place, START, admin, erp};
use crate::support::{Engine, on_both_engines, outcome_after};

on_both_engines!(
    a_token_that_is_being_recorded_is_revoked_with_its_key,
    no_token_of_a_deleted_key_is_recorded
);

/// A token of a new client, signed by the active key for expiring tokens and not recorded yet.
async fn token(place: &Place, jti: &str) -> RecordedToken {
    let services = place.services().await;
    let client = erp(&services).await.record.client;
    let (keys, _) = place.storage().await.signing_keys().await.unwrap();
    let signing = keys.into_iter().find(|key| key.use_for == UseFor::Expiring && key.phase == Phase::Active);
    RecordedToken {
        jti: jti.to_owned(),
        client_id: client.client_id,
        workspace_id: client.workspace_id.into(),
        kid: signing.unwrap().kid.into(),
        generation: client.generation,
        scope: "gst".into(),
        products: "gst".into(),
        issued_at: START,
        expires_at: Some(START + 100_000),
        revoked_at: None,
        revoke_at: None,
        slot: None,
        last_introspected_at: None,
        issued_by: "client".into(),
    }
}

const GUARD: IssueGuard = IssueGuard { proof: None, now: START, replaces: false };

async fn a_token_that_is_being_recorded_is_revoked_with_its_key(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let (services, storage) = (place.services().await, place.storage().await);
    let token = token(&place, "being recorded").await;
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.may_issue(&token, &GUARD).await.unwrap(), IssueCheck::Allowed);
    tx.insert_recorded_token(&token).await.unwrap();

    let (admin, any) = (admin(), Precondition::None);
    let deleting = services.signing.delete_signing_key(&admin, &token.kid, true, &any);
    outcome_after(&place.database, deleting, async { drop(tx.commit().await.unwrap()) }).await.unwrap();
    assert_eq!(storage.live_tokens_by_kid(START).await.unwrap(), []);
}

async fn no_token_of_a_deleted_key_is_recorded(engine: Engine) {
    let place = Place::new(engine);
    place.furnish().await;
    let services = place.services().await;
    let token = token(&place, "too late").await;
    services.signing.delete_signing_key(&admin(), &token.kid, true, &Precondition::None).await.unwrap();
    assert_eq!(
        services.tokens.record_token(token.clone(), ActiveTokens::Many, GUARD).outcome().await.unwrap(),
        IssueCheck::KeyNotSigning
    );
    let again = services.signing.delete_signing_key(&admin(), &token.kid, true, &Precondition::None).await;
    assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
}

/// The deletion locks the clients of the recorded tokens of the key, here that of `first`. It does not know the client of
/// `second`, which is being recorded. The recording transaction then waits for the client of `first`, and the deletion for that
/// transaction. PostgreSQL ends the deadlock by rolling the deletion back.
#[tokio::test]
async fn a_deletion_that_lost_a_deadlock_is_repeated() {
    let place = Place::new(Engine::Postgres);
    place.furnish().await;
    let (services, storage) = (place.services().await, place.storage().await);
    let (keys, _) = storage.signing_keys().await.unwrap();
    let lasting = |key: &&SigningKey| key.use_for == UseFor::NeverExpiring && key.phase == Phase::Active;
    let kid = keys.iter().find(lasting).unwrap().kid.clone();
    let never_expiring = |token| RecordedToken { kid: kid.clone().into(), expires_at: None, ..token };
    let (first, second) =
        (never_expiring(token(&place, "first").await), never_expiring(token(&place, "second").await));
    let mut tx = storage.begin().await.unwrap();
    tx.insert_recorded_token(&first).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.may_issue(&second, &GUARD).await.unwrap(), IssueCheck::Allowed);
    tx.insert_recorded_token(&second).await.unwrap();
    let (admin, any) = (admin(), Precondition::None);
    let deleting = services.signing.delete_signing_key(&admin, &kid, true, &any);
    let recording = async {
        tx.lock_client(&Reach::Platform, &first.client_id).await.unwrap().unwrap();
        tx.commit().await.unwrap();
    };
    assert_eq!(outcome_after(&place.database, deleting, recording).await.unwrap(), 2);
    assert_eq!(storage.live_tokens_by_kid(START).await.unwrap(), []);
}
