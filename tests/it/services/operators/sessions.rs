//! Sessions of operators: when they end, how they are renewed, and that their operator can list and end them. Also the state of
//! a sign-in in progress, which is taken once.

use mintmark::kernel::{Error, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::{Role, Way};
use mintmark::operators::OperatorChange;
use serde_json::json;

use super::{acme_admin, audited, created, from, here, set_up, signed_in, staffed};
use crate::services::{START, admin};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_session_ends_when_it_is_not_used,
    a_session_ends_after_twelve_hours_however_used,
    a_change_of_roles_or_status_ends_sessions,
    a_renewed_session_keeps_its_id_and_gets_another_cookie,
    sessions_are_listed_and_ended_by_their_operator,
    a_disabled_operator_can_neither_sign_in_nor_get_a_setup_link,
    a_state_is_taken_once,
    sessions_links_and_states_that_have_ended_are_deleted,
);

async fn a_session_ends_when_it_is_not_used(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let new = signed_in(&services, "a@acme.example", acme_admin(), 1).await;
    assert!(!format!("{new:?}").contains(new.cookie.as_str()));
    assert_eq!(new.cookie.len(), 43);
    // A session ends 1,800 s after its last stored use. A use is stored if the one stored before is at least a minute old.
    for (seconds, stored) in [(59, 0), (1, 60), (1_799, 1_859)] {
        place.clock.advance(seconds);
        let session = operators.session(&new.cookie).await.unwrap().unwrap();
        assert_eq!(session.last_used_at - START, stored);
        assert_eq!(session.session_id, new.session.session_id);
    }
    place.clock.advance(1_800);
    assert_eq!(operators.session(&new.cookie).await.unwrap(), None);
    for other in ["", "x", &"A".repeat(43), "\0"] {
        assert_eq!(operators.session(other).await.unwrap(), None);
    }
}

async fn a_session_ends_after_twelve_hours_however_used(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let new = signed_in(&services, "a@acme.example", acme_admin(), 1).await;
    // A session that is not used ends after 1,800 s, so this one is used every 900 s.
    for _ in 0..47 {
        place.clock.advance(900);
        assert!(services.operators.session(&new.cookie).await.unwrap().is_some());
    }
    place.clock.advance(900);
    assert_eq!(services.operators.session(&new.cookie).await.unwrap(), None);
}

async fn a_change_of_roles_or_status_ends_sessions(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let id = created.operator.operator_id.as_str();
    let signed_in = set_up(&services, &created, 1).await;
    let change = async |change: OperatorChange| {
        operators.change_operator(&admin(), id, &Precondition::None, &change).await.unwrap()
    };
    let renamed = OperatorChange { name: Member::Value("B".to_owned()), ..OperatorChange::default() };
    let viewer = OperatorChange {
        roles: Member::Value(vec![Role::WorkspaceViewer("acme".to_owned())]),
        ..OperatorChange::default()
    };
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    for (what, ends) in [(renamed, false), (viewer, true), (disabled, true)] {
        let session = operators.start_session(&signed_in, &here()).await.unwrap().unwrap();
        change(what.clone()).await;
        assert_eq!(operators.session(&session.cookie).await.unwrap().is_none(), ends, "{what:?}");
    }
    let ended = audited(&services, "operator.session_ended").await;
    assert_eq!(ended.len(), 2);
    assert_eq!(ended[1], ("cli".to_owned(), id.to_owned(), json!({"sessions": 1})));
}

async fn a_renewed_session_keeps_its_id_and_gets_another_cookie(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let proof = set_up(&services, &created, 1).await;
    let first = operators.start_session(&proof, &here()).await.unwrap().unwrap();
    // A sign-in is fresh for five minutes.
    place.clock.advance(301);
    let session = operators.session(&first.cookie).await.unwrap().unwrap();
    assert!(!operators.is_fresh(&session));
    let renewed = operators.renew_session(&session, None).await.unwrap();
    assert_ne!(renewed.cookie, first.cookie);
    assert_eq!(renewed.session.session_id, first.session.session_id);
    assert!(!operators.is_fresh(&renewed.session), "a new cookie is no proof");
    assert_eq!(operators.session(&first.cookie).await.unwrap(), None, "the old cookie opens no session");
    let gone = operators.renew_session(&session, None).await;
    assert!(matches!(gone, Err(Error::NotFound("session"))), "{gone:?}");
    let fresh = operators.renew_session(&renewed.session, Some(&proof)).await.unwrap();
    let session = operators.session(&fresh.cookie).await.unwrap().unwrap();
    assert!(operators.is_fresh(&session));
    assert_eq!((session.way, session.ends_at), (Way::Passkey, first.session.ends_at));
    let other = set_up(&services, &super::created(&services, "b@acme.example", acme_admin()).await, 2).await;
    let stolen = operators.renew_session(&session, Some(&other)).await;
    assert!(matches!(stolen, Err(Error::NotFound("session"))), "the proof of another operator: {stolen:?}");
}

