//! Token introspection (RFC 7662; `docs/conformance.md` I1–I8, I10): what each client learns of which token.

use mintmark::kernel::Manager;
use mintmark::signing::handle::TokenTyp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::expect::{FORM, invalid_client, invalid_request, refused};
use super::presenting::{
    INTROSPECT, SIGNED, active, administrator, client_in, form, inactive, introspected, never, recorded,
    revoked, signed, stateless, token_of, with,
};
use crate::support::{Credentials, Engine, Reply, START, TestApp, on_both_engines};

on_both_engines!(
    i1_the_caller_must_authenticate,
    i2_a_request_names_exactly_one_token,
    i3_the_reply_about_an_invalid_token_has_only_active_false,
    i3_jwts_that_are_not_access_tokens_are_inactive,
    i4_a_valid_token_is_described_by_its_claims,
    i4_the_reply_about_a_never_expiring_token_has_no_exp,
    i4_the_reply_names_the_key_of_a_bound_token,
    i5_a_hint_changes_nothing,
    i6_a_token_in_the_url_is_not_read,
    i8_revocation_suspension_and_deletion_take_effect_immediately,
    i10_a_client_without_the_permission_sees_only_its_own_tokens,
    i10_with_the_permission_a_client_sees_its_workspace_and_the_platform_sees_all,
    a_token_whose_state_cannot_be_read_gets_503,
    the_last_introspection_of_a_recorded_token_is_stored,
);

async fn i1_the_caller_must_authenticate(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let by = |parameters: &[(&str, &str)]| app.request(Method::POST, INTROSPECT).form(parameters);
    let (id, secret) = (client.client_id.as_str(), client.client_secret.as_str());
    let post = [("token", token.as_str()), ("client_id", id), ("client_secret", secret)];
    active(&Reply::to(by(&post)).await);
    active(&introspected(&app, &client, &token).await);
    // The same credentials in two places, byte for byte, are one method.
    active(&Reply::to(by(&post).basic_auth(id, Some(secret))).await);

    let asked = [("token", token.as_str())];
    for request in [
        by(&asked),
        by(&[("token", &token), ("client_id", id)]),
        by(&[("token", &token), ("client_id", id), ("client_secret", "wrong")]),
        by(&asked).basic_auth(id, Some("wrong")),
        by(&asked).basic_auth("cl_0000000000000000000000", Some(secret)),
        // Neither the introspected token nor an access token of a client that may introspect authenticates here.
        by(&asked).bearer_auth(&token),
        by(&asked).bearer_auth(&admin.token),
        by(&[("token", &token), ("access_token", &admin.token)]),
    ] {
        invalid_client(&Reply::to(request).await);
    }
    for request in [
        by(&post).basic_auth(id, Some("another")),
        form(&app, INTROSPECT, &client, &asked).bearer_auth(&token),
        app.request(Method::POST, &format!("{INTROSPECT}?client_secret={secret}")).form(&asked),
    ] {
        invalid_request(&Reply::to(request).await);
    }
    let elsewhere = client_in(&admin, "acme", json!({"allowed_ips": ["203.0.113.0/24"]})).await;
    let ended = client_in(&admin, "acme", json!({"expires_at": "2026-09-21T14:14:20Z"})).await;
    app.clock.advance(60);
    for client in [&elsewhere, &ended] {
        invalid_client(&introspected(&app, client, &token).await);
    }
    app.stop().await;
}

async fn i2_a_request_names_exactly_one_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let hint = ("token_type_hint", "access_token");
    for parameters in [
        &[][..],
        &[hint],
        &[("token", "")],
        &[("token", &token), ("token", &token)],
        &[("token", ""), ("token", &token)],
        &[("token", &token), hint, hint],
    ] {
        invalid_request(&Reply::to(form(&app, INTROSPECT, &client, parameters)).await);
    }
    let other_type = |media_type: &str| {
        let request = app.request(Method::POST, INTROSPECT).header("content-type", media_type);
        request.basic_auth(&client.client_id, Some(&client.client_secret))
    };
    let in_json = json!({"token": token}).to_string();
    active(&Reply::to(other_type("application/json").body(in_json.clone())).await);
    invalid_request(&Reply::to(other_type("text/plain").body(in_json)).await);
    invalid_request(&Reply::to(other_type(FORM).body(format!("token={token}&x=%zz"))).await);
    active(&Reply::to(form(&app, INTROSPECT, &client, &[("token", &token), ("x", "y"), ("x", "z")])).await);
    app.stop().await;
}

