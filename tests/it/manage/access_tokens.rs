//! `/v1/api-clients/{client_id}/access-tokens`: an administrator generates, lists and revokes the tokens of a client.

use mintmark::kernel::Manager;
use mintmark::model::status::{Status, status};
use mintmark::tokens::{InactiveReason, Validity};
use mintmark_verifier::AccessTokenClaims;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_token_is_generated_and_shown_once,
    an_expiry_is_at_most_the_clients_and_within_every_cap,
    a_scope_is_a_subset_and_a_permission_is_the_callers_own,
    no_token_is_generated_for_a_client_that_may_not_have_tokens,
    a_repeated_request_gets_the_same_token,
    tokens_are_listed_newest_first_in_pages,
    one_token_or_all_tokens_of_a_client_are_revoked,
    tokens_of_another_workspace_are_not_found,
    no_part_of_a_token_is_stored,
    without_a_signing_key_the_error_says_how_to_make_one,
);

/// An administrator of the platform, a client in `acme` whose tokens never expire, and the path of its tokens.
async fn furnished(app: &TestApp) -> (Administrator<'_>, Credentials, String) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("e-invoicing", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (client, path) = client(&admin, json!({})).await;
    (admin, client, path)
}

/// A client of `acme` with both products and tokens that never expire, unless `more` says otherwise; and the path of its
/// tokens.
async fn client(admin: &Administrator<'_>, more: Value) -> (Credentials, String) {
    let mut wanted = json!({
        "products": ["gst", "e-invoicing"], "token_expiry": {"mode": "never"},
        "notification_emails": ["it@acme.example"],
    });
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (client, _) = admin.client("acme", wanted).await;
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    (client, path)
}

async fn post(admin: &Administrator<'_>, path: &str, wanted: Value) -> Reply {
    Reply::of(admin.post(path, &wanted).await).await
}

/// The claims of a generated token, which the verifier library must accept.
fn claims(app: &TestApp, token: &Value) -> AccessTokenClaims {
    let checks = mintmark_verifier::Verifier::builder(&app.base, format!("{}/products", app.base));
    let checks = checks.leeway_seconds(0).allow_never_expiring(true).checks().unwrap();
    let text = token["access_token"].as_str().unwrap();
    checks.verify(text, &app.core.services.ring.key_set(), app.core.services.clock().now()).unwrap()
}

/// Introspects a token: `Ok` if it is active, otherwise why it is not.
async fn verdict(app: &TestApp, claims: &AccessTokenClaims) -> Result<(), InactiveReason> {
    let confirmed = app.core.services.ledger.confirm().await.unwrap();
    match app.core.services.tokens.validity(confirmed, claims).await.unwrap() {
        Validity::Active(_) => Ok(()),
        Validity::Inactive(reason) => Err(reason),
    }
}

/// The published status of a token.
async fn published(app: &TestApp, claims: &AccessTokenClaims) -> Status {
    let place = &claims.status.as_ref().unwrap().status_list;
    let list = place.uri.rsplit('/').next().unwrap().parse().unwrap();
    let stored = app.core.services.tokens.status_list(list).await.unwrap().unwrap();
    status(&stored.bits, u32::try_from(place.idx).unwrap()).unwrap()
}

