//! Operators, tested without the pages of the console: setup links, ways in (`WayIn`: how an operator signs in), sessions, and
//! the rules for all of them.

mod account;
mod callers;
mod claims;
mod last_admin;
mod links;
mod password_sign_in;
mod sessions;

use std::sync::Arc;

use mintmark::kernel::{Caller, Manager, Reader};
use mintmark::ledger::AuditFilter;
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::model::page::Page;
use mintmark::operators::{
    CreatedOperator, NewSession, OperatorChange, Session, SignedIn, Source, TotpSecret, WayIn,
};
use mintmark::services::Services;
use ring::hmac;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Place, admin};
use crate::support::Engine;

const PASSWORD: &str = "correct horse battery";

/// A request from an address in the network 203.0.113.0/24.
fn here() -> Source {
    from("203.0.113.7")
}

fn from(ip: &str) -> Source {
    Source {
        ip: Some(ip.parse().unwrap()),
        user_agent: Some("Firefox\n".to_owned()),
        request_id: Some("r-1".to_owned()),
    }
}

fn new_operator(email: &str, roles: Vec<Role>) -> OperatorChange {
    OperatorChange {
        email: Member::Value(email.to_owned()),
        name: Member::Value(format!("Name of {email}")),
        roles: Member::Value(roles),
        ..OperatorChange::default()
    }
}

/// Creates an operator.
async fn created(services: &Services, email: &str, roles: Vec<Role>) -> CreatedOperator {
    services.operators.create_operator(&admin(), &new_operator(email, roles), None).await.unwrap()
}

/// The token in a setup link.
fn token(url: &str) -> &str {
    url.rsplit_once("/console/setup/").unwrap().1
}

fn passkey(id: u8) -> WayIn {
    WayIn::Passkey {
        credential_id: vec![id; 16],
        public_key: vec![1],
        alg: -7,
        sign_count: 0,
        name: " Laptop ".to_owned(),
    }
}

/// Uses the setup link of a new operator with a passkey.
async fn set_up(services: &Services, created: &CreatedOperator, id: u8) -> SignedIn {
    services.operators.use_setup_link(token(created.setup_link.url()), passkey(id), &here()).await.unwrap()
}

/// A new operator with these roles, signed in with a passkey.
async fn signed_in(services: &Services, email: &str, roles: Vec<Role>, id: u8) -> NewSession {
    let signed_in = set_up(services, &created(services, email, roles).await, id).await;
    services.operators.start_session(&signed_in, &here()).await.unwrap().unwrap()
}

/// The key of an authenticator app that is not set up yet, as the console makes it (`src/console/sign_in/totp.rs`).
fn new_app() -> TotpSecret {
    TotpSecret::from_bytes(&[7; 20])
}

/// The code that an authenticator app shows at `now`, computed without the code of the service.
fn code(secret: &TotpSecret, now: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.bytes());
    let tag = hmac::sign(&key, &(now / 30).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap());
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// An operator who signs in with a password and an authenticator app. The code of the current 30 seconds is already used.
async fn with_password(services: &Services, email: &str, roles: Vec<Role>) -> (SignedIn, TotpSecret) {
    let created = created(services, email, roles).await;
    let secret = new_app();
    let code = code(&secret, services.clock().now());
    let way =
        WayIn::Password { password: Zeroizing::new(PASSWORD.to_owned()), totp: Some((secret.clone(), code)) };
    let signed_in =
        services.operators.use_setup_link(token(created.setup_link.url()), way, &here()).await.unwrap();
    (signed_in, secret)
}

/// The audit events of an action, the oldest first: actor, target and detail.
async fn audited(services: &Services, action: &str) -> Vec<(String, String, Value)> {
    let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
    let reader: &Reader = &admin();
    let events = services.ledger.audit_events(reader, &filter, &Page::first(200)).await.unwrap().items;
    let events = events.into_iter().rev().map(|recorded| recorded.event);
    events.map(|event| (event.actor.name, event.target, Value::Object(event.detail))).collect()
}

/// The operator of a session, as a manager of the platform.
async fn as_manager(services: &Services, session: &Session) -> Manager {
    let caller: Caller = services.operators.caller(session, None, &here()).await.unwrap();
    Manager::try_from(caller).unwrap()
}

/// A process on a database with the workspaces `acme` and `other`.
async fn staffed(engine: Engine) -> (Place, Arc<Services>) {
    let place = Place::new(engine);
    let services = place.services().await;
    place.furnish().await;
    let storage = place.storage().await;
    let mut tx = storage.begin().await.unwrap();
    assert!(tx.insert_workspace(&super::workspace("other")).await.unwrap());
    tx.commit().await.unwrap();
    (place, services)
}

fn acme_admin() -> Vec<Role> {
    vec![Role::WorkspaceAdmin("acme".to_owned())]
}
