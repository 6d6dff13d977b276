//! Reading recorded tokens, by id and in pages, and storing when they were last introspected.

use mintmark::model::page::Items;
use mintmark::model::reach::Reach;
use mintmark::model::token::RecordedToken;
use mintmark::storage::{ListedTokens, Storage, TokenFilter, TokenState};

use crate::storage::samples::{NOW, change, page, stocked, token};
use crate::support::{Engine, on_both_engines, outcome_after};

on_both_engines!(
    a_token_is_stored_with_all_members,
    a_token_is_recorded_denied_or_unknown,
    a_reach_ends_at_its_workspace,
    pages_go_from_new_to_old,
    the_last_introspection_is_recorded,
);

async fn insert(storage: &Storage, tokens: impl IntoIterator<Item = RecordedToken>) {
    for token in tokens {
        change!(storage, tx => tx.insert_recorded_token(&token));
    }
}

/// Every token of a client.
fn of(client_id: &str) -> TokenFilter {
    TokenFilter { client_id: Some(client_id.to_owned()), status: ListedTokens::All, ..TokenFilter::default() }
}

async fn found(storage: &Storage, jti: &str) -> RecordedToken {
    storage.recorded_token(&Reach::Platform, "cl_1", jti).await.unwrap().unwrap()
}

async fn a_token_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    let full = RecordedToken {
        revoked_at: Some(NOW + 1),
        revoke_at: Some(NOW + 2),
        last_introspected_at: Some(NOW + 3),
        issued_by: "client:cl_9".into(),
        ..token("full")
    };
    let bare = RecordedToken { expires_at: None, slot: None, products: "".into(), ..token("bare") };
    insert(&storage, [full.clone(), bare.clone()]).await;
    for stored in [full, bare] {
        assert_eq!(found(&storage, &stored.jti).await, stored);
        assert_eq!(change!(storage, tx => tx.recorded_token(&stored.jti)), Some(stored));
    }
    assert_eq!(change!(storage, tx => tx.recorded_token("none")), None);
}

async fn a_token_is_recorded_denied_or_unknown(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("recorded")]).await;
    assert!(change!(storage, tx => tx.deny_token("denied", "cl_1", NOW + 60)));
    assert!(!change!(storage, tx => tx.deny_token("denied", "cl_1", NOW + 60)), "it was denied before");
    for (jti, expected) in [
        ("recorded", TokenState::Recorded(Box::new(token("recorded")))),
        ("denied", TokenState::Denied),
        ("stateless", TokenState::Unknown),
    ] {
        assert_eq!(storage.token_state(jti).await.unwrap(), expected, "{jti}");
    }
}

async fn a_reach_ends_at_its_workspace(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("t1"), RecordedToken { client_id: "cl_2".to_owned(), ..token("t2") }]).await;
    let [acme, other] = ["acme", "other"].map(|id| Reach::Workspace(id.to_owned()));
    for (reach, client_id, jti, is_found) in [
        (&Reach::Platform, "cl_1", "t1", true),
        (&acme, "cl_1", "t1", true),
        (&other, "cl_1", "t1", false),
        (&Reach::Platform, "cl_2", "t1", false),
        (&Reach::Platform, "cl_1", "t2", false),
        (&Reach::Platform, "cl_1", "none", false),
    ] {
        let found = storage.recorded_token(reach, client_id, jti).await.unwrap();
        assert_eq!(found.is_some(), is_found, "{jti} of {client_id} for {reach:?}");
    }
    for (reach, count) in [(&Reach::Platform, 1), (&acme, 1), (&other, 0)] {
        let listed = storage.recorded_tokens(reach, &of("cl_1"), &page(50, None), NOW).await.unwrap();
        assert_eq!(listed.items.len(), count, "{reach:?}");
    }
}

async fn pages_go_from_new_to_old(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    // Two tokens of the same second come in descending order of their ids; ended tokens are listed too.
    insert(
        &storage,
        [
            RecordedToken { issued_at: NOW + 1, ..token("B:b") },
            RecordedToken { issued_at: NOW + 1, revoked_at: Some(NOW), ..token("a:a") },
            RecordedToken { issued_at: NOW, ..token("x") },
            RecordedToken { issued_at: NOW + 2, expires_at: Some(NOW), ..token("m") },
            RecordedToken { issued_at: NOW - 5, ..token("old") },
            RecordedToken { issued_at: NOW + 9, client_id: "cl_2".to_owned(), ..token("theirs") },
        ],
    )
    .await;
    let jtis = |items: &Items<RecordedToken>| {
        items.items.iter().map(|token| token.jti.clone()).collect::<Vec<_>>().join(" ")
    };
    let mut pages = Vec::new();
    let mut after = None;
    for _ in 0..20 {
        let items = storage
            .recorded_tokens(&Reach::Platform, &of("cl_1"), &page(2, after.as_deref()), NOW)
            .await
            .unwrap();
        pages.push(jtis(&items));
        after = items.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["m a:a", "B:b x", "old"]);
}

async fn the_last_introspection_is_recorded(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    insert(&storage, [token("t1"), token("t2")]).await;
    let touch = async |jti: &str, at: i64| {
        // A token that was deleted meanwhile is ignored.
        storage.touch_tokens(&[("gone".to_owned(), at), (jti.to_owned(), at)]).await.unwrap();
    };
    touch("t1", NOW + 5).await;
    assert_eq!(found(&storage, "t1").await.last_introspected_at, Some(NOW + 5));
    touch("t1", NOW + 3).await;
    assert_eq!(found(&storage, "t1").await.last_introspected_at, Some(NOW + 5), "an earlier time is ignored");
    touch("t1", NOW + 6).await;
    assert_eq!(found(&storage, "t1").await.last_introspected_at, Some(NOW + 6));
    assert_eq!(found(&storage, "t2").await.last_introspected_at, None);
}

/// A write of last uses waits for a revocation, but a revocation does not wait for such a write. On PostgreSQL only: on SQLite
/// there is one writer at a time.
#[tokio::test]
async fn noting_uses_does_not_block_a_revocation() {
    let (database, storage) = stocked(Engine::Postgres).await;
    insert(&storage, [token("t1"), token("t2")]).await;
    let other = database.open().await;
    let mut tx = other.begin().await.unwrap();
    // The revocation takes the tokens in the opposite order.
    assert!(tx.revoke_token("t2", NOW + 1).await.unwrap().is_some());
    let uses = ["t1", "t2"].map(|jti| (jti.to_owned(), NOW + 5));
    let revoking = async {
        assert!(tx.revoke_token("t1", NOW + 1).await.unwrap().is_some());
        tx.commit().await.unwrap();
    };
    outcome_after(&database, storage.touch_tokens(&uses), revoking).await.unwrap();
    for jti in ["t1", "t2"] {
        let stored = found(&storage, jti).await;
        assert_eq!((stored.revoked_at, stored.last_introspected_at), (Some(NOW + 1), Some(NOW + 5)), "{jti}");
    }
}
