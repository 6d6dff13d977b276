//! Status lists over HTTP (draft-ietf-oauth-status-list-21; `docs/conformance.md` L1–L3, L5, L6, L8, L9), as a verifier in any
//! language reads them.

use std::collections::HashSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::listed::{
    MEDIA_TYPE, ask, client, idx_of, list_at, never_expiring, path_of, replica, revoke, status_of, token,
};
use super::verifying::{verifier, verifier_builder};
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(
    l1_every_token_names_its_slot,
    l2_the_list_is_a_jwt_and_other_media_types_get_406,
    l2_the_compressed_list_has_its_own_tag,
    l2_a_client_that_has_the_list_gets_304,
    l3_the_claims_are_those_of_the_draft,
    l5_a_slot_has_the_status_of_its_token,
    l6_slots_are_random_and_each_is_assigned_once,
    l8_a_request_for_an_earlier_version_gets_501,
    l9_an_offline_verifier_refuses_a_revoked_token_within_the_ttl,
    paths_that_name_no_list_are_not_found,
    the_aggregation_names_every_list,
    an_issuer_with_a_path_has_its_lists_below_it,
    an_ended_list_and_its_number_are_gone,
);

/// How many slots a list has.
const SLOTS: usize = 131_072;

async fn l1_every_token_names_its_slot(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let hour = client(&admin, json!({})).await;
    let month = json!({"token_expiry": {"mode": "after", "seconds": 2_592_000}});
    let month = client(&admin, month).await;
    let mut paths = HashSet::new();
    for holder in [&never, &hour, &month, &admin.client] {
        let token = token(&app, holder).await;
        let place = &token.claims["status"];
        assert_eq!(place.as_object().unwrap().len(), 1, "{place}");
        assert_eq!(place["status_list"].as_object().unwrap().len(), 2, "{place}");
        assert!(idx_of(&token) < SLOTS as u64);
        let list = list_at(&app, &path_of(&token)).await;
        assert_eq!(list.claims["sub"], place["status_list"]["uri"]);
        assert_eq!(list.status(idx_of(&token)), 0);
        paths.insert(path_of(&token));
    }
    // There are separate lists for generations, whose stateless tokens share a slot, for expiring recorded tokens and for
    // never-expiring tokens.
    assert_eq!(paths.len(), 3);
    app.stop().await;
}

/// An app with a list, and the path of the list.
async fn with_list(engine: Engine) -> (TestApp, String) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let path = path_of(&token(&app, &client).await);
    (app, path)
}

fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> RequestBuilder {
    headers
        .iter()
        .fold(app.request(Method::GET, path), |request, (name, value)| request.header(*name, *value))
}

