//! No job and no order of events makes a dead token live or kills a live one: random sequences of issuing, revoking,
//! disabling, rotating, purging and restarting, against a model that a person can check by reading.
//!
//! After every event each token ever issued is judged, and the bit in its status list is read.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use mintmark::app::Core;
use mintmark::clients::ClientChange;
use mintmark::config::Settings;
use mintmark::issuance::TokenRequest;
use mintmark::jobs;
use mintmark::kernel::Precondition;
use mintmark::model::clock::to_rfc3339;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::key::{Phase, UseFor};
use mintmark::model::member::Member;
use mintmark::model::status::{Status, status};
use mintmark::signing::NewSigningKey;
use mintmark::tenants::WorkspaceChange;
use mintmark::tokens::Validity;
use mintmark_verifier::{AccessTokenClaims, Checks, Verifier};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{Place, START, admin, wanted};
use crate::support::{Engine, on_both_engines};

on_both_engines!(the_living_live_and_the_dead_stay_dead);

const CASES: usize = 12;
const EVENTS: Range<usize> = 30..50;
const DAY: i64 = 86_400;
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What may happen. Numbers name a client or a token by its place, round and round.
#[derive(Debug, Clone)]
enum Event {
    Issue(usize),
    Revoke(usize),
    RevokeAll(usize),
    TakeProduct(usize),
    Disable(usize),
    Enable(usize),
    EndIn(usize, i64),
    EndNever(usize),
    Suspend,
    Resume,
    Rotate(UseFor),
    KillKey(UseFor),
    Pass(i64),
    Jobs,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let class = || prop_oneof![Just(UseFor::Expiring), Just(UseFor::NeverExpiring)];
    let place = || any::<usize>();
    prop_oneof![
        12 => place().prop_map(Event::Issue),
        4 => place().prop_map(Event::Revoke),
        1 => place().prop_map(Event::RevokeAll),
        1 => place().prop_map(Event::TakeProduct),
        1 => place().prop_map(Event::Disable),
        2 => place().prop_map(Event::Enable),
        1 => (place(), 60..2 * DAY).prop_map(|(client, seconds)| Event::EndIn(client, seconds)),
        1 => place().prop_map(Event::EndNever),
        1 => Just(Event::Suspend),
        2 => Just(Event::Resume),
        2 => class().prop_map(Event::Rotate),
        1 => class().prop_map(Event::KillKey),
        4 => prop_oneof![1..600_i64, 3_000..5_000_i64, DAY..3 * DAY, 35 * DAY..40 * DAY].prop_map(Event::Pass),
        3 => Just(Event::Jobs),
        1 => Just(Event::Restart),
    ]
}

/// What the model knows of a client.
#[derive(Debug)]
struct Client {
    id: String,
    secret: String,
    replaces: bool,
    has_gst: bool,
    generation: u32,
    disabled: bool,
    ends_at: Option<i64>,
}

/// What the model knows of a token.
#[derive(Debug)]
struct Token {
    jwt: String,
    claims: AccessTokenClaims,
    client: usize,
    /// Of a stateless one, which lives and dies with it.
    generation: Option<u32>,
    kid: String,
    revoked: bool,
}

struct World {
    place: Place,
    core: Core,
    checks: Checks,
    clients: Vec<Client>,
    tokens: Vec<Token>,
    suspended: bool,
}

pub(super) async fn open(place: &Place) -> Core {
    let own = format!(
        "server.public_url = \"http://127.0.0.1:1\"\ndatabase.url = {:?}\n\
         keys.master_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n",
        place.database.url()
    );
    Core::open(&Settings::from_toml_layers(&[&own]).unwrap(), place.clock.clone()).await.unwrap()
}

impl World {
    /// Four clients: stateless tokens, recorded ones, never-expiring ones, and one live token at a time.
    async fn new(engine: Engine) -> Self {
        let place = Place::new(engine);
        place.furnish().await;
        let core = open(&place).await;
        let after = |seconds| TokenExpiry::After { seconds };
        let mut clients = Vec::new();
        for (expiry, mode) in [
            (after(3_600), "many"),
            (after(2 * DAY), "many"),
            (TokenExpiry::Never {}, "many"),
            (after(3_600), "replace"),
        ] {
            let change = ClientChange {
                token_expiry: Member::Value(expiry),
                active_tokens: Member::Value(mode.to_owned()),
                ..wanted("ERP", &["gst", "e-invoicing"])
            };
            let made = core.services.clients.create_client(&admin(), "acme", &change, None).await.unwrap();
            clients.push(Client {
                id: made.record.client.client_id,
                secret: made.secret.expose().to_owned(),
                replaces: mode == "replace",
                has_gst: true,
                generation: 1,
                disabled: false,
                ends_at: None,
            });
        }
        let builder = Verifier::builder("http://127.0.0.1:1", "http://127.0.0.1:1/products");
        let checks = builder.allow_never_expiring(true).leeway_seconds(0).checks().unwrap();
        Self { place, core, checks, clients, tokens: Vec::new(), suspended: false }
    }

