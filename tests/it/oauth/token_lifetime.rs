//! How long a token is valid (`docs/tokens.md`; `docs/conformance.md` T4, J2): as set for its client, within the caps that
//! apply when it is issued. A token that never expires has a distant `exp` or none, as a setting says.

use mintmark_verifier::VerifyError;
use mintmark_verifier::claims::FAR_EXP;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, refused, reply_as};
use super::verifying::{accepted, verified, verifier};
use crate::support::{Administrator, Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_token_has_the_lifetime_set_for_its_client_to_the_second,
    the_default_lifetime_is_a_setting,
    a_cap_lowered_later_shortens_new_tokens,
    a_token_with_a_permission_is_valid_for_at_most_an_hour,
    no_token_outlives_its_client,
    t04_a_never_expiring_token_that_is_no_longer_allowed_is_refused,
    a_never_expiring_token_has_a_distant_exp,
    a_never_expiring_token_has_no_exp_with_omit,
    expires_in_of_a_token_that_never_expires_is_a_setting,
    expiring_tokens_have_an_exp_also_with_omit,
);

/// `tokens.never_expires.expires_in` by default.
const NEVER_EXPIRES_IN: i64 = 31_536_000;

async fn token(app: &TestApp, client: &Credentials, scope: &str) -> Token {
    issued(&reply_as(app, client, format!("{GRANT}&scope={scope}")).await)
}

/// The lifetime of a token that expires, in seconds. Checks that reply and claims agree.
fn lifetime(token: &Token) -> i64 {
    let seconds = token.claims["exp"].as_i64().unwrap() - token.claims["iat"].as_i64().unwrap();
    assert_eq!(token.reply["expires_in"], seconds);
    assert_eq!(token.claims.get("never_expires"), None);
    assert_eq!(token.header["typ"], "at+jwt");
    seconds
}

async fn with_expiry(admin: &Administrator<'_>, products: Value, expiry: Value) -> Credentials {
    admin.client("platform", json!({"products": products, "token_expiry": expiry})).await.0
}

async fn patch(admin: &Administrator<'_>, path: &str, change: Value) {
    let response = admin.patch(path, &change).await;
    assert_eq!(response.status(), 200, "{path}: {}", response.text().await.unwrap());
}

async fn a_token_has_the_lifetime_set_for_its_client_to_the_second(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for seconds in [60, 3599, 86_400, 86_401, 31_536_000] {
        let client = with_expiry(&admin, json!(["gst"]), json!({"mode": "after", "seconds": seconds})).await;
        let token = token(&app, &client, "").await;
        assert_eq!(lifetime(&token), seconds);
        accepted(&app, &token).await;
    }
    // A token expires on time, to the second.
    let client = with_expiry(&admin, json!(["gst"]), json!({"mode": "after", "seconds": 60})).await;
    let token = token(&app, &client, "").await;
    app.clock.advance(59);
    accepted(&app, &token).await;
    app.clock.advance(1);
    assert_eq!(verified(&app, &token).await.unwrap_err(), VerifyError::Expired);
    app.stop().await;
}

async fn the_default_lifetime_is_a_setting(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.default_lifetime_seconds = 900").await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, made) = admin.client("platform", json!({"products": ["gst"]})).await;
    assert_eq!(made["token_expiry"], json!({"mode": "after", "seconds": 900}));
    assert_eq!(lifetime(&token(&app, &client, "").await), 900);
    app.stop().await;
}

