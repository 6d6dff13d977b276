//! Checks the rows of the table in `docs/revocation.md` at every place that answers about a token: introspection,
//! forward-auth, the published status list, and a service that verifies offline with that list and the crate
//! `mintmark-verifier`. Each row is checked for stateless tokens, recorded tokens that expire, and never-expiring tokens.
//! The rows about `active_tokens` are checked in `token_replacement.rs` and `token_bounds.rs`, and the expiry of tokens in
//! `introspection.rs` and `token_lifetime.rs`.

use std::sync::Arc;

use mintmark::model::clock::Clock as _;
use mintmark_verifier::Verifier;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{Token, issued};
use super::listed::{idx_of, list_at, path_of};
use super::presenting::{
    acknowledged, active, administrator, client_in, inactive, introspected, never, recorded, revoked,
    stateless, token_of, with,
};
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    one_token_is_revoked,
    all_tokens_of_a_client_are_revoked,
    a_leaked_secret_is_replaced,
    a_client_is_deleted,
    a_product_is_removed_from_a_client,
    a_permission_is_removed_from_a_client,
    a_client_is_disabled,
    a_workspace_is_suspended,
    a_client_expires,
    a_signing_key_is_revoked,
    tokens_are_suspended_until_all_three_reasons_are_gone,
    revoked_wins_over_suspended,
    other_changes_revoke_nothing,
);

/// `status_lists.ttl_seconds`, and for how many seconds a verifier may accept a revoked token.
const TTL: i64 = 60;
const LISTED_VALID: u8 = 0;
const LISTED_INVALID: u8 = 1;
const LISTED_SUSPENDED: u8 = 2;

/// What each place says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdicts {
    introspect: bool,
    verify: bool,
    listed: u8,
    /// What a service says after the `ttl` of the list, if it accepted the token before and has cached the list.
    offline: &'static str,
}

const LIVE: Verdicts = Verdicts { introspect: true, verify: true, listed: LISTED_VALID, offline: "accepted" };
const REVOKED: Verdicts =
    Verdicts { introspect: false, verify: false, listed: LISTED_INVALID, offline: "revoked" };
const SUSPENDED: Verdicts =
    Verdicts { introspect: false, verify: false, listed: LISTED_SUSPENDED, offline: "suspended" };

/// A token, and a service that verifies it offline.
struct Watched {
    token: Token,
    service: Verifier,
}

impl Watched {
    /// Watches a valid token, which all places accept.
    async fn new(app: &TestApp, admin: &Administrator<'_>, token: Token) -> Self {
        let clock = Arc::clone(&app.clock);
        let audience = token.claims["aud"].as_str().unwrap();
        let service = Verifier::builder(&app.base, audience)
            .clock(move || clock.now())
            .leeway_seconds(0)
            .allow_never_expiring(true)
            .build()
            .unwrap();
        let watched = Self { token, service };
        assert_eq!(watched.judged(app, admin).await, LIVE);
        watched
    }

    /// What each place says. This first asks all places but the offline service, then advances the clock by the `ttl` and asks
    /// that service.
    async fn judged(&self, app: &TestApp, admin: &Administrator<'_>) -> Verdicts {
        let text = &self.token.text;
        let answer = introspected(app, &admin.client, text).await;
        let introspect = answer.json()["active"] == true;
        if introspect {
            active(&answer);
        } else {
            inactive(&answer);
        }
        let passing = Reply::to(app.request(Method::GET, "/oauth2/verify").bearer_auth(text)).await;
        assert!([200, 401].contains(&passing.status), "{passing:?}");
        let listed = list_at(app, &path_of(&self.token)).await.status(idx_of(&self.token));
        app.clock.advance(TTL);
        let offline = match self.service.verify(text).await {
            Ok(_) => "accepted",
            Err(error) => error.code(),
        };
        Verdicts { introspect, verify: passing.status == 200, listed, offline }
    }
}

/// A client in a workspace of its own, and two tokens of it.
struct Case {
    client: Credentials,
    workspace: String,
    one: Watched,
    other: Watched,
}

impl Case {
    async fn new(app: &TestApp, admin: &Administrator<'_>, kind: &Value) -> Self {
        let workspace = format!("w{}", app.database.number("SELECT COUNT(*) FROM workspaces").await);
        let client = client_in(admin, &workspace, kind.clone()).await;
        let one = Watched::new(app, admin, token_of(app, &client).await).await;
        let other = Watched::new(app, admin, token_of(app, &client).await).await;
        Self { client, workspace, one, other }
    }

