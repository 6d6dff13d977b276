//! Provokes each reason for which a request is refused, and finds it in the feed, with its message, and in the counts.

use mintmark::model::refusal::Refusal;
use mintmark::model::secret::SecretFault;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{client, failures, read, stocked, today, unknown_secret, with_secret};
use crate::support::{Administrator, CONTRACT, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    every_reason_is_provoked_and_found_in_the_feed_and_the_counts,
    a_client_that_changes_meanwhile_is_refused_for_the_true_reason,
);

#[test]
fn openapi_yaml_lists_all_reasons() {
    let listed = CONTRACT.target("#/components/schemas/RefusalReason")["enum"].clone();
    assert_eq!(listed, json!(Refusal::ALL.map(Refusal::as_str)));
}

/// A request that is refused for a reason, the status of the reply, and what the feed must show of the request.
struct Provoked {
    request: RequestBuilder,
    status: u16,
    /// Whether the request names its client.
    names_client: bool,
    /// The four characters that are kept of the secret.
    last_four: Option<String>,
    endpoint: &'static str,
}

fn ask(app: &TestApp, form: &[(&str, &str)]) -> RequestBuilder {
    app.request(Method::POST, "/oauth2/token").form(form)
}

fn ask_as(app: &TestApp, client: &Credentials, form: &[(&str, &str)]) -> RequestBuilder {
    let mut all = vec![("grant_type", "client_credentials")];
    all.extend_from_slice(form);
    ask(app, &all).basic_auth(&client.client_id, Some(&client.client_secret))
}

fn last_four(secret: &str) -> String {
    secret[secret.len() - 4..].to_owned()
}

async fn patched(admin: &Administrator<'_>, path: &str, body: Value) {
    assert_eq!(admin.patch(path, &body).await.status(), 200, "{path} {body}");
}

/// Makes a client and a request that is refused for `reason`.
async fn provoke(admin: &Administrator<'_>, reason: Refusal) -> (Credentials, Provoked) {
    let app = admin.app;
    let erp = client(admin, json!({})).await;
    let path = format!("/v1/api-clients/{}", erp.client_id);
    let refused = |request, status| Provoked {
        request,
        status,
        names_client: true,
        last_four: Some(last_four(&erp.client_secret)),
        endpoint: "token",
    };
    let malformed = |secret: String| Provoked {
        last_four: None,
        ..refused(ask_as(app, &with_secret(&erp, &secret), &[]), 401)
    };
    let header = |value: String| Provoked {
        names_client: false,
        last_four: None,
        ..refused(ask(app, &[("grant_type", "client_credentials")]).header("authorization", value), 401)
    };
    let secret = &erp.client_secret;
    let provoked = match reason {
        Refusal::NoUsableCredentials => header("Bearer x".to_owned()),
        Refusal::BasicNotEncoded => header(format!("Basic {}:{secret}", erp.client_id)),
        Refusal::BasicWithSpaces => header("Basic YTpi YTpi".to_owned()),
        Refusal::MalformedSecret(SecretFault::WhiteSpace) => malformed(format!("{secret} ")),
        Refusal::MalformedSecret(SecretFault::Length) => malformed(secret[..40].to_owned()),
        // Also too long, but the characters are checked first.
        Refusal::MalformedSecret(SecretFault::Alphabet) => malformed(secret.replace('_', "_-")),
        Refusal::MalformedSecret(SecretFault::Checksum) => {
            let last = if secret.ends_with('0') { "1" } else { "0" };
            malformed(format!("{}{last}", &secret[..52]))
        }
        Refusal::NotAClientSecret => malformed("hunter2".to_owned()),
        Refusal::UnknownClient => {
            assert_eq!(admin.delete(&path).await.status(), 204);
            refused(ask_as(app, &erp, &[]), 401)
        }
        Refusal::WrongSecret => {
            let other = unknown_secret();
            Provoked {
                last_four: Some(last_four(&other)),
                ..refused(ask_as(app, &with_secret(&erp, &other), &[]), 401)
            }
        }
        Refusal::ExpiredSecret => {
            let end = json!({"expire_others_after_seconds": 1});
            admin.create(&format!("{path}/secrets"), &end).await;
            app.clock.advance(1);
            refused(ask_as(app, &erp, &[]), 401)
        }
        Refusal::ClientDisabled => {
            patched(admin, &path, json!({"status": "disabled"})).await;
            refused(ask_as(app, &erp, &[]), 401)
        }
        Refusal::ClientExpired => {
            let at = mintmark::model::clock::to_rfc3339(app.core.services.clock().now() + 1);
            patched(admin, &path, json!({"expires_at": at})).await;
            app.clock.advance(1);
            refused(ask_as(app, &erp, &[]), 401)
        }
        Refusal::WorkspaceSuspended => {
            admin.workspace("late", json!({})).await;
            let (of_late, _) = admin.client("late", json!({"products": ["gst"]})).await;
            patched(admin, "/v1/workspaces/late", json!({"status": "suspended"})).await;
            let request = ask_as(app, &of_late, &[]);
            let last_four = Some(last_four(&of_late.client_secret));
            return (of_late, Provoked { last_four, ..refused(request, 401) });
        }
        Refusal::AddressNotAllowed => {
            patched(admin, &path, json!({"allowed_ips": ["203.0.113.0/24"]})).await;
            refused(ask_as(app, &erp, &[]), 401)
        }
        Refusal::MalformedRequest => {
            let body = [("client_id", erp.client_id.as_str()), ("client_secret", secret)];
            refused(ask(app, &body), 400)
        }
        Refusal::UnsupportedGrantType => {
            let request = ask(app, &[("grant_type", "password")]);
            refused(request.basic_auth(&erp.client_id, Some(secret)), 400)
        }
        Refusal::MalformedScope => refused(ask_as(app, &erp, &[("scope", "g\"st")]), 400),
        Refusal::ScopeNotGranted => refused(ask_as(app, &erp, &[("scope", "gst other")]), 400),
        Refusal::TargetNotGranted => refused(ask_as(app, &erp, &[("resource", "https://other")]), 400),
        Refusal::NeverExpiresNotAllowed => {
            admin.product("short", json!({})).await;
            let never = json!({"products": ["short"], "token_expiry": {"mode": "never"}});
            let lasting = client(admin, never).await;
            patched(admin, "/v1/products/short", json!({"never_expires_allowed": false})).await;
            let request = ask_as(app, &lasting, &[]);
            let last_four = Some(last_four(&lasting.client_secret));
            return (lasting, Provoked { last_four, ..refused(request, 400) });
        }
        Refusal::UnsupportedTokenType => revoke(app, &erp, &other_kind(app, &erp).await),
        Refusal::TokenOfAnotherClient => {
            let other = client(admin, json!({})).await;
            revoke(app, &erp, &app.access_token(&other, &[]).await)
        }
    };
    (erp, provoked)
}

