//! Applies events to the service and to the model, and compares the results.

use std::net::{IpAddr, Ipv4Addr};

use mintmark::clients::ClientChange;
use mintmark::issuance::{GrantError, IssueError, NewToken, TokenRequest};
use mintmark::kernel::{Error, Precondition};
use mintmark::model::clock::to_rfc3339;
use mintmark::model::key::{Phase, SigningKey, UseFor};
use mintmark::model::member::Member;
use mintmark::signing::NewSigningKey;
use mintmark::storage::TokenState;
use mintmark::tenants::WorkspaceChange;
use mintmark::tokens::Revocation;

use super::event::{DAY, Event};
use super::world::{Token, World};
use crate::services::{admin, wanted};

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// `keys.rotate_every_days` and `keys.pending_seconds` by default, in seconds.
const ROTATION: i64 = 90 * DAY;
const LEAD: i64 = 900;

impl World {
    /// Applies an event; the result must be that of the model.
    pub(super) async fn happen(&mut self, event: Event) {
        let at = |place: usize| place % self.clients.len();
        match event {
            Event::Issue(client) => self.issue(at(client), "").await,
            Event::IssueGst(client) => self.issue(at(client), "gst").await,
            Event::Guess(client) => self.guess(at(client), at(client.wrapping_add(1))).await,
            Event::Generate(client) => self.generate(at(client)).await,
            Event::Revoke(_) if self.tokens.is_empty() => {}
            Event::Revoke(token) => self.revoke(token % self.tokens.len()).await,
            Event::RevokeAll(client) => self.revoke_all(at(client)).await,
            Event::TakeProduct(client) => self.take_product(at(client)).await,
            Event::Disable(client) => self.set_disabled(at(client), true).await,
            Event::DisableOutdated(client) => self.disable_outdated(at(client)).await,
            Event::Enable(client) => self.set_disabled(at(client), false).await,
            Event::EndIn(client, seconds) => self.end(at(client), Some(self.now() + seconds)).await,
            Event::EndNever(client) => self.end(at(client), None).await,
            Event::Suspend => self.set_suspended(true).await,
            Event::Resume => self.set_suspended(false).await,
            Event::Rotate(class) => self.rotate(class).await,
            Event::DeleteKey(class) => self.delete_key(class).await,
            Event::Pass(seconds) => self.place.clock.advance(seconds),
            Event::ApplyDueChanges => {
                self.core.services.tokens.apply_due_changes().await.unwrap();
                self.applied_at = self.now();
            }
            Event::Housekeeping => {
                let services = &self.core.services;
                services.signing.advance_signing_keys().await.unwrap();
                services.write_last_used().await.unwrap();
                services.clean_up().await.unwrap();
            }
            Event::Restart => {
                self.core.services.close().await;
                self.core = self.place.core().await;
            }
        }
    }

    async fn issue(&mut self, index: usize, scope: &str) {
        let client = &self.clients[index];
        let services = &self.core.services;
        let known = services.clients.authenticate_secret(&client.id, &client.secret, SOURCE).await.unwrap();
        assert_eq!(known.is_ok(), self.may_act(client), "{client:?}: {:?}", known.err());
        let Ok((credentials, proof)) = known else { return };
        let request = TokenRequest { scope, ..TokenRequest::default() };
        let issued = services.issuer.issue(&credentials, &proof, request).await;
        if scope == "gst" && !client.has_gst {
            assert!(matches!(issued, Err(IssueError::Grant(GrantError::ScopeNotGranted(_)))), "{issued:?}");
            return;
        }
        let jwt = issued.unwrap().access_token;
        self.take(index, jwt, false).await;
    }

    /// A client authenticates with the secret of another client, which must fail.
    async fn guess(&self, index: usize, other: usize) {
        let (client, other) = (&self.clients[index], &self.clients[other]);
        let known = self.core.services.clients.authenticate_secret(&client.id, &other.secret, SOURCE).await;
        assert!(known.unwrap().is_err(), "{client:?} with the secret of {other:?}");
    }

    async fn generate(&mut self, index: usize) {
        let client = &self.clients[index];
        let issuer = &self.core.services.issuer;
        let generated = issuer.generate(&admin(), &client.id, &NewToken::default(), None).await;
        if self.may_act(client) {
            self.take(index, generated.unwrap().access_token, true).await;
        } else {
            assert!(matches!(generated, Err(Error::Conflict(_))), "{client:?}: {generated:?}");
        }
    }

    /// Adds a token that was just issued to the model.
    async fn take(&mut self, index: usize, jwt: String, is_generated: bool) {
        let client = &self.clients[index];
        let claims = self.checks.verify(&jwt, &self.core.services.ring.key_set(), self.now()).unwrap();
        assert_eq!(claims.has_product("gst"), client.has_gst, "{client:?}: {claims:?}");
        let storage = self.place.storage().await;
        let state = storage.token_state(&claims.jti).await.unwrap();
        storage.close().await;
        let is_recorded = matches!(state, TokenState::Recorded(_));
        // The `expires_at` of the client may shorten a long token.
        let is_short = claims.exp.is_some_and(|exp| exp - claims.iat <= DAY);
        assert_eq!(is_recorded, is_generated || !is_short || client.replaces, "{client:?}: {claims:?}");
        let generation = (!is_recorded).then_some(client.generation);
        if client.replaces {
            self.revoke_where(|token| token.client == index);
        }
        let kid = kid_of(&jwt);
        self.tokens.push(Token { jwt, claims, client: index, generation, kid, revoked: false });
    }

