//! Sessions, and the networks that operators sign in from.

use mintmark::model::operator::{Operator, OperatorStatus, Role, StoredSession, Way};

use super::{operator, staffed};
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_session_is_stored_with_all_members_and_ends_by_time,
    the_last_use_is_not_written_at_each_use,
    a_renewed_session_has_another_cookie_and_the_same_id,
    sessions_are_listed_and_ended,
    a_sign_in_is_noted_unless_the_operator_is_disabled,
    known_networks_belong_to_one_operator_and_old_ones_are_deleted,
    ended_sessions_are_deleted,
);

fn session(number: u8) -> StoredSession {
    StoredSession {
        session_hash: vec![number; 32],
        session_id: format!("01990000-0000-7000-9000-{number:012}"),
        operator_id: operator(1, &[]).operator_id,
        way: Way::Passkey,
        created_at: NOW,
        last_used_at: NOW + 1,
        ends_at: NOW + 1_000,
        authenticated_at: NOW + 2,
        source_ip: Some("203.0.113.7".to_owned()),
        user_agent: Some("Firefox ✓".to_owned()),
    }
}

async fn a_session_is_stored_with_all_members_and_ends_by_time(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let bare = StoredSession { source_ip: None, user_agent: None, ..session(2) };
    for stored in [session(1), bare] {
        change!(storage, tx => tx.insert_session(&stored));
        assert_eq!(storage.session(&stored.session_hash, NOW, NOW).await.unwrap(), Some(stored));
    }
    for (now, idle_since) in [(NOW + 1_000, NOW), (NOW, NOW + 1)] {
        assert_eq!(storage.session(&[1; 32], now, idle_since).await.unwrap(), None, "{now} {idle_since}");
    }
    assert_eq!(storage.session(&[9; 32], NOW, NOW).await.unwrap(), None);
}

async fn the_last_use_is_not_written_at_each_use(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    change!(storage, tx => tx.insert_session(&session(1)));
    // A use is written only if the last one, at `NOW + 1`, is before the time in the third argument.
    assert!(!storage.touch_session(&[1; 32], NOW + 30, NOW + 1).await.unwrap());
    assert!(storage.touch_session(&[1; 32], NOW + 70, NOW + 11).await.unwrap());
    assert!(!storage.touch_session(&[9; 32], NOW + 70, NOW + 11).await.unwrap());
    let found = storage.session(&[1; 32], NOW, NOW).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, NOW + 70);
}

async fn a_renewed_session_has_another_cookie_and_the_same_id(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    change!(storage, tx => tx.insert_session(&session(1)));
    let renewed = StoredSession {
        session_hash: vec![7; 32],
        authenticated_at: NOW + 50,
        last_used_at: NOW + 51,
        way: Way::Totp,
        ..session(1)
    };
    assert!(change!(storage, tx => tx.renew_session(&[1; 32], &renewed)));
    assert!(!change!(storage, tx => tx.renew_session(&[1; 32], &renewed)), "the old cookie opens no session");
    assert_eq!(storage.session(&[1; 32], NOW, NOW).await.unwrap(), None);
    assert_eq!(storage.session(&[7; 32], NOW, NOW).await.unwrap(), Some(renewed));
}

async fn sessions_are_listed_and_ended(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let other = operator(2, &[Role::WorkspaceAdmin("acme".to_owned())]);
    assert!(change!(storage, tx => tx.insert_operator(&other)));
    for number in 1..=3 {
        change!(storage, tx => tx.insert_session(&session(number)));
    }
    let of_other = StoredSession { operator_id: other.operator_id.clone(), ..session(4) };
    change!(storage, tx => tx.insert_session(&of_other));
    let own = session(1).operator_id;
    assert_eq!(storage.sessions_of(&own, NOW, NOW).await.unwrap(), [session(3), session(2), session(1)]);
    assert!(storage.sessions_of(&own, NOW + 1_000, NOW).await.unwrap().is_empty());
    assert!(!change!(storage, tx => tx.end_session(&own, &of_other.session_id)), "of another operator");
    assert!(change!(storage, tx => tx.end_session(&own, &session(2).session_id)));
    assert!(!change!(storage, tx => tx.end_session(&own, &session(2).session_id)));
    assert_eq!(change!(storage, tx => tx.end_sessions(&own, Some(&session(3).session_id))), 1);
    assert_eq!(storage.sessions_of(&own, NOW, NOW).await.unwrap(), [session(3)]);
    assert_eq!(change!(storage, tx => tx.end_sessions(&own, None)), 1);
    assert_eq!(storage.sessions_of(&other.operator_id, NOW, NOW).await.unwrap(), [of_other]);
}

async fn a_sign_in_is_noted_unless_the_operator_is_disabled(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let admin = operator(1, &[Role::PlatformAdmin]);
    assert!(change!(storage, tx => tx.note_sign_in(&admin.operator_id, NOW + 5)));
    let found = storage.operator(&admin.operator_id).await.unwrap().unwrap();
    assert_eq!((found.last_sign_in_at, found.version), (Some(NOW + 5), admin.version));
    let disabled = Operator { status: OperatorStatus::Disabled, ..admin };
    assert!(change!(storage, tx => tx.update_operator(&disabled)));
    assert!(!change!(storage, tx => tx.note_sign_in(&disabled.operator_id, NOW + 6)));
    assert!(!change!(storage, tx => tx.note_sign_in("none", NOW + 6)));
}

async fn known_networks_belong_to_one_operator_and_old_ones_are_deleted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let id = operator(1, &[]).operator_id;
    for at in [NOW, NOW + 5] {
        change!(storage, tx => tx.see_network(&id, "203.0.113.0/24", at));
    }
    for (email, network, known) in [
        ("op1@acme.example", "203.0.113.0/24", true),
        ("op1@acme.example", "198.51.100.0/24", false),
        ("op2@acme.example", "203.0.113.0/24", false),
    ] {
        assert_eq!(storage.is_known_network(email, network).await.unwrap(), known, "{email} {network}");
    }
    assert_eq!(storage.purge_networks(NOW + 4, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_networks(NOW + 5, 10).await.unwrap(), 1);
}

async fn ended_sessions_are_deleted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    for number in 1..=2 {
        change!(storage, tx => tx.insert_session(&session(number)));
    }
    assert_eq!(storage.purge_sessions(NOW, NOW, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_sessions(NOW, NOW + 1, 1).await.unwrap(), 1, "idle sessions, at most one");
    assert_eq!(storage.purge_sessions(NOW + 1_000, NOW, 10).await.unwrap(), 1, "a session that has ended");
}