async fn l2_the_list_is_a_jwt_and_other_media_types_get_406(engine: Engine) {
    let (app, path) = with_list(engine).await;
    let plain = Reply::to(get(&app, &path, &[])).await;
    for accept in [MEDIA_TYPE, "*/*", "application/*;q=0.1", "text/html, application/statuslist+jwt;q=0.5"] {
        let reply = Reply::to(get(&app, &path, &[("accept", accept)])).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(MEDIA_TYPE)), "{accept}");
        assert_eq!(reply.clone().comparable(), plain.clone().comparable(), "{accept}");
    }
    assert_eq!(plain.header("cache-control"), Some("no-cache"));
    assert_eq!(plain.header("vary"), Some("accept, accept-encoding"));
    assert_eq!(plain.header("access-control-allow-origin"), Some("*"));
    assert_eq!((plain.header("content-encoding"), plain.header("set-cookie")), (None, None));
    for accept in ["application/statuslist+cwt", "application/json", "*/*, application/statuslist+jwt;q=0"] {
        let refused = Reply::to(get(&app, &path, &[("accept", accept)])).await;
        assert_eq!((refused.status, refused.header("content-type")), (406, Some("application/json")));
        assert_eq!(refused.json()["error"], "invalid_request");
        assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    }
    let mut wire = Wire::to(&app).await;
    wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    let head = wire.reply_to_head().await;
    wire.must_close().await;
    assert_eq!(head.status, 200);
    for name in ["etag", "cache-control", "vary", "content-type", "content-length"] {
        assert_eq!(head.header(name), plain.header(name), "{name}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let refused = Reply::to(app.request(method, &path)).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    }
    app.stop().await;
}

async fn l2_the_compressed_list_has_its_own_tag(engine: Engine) {
    let (app, path) = with_list(engine).await;
    let plain = Reply::to(get(&app, &path, &[])).await;
    let small = Reply::to(get(&app, &path, &[("accept-encoding", "br, gzip;q=0.5")])).await;
    assert_eq!((small.status, small.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(small.header("content-type"), Some(MEDIA_TYPE));
    assert_eq!(small.header("vary"), Some("accept, accept-encoding"));
    let mut unpacked = Vec::new();
    GzDecoder::new(&*small.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let (tag, small_tag) = (plain.header("etag").unwrap(), small.header("etag").unwrap());
    for tag in [tag, small_tag] {
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    }
    assert_ne!(tag, small_tag);
    for encoding in ["gzip;q=0", "br", "identity", "*;q=0"] {
        let reply = Reply::to(get(&app, &path, &[("accept-encoding", encoding)])).await;
        assert_eq!(reply.comparable(), plain.clone().comparable(), "{encoding}");
    }
    // Each form has its own entity tag.
    for (encoding, known, status) in
        [("gzip", small_tag, 304), ("gzip", tag, 200), ("identity", tag, 304), ("identity", small_tag, 200)]
    {
        let headers = [("accept-encoding", encoding), ("if-none-match", known)];
        assert_eq!(Reply::to(get(&app, &path, &headers)).await.status, status, "{encoding} {known}");
    }
    app.stop().await;
}

async fn l2_a_client_that_has_the_list_gets_304(engine: Engine) {
    let (app, path) = with_list(engine).await;
    let first = Reply::to(get(&app, &path, &[])).await;
    let tag = first.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let same = Reply::to(get(&app, &path, &[("if-none-match", &known)])).await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{known}");
        for name in ["etag", "cache-control", "vary", "access-control-allow-origin"] {
            assert_eq!(same.header(name), first.header(name), "{name}");
        }
    }
    let other = Reply::to(get(&app, &path, &[("if-none-match", "\"other\"")])).await;
    assert_eq!(other.comparable(), first.clone().comparable());
    app.stop().await;
}

async fn l3_the_claims_are_those_of_the_draft(engine: Engine) {
    for ttl in [60, 1, 3600] {
        let app = TestApp::start_with(engine, &format!("status_lists.ttl_seconds = {ttl}")).await;
        let client = app.bootstrap().await;
        app.clock.advance(5);
        let token = token(&app, &client).await;
        let list = list_at(&app, &path_of(&token)).await;
        let now = token.claims["iat"].as_i64().unwrap();
        let packed = &list.claims["status_list"]["lst"];
        assert_eq!(
            list.claims,
            json!({
                "sub": token.claims["status"]["status_list"]["uri"],
                "iat": now,
                "exp": now + 3600,
                "ttl": ttl,
                "status_list": {"bits": 2, "lst": packed},
            })
        );
        assert_eq!(list.bits.len() * 4, SLOTS);
        app.stop().await;
    }
}

async fn l5_a_slot_has_the_status_of_its_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let hour = client(&admin, json!({})).await;
    let (recorded, other) = (token(&app, &never).await, token(&app, &never).await);
    let stateless = token(&app, &hour).await;
    let all = [&recorded, &other, &stateless];
    let statuses = async || {
        let mut found = Vec::new();
        for token in all {
            found.push(status_of(&app, token).await);
        }
        found
    };
    assert_eq!(statuses().await, [0, 0, 0]);
    revoke(&app, &recorded).await;
    assert_eq!(statuses().await, [1, 0, 0]);
    let set = async |status: &str| {
        for holder in [&never, &hour] {
            let path = format!("/v1/api-clients/{}", holder.client_id);
            assert_eq!(admin.patch(&path, &json!({"status": status})).await.status(), 200);
        }
    };
    set("disabled").await;
    assert_eq!(statuses().await, [1, 2, 2]);
    set("active").await;
    assert_eq!(statuses().await, [1, 0, 0]);
    for holder in [&never, &hour] {
        assert_eq!(admin.delete(&format!("/v1/api-clients/{}", holder.client_id)).await.status(), 204);
    }
    assert_eq!(statuses().await, [1, 1, 1]);
    app.stop().await;
}

async fn l6_slots_are_random_and_each_is_assigned_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let other = replica(&app, "").await;
    let mut slots = Vec::new();
    for turn in 0..60 {
        slots.push(token([&app, &other][turn % 2], &never).await);
    }
    let distinct: HashSet<_> = slots.iter().map(|token| (path_of(token), idx_of(token))).collect();
    assert_eq!(distinct.len(), slots.len());
    // Tokens that one replica issues one after another rarely get neighbouring slots.
    let near = slots.windows(3).filter(|three| idx_of(&three[0]).abs_diff(idx_of(&three[2])) < 100).count();
    assert!(near < 5, "{near} of 58");
    other.stop().await;
    app.stop().await;
}

async fn l8_a_request_for_an_earlier_version_gets_501(engine: Engine) {
    let (app, path) = with_list(engine).await;
    for query in ["time=1790000000", "time=", "time", "x=1&time=7"] {
        let refused = ask(&app, &format!("{path}?{query}")).await;
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (501, Some("application/json")),
            "{query}"
        );
        assert_eq!(refused.json()["error"], "invalid_request");
    }
    // Other query parameters are ignored.
    assert_eq!(ask(&app, &format!("{path}?at=1&times=2")).await.status, 200);
    app.stop().await;
}