fn revoke(app: &TestApp, erp: &Credentials, token: &str) -> Provoked {
    let request = app.request(Method::POST, "/oauth2/revoke").form(&[("token", token)]);
    Provoked {
        request: request.basic_auth(&erp.client_id, Some(&erp.client_secret)),
        status: 400,
        names_client: true,
        last_four: Some(last_four(&erp.client_secret)),
        endpoint: "revoke",
    }
}

/// A JWT of this issuer that is not an access token.
async fn other_kind(app: &TestApp, erp: &Credentials) -> String {
    let request = app.request(Method::POST, "/oauth2/introspect").form(&[("token", "x")]);
    let request = request.basic_auth(&erp.client_id, Some(&erp.client_secret));
    let reply = Reply::to(request.header("accept", "application/token-introspection+jwt")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text()
}

async fn every_reason_is_provoked_and_found_in_the_feed_and_the_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    for reason in Refusal::ALL {
        let (erp, provoked) = provoke(&admin, reason).await;
        let reply = Reply::to(provoked.request).await;
        assert_eq!(reply.status, provoked.status, "{reason:?}: {reply:?}");
        let all = read(&admin, "/v1/failures?limit=1").await;
        let failure = &all["items"][0];
        let exists = provoked.names_client && reason != Refusal::UnknownClient;
        let mut message = reason.message().to_owned();
        if reason == Refusal::MalformedRequest {
            message +=
                " The reply to the request says: grant_type is missing: send grant_type=client_credentials.";
        }
        let expected = json!({
            "client_id": provoked.names_client.then_some(&erp.client_id),
            "workspace_id": exists.then_some(
                if reason == Refusal::WorkspaceSuspended { "late" } else { "platform" }
            ),
            "at": mintmark::model::clock::to_rfc3339(app.core.services.clock().now()),
            "endpoint": provoked.endpoint,
            "reason": reason.as_str(),
            "message": message,
            "source_ip": "127.0.0.1",
            "secret_last_four": provoked.last_four,
            "request_id": reply.header("x-request-id"),
        });
        assert_eq!(*failure, expected);
        if exists {
            assert_eq!(failures(&admin, &erp).await, [expected], "{reason:?}");
            assert_eq!(today(&admin, &erp).await["refused"], json!({reason.as_str(): 1}), "{reason:?}");
        }
    }
    app.stop().await;
}

/// Another process disables the client before its token is recorded, and this process has not seen that change.
async fn a_client_that_changes_meanwhile_is_refused_for_the_true_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({"token_expiry": {"mode": "never"}})).await;
    app.access_token(&erp, &[]).await;
    let mut session = app.database.session().await;
    session
        .execute(&format!("UPDATE api_clients SET disabled_at = 1 WHERE client_id = '{}'", erp.client_id))
        .await;
    let reply = Reply::of(app.token(&erp, &[]).await).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let feed = failures(&admin, &erp).await;
    assert_eq!((feed.len(), &feed[0]["reason"]), (1, &json!("client_disabled")));
    app.stop().await;
}