async fn a_token_is_generated_and_shown_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let response = admin.post(&path, &json!({})).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let made = ok(&Reply::of(response).await, 201);
    let jti = made["jti"].as_str().unwrap();
    let expected = json!({
        "access_token": made["access_token"], "token_type": "Bearer", "scope": "e-invoicing gst", "jti": jti,
    });
    assert_eq!(made, expected);
    assert_eq!(location, format!("{path}/{jti}"));

    let claims = claims(&app, &made);
    assert_eq!((claims.client_id.as_str(), claims.jti.as_str()), (client.client_id.as_str(), jti));
    assert_eq!(verdict(&app, &claims).await, Ok(()));
    let record = ok(&Reply::of(admin.get(&location).await).await, 200);
    let (keys, _) = app.database.open().await.signing_keys().await.unwrap();
    let kid = &keys.iter().find(|key| key.use_for.as_str() == "never_expiring").unwrap().kid;
    let expected = json!({
        "jti": jti, "client_id": client.client_id, "scope": "e-invoicing gst",
        "products": ["e-invoicing", "gst"], "kid": kid,
        "issued_at": "2026-09-21T14:13:20Z", "expires_at": null, "revoked_at": null,
        // `verdict` has just introspected the token. The record shows this before it is stored.
        "last_introspected_at": "2026-09-21T14:13:20Z",
        "issued_by": format!("client:{}", admin.client.client_id),
    });
    assert_eq!(record, expected);

    // A token that would be stateless from the token endpoint is recorded too. A request without a body gets the defaults.
    let (_, short) = self::client(&admin, json!({"token_expiry": {"mode": "after", "seconds": 600}})).await;
    let made = ok(&Reply::to(admin.request(Method::POST, &short)).await, 201);
    assert_eq!(made["expires_in"], 600);
    let record =
        ok(&Reply::of(admin.get(&format!("{short}/{}", made["jti"].as_str().unwrap())).await).await, 200);
    assert_eq!(record["expires_at"], "2026-09-21T14:23:20Z");

    let events = ok(&Reply::of(admin.get("/v1/audit-events?action=access_token.created").await).await, 200);
    let events = events["items"].as_array().unwrap().clone();
    assert_eq!((events.len(), &events[1]["target"]), (2, &json!(jti)));
    let detail = json!({"label": "ERP", "scope": "e-invoicing gst", "expires_at": null});
    assert_eq!(events[1]["detail"], detail);
    let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'access_token.created' AND recipient = 'it@acme.example'";
    assert_eq!(app.database.number(mails).await, 2);
    app.stop().await;
}

async fn an_expiry_is_at_most_the_clients_and_within_every_cap(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, never) = furnished(&app).await;
    admin.product("short", json!({"max_token_lifetime_seconds": 300})).await;
    admin.product("finite", json!({"never_expires_allowed": false})).await;
    let (_, hour) = client(&admin, json!({"token_expiry": {"mode": "after", "seconds": 3600}})).await;
    let all = json!({
        "products": ["gst", "short", "finite"], "token_expiry": {"mode": "after", "seconds": 300},
        "permissions": ["mintmark:read"],
    });
    let (capped, capped_path) = client(&admin, all).await;
    let (_, ending) = client(&admin, json!({"expires_at": "2026-09-21T14:15:00Z"})).await;
    let after = |seconds: i64| json!({"mode": "after", "seconds": seconds});
    for (path, expiry, expires_in) in [
        (&never, json!({"mode": "never"}), json!(null)),
        // A token that expires is valid for at most a year.
        (&never, after(31_536_000), json!(31_536_000)),
        (&never, Value::Null, json!(null)),
        (&hour, after(3600), json!(3600)),
        (&hour, after(60), json!(60)),
        (&capped_path, after(300), json!(300)),
        // No token is valid after the `expires_at` of its client, which is 100 seconds from now.
        (&ending, json!({"mode": "never"}), json!(100)),
        (&ending, after(3600), json!(100)),
    ] {
        let made = ok(&post(&admin, path, json!({"token_expiry": expiry})).await, 201);
        assert_eq!(made["expires_in"], expires_in, "{expiry}");
        let _ = claims(&app, &json!({"access_token": made["access_token"]}));
    }
    let (seconds, mode) = ("/token_expiry/seconds", "/token_expiry/mode");
    for (path, expiry, pointer) in [
        (&hour, after(3601), seconds),
        (&hour, after(59), seconds),
        (&hour, json!({"mode": "never"}), mode),
        (&never, after(31_536_001), seconds),
        (&never, json!({"mode": "soon"}), mode),
        (&never, json!({"mode": "never", "seconds": 60}), seconds),
        (&never, json!("never"), "/token_expiry"),
    ] {
        broken(&post(&admin, path, json!({"token_expiry": expiry})).await, &[pointer]);
    }
    // The error names the lifetime of the client's tokens as the limit only if that lifetime is finite.
    for (path, seconds, limit) in [
        (&hour, 3601, "must be from 60 to 3600, the longest lifetime of the API client's tokens"),
        (&never, 31_536_001, "must be from 60 to 31536000"),
    ] {
        let refused = post(&admin, path, json!({"token_expiry": after(seconds)})).await;
        assert_eq!(refused.json()["errors"][0]["detail"], limit);
    }
    broken(
        &post(&admin, &hour, json!({"scope": "tax", "token_expiry": after(1), "x": 1})).await,
        &["/scope", seconds, "/x"],
    );

    // A cap that was lowered after the client was created: a request above it is refused, and its lifetime is not shortened.
    let client_path = format!("/v1/api-clients/{}", capped.client_id);
    let wider = json!({"products": ["gst", "finite"], "token_expiry": after(86_400)});
    assert_eq!(admin.patch(&client_path, &wider).await.status(), 200);
    assert_eq!(
        admin.patch("/v1/products/finite", &json!({"max_token_lifetime_seconds": 600})).await.status(),
        200
    );
    broken(
        &post(&admin, &capped_path, json!({"scope": "finite", "token_expiry": after(601)})).await,
        &[seconds],
    );
    // The default is the client's own expiry, shortened by the caps.
    assert_eq!(ok(&post(&admin, &capped_path, json!({"scope": "finite"})).await, 201)["expires_in"], 600);
    assert_eq!(ok(&post(&admin, &capped_path, json!({"scope": "gst"})).await, 201)["expires_in"], 86_400);
    // A token with a permission is valid for at most an hour.
    broken(
        &post(&admin, &capped_path, json!({"scope": "mintmark:read", "token_expiry": after(3601)})).await,
        &[seconds],
    );
    assert_eq!(
        ok(&post(&admin, &capped_path, json!({"scope": "mintmark:read"})).await, 201)["expires_in"],
        3600
    );
    let ever = json!({"permissions": ["mintmark:read"]});
    let (_, ever) = client(&admin, ever).await;
    broken(&post(&admin, &ever, json!({"token_expiry": {"mode": "never"}})).await, &[mode]);
    assert_eq!(ok(&post(&admin, &ever, json!({})).await, 201)["expires_in"], 3600);

    assert_eq!(
        admin.patch("/v1/workspaces/acme", &json!({"never_expires_allowed": false})).await.status(),
        200
    );
    broken(&post(&admin, &never, json!({})).await, &["/token_expiry"]);
    broken(&post(&admin, &never, json!({"token_expiry": {"mode": "never"}})).await, &[mode]);
    assert_eq!(ok(&post(&admin, &never, json!({"token_expiry": after(60)})).await, 201)["expires_in"], 60);
    app.stop().await;
}