async fn i3_the_reply_about_an_invalid_token_has_only_active_false(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({"permissions": ["mintmark:introspect"]})).await;
    let products = token_of_scope(&app, &client, "gst").await;
    let (text, claims) = (products.text.as_str(), &products.claims);
    let (rest, signature) = text.rsplit_once('.').unwrap();
    let mut flipped = signature.to_owned();
    flipped.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
    let other = TestApp::start(engine).await;
    let foreign = token_of(&other, &other.bootstrap().await).await.text;
    other.stop().await;
    let forged = |changes| signed(&app, TokenTyp::AccessToken, &with(claims, changes));
    active(&introspected(&app, &client, &forged(json!({}))).await);
    let elsewhere = json!({"status_list": {"idx": 1, "uri": format!("{}/oauth2/status-lists/9", app.base)}});
    for token in [
        "x",
        "..",
        "a.b.c",
        "ä\r\n",
        rest,
        &format!("{text}."),
        &format!("{text}.x"),
        &format!(" {text}"),
        &format!("{rest}.{flipped}"),
        &format!("{text},{text}"),
        &format!("Bearer {text}"),
        &"x".repeat(20_000),
        "eyJhbGciOiJub25lIn0.e30.",
        &foreign,
        &client.client_secret,
        &client.client_id,
        // A minute is allowed, since the clock of the replica that issued a token may be ahead.
        &forged(json!({"nbf": START + 61})),
        &forged(json!({"iat": START + 61})),
        &forged(json!({"exp": START})),
        &forged(json!({"exp": (START + 60).to_string()})),
        &forged(json!({"exp": null})),
        &forged(json!({"exp": null, "never_expires": true})),
        &forged(json!({"iss": "https://elsewhere.example"})),
        &forged(json!({"client_id": null})),
        &forged(json!({"sub": "cl_0000000000000000000000"})),
        &forged(json!({"sub": "cl_0000000000000000000000", "client_id": "cl_0000000000000000000000"})),
        &forged(json!({"workspace_id": "platform"})),
        // A token with the slot of a recorded token, but without a row. The `exp` of never-expiring tokens is the end of 9999.
        &forged(json!({"exp": 253_402_300_799_i64, "never_expires": true, "status": elsewhere})),
        &forged(json!({"status": elsewhere})),
        &forged(json!({"status": null})),
    ] {
        inactive(&introspected(&app, &client, token).await);
    }
    app.clock.advance(3599);
    active(&introspected(&app, &client, text).await);
    app.clock.advance(1);
    inactive(&introspected(&app, &client, text).await);
    app.stop().await;
}

async fn token_of_scope(app: &TestApp, client: &Credentials, scope: &str) -> super::expect::Token {
    super::expect::issued(&Reply::of(app.token(client, &[("scope", scope)]).await).await)
}

async fn i3_jwts_that_are_not_access_tokens_are_inactive(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await;
    for typ in [TokenTyp::StatusList, TokenTyp::Introspection, TokenTyp::Jwt] {
        inactive(&introspected(&app, &client, &signed(&app, typ, &token.claims)).await);
    }
    let reply = form(&app, INTROSPECT, &client, &[("token", &token.text)]).header("accept", SIGNED);
    inactive(&introspected(&app, &client, &Reply::to(reply).await.text()).await);
    app.stop().await;
}

/// The reply about a token with these claims.
fn answer(claims: &Value) -> Value {
    with(claims, json!({"active": true, "token_type": "Bearer"}))
}

async fn i4_a_valid_token_is_described_by_its_claims(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let own = json!({"audience": "https://own.example"});
    admin.product("own", own).await;
    for expiry in [stateless(), recorded()] {
        let one = client_in(&admin, "acme", expiry).await;
        let token = token_of(&app, &one).await;
        assert!(token.claims["aud"].is_string() && token.claims["exp"].is_i64());
        assert!(token.claims["status"]["status_list"]["idx"].is_u64());
        assert_eq!(active(&introspected(&app, &one, &token.text).await), answer(&token.claims));
    }
    let many = json!({"products": ["gst", "own"], "permissions": ["mintmark:introspect"]});
    let many = client_in(&admin, "acme", many).await;
    let token = token_of(&app, &many).await;
    assert_eq!(token.claims["aud"].as_array().unwrap().len(), 3);
    assert_eq!(active(&introspected(&app, &many, &token.text).await), answer(&token.claims));
    let without_products = token_of_scope(&app, &many, "mintmark:introspect").await;
    let body = active(&introspected(&app, &many, &without_products.text).await);
    assert_eq!((&body["products"], &body["scope"]), (&json!([]), &json!("mintmark:introspect")));
    app.stop().await;
}

