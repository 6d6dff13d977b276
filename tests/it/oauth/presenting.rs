//! Requests that introspect and revoke tokens, checks of the replies, clients with each kind of token, and tokens that tests
//! forge with the service's own key.

use mintmark::model::clock::Clock as _;
use mintmark::model::key::{Alg, UseFor};
use mintmark::signing::handle::TokenTyp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::expect::{GRANT, Token, always, issued, reply_as, uncached};
use crate::support::{Administrator, Credentials, Reply, TestApp};

pub(super) const INTROSPECT: &str = "/oauth2/introspect";
pub(super) const REVOKE: &str = "/oauth2/revoke";

/// The `Accept` header for a signed reply (RFC 9701 §4).
pub(super) const SIGNED: &str = "application/token-introspection+jwt";

/// A POST of a form to `path` by this client, which authenticates by Basic.
pub(super) fn form(
    app: &TestApp,
    path: &str,
    client: &Credentials,
    parameters: &[(&str, &str)],
) -> RequestBuilder {
    let request = app.request(Method::POST, path);
    request.basic_auth(&client.client_id, Some(&client.client_secret)).form(parameters)
}

/// The reply to the introspection of a token by this client.
pub(super) async fn introspected(app: &TestApp, client: &Credentials, token: &str) -> Reply {
    Reply::to(form(app, INTROSPECT, client, &[("token", token)])).await
}

/// The reply to a revocation by this client.
pub(super) async fn revoked(app: &TestApp, client: &Credentials, token: &str) -> Reply {
    Reply::to(form(app, REVOKE, client, &[("token", token)])).await
}

/// Checks the reply about a valid token, and returns its body.
#[track_caller]
pub(super) fn active(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    always(reply);
    let body = reply.json();
    assert_eq!(body["active"], true, "{body}");
    body
}

/// Checks that the reply says only that the token is not active.
#[track_caller]
pub(super) fn inactive(reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    always(reply);
    assert_eq!(reply.json(), json!({"active": false}));
}

/// Checks the reply to a successful revocation.
#[track_caller]
pub(super) fn acknowledged(reply: &Reply) {
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b""[..]), "{reply:?}");
    uncached(reply);
    assert_eq!(reply.header("content-type"), None);
}

/// An administrator of the platform who may also grant the permission to introspect; its client has all permissions.
pub(super) async fn administrator(app: &TestApp) -> Administrator<'_> {
    app.administrator_as(&app.bootstrap().await, "mintmark:introspect mintmark:manage").await
}

/// A new client with the product `gst` and these members in a workspace. The workspace and the product are created if they do
/// not exist.
pub(super) async fn client_in(admin: &Administrator<'_>, workspace: &str, more: Value) -> Credentials {
    if admin.get(&format!("/v1/workspaces/{workspace}")).await.status() == 404 {
        admin.workspace(workspace, json!({})).await;
    }
    if admin.get("/v1/products/gst").await.status() == 404 {
        admin.product("gst", json!({})).await;
    }
    let mut members = json!({"products": ["gst"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.client(workspace, members).await.0
}

/// Members of a client whose tokens are stateless.
pub(super) fn stateless() -> Value {
    json!({"token_expiry": {"mode": "after", "seconds": 3600}})
}

/// Members of a client whose tokens expire and are recorded, since they are valid for longer than a day
/// (`tokens.record_above_seconds`).
pub(super) fn recorded() -> Value {
    json!({"token_expiry": {"mode": "after", "seconds": 86_401}})
}

/// Members of a client whose tokens never expire.
pub(super) fn never() -> Value {
    json!({"token_expiry": {"mode": "never"}})
}

/// A token with everything that the client is granted.
pub(super) async fn token_of(app: &TestApp, client: &Credentials) -> Token {
    issued(&reply_as(app, client, GRANT).await)
}

/// A JWT with these claims, signed with a key of the service.
pub(super) fn signed(app: &TestApp, typ: TokenTyp, claims: &Value) -> String {
    let key = app.core.services.ring.for_signing(Alg::ES256, UseFor::Expiring, app.clock.now()).unwrap();
    key.sign_jwt(typ, claims.to_string().as_bytes()).unwrap()
}

/// The claims with some members replaced; `null` removes one.
pub(super) fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    let Value::Object(changes) = changes else { panic!("{changes}") };
    for (name, value) in changes {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    claims.into()
}