    fn now(&self) -> i64 {
        self.core.services.clock().now()
    }

    fn may_act(&self, client: &Client) -> bool {
        !self.suspended && !client.disabled && client.ends_at.is_none_or(|at| at > self.now())
    }

    /// The model's answer, which is all there is to know: is it alive?
    fn lives(&self, token: &Token) -> bool {
        let client = &self.clients[token.client];
        !token.revoked
            && token.claims.exp.is_none_or(|at| at > self.now())
            && token.generation.is_none_or(|generation| generation == client.generation)
            && self.may_act(client)
    }

    async fn change(&mut self, client: usize, change: ClientChange) {
        let id = &self.clients[client].id;
        self.core.services.clients.change_client(&admin(), id, &Precondition::None, &change).await.unwrap();
    }

    async fn happen(&mut self, event: Event) {
        let at = |place: usize| place % self.clients.len();
        match event {
            Event::Issue(client) => self.issue(at(client)).await,
            Event::Revoke(_) if self.tokens.is_empty() => {}
            Event::Revoke(token) => {
                let count = self.tokens.len();
                let token = &mut self.tokens[token % count];
                self.core.services.tokens.revoke_presented_token(&admin(), &token.claims).await.unwrap();
                token.revoked = true;
            }
            Event::RevokeAll(client) => {
                let client = at(client);
                self.core.services.tokens.revoke_tokens(&admin(), &self.clients[client].id).await.unwrap();
                self.clients[client].generation += 1;
                self.revoke_where(|token| token.client == client);
            }
            Event::TakeProduct(client) => {
                let client = at(client);
                let taken = std::mem::take(&mut self.clients[client].has_gst);
                self.change(client, wanted("ERP", &["e-invoicing"])).await;
                if taken {
                    self.clients[client].generation += 1;
                    self.revoke_where(|token| token.client == client && token.claims.has_product("gst"));
                }
            }
            Event::Disable(client) => {
                let client = at(client);
                self.change(client, with_status("disabled")).await;
                self.clients[client].disabled = true;
            }
            Event::Enable(client) => {
                let client = at(client);
                self.change(client, with_status("active")).await;
                self.clients[client].disabled = false;
            }
            Event::EndIn(client, seconds) => {
                let (client, ends_at) = (at(client), self.now() + seconds);
                let expires_at = Member::Value(to_rfc3339(ends_at));
                self.change(client, ClientChange { expires_at, ..ClientChange::default() }).await;
                self.clients[client].ends_at = Some(ends_at);
            }
            Event::EndNever(client) => {
                let client = at(client);
                self.change(client, ClientChange { expires_at: Member::Null, ..ClientChange::default() })
                    .await;
                self.clients[client].ends_at = None;
            }
            Event::Suspend => self.suspend("suspended").await,
            Event::Resume => self.suspend("active").await,
            Event::Rotate(class) => self.rotate(class).await,
            Event::KillKey(class) => self.kill_key(class).await,
            Event::Pass(seconds) => self.place.clock.advance(seconds),
            Event::Jobs => jobs::housekeeping_once(&self.core.services).await,
            Event::Restart => {
                self.core.services.close().await;
                self.core = open(&self.place).await;
            }
        }
    }

    fn revoke_where(&mut self, concerned: impl Fn(&Token) -> bool) {
        for token in self.tokens.iter_mut().filter(|token| concerned(token)) {
            token.revoked = true;
        }
    }

    async fn suspend(&mut self, status: &str) {
        let change =
            WorkspaceChange { status: Member::Value(status.to_owned()), ..WorkspaceChange::default() };
        self.core
            .services
            .tenants
            .change_workspace(&admin(), "acme", &Precondition::None, &change)
            .await
            .unwrap();
        self.suspended = status == "suspended";
    }

