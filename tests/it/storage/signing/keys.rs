//! Signing keys, and the tokens that are signed with them.

use mintmark::model::key::{Alg, Phase, SigningKey, UseFor};
use mintmark::model::token::RecordedToken;
use mintmark::storage::{Change, Changes, IssueCheck, IssueGuard};

use crate::storage::samples::{NOW, change, signing_key, stocked, token};
use crate::support::{Engine, TestDatabase, on_both_engines, outcome_after};

on_both_engines!(
    a_key_is_stored_with_all_members,
    a_kid_is_never_used_twice,
    a_key_is_retired_and_loses_its_private_key,
    keys_that_are_not_gone_are_listed_oldest_first_with_the_counter,
    live_tokens_are_counted_by_key,
    keys_whose_kids_begin_alike_do_not_share_tokens,
    the_clients_with_most_tokens_of_a_key_are_listed,
    keys_whose_tokens_are_being_revoked_are_found,
    work_on_keys_takes_turns,
    a_lock_on_a_key_waits_for_tokens_being_recorded,
);

async fn a_key_is_stored_with_all_members(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let phases = [Phase::Pending, Phase::Active, Phase::Retiring, Phase::Gone];
    for (alg, phase) in Alg::ALL.into_iter().zip(phases) {
        for use_for in UseFor::ALL {
            let key = SigningKey {
                alg,
                use_for,
                phase,
                sealed_private: None,
                retired_at: Some(NOW + 7),
                ..signing_key(&format!("{alg}-{}", use_for.as_str()))
            };
            assert!(change!(storage, tx => tx.insert_signing_key(&key)));
            assert!(storage.signing_key(&key.kid).await.unwrap().unwrap() == key, "{key:?}");
        }
    }
    assert!(change!(storage, tx => tx.insert_signing_key(&signing_key("k1"))));
    assert!(storage.signing_key("k1").await.unwrap().unwrap() == signing_key("k1"));
    assert!(storage.signing_key("none").await.unwrap().is_none());
}

async fn a_kid_is_never_used_twice(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let again = SigningKey { alg: Alg::EdDSA, ..signing_key("k1") };
    assert!(!change!(storage, tx => tx.insert_signing_key(&again)));
    let gone = SigningKey { phase: Phase::Gone, ..signing_key("k1") };
    assert!(change!(storage, tx => tx.update_signing_key(&gone)));
    assert!(!change!(storage, tx => tx.insert_signing_key(&again)));
    assert!(storage.signing_key("k1").await.unwrap().unwrap() == gone);
}

async fn a_key_is_retired_and_loses_its_private_key(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let retiring = SigningKey {
        phase: Phase::Retiring,
        sealed_private: None,
        activates_at: NOW + 1,
        retired_at: Some(NOW + 9),
        version: 2,
        ..signing_key("k1")
    };
    assert!(change!(storage, tx => tx.update_signing_key(&retiring)));
    assert!(!change!(storage, tx => tx.update_signing_key(&signing_key("none"))));
    assert!(storage.signing_key("k1").await.unwrap().unwrap() == retiring);
}

async fn keys_that_are_not_gone_are_listed_oldest_first_with_the_counter(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    for (kid, created_at, phase) in
        [("old", NOW - 1, Phase::Retiring), ("K1", NOW, Phase::Pending), ("gone", NOW - 2, Phase::Gone)]
    {
        tx.insert_signing_key(&SigningKey { created_at, phase, ..signing_key(kid) }).await.unwrap();
    }
    let kids = |keys: Vec<SigningKey>| keys.into_iter().map(|key| key.kid).collect::<Vec<_>>();
    assert_eq!(kids(tx.signing_keys().await.unwrap()), ["old", "K1", "k1"]);
    tx.changed(Change::SigningKeys);
    let Changes::These { seq, .. } = tx.commit().await.unwrap() else { panic!("these changes are known") };
    let (keys, read_at) = storage.signing_keys().await.unwrap();
    assert_eq!((kids(keys), read_at), (vec!["old".into(), "K1".into(), "k1".into()], seq));
}