async fn sessions_are_listed_and_ended_by_their_operator(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let proof = set_up(&services, &created, 1).await;
    let first = operators.start_session(&proof, &from("::ffff:198.51.100.4")).await.unwrap().unwrap();
    let second = operators.start_session(&proof, &here()).await.unwrap().unwrap();
    let foreign = signed_in(&services, "b@acme.example", acme_admin(), 2).await;
    let listed = operators.sessions_of(&second.session).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|stored| stored.session_id.as_str()).collect();
    assert_eq!(ids, [second.session.session_id.as_str(), first.session.session_id.as_str()]);
    // An IPv4 address in IPv6 form is stored as IPv4, and the user agent "Firefox\n" without its line end.
    assert_eq!(listed[1].source_ip.as_deref(), Some("198.51.100.4"));
    assert_eq!(listed[0].user_agent.as_deref(), Some("Firefox"));
    let id = foreign.session.session_id.as_str();
    assert!(!operators.end_other_session(&second.session, id, &here()).await.unwrap());
    assert!(operators.session(&foreign.cookie).await.unwrap().is_some());
    let id = first.session.session_id.as_str();
    assert!(operators.end_other_session(&second.session, id, &here()).await.unwrap());
    assert!(operators.session(&first.cookie).await.unwrap().is_none());
    operators.end_session(&second.session, &here()).await.unwrap();
    assert!(operators.session(&second.cookie).await.unwrap().is_none());
    assert_eq!(audited(&services, "operator.signed_in").await.len(), 3);
    assert_eq!(audited(&services, "operator.signed_out").await.len(), 1);
    assert_eq!(audited(&services, "operator.session_ended").await.len(), 1);
}

async fn a_disabled_operator_can_neither_sign_in_nor_get_a_setup_link(engine: Engine) {
    let (_place, services) = staffed(engine).await;
    let operators = &services.operators;
    let created = created(&services, "a@acme.example", acme_admin()).await;
    let id = created.operator.operator_id.as_str();
    let proof = set_up(&services, &created, 1).await;
    // The passkey that `set_up` registered.
    let passkey = operators.passkey(&[1; 16]).await.unwrap().unwrap();
    assert!(operators.passkey_used(&passkey, 5, &here()).await.unwrap().is_some());
    assert!(operators.passkey_used(&passkey, 5, &here()).await.unwrap().is_none(), "the counter has to rise");
    let disabled =
        OperatorChange { status: Member::Value("disabled".to_owned()), ..OperatorChange::default() };
    operators.change_operator(&admin(), id, &Precondition::None, &disabled).await.unwrap();
    assert!(operators.start_session(&proof, &here()).await.unwrap().is_none());
    assert!(operators.passkey_used(&passkey, 6, &from("192.0.2.1")).await.unwrap().is_none());
    let link = operators.new_setup_link(&admin(), id).await;
    assert!(matches!(link, Err(Error::Conflict(_))), "{link:?}");
    let refused: Vec<_> = audited(&services, "operator.sign_in_refused").await;
    let reasons: Vec<_> = refused.iter().map(|(_, _, detail)| detail["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["counter_went_back", "disabled"]);
}

async fn a_state_is_taken_once(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let operators = &services.operators;
    let name = operators.new_state("oidc", b"nonce", 60).await.unwrap();
    assert_eq!(operators.take_state("totp", &name).await.unwrap(), None);
    let taken = operators.take_state("oidc", &name).await.unwrap().unwrap();
    assert_eq!(taken.as_slice(), b"nonce");
    assert_eq!(operators.take_state("oidc", &name).await.unwrap(), None);
    let late = operators.new_state("oidc", b"nonce", 60).await.unwrap();
    place.clock.advance(60);
    assert_eq!(operators.take_state("oidc", &late).await.unwrap(), None);
    assert_eq!(operators.take_state("oidc", "\0").await.unwrap(), None);
}

async fn sessions_links_and_states_that_have_ended_are_deleted(engine: Engine) {
    let (place, services) = staffed(engine).await;
    let new = signed_in(&services, "a@acme.example", acme_admin(), 1).await;
    let _state = services.operators.new_state("oidc", b"nonce", 60).await.unwrap();
    created(&services, "b@acme.example", acme_admin()).await;
    // The setup link of `b` lasts longest: a day.
    place.clock.advance(86_400);
    services.clean_up().await.unwrap();
    let (storage, now) = (place.storage().await, services.clock().now());
    let left = storage.sessions_of(&new.session.operator.operator_id, 0, 0).await.unwrap();
    assert_eq!(left, []);
    assert_eq!(storage.purge_setup_links(now, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_states(now, 10).await.unwrap(), 0);
}