    /// Revokes a token that a caller presents. Does nothing with a token that does not verify, since it is refused before this
    /// step.
    async fn revoke(&mut self, index: usize) {
        let token = &self.tokens[index];
        if self.checks.verify(&token.jwt, &self.core.services.ring.key_set(), self.now()).is_err() {
            return;
        }
        let outcome =
            self.core.services.tokens.revoke_presented_token(&admin(), &token.claims).await.unwrap();
        let expected = if self.holds(token) { Revocation::Now } else { Revocation::Before };
        assert_eq!(outcome, expected, "{token:?}");
        self.tokens[index].revoked = true;
    }

    async fn revoke_all(&mut self, index: usize) {
        let id = &self.clients[index].id;
        let revoked = self.core.services.tokens.revoke_tokens(&admin(), id).await.unwrap();
        assert_eq!(revoked, self.recorded(|token| token.client == index));
        self.clients[index].generation += 1;
        self.revoke_where(|token| token.client == index);
    }

    /// Changes a client. Returns how many recorded tokens the change revoked; `None` if it removed no grant.
    async fn change(&self, index: usize, change: ClientChange) -> Option<usize> {
        let (clients, id) = (&self.core.services.clients, &self.clients[index].id);
        clients.change_client(&admin(), id, &Precondition::None, &change).await.unwrap().revoked_tokens
    }

    async fn take_product(&mut self, index: usize) {
        let carries = |token: &Token| token.client == index && token.claims.has_product("gst");
        let expected = self.clients[index].has_gst.then(|| self.recorded(carries));
        assert_eq!(self.change(index, wanted("ERP", &["e-invoicing"])).await, expected);
        if expected.is_some() {
            self.clients[index].has_gst = false;
            self.clients[index].generation += 1;
            self.revoke_where(carries);
        }
    }

    async fn set_disabled(&mut self, index: usize, disabled: bool) {
        assert_eq!(self.change(index, with_status(disabled)).await, None);
        self.clients[index].disabled = disabled;
    }

    async fn disable_outdated(&self, index: usize) {
        let (clients, id) = (&self.core.services.clients, &self.clients[index].id);
        let outdated = Precondition::Versions(vec![0]);
        let changed = clients.change_client(&admin(), id, &outdated, &with_status(true)).await;
        assert!(matches!(changed, Err(Error::Changed)), "{changed:?}");
    }

    async fn end(&mut self, index: usize, ends_at: Option<i64>) {
        let expires_at = ends_at.map_or(Member::Null, |at| Member::Value(to_rfc3339(at)));
        assert_eq!(self.change(index, ClientChange { expires_at, ..ClientChange::default() }).await, None);
        self.clients[index].ends_at = ends_at;
    }

    async fn set_suspended(&mut self, suspended: bool) {
        let status = if suspended { "suspended" } else { "active" };
        let change =
            WorkspaceChange { status: Member::Value(status.to_owned()), ..WorkspaceChange::default() };
        let tenants = &self.core.services.tenants;
        tenants.change_workspace(&admin(), "acme", &Precondition::None, &change).await.unwrap();
        self.suspended = suspended;
    }

    /// The keys that are published.
    async fn keys(&self) -> Vec<SigningKey> {
        let storage = self.place.storage().await;
        let (keys, _) = storage.signing_keys().await.unwrap();
        storage.close().await;
        keys
    }

    /// Creates a key. This must be refused if the class has a pending key that does not become active now, or, for
    /// expiring tokens, if the service itself creates one now because the active key is old.
    async fn rotate(&mut self, class: UseFor) {
        let (keys, now) = (self.keys().await, self.now());
        let of = |phase| keys.iter().find(|key| key.use_for == class && key.phase == phase);
        let refused = match (of(Phase::Pending), of(Phase::Active).unwrap()) {
            (Some(pending), _) => pending.activates_at > now,
            (None, active) => class == UseFor::Expiring && active.activates_at + ROTATION - LEAD <= now,
        };
        let new = NewSigningKey {
            alg: Member::Value("ES256".to_owned()),
            use_for: Member::Value(class.as_str().to_owned()),
            ..NewSigningKey::default()
        };
        let made = self.core.services.signing.create_signing_key(&admin(), &new, None).await;
        match made {
            Ok(made) => assert!(!refused && made.key.phase == Phase::Pending, "{made:?} beside {keys:?}"),
            Err(Error::Conflict(_)) => assert!(refused, "refused beside {keys:?}"),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Deletes the active key, which revokes its tokens.
    async fn delete_key(&mut self, class: UseFor) {
        let keys = self.keys().await;
        let active = keys.iter().find(|key| key.use_for == class && key.phase == Phase::Active).unwrap();
        let (signing, any) = (&self.core.services.signing, Precondition::None);
        let revoked = signing.delete_signing_key(&admin(), &active.kid, true, &any).await.unwrap();
        assert_eq!(revoked, self.recorded(|token| token.kid == active.kid));
        self.revoke_where(|token| token.kid == active.kid);
        if class == UseFor::Expiring {
            self.clients.iter_mut().for_each(|client| client.generation += 1);
        }
    }
}

fn with_status(disabled: bool) -> ClientChange {
    let status = if disabled { "disabled" } else { "active" };
    ClientChange { status: Member::Value(status.to_owned()), ..ClientChange::default() }
}

fn kid_of(jwt: &str) -> String {
    use base64::Engine as _;
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
