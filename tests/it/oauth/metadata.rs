//! Authorization server metadata (RFC 8414; `docs/conformance.md` M1–M7): it is the same for every client and every host name,
//! and lists only what is supported.

use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{FORM, GRANT, issued, reply_as};
use super::verifying::accepted;
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(
    the_document_has_exactly_these_members,
    an_issuer_with_a_path_is_found_at_every_place,
    the_request_does_not_decide_who_the_issuer_is,
    listed_endpoints_exist_and_others_do_not,
    the_metadata_may_be_cached,
);

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

async fn the_document_has_exactly_these_members(engine: Engine) {
    let app = TestApp::start(engine).await;
    let base = &app.base;
    let expected = json!({
        "issuer": base,
        "token_endpoint": format!("{base}/oauth2/token"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "status_list_aggregation_endpoint": format!("{base}/oauth2/status-lists"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_endpoint": format!("{base}/oauth2/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "introspection_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint": format!("{base}/oauth2/revoke"),
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": ["mintmark:introspect", "mintmark:manage", "mintmark:read"],
        "service_documentation": format!("{base}/docs"),
        "mintmark_audit_key": [{
            "origin": format!("{}/audit", base.trim_start_matches("http://")),
            "key": app.core.services.ledger.audit_keys()[0].to_string(),
        }],
    });
    for path in [OAUTH, OPENID] {
        let reply = Reply::of(app.get(path).await).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let document = reply.json();
        let mut expected = expected.clone();
        if path == OPENID {
            // Parsers of OpenID Connect Discovery require these.
            expected["response_types_supported"] = json!(["none"]);
            expected["subject_types_supported"] = json!(["public"]);
        }
        assert_eq!(document, expected);
        // RFC 8414 §3.2: members without a value are left out.
        assert!(document.as_object().unwrap().values().all(|value| *value != json!([])));
        // Some verifiers would use such a member as the list of allowed algorithms.
        assert!(document.as_object().unwrap().keys().all(|name| !name.starts_with("id_token")));
    }
    let client = app.bootstrap().await;
    assert_eq!(issued(&reply_as(&app, &client, GRANT).await).claims["iss"], expected["issuer"]);
    app.stop().await;
}

async fn an_issuer_with_a_path_is_found_at_every_place(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant/a\"").await;
    let issuer = format!("{}/tenant/a", app.base);
    let mut bodies = Vec::new();
    for path in [
        // The path of RFC 8414 §3.1, the path of OpenID Connect Discovery §4, one for clients that append the path of RFC 8414
        // to the issuer, and the paths of an issuer without a path.
        "/.well-known/oauth-authorization-server/tenant/a",
        "/tenant/a/.well-known/openid-configuration",
        "/tenant/a/.well-known/oauth-authorization-server",
        OAUTH,
        OPENID,
    ] {
        let reply = Reply::of(app.get(path).await).await;
        assert_eq!(reply.status, 200, "{path}");
        let mut document = reply.json();
        let members = document.as_object_mut().unwrap();
        for member in ["response_types_supported", "subject_types_supported"] {
            assert_eq!(members.remove(member).is_some(), path.ends_with("openid-configuration"), "{path}");
        }
        bodies.push(document);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let document: &Value = &bodies[0];
    assert_eq!(document["issuer"], issuer.as_str());
    assert_eq!(document["token_endpoint"], format!("{issuer}/oauth2/token"));
    assert_eq!(document["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    for elsewhere in [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/oauth-authorization-server/tenant/b",
        "/tenant/.well-known/openid-configuration",
        "/a/oauth2/token",
    ] {
        assert_eq!(app.get(elsewhere).await.status(), 404, "{elsewhere}");
    }

    let client = app.bootstrap().await;
    for path in ["/oauth2/token", "/tenant/a/oauth2/token"] {
        let request = app.request(Method::POST, path).header("content-type", FORM).body(GRANT);
        let request = request.basic_auth(&client.client_id, Some(&client.client_secret));
        let token = issued(&Reply::to(request).await);
        assert_eq!((&token.claims["iss"], &token.claims["aud"]), (&json!(issuer), &json!(issuer)));
        accepted(&app, &token).await;
        let only = format!("{GRANT}&scope=mintmark:manage");
        let manager = issued(&reply_as(&app, &client, only).await).text;
        for api in ["/v1/products", "/tenant/a/v1/products"] {
            let list = app.request(Method::GET, api).bearer_auth(&manager).send().await.unwrap();
            assert_eq!(list.status(), 200, "{api}");
        }
    }
    for path in ["/healthz", "/tenant/a/healthz", "/tenant/a/readyz", "/tenant/a/.well-known/jwks.json"] {
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
    app.stop().await;
}

async fn the_request_does_not_decide_who_the_issuer_is(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let plain = Reply::of(app.get(OAUTH).await).await.comparable();
    let forged = app
        .request(Method::GET, OAUTH)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-prefix", "/evil")
        .header("forwarded", "host=evil.example;proto=https");
    assert_eq!(Reply::to(forged).await.comparable(), plain);
    let mut wire = Wire::to(&app).await;
    wire.send(format!("GET http://evil.example{OAUTH} HTTP/1.1\r\nHost: evil.example\r\n\r\n")).await;
    assert_eq!(wire.reply().await.json()["issuer"], app.base.as_str());
    let forged = super::expect::post_as(&app, &client, GRANT).header("host", "evil.example");
    assert_eq!(issued(&Reply::to(forged).await).claims["iss"], app.base.as_str());
    app.stop().await;
}

async fn listed_endpoints_exist_and_others_do_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let document = Reply::of(app.get(OAUTH).await).await.json();
    for (member, url) in document.as_object().unwrap() {
        if let Some(path) =
            url.as_str().and_then(|url| url.strip_prefix(&app.base)).filter(|path| !path.is_empty())
        {
            let status = app.get(path).await.status().as_u16();
            let takes_post = ["token_endpoint", "introspection_endpoint", "revocation_endpoint"];
            let expected = if takes_post.contains(&member.as_str()) { 405 } else { 200 };
            assert_eq!(status, expected, "{member}");
        }
    }
    // RFC 6749 §3.3: the characters that a scope may have.
    for scope in document["scopes_supported"].as_array().unwrap() {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(scope.as_str().unwrap().bytes().all(allowed));
    }
    for (member, path) in [
        ("introspection_endpoint", "/oauth2/introspect"),
        ("revocation_endpoint", "/oauth2/revoke"),
        ("status_list_aggregation_endpoint", "/oauth2/status-lists"),
        ("authorization_endpoint", "/oauth2/authorize"),
        ("registration_endpoint", "/oauth2/register"),
        ("userinfo_endpoint", "/oauth2/userinfo"),
    ] {
        let exists = app.get(path).await.status() != 404;
        assert_eq!(document.get(member).is_some(), exists, "{member}");
    }
    app.stop().await;
}

async fn the_metadata_may_be_cached(engine: Engine) {
    let app = TestApp::start_with(engine, "keys.jwks_max_age_seconds = 60").await;
    for path in [OAUTH, OPENID] {
        let reply = Reply::of(app.get(path).await).await;
        super::jwks::may_be_cached(&app, path, &reply, 60).await;
    }
    app.stop().await;
}