async fn i4_the_reply_about_a_never_expiring_token_has_no_exp(engine: Engine) {
    for settings in ["", "tokens.never_expires.exp = \"omit\""] {
        let app = TestApp::start_with(engine, settings).await;
        let admin = administrator(&app).await;
        let client = client_in(&admin, "acme", never()).await;
        let token = token_of(&app, &client).await;
        let body = active(&introspected(&app, &client, &token.text).await);
        assert_eq!(body, answer(&with(&token.claims, json!({"exp": null}))));
        assert_eq!(body["never_expires"], true);
        app.clock.advance(10 * 365 * 86_400);
        assert_eq!(active(&introspected(&app, &client, &token.text).await), body);
        app.stop().await;
    }
}

async fn i4_the_reply_names_the_key_of_a_bound_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let claims = token_of(&app, &client).await.claims;
    for (cnf, token_type) in
        [(json!({"x5t#S256": "A".repeat(43)}), "Bearer"), (json!({"jkt": "B".repeat(43)}), "DPoP")]
    {
        let bound = with(&claims, json!({"cnf": cnf}));
        let body = active(&introspected(&app, &client, &signed(&app, TokenTyp::AccessToken, &bound)).await);
        assert_eq!((&body["cnf"], &body["token_type"]), (&cnf, &json!(token_type)));
    }
    app.stop().await;
}

async fn i5_a_hint_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    for hint in ["access_token", "refresh_token", "id_token", "x", "", "access_token refresh_token"] {
        let of = |token| form(&app, INTROSPECT, &client, &[("token", token), ("token_type_hint", hint)]);
        active(&Reply::to(of(&token)).await);
        inactive(&Reply::to(of("x")).await);
    }
    app.stop().await;
}

async fn i6_a_token_in_the_url_is_not_read(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    let by = |request: RequestBuilder| request.basic_auth(&client.client_id, Some(&client.client_secret));
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let path = format!("{INTROSPECT}?token={token}");
        refused(&Reply::to(by(app.request(method, &path))).await, 405, "invalid_request");
    }
    // In a POST, a token in the URL is ignored.
    let post = by(app.request(Method::POST, &format!("{INTROSPECT}?token={token}")));
    invalid_request(&Reply::to(post.header("content-type", FORM).body("x=y")).await);
    app.stop().await;
}

async fn i8_revocation_suspension_and_deletion_take_effect_immediately(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let asker = client_in(&admin, "acme", json!({"permissions": ["mintmark:introspect"]})).await;
    for expiry in [stateless(), recorded(), never()] {
        let workspace = format!("w{}", expiry["token_expiry"]["seconds"].as_i64().unwrap_or_default());
        let client = client_in(&admin, &workspace, expiry).await;
        let token = token_of(&app, &client).await.text;
        // The admin client may introspect the token even while the client that has the token is disabled.
        let answer = async || introspected(&app, &admin.client, &token).await;
        let path = format!("/v1/api-clients/{}", client.client_id);
        let workspace = format!("/v1/workspaces/{workspace}");
        for (path, back) in [(&path, "active"), (&workspace, "active")] {
            active(&answer().await);
            let away = if path.contains("workspaces") { "suspended" } else { "disabled" };
            assert_eq!(admin.patch(path, &json!({"status": away})).await.status(), 200);
            inactive(&answer().await);
            assert_eq!(admin.patch(path, &json!({"status": back})).await.status(), 200);
        }
        active(&answer().await);
        // `asker` belongs to another workspace, so to it no token of this client is active.
        inactive(&introspected(&app, &asker, &token).await);
        app.core.services.tokens.revoke_tokens(&Manager::command_line(), &client.client_id).await.unwrap();
        inactive(&answer().await);
        let token = token_of(&app, &client).await.text;
        active(&introspected(&app, &client, &token).await);
        assert_eq!(admin.delete(&path).await.status(), 204);
        inactive(&introspected(&app, &admin.client, &token).await);
    }
    app.stop().await;
}

async fn i10_a_client_without_the_permission_sees_only_its_own_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for expiry in [stateless(), recorded(), never()] {
        let one = client_in(&admin, "acme", expiry.clone()).await;
        let other = client_in(&admin, "acme", expiry).await;
        // A client with `mintmark:manage` sees only its own tokens too.
        let manager = client_in(&admin, "acme", json!({"permissions": ["mintmark:manage"]})).await;
        let token = token_of(&app, &one).await.text;
        active(&introspected(&app, &one, &token).await);
        inactive(&introspected(&app, &other, &token).await);
        inactive(&introspected(&app, &manager, &token).await);
    }
    app.stop().await;
}

