//! Successful requests to the token endpoint (RFC 6749 §4.4, §5.1), and every valid form of the same request
//! (`docs/conformance.md` T1, T3, T8–T10, T13, T15, T16, T19, T22, J9).

use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::expect::{
    FORM, GRANT, TOKEN, basic, fully_encoded, invalid_request, issued, pair, post, post_as, reply_as,
};
use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(
    t01_a_token_is_issued_by_basic,
    t01_a_token_is_issued_by_form_post,
    t03_the_scope_is_always_in_the_reply,
    t08_the_same_credentials_in_header_and_body_are_accepted,
    t09_an_equal_client_id_in_the_body_is_accepted,
    t10_both_halves_of_basic_are_form_decoded,
    t13_the_scheme_is_read_in_any_case,
    t15_empty_parameters_count_as_absent,
    t16_unknown_parameters_are_ignored,
    t19_a_form_may_have_any_charset_label,
    t19_a_request_in_json_is_accepted,
    t22_chunked_expect_and_pipelined_requests_work,
    two_tokens_of_one_instant_differ,
);

async fn t01_a_token_is_issued_by_basic(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = issued(&reply_as(&app, &client, GRANT).await);
    assert_eq!(token.reply["expires_in"], 3600);
    assert_eq!(token.reply.get("refresh_token"), None);
    // A JWT has more than 100 characters, and only visible ASCII characters.
    assert!(token.text.len() > 100 && token.text.bytes().all(|b| b.is_ascii_graphic()));
    app.stop().await;
}

async fn t01_a_token_is_issued_by_form_post(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for (id, secret) in [
        (client.client_id.clone(), client.client_secret.clone()),
        (fully_encoded(&client.client_id), fully_encoded(&client.client_secret)),
    ] {
        let body = format!("{GRANT}&client_id={id}&client_secret={secret}");
        issued(&Reply::to(post(&app, body)).await);
        let body = format!("client_secret={secret}&{GRANT}&client_id={id}");
        issued(&Reply::to(post(&app, body)).await);
    }
    app.stop().await;
}

async fn t03_the_scope_is_always_in_the_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let whole = issued(&reply_as(&app, &client, GRANT).await);
    assert_eq!(whole.reply["scope"], "mintmark:introspect mintmark:manage mintmark:read");
    let part = issued(&reply_as(&app, &client, format!("{GRANT}&scope=mintmark%3Aread")).await);
    assert_eq!(part.reply["scope"], "mintmark:read");
    assert_eq!(part.claims["scope"], "mintmark:read");
    app.stop().await;
}

async fn t09_an_equal_client_id_in_the_body_is_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    issued(&reply_as(&app, &client, format!("{GRANT}&client_id={}", client.client_id)).await);
    issued(&reply_as(&app, &client, format!("{GRANT}&client_id={}", fully_encoded(&client.client_id))).await);
    app.stop().await;
}

async fn t10_both_halves_of_basic_are_form_decoded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    // T11: our ids and secrets are the same bytes raw and encoded.
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    assert!(plain(&client.client_id) && plain(&client.client_secret), "{client:?}");
    let encoded = format!("{}:{}", fully_encoded(&client.client_id), fully_encoded(&client.client_secret));
    for credentials in [pair(&client), encoded.clone(), encoded.to_lowercase().replace("%5f", "_")] {
        issued(&Reply::to(post(&app, GRANT).header("authorization", basic(credentials))).await);
    }
    app.stop().await;
}

async fn t13_the_scheme_is_read_in_any_case(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let header = basic(pair(&client));
    let encoded = header.strip_prefix("Basic ").unwrap();
    for scheme in ["Basic ", "basic ", "BASIC ", "bAsIc ", "Basic  "] {
        issued(&Reply::to(post(&app, GRANT).header("authorization", format!("{scheme}{encoded}"))).await);
    }
    app.stop().await;
}

async fn t15_empty_parameters_count_as_absent(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let all = issued(&reply_as(&app, &client, GRANT).await);
    for empty in
        ["scope=", "scope", "resource=", "resource=&resource=", "client_secret=", "client_id=", "=", "&&"]
    {
        let token = issued(&reply_as(&app, &client, format!("{GRANT}&{empty}")).await);
        assert_eq!(token.reply["scope"], all.reply["scope"], "{empty}");
        assert_eq!(token.claims["aud"], all.claims["aud"], "{empty}");
    }
    for empty in ["client_assertion=", "client_assertion_type="] {
        issued(&reply_as(&app, &client, format!("{GRANT}&{empty}")).await);
        let body =
            format!("{GRANT}&client_id={}&client_secret={}&{empty}", client.client_id, client.client_secret);
        issued(&Reply::to(post(&app, body)).await);
    }
    app.stop().await;
}

