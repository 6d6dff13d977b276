//! The published keys (RFC 7517, RFC 7638; `docs/conformance.md` K1–K4, O4): a new key is published before it replaces another,
//! and stays published for as long as a token that it signed may be valid, unless it is revoked. No key has a private member.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mintmark::jobs;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, reply_as};
use super::verifying::{accepted, verified};
use crate::support::{
    Administrator, Credentials, Engine, Reply, TestApp, Wire, on_both_engines, rsa_private_key,
};

on_both_engines!(
    k1_no_member_is_private_and_every_kid_is_unique,
    k2_the_kid_is_the_thumbprint,
    k3_numbers_have_their_proper_length,
    k4_the_key_set_may_be_cached,
    the_default_algorithm_comes_first,
    a_new_key_is_published_before_it_signs,
    a_retired_key_stays_while_a_token_may_be_live,
    a_key_of_never_expiring_tokens_stays_while_one_is_live,
    keys_rotate_by_the_schedule,
    a_revoked_key_is_removed_from_the_key_set_at_once,
);

const PATH: &str = "/.well-known/jwks.json";

async fn keys(app: &TestApp) -> Vec<Value> {
    let reply = Reply::of(app.get(PATH).await).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/jwk-set+json")));
    let mut set = reply.json();
    assert_eq!(set.as_object().unwrap().len(), 1, "{set}");
    serde_json::from_value(set["keys"].take()).unwrap()
}

async fn kids(app: &TestApp) -> Vec<String> {
    keys(app).await.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Adds keys, so that there is one of every algorithm and class. Returns the administrator who added them.
async fn add_keys_of_all_kinds(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    for use_for in ["expiring", "never_expiring"] {
        for alg in ["EdDSA", "RS256", "PS256"] {
            let mut wanted = json!({"alg": alg, "use_for": use_for});
            if alg != "EdDSA" {
                wanted["private_key_pem"] = rsa_private_key().into();
            }
            admin.create("/v1/signing-keys", &wanted).await;
        }
    }
    admin
}

fn bytes(key: &Value, member: &str) -> Vec<u8> {
    let text = key[member].as_str().unwrap_or_else(|| panic!("{member}: {key}"));
    URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|error| panic!("{error}: {key}"))
}

async fn k1_no_member_is_private_and_every_kid_is_unique(engine: Engine) {
    let app = TestApp::start(engine).await;
    add_keys_of_all_kinds(&app).await;
    let keys = keys(&app).await;
    assert_eq!(keys.len(), 8);
    let mut seen = HashSet::new();
    for key in &keys {
        let members = match key["kty"].as_str().unwrap() {
            "EC" => &["kty", "crv", "x", "y", "kid", "use", "alg"][..],
            "OKP" => &["kty", "crv", "x", "kid", "use", "alg"],
            "RSA" => &["kty", "n", "e", "kid", "use", "alg"],
            other => panic!("{other}"),
        };
        let named: HashSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, members.iter().copied().collect(), "{key}");
        assert_eq!(key["use"], "sig");
        assert!(seen.insert(key["kid"].as_str().unwrap().to_owned()), "{key}");
    }
    let mut algs: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    algs.sort_unstable();
    assert_eq!(algs, ["ES256", "ES256", "EdDSA", "EdDSA", "PS256", "PS256", "RS256", "RS256"]);
    app.stop().await;
}

async fn k2_the_kid_is_the_thumbprint(engine: Engine) {
    let app = TestApp::start(engine).await;
    add_keys_of_all_kinds(&app).await;
    for key in keys(&app).await {
        let required = match key["kty"].as_str().unwrap() {
            "EC" => &["crv", "kty", "x", "y"][..],
            "OKP" => &["crv", "kty", "x"],
            _ => &["e", "kty", "n"],
        };
        let members: Vec<String> = required.iter().map(|name| format!("\"{name}\":{}", key[name])).collect();
        let canonical = format!("{{{}}}", members.join(","));
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(digest), "{canonical}");
    }
    app.stop().await;
}

async fn k3_numbers_have_their_proper_length(engine: Engine) {
    let app = TestApp::start(engine).await;
    add_keys_of_all_kinds(&app).await;
    for key in keys(&app).await {
        match key["kty"].as_str().unwrap() {
            "EC" => {
                assert_eq!(key["crv"], "P-256");
                assert_eq!((bytes(&key, "x").len(), bytes(&key, "y").len()), (32, 32), "{key}");
            }
            "OKP" => {
                assert_eq!(key["crv"], "Ed25519");
                assert_eq!(bytes(&key, "x").len(), 32, "{key}");
            }
            _ => {
                let (n, e) = (bytes(&key, "n"), bytes(&key, "e"));
                assert!(n.len() >= 256 && n[0] != 0 && e[0] != 0, "{key}");
                assert_eq!(e, [1, 0, 1]);
            }
        }
    }
    app.stop().await;
}