async fn a_scope_is_a_subset_and_a_permission_is_the_callers_own(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    for (scope, granted) in [
        (json!("gst"), "gst"),
        (json!("gst e-invoicing gst"), "e-invoicing gst"),
        (json!("gst  e-invoicing"), "e-invoicing gst"),
        (json!(""), "e-invoicing gst"),
        (json!(null), "e-invoicing gst"),
    ] {
        let made = ok(&post(&admin, &path, json!({"scope": scope})).await, 201);
        assert_eq!(made["scope"], granted);
        assert_eq!(claims(&app, &made).scope, granted);
    }
    for scope in [json!("tax"), json!("gst tax"), json!("GST"), json!("mintmark:read"), json!(7)] {
        broken(&post(&admin, &path, json!({"scope": scope})).await, &["/scope"]);
    }
    let permissions = json!({"permissions": ["mintmark:manage", "mintmark:introspect"], "products": []});
    let all = app.administrator_as(&admin.client, "mintmark:manage mintmark:introspect").await;
    let (_, path) = client(&all, permissions).await;
    for (caller, scope, status) in [
        // The caller's token needs all permissions of the client, whatever the scope. The token of `admin` lacks
        // `mintmark:introspect`.
        (&admin, "mintmark:manage", 403),
        (&admin, "mintmark:introspect", 403),
        (&admin, "", 403),
        (&all, "mintmark:introspect", 201),
        (&all, "", 201),
    ] {
        let reply = post(caller, &path, json!({"scope": scope})).await;
        assert_eq!(reply.status, status, "{scope}: {}", reply.text());
        if status == 403 {
            let refused = problem(&reply, 403, "forbidden");
            assert!(refused["detail"].as_str().unwrap().contains("mintmark:introspect"), "{refused}");
        }
    }
    // `mintmark:read` is not enough to generate or revoke tokens.
    let reader = app.administrator_as(&admin.client, "mintmark:read").await;
    problem(&post(&reader, &path, json!({})).await, 403, "forbidden");
    problem(&Reply::of(reader.delete(&path).await).await, 403, "forbidden");
    assert_eq!(reader.get(&path).await.status(), 200);
    app.stop().await;
}