async fn l9_an_offline_verifier_refuses_a_revoked_token_within_the_ttl(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let (token, other) = (token(&app, &never).await, token(&app, &never).await);
    let (issuer, audience) = (&app.base, token.claims["aud"].as_str().unwrap());
    let offline = verifier(&app, issuer, audience, true);
    offline.verify(&token.text).await.unwrap();
    revoke(&app, &token).await;
    app.clock.advance(60);
    let refused = offline.verify(&token.text).await.unwrap_err();
    assert!(matches!(refused, mintmark_verifier::VerifyError::Revoked), "{refused:?}");
    offline.verify(&other.text).await.unwrap();
    // A service that does not read the list accepts the revoked token.
    let careless =
        verifier_builder(&app, issuer, audience).allow_never_expiring(true).check_status(false).build();
    careless.unwrap().verify(&token.text).await.unwrap();
    app.stop().await;
}

async fn paths_that_name_no_list_are_not_found(engine: Engine) {
    let (app, path) = with_list(engine).await;
    let number: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let others = [number + 1, 0, -1, i64::MAX].map(|number| number.to_string());
    let malformed =
        [format!("0{number}"), format!("+{number}"), format!("{number}.0"), format!("{number}%20")];
    let no_numbers = [format!("{number}{}", "0".repeat(40)), "%00".to_owned(), "x".to_owned()];
    for name in others.into_iter().chain(malformed).chain(no_numbers) {
        let missing = ask(&app, &format!("/oauth2/status-lists/{name}")).await;
        assert_eq!(
            (missing.status, missing.header("content-type")),
            (404, Some("application/json")),
            "{name}"
        );
        assert_eq!(missing.json()["error"], "invalid_request");
        assert_eq!(missing.header("access-control-allow-origin"), Some("*"));
        assert_eq!(missing.header("cache-control"), Some("no-store"));
    }
    assert_eq!(ask(&app, &path).await.status, 200);
    app.stop().await;
}