async fn a_cap_lowered_later_shortens_new_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("tax", json!({})).await;
    let two_hours = json!({"mode": "after", "seconds": 7200});
    let client = with_expiry(&admin, json!(["gst", "tax"]), two_hours).await;
    let never_expiring = with_expiry(&admin, json!(["gst"]), json!({"mode": "never"})).await;
    assert_eq!(lifetime(&token(&app, &client, "").await), 7200);
    patch(&admin, "/v1/products/gst", json!({"max_token_lifetime_seconds": 600})).await;
    // The shortest cap among the token's products applies.
    assert_eq!(lifetime(&token(&app, &client, "").await), 600);
    assert_eq!(lifetime(&token(&app, &client, "gst").await), 600);
    assert_eq!(lifetime(&token(&app, &client, "tax").await), 7200);
    assert_eq!(lifetime(&token(&app, &never_expiring, "").await), 600);
    patch(&admin, "/v1/products/gst", json!({"max_token_lifetime_seconds": null})).await;
    assert_eq!(lifetime(&token(&app, &client, "").await), 7200);
    app.stop().await;
}

async fn a_token_with_a_permission_is_valid_for_at_most_an_hour(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for (expiry, alone) in [
        (json!({"mode": "after", "seconds": 31_536_000}), Some(31_536_000)),
        (json!({"mode": "after", "seconds": 600}), Some(600)),
        (json!({"mode": "never"}), None),
    ] {
        let more = json!({"products": ["gst"], "permissions": ["mintmark:read"], "token_expiry": expiry});
        let (client, _) = admin.client("platform", more).await;
        let capped = alone.unwrap_or(3600).min(3600);
        for scope in ["", "mintmark:read", "mintmark:read+gst"] {
            let token = token(&app, &client, scope).await;
            assert_eq!(lifetime(&token), capped, "{expiry} {scope}");
            accepted(&app, &token).await;
        }
        let product = token(&app, &client, "gst").await;
        assert_eq!(product.reply["expires_in"], alone.unwrap_or(NEVER_EXPIRES_IN), "{expiry}");
        assert_eq!(product.claims.get("never_expires").is_some(), alone.is_none(), "{expiry}");
    }
    app.stop().await;
}

async fn no_token_outlives_its_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    // START is 14:13:20.
    let ends = json!("2026-09-21T14:23:20Z");
    for expiry in [json!({"mode": "after", "seconds": 3600}), json!({"mode": "never"})] {
        let more = json!({"products": ["gst"], "token_expiry": expiry, "expires_at": ends});
        let (client, _) = admin.client("platform", more).await;
        let token = token(&app, &client, "").await;
        assert_eq!(token.claims["exp"], START + 600);
        assert_eq!(lifetime(&token), 600);
        accepted(&app, &token).await;
    }
    let more = json!({"products": ["gst"], "expires_at": ends});
    let (client, _) = admin.client("platform", more).await;
    app.clock.advance(599);
    assert_eq!(lifetime(&token(&app, &client, "").await), 1);
    app.clock.advance(1);
    refused(&reply_as(&app, &client, GRANT).await, 401, "invalid_client");
    app.stop().await;
}

async fn t04_a_never_expiring_token_that_is_no_longer_allowed_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("tax", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let more = json!({"products": ["gst", "tax"], "token_expiry": {"mode": "never"}});
    let (client, _) = admin.client("acme", more).await;
    token(&app, &client, "").await;
    let refusal = async |scope: &str| {
        refused(&reply_as(&app, &client, format!("{GRANT}&scope={scope}")).await, 400, "unauthorized_client");
    };
    patch(&admin, "/v1/products/gst", json!({"never_expires_allowed": false})).await;
    refusal("").await;
    refusal("gst").await;
    assert_eq!(token(&app, &client, "tax").await.claims["never_expires"], true);
    patch(&admin, "/v1/products/gst", json!({"never_expires_allowed": true})).await;
    patch(&admin, "/v1/workspaces/acme", json!({"never_expires_allowed": false})).await;
    refusal("").await;
    refusal("tax").await;
    // The refusal is only about tokens that never expire: with a finite expiry the client gets tokens again.
    let path = format!("/v1/api-clients/{}", client.client_id);
    patch(&admin, &path, json!({"token_expiry": {"mode": "after", "seconds": 3600}})).await;
    assert_eq!(lifetime(&token(&app, &client, "").await), 3600);
    app.stop().await;
}

