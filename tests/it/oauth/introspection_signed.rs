//! Signed introspection replies (RFC 9701; `docs/conformance.md` I9): which requests get one, its claims, and that no
//! verifier accepts it as an access token.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use mintmark::model::clock::Clock as _;
use mintmark_verifier::VerifyError;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{invalid_client, invalid_request, uncached};
use super::presenting::{
    INTROSPECT, SIGNED, active, administrator, client_in, form, inactive, introspected, never, stateless,
    token_of,
};
use super::verifying::verifier;
use crate::support::{Credentials, Engine, Reply, START, TestApp, on_both_engines, rsa_private_key};

on_both_engines!(
    i9_the_reply_is_signed_for_the_client_that_asked,
    i9_the_algorithm_is_that_of_the_platform,
    i9_a_signed_reply_is_not_accepted_as_a_token,
    i9_errors_are_not_signed,
);

async fn asked(app: &TestApp, client: &Credentials, token: &str, accept: &str) -> Reply {
    Reply::to(form(app, INTROSPECT, client, &[("token", token)]).header("accept", accept)).await
}

/// Header and claims of a signed reply, after its signature was verified with the published keys.
async fn opened(app: &TestApp, reply: &Reply) -> (Value, Value) {
    assert_eq!(reply.status, 200, "{reply:?}");
    uncached(reply);
    assert_eq!(reply.header("content-type"), Some(SIGNED));
    let jwt = reply.text();
    mintmark_verifier::provider::install();
    let header = jsonwebtoken::decode_header(&jwt).unwrap();
    let keys: JwkSet = app.get("/.well-known/jwks.json").await.json().await.unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Value>(&jwt, &DecodingKey::from_jwk(key).unwrap(), &validation);
    (serde_json::to_value(&header).unwrap(), claims.unwrap().claims)
}

async fn i9_the_reply_is_signed_for_the_client_that_asked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let may = json!({"permissions": ["mintmark:introspect"]});
    let asker = client_in(&admin, "acme", may).await;
    for expiry in [stateless(), never()] {
        let client = client_in(&admin, "acme", expiry).await;
        let token = token_of(&app, &client).await.text;
        for (token, lives) in [(token.as_str(), true), ("x", false)] {
            for asker in [&asker, &client] {
                let plain = introspected(&app, asker, token).await;
                let plain = if lives { active(&plain) } else { json!({"active": false}) };
                let (header, claims) = opened(&app, &asked(&app, asker, token, SIGNED).await).await;
                assert_eq!(header["typ"], "token-introspection+jwt");
                // No `sub` and no `exp`, which could be mistaken for those of the token.
                let expected = json!({
                    "iss": app.base, "aud": asker.client_id, "iat": START, "token_introspection": plain,
                });
                assert_eq!(claims, expected);
            }
        }
    }
    // A request that does not prefer the signed form gets JSON.
    for accept in ["*/*", "application/json", "application/json, application/token-introspection+jwt;q=0.5"] {
        inactive(&asked(&app, &asker, "x", accept).await);
    }
    let weighed = "application/json;q=0.5, application/token-introspection+jwt;q=0.9";
    opened(&app, &asked(&app, &asker, "x", weighed).await).await;
    app.stop().await;
}

async fn i9_the_algorithm_is_that_of_the_platform(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.signing_alg = \"EdDSA\"").await;
    let admin = administrator(&app).await;
    let import = json!({"alg": "RS256", "private_key_pem": rsa_private_key()});
    admin.create("/v1/signing-keys", &import).await;
    let client = client_in(&admin, "acme", json!({"signing_alg": "RS256"})).await;
    let token = token_of(&app, &client).await;
    assert_eq!(token.header["alg"], "RS256");
    let (header, _) = opened(&app, &asked(&app, &client, &token.text, SIGNED).await).await;
    assert_eq!(header["alg"], "EdDSA");
    let metadata = Reply::of(app.get("/.well-known/oauth-authorization-server").await).await.json();
    assert_eq!(metadata["introspection_signing_alg_values_supported"], json!(["EdDSA"]));
    // The reply is signed with the key that is active at that moment. A new key becomes active after 900 seconds.
    let next = admin.create("/v1/signing-keys", &json!({"alg": "EdDSA"})).await;
    let before = header["kid"].clone();
    assert_ne!(before, next["kid"]);
    app.clock.advance(900);
    let (header, claims) = opened(&app, &asked(&app, &client, "x", SIGNED).await).await;
    assert_eq!((&header["kid"], &claims["iat"]), (&next["kid"], &json!(app.clock.now())));
    app.stop().await;
}

async fn i9_a_signed_reply_is_not_accepted_as_a_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "platform", json!({"permissions": ["mintmark:manage"]})).await;
    let token = app.access_token(&client, &[("scope", "mintmark:manage")]).await;
    let reply = asked(&app, &client, &token, SIGNED).await.text();
    // No verifier accepts the reply, neither for our own audience nor for the one in its `aud`.
    for audience in [app.base.as_str(), &client.client_id] {
        let outcome = verifier(&app, &app.base, audience, true).verify(&reply).await;
        assert!(matches!(outcome, Err(VerifyError::WrongType)), "{outcome:?}");
    }
    let manage = app.request(Method::GET, "/v1/products").bearer_auth(&reply);
    assert_eq!(Reply::to(manage).await.status, 401);
    let assertion = [
        ("grant_type", "client_credentials"),
        ("client_assertion", &reply),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    invalid_client(&Reply::to(app.request(Method::POST, "/oauth2/token").form(&assertion)).await);
    app.stop().await;
}

async fn i9_errors_are_not_signed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let wrong = Credentials { client_secret: "wrong".to_owned(), ..client.clone() };
    invalid_client(&asked(&app, &wrong, "x", SIGNED).await);
    invalid_request(&asked(&app, &client, "", SIGNED).await);
    app.stop().await;
}