async fn live_tokens_are_counted_by_key(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.insert_signing_key(&signing_key("k2")).await.unwrap());
    for recorded in [
        token("live"),
        RecordedToken { expires_at: None, ..token("never expires") },
        RecordedToken { expires_at: Some(NOW), ..token("just over") },
        RecordedToken { revoked_at: Some(NOW), ..token("revoked") },
        RecordedToken { kid: "k2".into(), ..token("by another key") },
    ] {
        tx.insert_recorded_token(&recorded).await.unwrap();
    }
    let mut counts = tx.live_tokens_by_kid(NOW).await.unwrap();
    counts.sort();
    assert_eq!(counts, [("k1".to_owned(), 2), ("k2".to_owned(), 1)]);
    for (kid, now, lives) in [
        ("k1", NOW, true),
        ("k1", NOW + 100_000, true),
        ("k2", NOW, true),
        ("k2", NOW + 100_000, false),
        ("k3", NOW, false),
    ] {
        assert_eq!(tx.key_has_live_tokens(kid, now).await.unwrap(), lives, "{kid} at {now}");
    }
    tx.commit().await.unwrap();
    assert_eq!(storage.live_tokens_by_kid(NOW + 100_000).await.unwrap(), [("k1".to_owned(), 1)]);
}

/// The index that finds the tokens of a key has only the first eight characters of the kid.
async fn keys_whose_kids_begin_alike_do_not_share_tokens(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let (one, other) = ("12345678-one", "12345678-other");
    let mut tx = storage.begin().await.unwrap();
    for kid in [one, other] {
        assert!(tx.insert_signing_key(&signing_key(kid)).await.unwrap());
    }
    let of_one = RecordedToken { kid: one.into(), ..token("of one") };
    tx.insert_recorded_token(&of_one).await.unwrap();
    assert_eq!(tx.live_tokens_by_kid(NOW).await.unwrap(), [(one.to_owned(), 1)]);
    for (kid, count) in [(one, 1), (other, 0), ("12345678", 0)] {
        assert_eq!(tx.key_has_live_tokens(kid, NOW).await.unwrap(), count == 1, "{kid}");
        assert_eq!(tx.holders_of_key(kid, NOW).await.unwrap().len(), count, "{kid}");
        assert_eq!(tx.clients_with_tokens_of_key(kid, NOW).await.unwrap().len(), count, "{kid}");
    }
    for (kid, revoked) in [(other, 0), ("12345678", 0), (one, 1)] {
        assert_eq!(tx.revoke_tokens_of_key(kid, NOW).await.unwrap().len(), revoked, "{kid}");
    }
    tx.commit().await.unwrap();
}

async fn the_clients_with_most_tokens_of_a_key_are_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let mut tx = storage.begin().await.unwrap();
    // Client number n has n live tokens. `cl_00` has tokens that do not count: a revoked one, an expired one, and one signed
    // with another key.
    for client in 1..=11 {
        for number in 0..client {
            let client_id = format!("cl_{client:02}");
            tx.insert_recorded_token(&RecordedToken { client_id, ..token(&format!("{client}/{number}")) })
                .await
                .unwrap();
        }
    }
    let client_id = "cl_00".to_owned();
    for ended in [
        RecordedToken { revoked_at: Some(NOW), ..token("revoked") },
        RecordedToken { expires_at: Some(NOW), ..token("over") },
        RecordedToken { kid: "k2".into(), ..token("by another key") },
    ] {
        tx.insert_recorded_token(&RecordedToken { client_id: client_id.clone(), ..ended }).await.unwrap();
    }
    // Only the ten clients with the most tokens are listed.
    let expected: Vec<_> = (2..=11).rev().map(|client| (format!("cl_{client:02}"), client)).collect();
    assert_eq!(tx.holders_of_key("k1", NOW).await.unwrap(), expected);
    assert_eq!(tx.holders_of_key("k2", NOW).await.unwrap(), [(client_id, 1)]);
    assert_eq!(tx.holders_of_key("none", NOW).await.unwrap(), []);
    let in_order: Vec<_> = (1..=11).map(|client| format!("cl_{client:02}")).collect();
    assert_eq!(tx.clients_with_tokens_of_key("k1", NOW).await.unwrap(), in_order);
    assert_eq!(tx.clients_with_tokens_of_key("k2", NOW).await.unwrap(), ["cl_00"]);
    assert_eq!(tx.clients_with_tokens_of_key("k1", NOW + 100_000).await.unwrap(), [""; 0]);
    tx.rollback().await.unwrap();
}