    fn path(&self) -> String {
        format!("/v1/api-clients/{}", self.client.client_id)
    }

    async fn both(&self, app: &TestApp, admin: &Administrator<'_>, expected: Verdicts) {
        let judged = [self.one.judged(app, admin).await, self.other.judged(app, admin).await];
        assert_eq!(judged, [expected, expected]);
    }
}

/// Members of a client with each kind of token.
fn kinds() -> [Value; 3] {
    [stateless(), recorded(), never()]
}

/// Makes a change that must succeed.
async fn done(reply: impl Future<Output = reqwest::Response>) {
    let reply = Reply::of(reply.await).await;
    assert!((200..300).contains(&reply.status), "{reply:?}");
}

async fn one_token_is_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    // The stateless kind is last, since it advances the clock by an hour.
    for kind in [recorded(), never(), stateless()] {
        let case = Case::new(&app, &admin, &kind).await;
        acknowledged(&revoked(&app, &case.client, &case.one.token.text).await);
        if kind == stateless() {
            // A stateless token shares its slot with other valid tokens. An offline verifier accepts it until its `exp`.
            let expected = Verdicts { listed: LISTED_VALID, offline: "accepted", ..REVOKED };
            assert_eq!(case.one.judged(&app, &admin).await, expected);
            assert_eq!(case.other.judged(&app, &admin).await, LIVE);
            let ends = case.one.token.claims["exp"].as_i64().unwrap();
            app.clock.advance(ends - app.clock.now());
            assert_eq!(case.one.judged(&app, &admin).await, Verdicts { offline: "expired", ..expected });
            break;
        }
        assert_eq!(case.one.judged(&app, &admin).await, REVOKED);
        assert_eq!(case.other.judged(&app, &admin).await, LIVE);
        // A token that an administrator revokes is treated like one that its client revokes.
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        let jti = case.other.token.claims["jti"].as_str().unwrap();
        done(manager.delete(&format!("{}/access-tokens/{jti}", case.path()))).await;
        assert_eq!(case.other.judged(&app, &admin).await, REVOKED);
    }
    app.stop().await;
}

async fn all_tokens_of_a_client_are_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let (case, bystander) = (Case::new(&app, &admin, &kind).await, Case::new(&app, &admin, &kind).await);
        done(admin.delete(&format!("{}/access-tokens", case.path()))).await;
        case.both(&app, &admin, REVOKED).await;
        bystander.both(&app, &admin, LIVE).await;
        // The client itself still gets tokens.
        Watched::new(&app, &admin, token_of(&app, &case.client).await).await;
    }
    app.stop().await;
}

async fn a_leaked_secret_is_replaced(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        let leak = json!({"expire_others_after_seconds": 0, "revoke_tokens": true});
        let made = admin.create(&format!("{}/secrets", case.path()), &leak).await;
        case.both(&app, &admin, REVOKED).await;
        let client_secret = made["client_secret"].as_str().unwrap().to_owned();
        let client = Credentials { client_secret, ..case.client };
        Watched::new(&app, &admin, token_of(&app, &client).await).await;
    }
    app.stop().await;
}

async fn a_client_is_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        done(admin.delete(&case.path())).await;
        case.both(&app, &admin, REVOKED).await;
    }
    app.stop().await;
}

/// A token with this scope, which may be less than the client is granted.
async fn token_for(app: &TestApp, client: &Credentials, scope: &str) -> Token {
    issued(&Reply::of(app.token(client, &[("scope", scope)]).await).await)
}

async fn a_product_is_removed_from_a_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    admin.product("e-invoicing", json!({})).await;
    for kind in kinds() {
        let both = with(&kind, json!({"products": ["gst", "e-invoicing"]}));
        let client = client_in(&admin, "acme", both).await;
        let carries = Watched::new(&app, &admin, token_of(&app, &client).await).await;
        let does_not = Watched::new(&app, &admin, token_for(&app, &client, "gst").await).await;
        let path = format!("/v1/api-clients/{}", client.client_id);
        done(admin.patch(&path, &json!({"products": ["gst"]}))).await;
        assert_eq!(carries.judged(&app, &admin).await, REVOKED);
        // Which stateless tokens include the product is not stored, so all of them are revoked.
        let expected = if kind == stateless() { REVOKED } else { LIVE };
        assert_eq!(does_not.judged(&app, &admin).await, expected);
        // If the product is granted again, no revoked token becomes valid again.
        done(admin.patch(&path, &json!({"products": ["gst", "e-invoicing"]}))).await;
        assert_eq!(carries.judged(&app, &admin).await, REVOKED);
        Watched::new(&app, &admin, token_of(&app, &client).await).await;
    }
    app.stop().await;
}