/// Checks that `reply` to a GET of `path` may be cached for `max_age` seconds, that a HEAD gets the same headers, that a client
/// that has the reply already gets 304, and that other methods get 405.
pub(super) async fn may_be_cached(app: &TestApp, path: &str, reply: &Reply, max_age: i64) {
    let etag = reply.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 20, "{etag}");
    assert_eq!(reply.header("cache-control"), Some(format!("public, max-age={max_age}").as_str()));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        (reply.header("set-cookie"), reply.header("vary")),
        (None, (path == PATH).then_some("accept"))
    );
    let ask = |tags: &str| app.request(Method::GET, path).header("if-none-match", tags);
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let kept = Reply::to(ask(&known)).await;
        assert_eq!((kept.status, kept.body.len()), (304, 0), "{known}");
        assert_eq!(kept.header("etag"), Some(etag.as_str()));
        assert_eq!(kept.header("cache-control"), reply.header("cache-control"));
    }
    for other in ["\"other\"", etag.trim_matches('"'), ""] {
        assert_eq!(Reply::to(ask(other)).await.clone().comparable(), reply.clone().comparable(), "{other}");
    }
    let mut wire = Wire::to(app).await;
    wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    let head = wire.reply_to_head().await;
    wire.must_close().await;
    assert_eq!(head.status, 200);
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.header(name), reply.header(name), "{name}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let refused = Reply::to(app.request(method, path)).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    }
}

async fn k4_the_key_set_may_be_cached(engine: Engine) {
    let settings = "keys.jwks_max_age_seconds = 120\nkeys.pending_seconds = 120";
    let app = TestApp::start_with(engine, settings).await;
    let other = app.replica(&format!("server.public_url = {:?}\n{settings}", app.base)).await;
    let first = Reply::of(app.get(PATH).await).await;
    may_be_cached(&app, PATH, &first, 120).await;
    // Every replica sends the same bytes and the same tag. Other bytes have another tag.
    assert_eq!(Reply::of(other.get(PATH).await).await.comparable(), first.clone().comparable());
    add_keys_of_all_kinds(&app).await;
    let second = Reply::of(app.get(PATH).await).await;
    assert_ne!(second.header("etag"), first.header("etag"));
    may_be_cached(&app, PATH, &second, 120).await;
    // A client that accepts only plain JSON gets that media type, with an entity tag of its own.
    let ask = |accept: &str| app.request(Method::GET, PATH).header("accept", accept);
    let plain = Reply::to(ask("application/json")).await;
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("application/json")));
    assert_eq!((plain.text(), plain.header("vary")), (second.text(), Some("accept")));
    let etag = plain.header("etag").unwrap();
    assert_ne!(Some(etag), second.header("etag"));
    let kept = Reply::to(ask("application/json").header("if-none-match", etag)).await;
    assert_eq!((kept.status, kept.header("etag")), (304, Some(etag)));
    assert_eq!(Reply::to(ask("*/*").header("if-none-match", etag)).await.status, 200);
    for (accept, media_type) in [
        ("application/json;q=0.9, text/plain", "application/json"),
        ("application/json, text/plain, */*", "application/jwk-set+json"),
        ("application/json, application/jwk-set+json;q=0.1", "application/jwk-set+json"),
        ("application/*", "application/jwk-set+json"),
        ("text/html", "application/jwk-set+json"),
    ] {
        assert_eq!(Reply::to(ask(accept)).await.header("content-type"), Some(media_type), "{accept}");
    }
    other.stop().await;
    app.stop().await;
}

async fn the_default_algorithm_comes_first(engine: Engine) {
    for default in ["ES256", "EdDSA"] {
        let app = TestApp::start_with(engine, &format!("tokens.signing_alg = {default:?}")).await;
        let admin = app.administrator().await;
        let another = if default == "ES256" { "EdDSA" } else { "ES256" };
        for alg in [another, default] {
            let wanted = json!({"alg": alg, "use_for": "expiring"});
            assert_eq!(admin.post("/v1/signing-keys", &wanted).await.status(), 201);
        }
        let keys = keys(&app).await;
        let algs: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        // Of the default algorithm there are two active keys, one for expiring and one for never-expiring tokens, and a pending
        // one. The key of the other algorithm comes last.
        assert_eq!(algs, [default, default, default, another]);
        let token = issued(&reply_as(&app, &admin.client, GRANT).await);
        assert_eq!((&token.header["alg"], &token.header["kid"]), (&json!(default), &keys[0]["kid"]));
        accepted(&app, &token).await;
        app.stop().await;
    }
}