async fn t16_unknown_parameters_are_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for unknown in [
        "audience=https%3A%2F%2Felsewhere.example",
        "foo=1&foo=2&foo=1",
        "Scope=nothing&SCOPE=nothing",
        "scope%20=nothing",
        "expires_in=31536000&token_expiry=never&never_expires=true",
        "sub=admin&client%5Fid%5B%5D=cl_other",
        "%F0%9F%94%91=%F0%9F%94%91",
    ] {
        let token = issued(&reply_as(&app, &client, format!("{unknown}&{GRANT}&{unknown}")).await);
        assert_eq!(token.reply["scope"], "mintmark:introspect mintmark:manage mintmark:read", "{unknown}");
        assert_eq!(token.claims["sub"], client.client_id.as_str(), "{unknown}");
        assert_eq!(token.reply["expires_in"], 3600, "{unknown}");
    }
    app.stop().await;
}

async fn t19_a_form_may_have_any_charset_label(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for media_type in [
        FORM,
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"utf-8\"",
        "application/x-www-form-urlencoded ; CharSet=utf-8",
        // Apart from a byte order mark, the body is ASCII, so the charset does not matter.
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
        "application/x-www-form-urlencoded; charset=windows-1252",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=utf-8; charset=us-ascii",
        "application/x-www-form-urlencoded; charset=",
    ] {
        for mark in ["", "\u{feff}"] {
            let request =
                app.request(reqwest::Method::POST, super::expect::TOKEN).header("content-type", media_type);
            let request = request.basic_auth(&client.client_id, Some(&client.client_secret));
            issued(&Reply::to(request.body(format!("{mark}{GRANT}&scope=mintmark:read"))).await);
        }
    }
    // In UTF-8 a form may hold more than ASCII.
    issued(&reply_as(&app, &client, format!("{GRANT}&x=ä")).await);
    app.stop().await;
}

async fn t08_the_same_credentials_in_header_and_body_are_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for (id, secret) in [
        (client.client_id.clone(), client.client_secret.clone()),
        (fully_encoded(&client.client_id), fully_encoded(&client.client_secret)),
    ] {
        let twice = format!("{GRANT}&client_id={id}&client_secret={secret}");
        issued(&reply_as(&app, &client, twice).await);
    }
    let json = json!({
        "grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret,
    });
    issued(&Reply::to(sent_json(&app, TOKEN, &json).header("authorization", basic(pair(&client)))).await);
    app.stop().await;
}

fn sent_json(app: &TestApp, path: &str, body: &Value) -> RequestBuilder {
    app.request(reqwest::Method::POST, path).header("content-type", "application/json").body(body.to_string())
}