async fn i10_with_the_permission_a_client_sees_its_workspace_and_the_platform_sees_all(engine: Engine) {
    let app = TestApp::start(engine).await;
    let of_platform = app.bootstrap().await;
    let admin = app.administrator_as(&of_platform, "mintmark:introspect mintmark:manage").await;
    let may = json!({"permissions": ["mintmark:introspect"]});
    let ours = client_in(&admin, "acme", may.clone()).await;
    let theirs = client_in(&admin, "other", may).await;
    let plain_of_platform = client_in(&admin, "platform", json!({})).await;
    for workspace in ["acme", "other", "platform"] {
        for expiry in [stateless(), never()] {
            let client = client_in(&admin, workspace, expiry).await;
            let token = token_of(&app, &client).await;
            let of = async |asker| introspected(&app, asker, &token.text).await;
            let by_its_own = active(&of(&client).await);
            assert_eq!(active(&of(&of_platform).await), by_its_own);
            for (asker, of_workspace) in [(&ours, "acme"), (&theirs, "other")] {
                if workspace == of_workspace {
                    assert_eq!(active(&of(asker).await), by_its_own);
                } else {
                    inactive(&of(asker).await);
                }
            }
            inactive(&of(&plain_of_platform).await);
        }
    }
    // The current permissions of the caller's client decide.
    let watched = token_of(&app, &client_in(&admin, "acme", json!({})).await).await.text;
    let path = format!("/v1/api-clients/{}", ours.client_id);
    for (permissions, may) in [(json!([]), false), (json!(["mintmark:introspect"]), true)] {
        assert_eq!(admin.patch(&path, &json!({"permissions": permissions})).await.status(), 200);
        let reply = introspected(&app, &ours, &watched).await;
        if may {
            active(&reply);
        } else {
            inactive(&reply);
        }
    }
    app.stop().await;
}

async fn a_token_whose_state_cannot_be_read_gets_503(engine: Engine) {
    // With this setting, stateless tokens are still issued during an outage. Introspection answers 503 all the same.
    let app = TestApp::start_with(engine, "tokens.serve_stale_seconds = 60").await;
    let admin = administrator(&app).await;
    let clients = [client_in(&admin, "acme", stateless()).await, client_in(&admin, "acme", recorded()).await];
    let tokens = [token_of(&app, &clients[0]).await.text, token_of(&app, &clients[1]).await.text];
    app.database.go_away().await;
    let unavailable = async |token: &str, client| {
        for accept in ["application/json", SIGNED] {
            let request = form(&app, INTROSPECT, client, &[("token", token)]).header("accept", accept);
            let reply = Reply::to(request).await;
            refused(&reply, 503, "temporarily_unavailable");
            assert_eq!(reply.header("retry-after"), Some("5"));
        }
    };
    unavailable(&tokens[0], &clients[0]).await;
    unavailable(&tokens[1], &clients[1]).await;
    // A reply that needs no database is sent while the keys are known to be current, which is for five seconds.
    inactive(&introspected(&app, &clients[0], "x").await);
    app.clock.advance_millis(5001);
    unavailable("x", &clients[0]).await;
    app.database.come_back().await;
    for (client, token) in clients.iter().zip(&tokens) {
        active(&introspected(&app, client, token).await);
    }
    inactive(&introspected(&app, &clients[0], "x").await);
    app.stop().await;
}

async fn the_last_introspection_of_a_recorded_token_is_stored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let client = client_in(&admin, "acme", never()).await;
    let other = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await;
    let at = "SELECT COALESCE(MAX(last_introspected_at), 0) FROM access_tokens";
    inactive(&introspected(&app, &other, &token.text).await);
    app.core.services.write_last_used().await.unwrap();
    assert_eq!(app.database.number(at).await, 0, "an introspection without permission is not stored");
    for seconds in [1, 100] {
        app.clock.advance(seconds);
        active(&introspected(&app, &client, &token.text).await);
        app.core.services.write_last_used().await.unwrap();
        let now = app.core.services.clock().now();
        assert_eq!(app.database.number(at).await, now);
    }
    not_stored_after_revocation(&app, &client, &token.text, at).await;
    app.stop().await;
}

/// The time of an introspection of a revoked token is not stored.
async fn not_stored_after_revocation(app: &TestApp, client: &Credentials, token: &str, at: &str) {
    let before = app.database.number(at).await;
    super::presenting::acknowledged(&revoked(app, client, token).await);
    app.clock.advance(1);
    inactive(&introspected(app, client, token).await);
    app.core.services.write_last_used().await.unwrap();
    assert_eq!(app.database.number(at).await, before);
}