/// An app and a second replica of it, with these settings.
async fn two_replicas(engine: Engine, settings: &str) -> (TestApp, TestApp) {
    let app = TestApp::start_with(engine, settings).await;
    let other = app.replica(&format!("server.public_url = {:?}\n{settings}", app.base)).await;
    (app, other)
}

async fn client_for(admin: &Administrator<'_>, expiry: Value) -> Credentials {
    admin.product("gst", json!({})).await;
    admin.client("platform", json!({"products": ["gst"], "token_expiry": expiry})).await.0
}

async fn token(app: &TestApp, client: &Credentials) -> Token {
    issued(&reply_as(app, client, GRANT).await)
}

async fn a_new_key_is_published_before_it_signs(engine: Engine) {
    let (app, other) = two_replicas(engine, "").await;
    let admin = app.administrator().await;
    let client = client_for(&admin, json!({"mode": "after", "seconds": 3600})).await;
    let before = token(&app, &client).await;
    let next = admin.create("/v1/signing-keys", &json!({"alg": "ES256"})).await;
    assert_eq!((&next["phase"], &next["use_for"]), (&json!("pending"), &json!("expiring")));
    let next = next["kid"].as_str().unwrap();
    assert_ne!(before.header["kid"], next);
    // The new key is published at once, and on the other replica within a second.
    assert!(kids(&app).await.contains(&next.to_owned()));
    app.clock.advance(1);
    token(&other, &client).await;
    assert!(kids(&other).await.contains(&next.to_owned()));
    // `keys.pending_seconds` is 900. Up to then the old key signs, and from that second on the new one, even if no job has run.
    app.clock.advance(898);
    for replica in [&app, &other] {
        assert_eq!(token(replica, &client).await.header["kid"], before.header["kid"]);
    }
    let old = before.header["kid"].as_str().unwrap();
    let shown = async |kid: &str| {
        let reply = Reply::of(admin.get(&format!("/v1/signing-keys/{kid}")).await).await;
        (reply.json()["phase"].as_str().unwrap().to_owned(), reply.header("etag").unwrap().to_owned())
    };
    let (pending, active) = (shown(next).await, shown(old).await);
    assert_eq!((pending.0.as_str(), active.0.as_str()), ("pending", "active"));
    app.clock.advance(1);
    // The phase that applies now is shown, so the entity tag has changed.
    let listed = Reply::of(admin.get("/v1/signing-keys").await).await.json();
    for (kid, phase, before) in [(next, "active", &pending), (old, "retiring", &active)] {
        let now = shown(kid).await;
        assert_eq!(now.0, phase);
        assert_ne!(now.1, before.1);
        let of_list = listed["items"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
        assert_eq!(of_list["phase"], phase);
    }
    for replica in [&app, &other] {
        let after = token(replica, &client).await;
        assert_eq!(after.header["kid"], next);
        accepted(&app, &after).await;
        accepted(&app, &before).await;
    }
    let by_time = (shown(next).await, shown(old).await);
    // When the job has run, the old key no longer has its private key.
    jobs::housekeeping_once(&app.core.services).await;
    assert_eq!((shown(next).await, shown(old).await), by_time, "the stored phases are those that were shown");
    let without_private_key = format!(
        "SELECT COUNT(*) FROM signing_keys WHERE kid = {} AND sealed_private IS NULL",
        quoted(&before)
    );
    assert_eq!(app.database.number(&without_private_key).await, 1);
    accepted(&app, &before).await;
    app.clock.advance(1);
    for replica in [&app, &other] {
        assert_eq!(token(replica, &client).await.header["kid"], next);
        assert_eq!(kids(replica).await.len(), 3);
    }
    other.stop().await;
    app.stop().await;
}

fn quoted(token: &Token) -> String {
    format!("'{}'", token.header["kid"].as_str().unwrap())
}

async fn a_retired_key_stays_while_a_token_may_be_live(engine: Engine) {
    let (app, other) = two_replicas(engine, "").await;
    let admin = app.administrator().await;
    let day = client_for(&admin, json!({"mode": "after", "seconds": 86_400})).await;
    let (month, _) = admin
        .client(
            "platform",
            json!({"products": ["gst"], "token_expiry": {"mode": "after", "seconds": 2_592_000}}),
        )
        .await;
    let recorded = token(&app, &month).await;
    let next = admin.create("/v1/signing-keys", &json!({"alg": "ES256"})).await;
    app.clock.advance(899);
    let last = token(&app, &day).await;
    let old = last.header["kid"].as_str().unwrap().to_owned();
    assert_ne!(next["kid"], old.as_str());
    app.clock.advance(1);
    jobs::housekeeping_once(&app.core.services).await;
    // A second before the last stateless token expires, the key is still published.
    app.clock.advance(86_398);
    jobs::housekeeping_once(&app.core.services).await;
    accepted(&app, &last).await;
    // Ten minutes later the key is still published, but only because of the recorded token.
    app.clock.advance(600);
    verified(&app, &last).await.unwrap_err();
    // A recorded token stays valid, and its key published, on every replica. With the day before, 29 of its 30 days pass here.
    for days in [1, 10, 17] {
        app.clock.advance(days * 86_400);
        jobs::housekeeping_once(&app.core.services).await;
        accepted(&app, &recorded).await;
        issued(&reply_as(&other, &day, GRANT).await);
        assert!(kids(&other).await.contains(&old));
    }
    // When the recorded token has expired too, the key is removed.
    app.clock.advance(86_400);
    verified(&app, &recorded).await.unwrap_err();
    jobs::housekeeping_once(&app.core.services).await;
    assert!(!kids(&app).await.contains(&old));
    app.clock.advance(1);
    token(&other, &day).await;
    assert!(!kids(&other).await.contains(&old));
    other.stop().await;
    app.stop().await;
}

async fn a_key_of_never_expiring_tokens_stays_while_one_is_live(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_for(&admin, json!({"mode": "never"})).await;
    let never_expiring = token(&app, &client).await;
    let old = never_expiring.header["kid"].as_str().unwrap().to_owned();
    let wanted = json!({"alg": "ES256", "use_for": "never_expiring"});
    let next = admin.create("/v1/signing-keys", &wanted).await;
    app.clock.advance(900);
    jobs::housekeeping_once(&app.core.services).await;
    let (other, _) =
        admin.client("platform", json!({"products": ["gst"], "token_expiry": {"mode": "never"}})).await;
    assert_eq!(token(&app, &other).await.header["kid"], next["kid"]);
    for years in [1, 9, 40] {
        app.clock.advance(years * 366 * 86_400);
        jobs::housekeeping_once(&app.core.services).await;
        accepted(&app, &never_expiring).await;
    }
    // The old key is removed when its last token has ended, and not before.
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    let refused = admin.delete(&format!("/v1/signing-keys/{old}")).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", client.client_id)).await.status(), 204);
    jobs::housekeeping_once(&app.core.services).await;
    assert!(!kids(&app).await.contains(&old));
    assert!(kids(&app).await.contains(&next["kid"].as_str().unwrap().to_owned()));
    app.stop().await;
}

async fn keys_rotate_by_the_schedule(engine: Engine) {
    let app = TestApp::start_with(engine, "keys.rotate_every_days = 30").await;
    let client = app.bootstrap().await;
    let first = kids(&app).await;
    assert_eq!(first.len(), 2);
    // The next key is published a quarter of an hour before the thirty days are over.
    app.clock.advance(30 * 86_400 - 901);
    jobs::housekeeping_once(&app.core.services).await;
    assert_eq!(kids(&app).await, first);
    app.clock.advance(1);
    jobs::housekeeping_once(&app.core.services).await;
    let with_next = kids(&app).await;
    assert_eq!(with_next.len(), 3);
    let next = with_next.iter().find(|kid| !first.contains(kid)).unwrap();
    app.clock.advance(899);
    let last = token(&app, &client).await;
    assert_ne!(last.header["kid"], next.as_str());
    app.clock.advance(1);
    let new = token(&app, &client).await;
    assert_eq!(new.header["kid"], next.as_str());
    for token in [&last, &new] {
        accepted(&app, token).await;
    }
    // The key of never-expiring tokens is replaced only on request.
    jobs::housekeeping_once(&app.core.services).await;
    app.clock.advance(2 * 86_400);
    jobs::housekeeping_once(&app.core.services).await;
    let now = kids(&app).await;
    assert_eq!(now.len(), 2);
    assert_eq!(now.iter().filter(|kid| first.contains(kid)).count(), 1);
    app.stop().await;
}

async fn a_revoked_key_is_removed_from_the_key_set_at_once(engine: Engine) {
    let (app, other) = two_replicas(engine, "").await;
    let admin = app.administrator().await;
    let client = client_for(&admin, json!({"mode": "after", "seconds": 3600})).await;
    let stolen = token(&app, &client).await;
    let kid = stolen.header["kid"].as_str().unwrap();
    let path = format!("/v1/signing-keys/{kid}");
    assert_eq!(admin.delete(&path).await.status(), 409);
    assert_eq!(admin.delete(&format!("{path}?revoke_tokens=true")).await.status(), 204);
    assert!(!kids(&app).await.contains(&kid.to_owned()));
    verified(&app, &stolen).await.unwrap_err();
    // A successor signs at once on this replica, and within a second on the other one.
    let successor = token(&app, &client).await;
    accepted(&app, &successor).await;
    app.clock.advance(1);
    let there = token(&other, &client).await;
    assert_eq!(there.header["kid"], successor.header["kid"]);
    assert_eq!(kids(&other).await, kids(&app).await);
    other.stop().await;
    app.stop().await;
}