async fn a_permission_is_removed_from_a_client(engine: Engine) {
    // Tokens with a permission always expire; with the second setting they are recorded.
    for settings in ["", "tokens.record_above_seconds = 600"] {
        let app = TestApp::start_with(engine, settings).await;
        let admin = administrator(&app).await;
        let may = json!({"products": ["gst"], "permissions": ["mintmark:introspect", "mintmark:manage"]});
        let client = client_in(&admin, "acme", may).await;
        let carries = Watched::new(&app, &admin, token_for(&app, &client, "mintmark:manage").await).await;
        let does_not =
            Watched::new(&app, &admin, token_for(&app, &client, "mintmark:introspect").await).await;
        let product = Watched::new(&app, &admin, token_for(&app, &client, "gst").await).await;
        let path = format!("/v1/api-clients/{}", client.client_id);
        done(admin.patch(&path, &json!({"permissions": ["mintmark:introspect"]}))).await;
        assert_eq!(carries.judged(&app, &admin).await, REVOKED);
        let expected = if settings.is_empty() { REVOKED } else { LIVE };
        assert_eq!(does_not.judged(&app, &admin).await, expected);
        assert_eq!(product.judged(&app, &admin).await, expected);
        app.stop().await;
    }
}

async fn a_client_is_disabled(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        for _ in 0..2 {
            done(admin.patch(&case.path(), &json!({"status": "disabled"}))).await;
            case.both(&app, &admin, SUSPENDED).await;
            done(admin.patch(&case.path(), &json!({"status": "active"}))).await;
            case.both(&app, &admin, LIVE).await;
        }
    }
    app.stop().await;
}

async fn a_workspace_is_suspended(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let (case, bystander) = (Case::new(&app, &admin, &kind).await, Case::new(&app, &admin, &kind).await);
        let path = format!("/v1/workspaces/{}", case.workspace);
        done(admin.patch(&path, &json!({"status": "suspended"}))).await;
        case.both(&app, &admin, SUSPENDED).await;
        bystander.both(&app, &admin, LIVE).await;
        done(admin.patch(&path, &json!({"status": "active"}))).await;
        case.both(&app, &admin, LIVE).await;
    }
    app.stop().await;
}

async fn a_client_expires(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        let soon = json!({"expires_at": rfc3339(app.clock.now() + 600)});
        done(admin.patch(&case.path(), &soon)).await;
        case.both(&app, &admin, LIVE).await;
        app.clock.advance(600);
        // The client has just expired. Introspection shows this before the background job has run.
        inactive(&introspected(&app, &admin.client, &case.one.token.text).await);
        app.core.services.tokens.apply_due_changes().await.unwrap();
        case.both(&app, &admin, SUSPENDED).await;
        // Without an `expires_at` the client's tokens are valid again. The administrator's own token may have expired
        // meanwhile, so the change is made with a new one.
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        done(manager.patch(&case.path(), &json!({"expires_at": null}))).await;
        case.both(&app, &admin, LIVE).await;
    }
    app.stop().await;
}

/// An instant as text (RFC 3339), as `/v1` takes it.
fn rfc3339(at: i64) -> String {
    mintmark::model::clock::to_rfc3339(at)
}

async fn a_signing_key_is_revoked(engine: Engine) {
    for kind in kinds() {
        let app = TestApp::start(engine).await;
        let admin = administrator(&app).await;
        let case = Case::new(&app, &admin, &kind).await;
        // Tokens that the key of the other class signs.
        let other_kind = if kind == never() { recorded() } else { never() };
        let other_key = Case::new(&app, &admin, &other_kind).await;
        let kid = case.one.token.header["kid"].as_str().unwrap();
        assert_ne!(other_key.one.token.header["kid"], kid);
        done(admin.delete(&format!("/v1/signing-keys/{kid}?revoke_tokens=true"))).await;
        for watched in [&case.one, &case.other] {
            let judged = watched.judged(&app, &admin).await;
            // The reason depends on whether the offline service fetches the list or the key set first.
            assert!(["revoked", "unknown_key"].contains(&judged.offline), "{judged:?}");
            assert_eq!(Verdicts { offline: "revoked", ..judged }, REVOKED);
        }
        other_key.both(&app, &admin, LIVE).await;
        // After the max-age of the key set, 300 s, the service fetches it again, and the key is not in it.
        app.clock.advance(300);
        assert_eq!(case.one.judged(&app, &admin).await.offline, "unknown_key");
        Watched::new(&app, &admin, token_of(&app, &case.client).await).await;
        app.stop().await;
    }
}