async fn no_token_is_generated_for_a_client_that_may_not_have_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let client_path = format!("/v1/api-clients/{}", client.client_id);
    for (at, change, undo, text) in [
        (client_path.as_str(), json!({"status": "disabled"}), json!({"status": "active"}), "disabled"),
        ("/v1/workspaces/acme", json!({"status": "suspended"}), json!({"status": "active"}), "suspended"),
    ] {
        assert_eq!(admin.patch(at, &change).await.status(), 200);
        let refused = problem(&post(&admin, &path, json!({})).await, 409, "conflict");
        assert!(refused["detail"].as_str().unwrap().contains(text), "{refused}");
        assert_eq!(admin.patch(at, &undo).await.status(), 200);
        ok(&post(&admin, &path, json!({})).await, 201);
    }
    assert_eq!(admin.patch(&client_path, &json!({"expires_at": "2026-09-21T14:14:20Z"})).await.status(), 200);
    app.clock.advance(60);
    let refused = problem(&post(&admin, &path, json!({})).await, 409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("expires_at"), "{refused}");
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 2);
    app.stop().await;
}

async fn a_repeated_request_gets_the_same_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    let send = async |body: Value| {
        let request = admin.request(Method::POST, &path).header("idempotency-key", "one").json(&body);
        Reply::to(request).await
    };
    let first = send(json!({"scope": "gst"})).await;
    app.clock.advance(5);
    let again = send(json!({"scope": "gst"})).await;
    assert_eq!(ok(&first, 201), ok(&again, 201));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    problem(&send(json!({})).await, 422, "idempotency-key-reused");
    assert_eq!(app.database.number("SELECT COUNT(*) FROM access_tokens").await, 1);
    app.stop().await;
}

async fn tokens_are_listed_newest_first_in_pages(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let mut made = Vec::new();
    for scope in ["gst", "e-invoicing", "gst e-invoicing"] {
        made.push(ok(&post(&admin, &path, json!({"scope": scope})).await, 201)["jti"].clone());
        app.clock.advance(1);
    }
    let by_itself = app.access_token(&client, &[]).await;
    let list = async |query: &str| {
        let body = ok(&Reply::of(admin.get(&format!("{path}{query}")).await).await, 200);
        let items = body["items"].as_array().unwrap().clone();
        (items, body["next_cursor"].clone())
    };
    let (items, next) = list("").await;
    assert_eq!((items.len(), &next), (4, &Value::Null));
    assert_eq!(items[0]["issued_by"], "client");
    let rest: Vec<_> = items[1..].iter().rev().map(|item| item["jti"].clone()).collect();
    assert_eq!(rest, made);
    assert_eq!(
        items[3],
        ok(&Reply::of(admin.get(&format!("{path}/{}", made[0].as_str().unwrap())).await).await, 200)
    );
    assert!(!items.iter().any(|item| item.to_string().contains(by_itself.rsplit('.').next().unwrap())));

    let (first, next) = list("?limit=3").await;
    let (others, end) = list(&format!("?limit=3&cursor={}", next.as_str().unwrap())).await;
    assert_eq!([first, others].concat(), items);
    assert_eq!(end, Value::Null);
    problem(&Reply::of(admin.get(&format!("{path}?limit=0")).await).await, 400, "invalid-parameter");
    problem(&Reply::of(admin.get(&format!("{path}?live=true")).await).await, 400, "invalid-parameter");
    app.stop().await;
}