async fn aggregated(app: &TestApp) -> Vec<String> {
    let reply = Reply::of(app.get("/oauth2/status-lists").await).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let mut body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    let known = [("if-none-match", reply.header("etag").unwrap())];
    assert_eq!(Reply::to(get(app, "/oauth2/status-lists", &known)).await.status, 304);
    serde_json::from_value(body["status_lists"].take()).unwrap()
}

async fn the_aggregation_names_every_list(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert!(aggregated(&app).await.is_empty());
    let admin = app.administrator().await;
    let never = never_expiring(&admin).await;
    let named = |token: &super::expect::Token| token.claims["status"]["status_list"]["uri"].clone();
    let mut expected = vec![named(&token(&app, &admin.client).await)];
    assert_eq!(json!(aggregated(&app).await), json!(expected));
    expected.push(named(&token(&app, &never).await));
    assert_eq!(json!(aggregated(&app).await), json!(expected));
    let metadata = Reply::of(app.get("/.well-known/oauth-authorization-server").await).await.json();
    assert_eq!(metadata["status_list_aggregation_endpoint"], format!("{}/oauth2/status-lists", app.base));
    app.stop().await;
}

async fn an_issuer_with_a_path_has_its_lists_below_it(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let client = app.bootstrap().await;
    let token = token(&app, &client).await;
    let uri = token.claims["status"]["status_list"]["uri"].as_str().unwrap();
    assert_eq!(uri, format!("{}/tenant{}", app.base, path_of(&token)));
    assert_eq!(aggregated(&app).await, [uri]);
    for path in [path_of(&token), format!("/tenant{}", path_of(&token))] {
        assert_eq!(list_at(&app, &path).await.claims["sub"], uri, "{path}");
    }
    app.stop().await;
}

async fn an_ended_list_and_its_number_are_gone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let month = json!({"token_expiry": {"mode": "after", "seconds": 2_592_000}});
    let month = client(&admin, month).await;
    let first = token(&app, &month).await;
    let (path, expiry) = (path_of(&first), first.claims["exp"].as_i64().unwrap());
    // All lists count as full, so that no more slots are leased from them.
    app.database.execute("UPDATE status_lists SET filled_at = 0").await;
    assert_eq!(list_at(&app, &path).await.status(idx_of(&first)), 0);
    let remove_before = async |before: i64| -> Vec<i64> {
        let storage = app.database.open().await;
        let mut tx = storage.begin().await.unwrap();
        let removed = tx.remove_ended_status_lists(before, 100).await.unwrap();
        tx.commit().await.unwrap();
        storage.close().await;
        removed
    };
    assert_eq!(remove_before(expiry - 1).await, [0_i64; 0]);
    assert_eq!(list_at(&app, &path).await.status(idx_of(&first)), 0);
    let number: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    // The list is removed in storage, as if another replica had done it.
    assert_eq!(remove_before(expiry).await, [number]);
    app.clock.advance(1);
    assert_eq!(ask(&app, &path).await.status, 404);
    // Neither a list that was removed nor one that never existed takes memory.
    assert_eq!(ask(&app, "/oauth2/status-lists/4711").await.status, 404);
    let lists = &app.core.services.status_lists;
    assert_eq!(format!("{lists:?}"), "StatusLists { lists: [], .. }");
    assert!(!aggregated(&app).await.iter().any(|uri| uri.ends_with(&path)));
    // The app uses slots for an hour after it leased them. Then it leases from a new list, which has another number.
    app.clock.advance(3600);
    let later = token(&app, &month).await;
    let later_number: i64 = path_of(&later).rsplit('/').next().unwrap().parse().unwrap();
    assert!(later_number > number, "{later_number}");
    assert_eq!(list_at(&app, &path_of(&later)).await.status(idx_of(&later)), 0);
    assert_eq!(ask(&app, &path).await.status, 404);
    app.stop().await;
}