async fn tokens_are_suspended_until_all_three_reasons_are_gone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        let workspace = format!("/v1/workspaces/{}", case.workspace);
        let client = case.path();
        let ended = json!({"expires_at": rfc3339(app.clock.now() + 1)});
        done(manager.patch(&client, &ended)).await;
        app.clock.advance(1);
        app.core.services.tokens.apply_due_changes().await.unwrap();
        done(manager.patch(&workspace, &json!({"status": "suspended"}))).await;
        done(manager.patch(&client, &json!({"status": "disabled"}))).await;
        case.both(&app, &admin, SUSPENDED).await;
        for (path, lifted) in [
            (&client, json!({"status": "active"})),
            (&workspace, json!({"status": "active"})),
            (&client, json!({"expires_at": null})),
        ] {
            case.both(&app, &admin, SUSPENDED).await;
            done(manager.patch(path, &lifted)).await;
        }
        case.both(&app, &admin, LIVE).await;
    }
    app.stop().await;
}

async fn revoked_wins_over_suspended(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for kind in kinds() {
        let (disable, enable) = (json!({"status": "disabled"}), json!({"status": "active"}));
        // All tokens are revoked while the client is disabled.
        let case = Case::new(&app, &admin, &kind).await;
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        done(manager.patch(&case.path(), &disable)).await;
        done(manager.delete(&format!("{}/access-tokens", case.path()))).await;
        case.both(&app, &admin, REVOKED).await;
        done(manager.patch(&case.path(), &enable)).await;
        case.both(&app, &admin, REVOKED).await;
        // The new generation is valid.
        Watched::new(&app, &admin, token_of(&app, &case.client).await).await;

        // The client is disabled and enabled after its tokens were revoked.
        let case = Case::new(&app, &admin, &kind).await;
        done(manager.delete(&format!("{}/access-tokens", case.path()))).await;
        let new = Watched::new(&app, &admin, token_of(&app, &case.client).await).await;
        for (change, expected) in [(&disable, SUSPENDED), (&enable, LIVE)] {
            done(manager.patch(&case.path(), change)).await;
            case.both(&app, &admin, REVOKED).await;
            assert_eq!(new.judged(&app, &admin).await, expected);
        }
        // `/v1` revokes a single token by its record, which a stateless token does not have.
        if kind == stateless() {
            continue;
        }
        // One token is revoked while the client is disabled.
        let case = Case::new(&app, &admin, &kind).await;
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        done(manager.patch(&case.path(), &disable)).await;
        let jti = case.one.token.claims["jti"].as_str().unwrap();
        done(manager.delete(&format!("{}/access-tokens/{jti}", case.path()))).await;
        done(manager.patch(&case.path(), &enable)).await;
        assert_eq!(case.one.judged(&app, &admin).await, REVOKED);
        assert_eq!(case.other.judged(&app, &admin).await, LIVE);
    }
    app.stop().await;
}

async fn other_changes_revoke_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    admin.product("e-invoicing", json!({})).await;
    for kind in kinds() {
        let case = Case::new(&app, &admin, &kind).await;
        let manager = app.administrator_as(&admin.client, "mintmark:manage").await;
        let secrets = format!("{}/secrets", case.path());
        // The secret that the tokens were requested with expires in a second.
        manager.create(&secrets, &json!({"expire_others_after_seconds": 1})).await;
        app.clock.advance(1);
        case.both(&app, &admin, LIVE).await;
        for change in [
            json!({"label": "Another name"}),
            json!({"notification_emails": ["it@acme.example"]}),
            json!({"products": ["gst", "e-invoicing"]}),
            json!({"allowed_ips": ["203.0.113.0/24"]}),
            json!({"metadata": {"erp": "sap"}}),
            json!({"token_expiry": {"mode": "after", "seconds": 60}}),
            json!({"expires_at": rfc3339(app.clock.now() + 7200)}),
        ] {
            done(manager.patch(&case.path(), &change)).await;
        }
        done(manager.patch("/v1/products/gst", &json!({"name": "Another"}))).await;
        done(manager.patch(&format!("/v1/workspaces/{}", case.workspace), &json!({"name": "Other"}))).await;
        case.both(&app, &admin, LIVE).await;
        app.core.services.tokens.apply_due_changes().await.unwrap();
        case.both(&app, &admin, LIVE).await;
    }
    app.stop().await;
}