    async fn rotate(&mut self, class: UseFor) {
        let new = NewSigningKey {
            alg: Member::Value("ES256".to_owned()),
            use_for: Member::Value(class.as_str().to_owned()),
            ..NewSigningKey::default()
        };
        // Refused while the last successor is still pending.
        let _ = self.core.services.signing.create_signing_key(&admin(), &new, None).await;
    }

    async fn kill_key(&mut self, class: UseFor) {
        let (keys, _) = self.place.storage().await.signing_keys().await.unwrap();
        let signing = keys.iter().find(|key| key.use_for == class && key.phase == Phase::Active).unwrap();
        let kid = &signing.kid;
        self.core
            .services
            .signing
            .delete_signing_key(&admin(), kid, true, &Precondition::None)
            .await
            .unwrap();
        self.revoke_where(|token| token.kid == *kid);
        if class == UseFor::Expiring {
            self.clients.iter_mut().for_each(|client| client.generation += 1);
        }
    }

    async fn issue(&mut self, index: usize) {
        let client = &self.clients[index];
        let services = &self.core.services;
        let known = services.clients.authenticate_secret(&client.id, &client.secret, SOURCE).await.unwrap();
        assert_eq!(known.is_ok(), self.may_act(client), "{client:?}: {:?}", known.err());
        let Ok((credentials, proof)) = known else { return };
        let issued =
            self.core.services.issuer.issue(&credentials, &proof, TokenRequest::default()).await.unwrap();
        let jwt = issued.access_token;
        let claims = self.checks.verify(&jwt, &self.core.services.ring.key_set(), self.now()).unwrap();
        let stored = self.place.storage().await.token_state(&claims.jti).await.unwrap();
        let generation = match stored {
            mintmark::storage::TokenState::Recorded(_) => None,
            _ => Some(client.generation),
        };
        // The client's own end may make a short token of a long one.
        let is_short = claims.exp.is_some_and(|exp| exp - claims.iat <= DAY);
        assert_eq!(generation.is_some(), is_short && !client.replaces, "{client:?}");
        if client.replaces {
            self.revoke_where(|token| token.client == index);
        }
        let kid = kid_of(&jwt);
        self.tokens.push(Token { jwt, claims, client: index, generation, kid, revoked: false });
    }

    /// Everything is as the model says.
    async fn check(&self) {
        self.core.services.tokens.apply_due_changes().await.unwrap();
        for token in &self.tokens {
            let verified = self.checks.verify(&token.jwt, &self.core.services.ring.key_set(), self.now());
            let Ok(claims) = &verified else {
                assert!(!self.lives(token), "{verified:?} of the living {token:?}");
                continue;
            };
            let confirmed = self.core.services.ledger.confirm().await.unwrap();
            let judged = self.core.services.tokens.validity(confirmed, claims).await.unwrap();
            assert_eq!(matches!(judged, Validity::Active(_)), self.lives(token), "{judged:?}: {token:?}");
            self.check_bit(token).await;
        }
    }

    async fn check_bit(&self, token: &Token) {
        let place = &token.claims.status.as_ref().unwrap().status_list;
        let list = place.uri.rsplit('/').next().unwrap().parse().unwrap();
        let stored = self.core.services.tokens.status_list(list).await.unwrap();
        let Some(stored) = stored else {
            assert!(!self.lives(token), "the list of the living {token:?} has ended");
            return;
        };
        let client = &self.clients[token.client];
        let over = token.generation.is_some_and(|generation| generation != client.generation);
        // A stateless token that is revoked by itself is not shown.
        let expected = if over || (token.revoked && token.generation.is_none()) {
            Status::Invalid
        } else if self.may_act(client) {
            Status::Valid
        } else {
            Status::Suspended
        };
        let shown = status(&stored.bits, u32::try_from(place.idx).unwrap()).unwrap();
        assert_eq!(shown, expected, "{token:?}");
    }
}

fn with_status(status: &str) -> ClientChange {
    ClientChange { status: Member::Value(status.to_owned()), ..ClientChange::default() }
}

fn kid_of(jwt: &str) -> String {
    use base64::Engine as _;
    let header =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn the_living_live_and_the_dead_stay_dead(engine: Engine) {
    // The same sequences in every run: what fails, fails again.
    let mut runner = TestRunner::deterministic();
    let sequences = proptest::collection::vec(event(), EVENTS);
    for case in 0..CASES {
        let events = sequences.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(engine).await;
        assert_eq!(world.now(), START);
        for (step, event) in events.iter().enumerate() {
            eprintln!("case {case}, step {step}: {event:?}");
            world.happen(event.clone()).await;
            world.check().await;
        }
    }
}