async fn t19_a_request_in_json_is_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (&client.client_id, &client.client_secret);
    let grant = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    let with = |more: Value| {
        let mut body = grant.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let all = "mintmark:introspect mintmark:manage mintmark:read";
    for (more, scope) in [
        (json!({}), all),
        (json!({"scope": "mintmark:read"}), "mintmark:read"),
        (json!({"scope": "", "resource": ""}), all),
        (json!({"scope": null, "resource": null, "client_assertion": null}), all),
        (json!({"resource": []}), all),
        (json!({"resource": app.base}), all),
        (json!({"resource": [app.base], "scope": "mintmark:read"}), "mintmark:read"),
        (json!({"audience": 5, "x": {"y": [1, {"z": null}]}}), all),
    ] {
        let token = issued(&Reply::to(sent_json(&app, TOKEN, &with(more.clone()))).await);
        assert_eq!(token.reply["scope"], scope, "{more}");
        assert_eq!(token.claims["sub"], id.as_str());
    }
    // Basic, any charset label, and a byte order mark before the body are accepted.
    for (media_type, mark) in
        [("application/json; charset=utf-8", "\u{feff}"), ("Application/JSON; charset=ISO-8859-1", "")]
    {
        let request = app.request(reqwest::Method::POST, TOKEN).header("content-type", media_type);
        let body = format!("{mark} {}\n", json!({"grant_type": "client_credentials"}));
        issued(&Reply::to(request.basic_auth(id, Some(secret)).body(body)).await);
    }
    // The error names the fault, and no malformed member counts as absent.
    for (more, named) in [
        (json!({"scope": ["mintmark:read"]}), "scope must be a string"),
        (json!({"grant_type": 5}), "grant_type must be a string"),
        (json!({"client_secret": true}), "client_secret must be a string"),
        (json!({"client_id": {"a": 1}}), "client_id must be a string"),
        (json!({"client_assertion": 7}), "client_assertion must be a string"),
        (json!({"client_assertion_type": []}), "client_assertion_type must be a string"),
        (json!({"resource": [null]}), "resource must be a string or a list of strings"),
        (json!({"grant_type": null}), "grant_type is missing"),
    ] {
        let reply = Reply::to(sent_json(&app, TOKEN, &with(more.clone()))).await;
        invalid_request(&reply);
        assert!(reply.text().contains(named), "{more}: {reply:?}");
    }
    for bad in ["", "[]", "null", "{", r#"{"scope":"a","scope":"a"}"#, r#"{"x":{"y":1,"y":1}}"#] {
        let request = post_as(&app, &client, bad).headers(json_type());
        invalid_request(&Reply::to(request).await);
    }
    // Introspection and revocation accept JSON too.
    let token = issued(&reply_as(&app, &client, GRANT).await).text;
    let presented = json!({
        "token": token, "token_type_hint": null, "client_id": id, "client_secret": secret, "more": [1],
    });
    let reply = Reply::to(sent_json(&app, "/oauth2/introspect", &presented)).await;
    assert_eq!((reply.status, &reply.json()["active"]), (200, &json!(true)), "{reply:?}");
    assert_eq!(Reply::to(sent_json(&app, "/oauth2/revoke", &presented)).await.status, 200);
    let reply = Reply::to(sent_json(&app, "/oauth2/introspect", &presented)).await;
    assert_eq!(reply.json(), json!({"active": false}));
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let list = json!({"token": [token], "client_id": id, "client_secret": secret});
        let reply = Reply::to(sent_json(&app, path, &list)).await;
        invalid_request(&reply);
        assert!(reply.text().contains("token must be a string"), "{reply:?}");
    }
    app.stop().await;
}

fn json_type() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

async fn t22_chunked_expect_and_pipelined_requests_work(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nAuthorization: {}\r\n",
        basic(pair(&client))
    );
    let mut wire = Wire::to(&app).await;

    // The body comes in chunks of a single byte, each with an extension.
    let chunks = GRANT.chars().fold(String::new(), |chunks, byte| format!("{chunks}1;x=y\r\n{byte}\r\n"));
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")).await;
    issued(&wire.reply().await);

    // The body follows only after the interim response, in two parts.
    wire.send(format!("{head}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", GRANT.len())).await;
    assert_eq!(wire.reply().await.status, 100);
    let (first, second) = GRANT.split_at(7);
    wire.send(first).await;
    wire.send(second).await;
    issued(&wire.reply().await);

    // Two requests sent at once on one connection are answered in order.
    let short = format!("{head}Content-Length: {}\r\n\r\n{GRANT}", GRANT.len());
    let scoped = format!("{GRANT}&scope=mintmark:read");
    wire.send(format!("{short}{head}Content-Length: {}\r\n\r\n{scoped}", scoped.len())).await;
    assert_eq!(
        issued(&wire.reply().await).reply["scope"],
        "mintmark:introspect mintmark:manage mintmark:read"
    );
    assert_eq!(issued(&wire.reply().await).reply["scope"], "mintmark:read");

    // Old ERPs use HTTP/1.0.
    let old = short.replace("HTTP/1.1", "HTTP/1.0");
    wire.send(old).await;
    issued(&wire.reply().await);
    wire.must_close().await;
    app.stop().await;
}

async fn two_tokens_of_one_instant_differ(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let requests = (0..20).map(|_| Reply::to(post_as(&app, &client, GRANT)));
    let replies = futures_util::future::join_all(requests).await;
    let mut seen = std::collections::HashSet::new();
    for reply in &replies {
        let token = issued(reply);
        assert_eq!(token.claims["iat"], crate::support::START);
        // 128 bits as base64url.
        assert_eq!(token.claims["jti"].as_str().map(str::len), Some(22));
        assert!(seen.insert(token.claims["jti"].to_string()));
    }
    app.stop().await;
}
