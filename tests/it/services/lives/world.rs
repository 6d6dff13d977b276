//! Four clients and their tokens, with a model of them: their state, and which tokens are live.

use mintmark::app::Core;
use mintmark::clients::ClientChange;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::member::{Member, WordOrNumber};
use mintmark_verifier::{AccessTokenClaims, Checks, Verifier};

use super::event::DAY;
use crate::services::{Place, START, admin, wanted};
use crate::support::Engine;

/// A client in the model.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) replaces: bool,
    pub(super) has_gst: bool,
    pub(super) generation: u32,
    pub(super) disabled: bool,
    pub(super) ends_at: Option<i64>,
}

/// A token in the model.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) jwt: String,
    pub(super) claims: AccessTokenClaims,
    pub(super) client: usize,
    /// The client's generation when the token was issued; `None` for a recorded token.
    pub(super) generation: Option<u32>,
    pub(super) kid: String,
    pub(super) revoked: bool,
}

pub(super) struct World {
    pub(super) place: Place,
    pub(super) core: Core,
    pub(super) checks: Checks,
    pub(super) clients: Vec<Client>,
    pub(super) tokens: Vec<Token>,
    pub(super) suspended: bool,
    /// When due changes were last applied.
    pub(super) applied_at: i64,
}

impl World {
    /// Four clients: stateless tokens, recorded ones, never-expiring ones, and one live token at a time.
    pub(super) async fn new(engine: Engine) -> Self {
        let place = Place::new(engine);
        place.furnish().await;
        let core = place.core().await;
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
                active_tokens: Member::Value(WordOrNumber::Word(mode.to_owned())),
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
        Self { place, core, checks, clients, tokens: Vec::new(), suspended: false, applied_at: START }
    }

    pub(super) async fn close(self) {
        self.core.services.close().await;
    }

    pub(super) fn now(&self) -> i64 {
        self.core.services.clock().now()
    }

    pub(super) fn may_act(&self, client: &Client) -> bool {
        !self.suspended && !client.disabled && client.ends_at.is_none_or(|at| at > self.now())
    }

    /// Whether the token itself has not ended, whatever the state of its client.
    pub(super) fn holds(&self, token: &Token) -> bool {
        !token.revoked
            && token.claims.exp.is_none_or(|at| at > self.now())
            && token.generation.is_none_or(|generation| generation == self.clients[token.client].generation)
    }

    /// Whether the token is live according to the model.
    pub(super) fn lives(&self, token: &Token) -> bool {
        self.holds(token) && self.may_act(&self.clients[token.client])
    }

    /// How many of the recorded tokens that `concerned` selects have not ended.
    pub(super) fn recorded(&self, concerned: impl Fn(&Token) -> bool) -> usize {
        let recorded = self.tokens.iter().filter(|token| token.generation.is_none());
        recorded.filter(|token| self.holds(token) && concerned(token)).count()
    }

    pub(super) fn revoke_where(&mut self, concerned: impl Fn(&Token) -> bool) {
        for token in self.tokens.iter_mut().filter(|token| concerned(token)) {
            token.revoked = true;
        }
    }
}