async fn one_token_or_all_tokens_of_a_client_are_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let made = ok(&post(&admin, &path, json!({})).await, 201);
        tokens.push((made["jti"].as_str().unwrap().to_owned(), claims(&app, &made)));
    }
    let ends = ok(&post(&admin, &path, json!({"token_expiry": {"mode": "after", "seconds": 60}})).await, 201);
    let ended = claims(&app, &ends);
    app.clock.advance(60);
    assert_eq!(verdict(&app, &ended).await, Err(InactiveReason::Expired));
    let (jti, first) = &tokens[0];
    let one = format!("{path}/{jti}");
    for _ in 0..2 {
        let reply = Reply::of(admin.delete(&one).await).await;
        assert_eq!((reply.status, reply.text()), (204, ""));
    }
    // This token has expired, so nobody gets a mail when it is revoked.
    assert_eq!(admin.delete(&format!("{path}/{}", ends["jti"].as_str().unwrap())).await.status(), 204);
    assert_eq!(verdict(&app, first).await, Err(InactiveReason::Revoked));
    assert_eq!(published(&app, first).await, Status::Invalid);
    assert_eq!(published(&app, &tokens[1].1).await, Status::Valid);
    assert_eq!(ok(&Reply::of(admin.get(&one).await).await, 200)["revoked_at"], "2026-09-21T14:14:20Z");
    let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'access_token.revoked'";
    assert_eq!(app.database.number(mails).await, 1);
    for unknown in ["A".repeat(22), "short".to_owned(), "%00".repeat(22)] {
        for method in [Method::GET, Method::DELETE] {
            let reply = Reply::to(admin.request(method, &format!("{path}/{unknown}"))).await;
            problem(&reply, 404, "not-found");
        }
    }

    let (short, short_path) =
        self::client(&admin, json!({"token_expiry": {"mode": "after", "seconds": 600}})).await;
    let stateless = json!({"access_token": app.access_token(&short, &[]).await});
    let stateless = claims(&app, &stateless);
    assert_eq!(verdict(&app, &stateless).await, Ok(()));
    for path in [&path, &short_path] {
        assert_eq!(Reply::of(admin.delete(path).await).await.status, 204);
    }
    for (_, claims) in &tokens {
        assert_eq!(verdict(&app, claims).await, Err(InactiveReason::Revoked));
        assert_eq!(published(&app, claims).await, Status::Invalid);
    }
    assert_eq!(verdict(&app, &stateless).await, Err(InactiveReason::GenerationEnded));
    assert_eq!(published(&app, &stateless).await, Status::Invalid);
    // The client can still get new tokens.
    let new = claims(&app, &json!({"access_token": app.access_token(&client, &[]).await}));
    assert_eq!((verdict(&app, &new).await, published(&app, &new).await), (Ok(()), Status::Valid));
    let record = ok(&Reply::of(admin.get(&format!("/v1/api-clients/{}", client.client_id)).await).await, 200);
    assert_eq!(record["generation"], 2, "revoking all tokens of a client starts its next generation");
    app.stop().await;
}

async fn tokens_of_another_workspace_are_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    admin.workspace("rival", json!({})).await;
    let (rival, _) = admin.client("rival", json!({"permissions": ["mintmark:manage"]})).await;
    let rival = app.administrator_as(&rival, "mintmark:manage").await;
    let made = ok(&post(&admin, &path, json!({})).await, 201);
    let one = format!("{path}/{}", made["jti"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, &path),
        (Method::POST, &path),
        (Method::DELETE, &path),
        (Method::GET, &one),
        (Method::DELETE, &one),
    ] {
        problem(&Reply::to(rival.request(method, path)).await, 404, "not-found");
    }
    // A token of one client is not found under the path of another client.
    let (_, other) = client(&admin, json!({})).await;
    let elsewhere = format!("{other}/{}", made["jti"].as_str().unwrap());
    for method in [Method::GET, Method::DELETE] {
        problem(&Reply::to(admin.request(method, &elsewhere)).await, 404, "not-found");
    }
    assert_eq!(verdict(&app, &claims(&app, &made)).await, Ok(()));
    // A manager of the same workspace may generate and read tokens.
    let (manager, _) = admin.client("acme", json!({"permissions": ["mintmark:manage"]})).await;
    let manager = app.administrator_as(&manager, "mintmark:manage").await;
    let made = ok(&post(&manager, &path, json!({})).await, 201);
    let record =
        ok(&Reply::of(manager.get(&format!("{path}/{}", made["jti"].as_str().unwrap())).await).await, 200);
    assert_eq!(record["issued_by"], format!("client:{}", manager.client.client_id));
    app.stop().await;
}

async fn no_part_of_a_token_is_stored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    let request = admin.request(Method::POST, &path).header("idempotency-key", "kept").json(&json!({}));
    let made = ok(&Reply::to(request).await, 201);
    let text = made["access_token"].as_str().unwrap();
    let everything = app.database.session().await.everything().await;
    assert!(everything.contains(made["jti"].as_str().unwrap()));
    for part in text.split('.') {
        assert!(!everything.contains(part), "a part of the token is in the database");
    }
    app.stop().await;
}

async fn without_a_signing_key_the_error_says_how_to_make_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    let mut session = app.database.session().await;
    session
        .execute("UPDATE signing_keys SET phase = 'retiring', sealed_private = NULL, retired_at = 1 WHERE use_for = 'never_expiring'")
        .await;
    app.core.services.signing.reload_signing_keys().await.unwrap();
    let refused = problem(&post(&admin, &path, json!({})).await, 409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("POST /v1/signing-keys"), "{refused}");
    let caller = Manager::command_line();
    let client_id = path.split('/').nth(3).unwrap();
    assert_eq!(
        app.core
            .services
            .tokens
            .access_tokens(&caller, client_id, &mintmark::model::page::Page::first(5))
            .await
            .unwrap()
            .items,
        []
    );
    app.stop().await;
}