async fn keys_whose_tokens_are_being_revoked_are_found(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let kids = async || -> Vec<String> {
        storage.keys_being_revoked().await.unwrap().into_iter().map(|key| key.kid).collect()
    };
    for kid in ["k7", "k6"] {
        assert!(
            change!(storage, tx => tx.insert_signing_key(&SigningKey { phase: Phase::Gone, ..signing_key(kid) }))
        );
    }
    assert_eq!(kids().await, [""; 0]);
    change!(storage, tx => tx.set_revoking("k7", Some(NOW)));
    change!(storage, tx => tx.set_revoking("k6", Some(NOW + 1)));
    change!(storage, tx => tx.set_revoking("none", Some(NOW)));
    assert_eq!(kids().await, ["k7", "k6"]);
    change!(storage, tx => tx.set_revoking("k7", None));
    assert_eq!(kids().await, ["k6"]);
    assert_eq!(storage.keys_being_revoked().await.unwrap()[0].phase, Phase::Gone);
}

async fn work_on_keys_takes_turns(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let other = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    tx.serialise_key_changes().await.unwrap();
    let theirs = async {
        let mut tx = other.begin().await.unwrap();
        tx.serialise_key_changes().await.unwrap();
        let count = tx.signing_keys().await.unwrap().len();
        tx.commit().await.unwrap();
        count
    };
    let ours = async {
        assert!(tx.insert_signing_key(&signing_key("k2")).await.unwrap());
        tx.commit().await.unwrap();
    };
    assert_eq!(
        outcome_after(&database, theirs, ours).await,
        2,
        "the second transaction must see the key of the first"
    );
}

async fn a_lock_on_a_key_waits_for_tokens_being_recorded(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let other = database.open().await;
    let mut tx = storage.begin().await.unwrap();
    let guard = IssueGuard { proof: None, now: NOW, replaces: false };
    assert_eq!(tx.may_issue(&token("t1"), &guard).await.unwrap(), IssueCheck::Allowed);
    tx.insert_recorded_token(&token("t1")).await.unwrap();
    let theirs = async {
        let mut tx = other.begin().await.unwrap();
        assert!(tx.lock_signing_key("k1").await.unwrap().unwrap() == signing_key("k1"));
        assert!(tx.lock_signing_key("none").await.unwrap().is_none());
        let live = tx.live_tokens_by_kid(NOW).await.unwrap();
        assert_eq!(tx.revoke_tokens_of_key("k1", NOW).await.unwrap().len(), 1);
        tx.update_signing_key(&SigningKey { phase: Phase::Gone, ..signing_key("k1") }).await.unwrap();
        assert!(tx.lock_signing_key("k1").await.unwrap().is_none(), "a key that is gone cannot be locked");
        tx.commit().await.unwrap();
        live
    };
    let live = outcome_after(&database, theirs, async { drop(tx.commit().await.unwrap()) }).await;
    assert_eq!(live, [("k1".to_owned(), 1)]);
    assert_eq!(storage.live_tokens_by_kid(NOW).await.unwrap(), []);
}