async fn key_of_class(admin: &Administrator<'_>, use_for: &str) -> String {
    let keys = admin.get("/v1/signing-keys").await.json::<Value>().await.unwrap();
    let items = keys["items"].as_array().unwrap();
    let key = items.iter().find(|key| key["use_for"] == use_for && key["alg"] == "ES256").unwrap();
    key["kid"].as_str().unwrap().to_owned()
}

/// Checks a never-expiring token that is issued with these settings: its `exp` and `typ`, its key, and that a verifier that
/// does not allow such tokens refuses it with `refusal`.
async fn check(engine: Engine, settings: &str, exp: Option<i64>, typ: &str, refusal: VerifyError) {
    let app = TestApp::start_with(engine, settings).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = with_expiry(&admin, json!(["gst"]), json!({"mode": "never"})).await;
    let token = token(&app, &client, "").await;
    assert_eq!(token.reply["expires_in"], NEVER_EXPIRES_IN);
    assert_eq!(token.claims["never_expires"], true);
    assert_eq!(token.claims.get("exp").and_then(Value::as_i64), exp);
    assert_eq!(token.claims.as_object().unwrap().contains_key("exp"), exp.is_some());
    let kid = key_of_class(&admin, "never_expiring").await;
    assert_ne!(kid, key_of_class(&admin, "expiring").await);
    assert_eq!(token.header, json!({"alg": "ES256", "kid": kid, "typ": typ}));
    accepted(&app, &token).await;
    // Only services that opted in accept it.
    let audience = token.claims["aud"].as_str().unwrap();
    let strict = verifier(&app, &app.base, audience, false);
    assert_eq!(strict.verify(&token.text).await.unwrap_err(), refusal);
    // A token that never expires is valid in a distant year.
    app.clock.advance(100 * 366 * 86_400);
    accepted(&app, &token).await;
    app.stop().await;
}

async fn a_never_expiring_token_has_a_distant_exp(engine: Engine) {
    check(engine, "", Some(FAR_EXP), "at+jwt", VerifyError::NeverExpiresRefused).await;
    // The first second of 2200. Nanoseconds in 64 bits overflow in 2262, and Python cannot convert the last day of 9999 to a
    // local date.
    assert_eq!(FAR_EXP, 7_258_118_400);
}

async fn a_never_expiring_token_has_no_exp_with_omit(engine: Engine) {
    check(engine, "tokens.never_expires.exp = \"omit\"", None, "JWT", VerifyError::WrongType).await;
}

async fn expires_in_of_a_token_that_never_expires_is_a_setting(engine: Engine) {
    for (setting, expires_in) in [(0, None), (1, Some(1)), (86_400, Some(86_400))] {
        let settings = format!("tokens.never_expires.expires_in = {setting}");
        let app = TestApp::start_with(engine, &settings).await;
        let admin = app.administrator().await;
        admin.product("gst", json!({})).await;
        let never = with_expiry(&admin, json!(["gst"]), json!({"mode": "never"})).await;
        let reply = token(&app, &never, "").await.reply;
        assert_eq!(reply.get("expires_in").and_then(Value::as_i64), expires_in);
        let hour = with_expiry(&admin, json!(["gst"]), json!({"mode": "after", "seconds": 3600})).await;
        assert_eq!(lifetime(&token(&app, &hour, "").await), 3600);
        app.stop().await;
    }
}

async fn expiring_tokens_have_an_exp_also_with_omit(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.never_expires.exp = \"omit\"").await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = with_expiry(&admin, json!(["gst"]), json!({"mode": "after", "seconds": 3600})).await;
    let token = token(&app, &client, "").await;
    assert_eq!(lifetime(&token), 3600);
    assert_eq!(token.header["kid"], key_of_class(&admin, "expiring").await);
    accepted(&app, &token).await;
    app.stop().await;
}
