//! Forward-auth (`docs/forward-auth.md`; `docs/conformance.md` B1–B8): which requests pass and with which headers, and that
//! the status of a request whose head the server accepts is 200, 401, 403 or 503.

use mintmark::signing::handle::TokenTyp;
use mintmark_verifier::MAX_TOKEN_BYTES;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::expect::{Token, uncached};
use super::presenting::{
    SIGNED, acknowledged, client_in, form, never, recorded, revoked, signed, stateless, token_of, with,
};
use crate::support::{Engine, Reply, START, TestApp, Wire, on_both_engines, rsa_private_key};

on_both_engines!(
    a_live_token_passes_and_the_headers_describe_it,
    any_method_gets_the_same_reply,
    the_query_names_the_products_that_are_required,
    without_a_token_the_challenge_has_no_error,
    a_truncated_token_gets_its_own_error_and_an_altered_one_does_not,
    a_token_that_is_not_valid_is_refused,
    the_scheme_is_read_in_any_case_and_two_tokens_are_refused,
    headers_named_in_the_settings_are_read,
    a_bound_token_is_refused_since_no_proof_is_checked,
    a_revoked_token_is_refused_immediately,
    a_token_whose_state_cannot_be_read_gets_503,
    bodies_are_not_read,
    the_headers_of_a_reply_have_a_bound,
    a_head_with_too_many_lines_is_refused,
    every_random_request_gets_200_401_403_or_503,
);

const VERIFY: &str = "/oauth2/verify";
const CHALLENGE: &str = r#"Bearer realm="mintmark""#;
/// The headers that describe the token to a proxy and the service behind it.
const IDENTITY: [&str; 5] = [
    "x-mintmark-client-id",
    "x-mintmark-products",
    "x-mintmark-scope",
    "x-mintmark-token-id",
    "x-mintmark-workspace-id",
];

/// A request with this query and this token.
fn ask(app: &TestApp, query: &str, token: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("{VERIFY}{query}")).bearer_auth(token)
}

async fn asked(app: &TestApp, query: &str, token: &str) -> Reply {
    Reply::to(ask(app, query, token)).await
}

#[track_caller]
fn passes(reply: &Reply) {
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b""[..]), "{reply:?}");
    uncached(reply);
    assert_eq!(reply.header("www-authenticate"), None);
}

/// Checks what every reply but 200 has.
#[track_caller]
fn stopped(reply: &Reply, status: u16) {
    assert_eq!((reply.status, reply.body.as_slice()), (status, &b""[..]), "{reply:?}");
    uncached(reply);
    for name in IDENTITY {
        assert_eq!(reply.header(name), None);
    }
}

#[track_caller]
fn invalid_token(reply: &Reply) {
    stopped(reply, 401);
    let challenge = reply.header("www-authenticate").unwrap();
    let begins = format!(r#"{CHALLENGE}, error="invalid_token", error_description=""#);
    assert!(challenge.starts_with(&begins), "{challenge}");
    let allowed = |b: u8| matches!(b, 0x20..=0x7e) && b != b'\\';
    assert!(challenge.bytes().all(allowed) && challenge.matches('"').count() == 6, "{challenge}");
}

#[track_caller]
fn lacks(reply: &Reply, scope: Option<&str>) {
    stopped(reply, 403);
    let challenge = reply.header("www-authenticate").unwrap();
    let begins = format!(r#"{CHALLENGE}, error="insufficient_scope""#);
    match scope {
        Some(scope) => assert_eq!(challenge, format!(r#"{begins}, scope="{scope}""#)),
        None => assert!(challenge.starts_with(&format!(r#"{begins}, error_description=""#)), "{challenge}"),
    }
}

async fn a_live_token_passes_and_the_headers_describe_it(engine: Engine) {
    for settings in ["", "tokens.never_expires.exp = \"omit\""] {
        let app = TestApp::start_with(engine, settings).await;
        let admin = app.administrator().await;
        admin.product("e-invoicing", json!({"audience": "https://own.example"})).await;
        for expiry in [stateless(), recorded(), never()] {
            let both = with(&expiry, json!({"products": ["gst", "e-invoicing"]}));
            let client = client_in(&admin, "acme", both).await;
            let token = token_of(&app, &client).await;
            let reply = asked(&app, "", &token.text).await;
            passes(&reply);
            let answer = IDENTITY.map(|name| reply.header(name).unwrap());
            let jti = token.claims["jti"].as_str().unwrap();
            assert_eq!(answer, [&*client.client_id, "e-invoicing gst", "e-invoicing gst", jti, "acme"]);
        }
        // A token without products passes where none is required.
        let reply = asked(&app, "", &admin.token).await;
        passes(&reply);
        assert_eq!(reply.header("x-mintmark-products"), Some(""));
        assert_eq!(reply.header("x-mintmark-scope"), Some("mintmark:manage"));
        assert_eq!(reply.header("x-mintmark-workspace-id"), Some("platform"));
        lacks(&asked(&app, "?product=gst", &admin.token).await, Some("gst"));
        app.stop().await;
    }
}

async fn any_method_gets_the_same_reply(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let token = token_of(&app, &client).await.text;
    for method in
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "brew"]
    {
        for path in [VERIFY, "/tenant/oauth2/verify"] {
            let to = |query: &str| {
                app.request(Method::from_bytes(method.as_bytes()).unwrap(), &format!("{path}{query}"))
            };
            let reply = Reply::to(to("?product=gst").bearer_auth(&token)).await;
            passes(&reply);
            assert_eq!(reply.header("x-mintmark-client-id"), Some(&*client.client_id));
            lacks(&Reply::to(to("?product=none").bearer_auth(&token)).await, Some("none"));
            stopped(&Reply::to(to("")).await, 401);
        }
    }
    app.stop().await;
}

async fn the_query_names_the_products_that_are_required(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for product in ["e-invoicing", "other"] {
        admin.product(product, json!({})).await;
    }
    let client = client_in(&admin, "acme", json!({"products": ["gst", "e-invoicing"]})).await;
    let whole = token_of(&app, &client).await.text;
    for query in [
        "",
        "?",
        "?product=gst",
        "?product=e-invoicing",
        "?product=gst&product=e-invoicing",
        "?product=gst&product=gst",
        "?product=%67st",
        "?%70roduct=gst",
    ] {
        passes(&asked(&app, query, &whole).await);
    }
    for (query, scope) in [
        // A product that exists, and one that does not.
        ("?product=other", "other"),
        ("?product=nothing", "nothing"),
        ("?product=gst&product=other", "gst other"),
        ("?product=gs", "gs"),
        ("?product=gst.", "gst."),
    ] {
        lacks(&asked(&app, query, &whole).await, Some(scope));
    }
    // A query with anything but valid product codes is refused for every valid token, without a scope to request.
    for query in [
        "?product=",
        "?product",
        "?product=gst&product=",
        "?product=GST",
        "?product=gst+e-invoicing",
        "?product=gst%20e-invoicing",
        "?product=gst,e-invoicing",
        "?product=gst%00",
        "?product=%ff",
        "?product=gst%",
        "?product=%22%0d%0aSet-Cookie:x",
        "?Product=gst",
        "?products=gst",
        "?product=gst&x=y",
        "?x",
        "?&",
        "?product=gst&",
        "?scope=gst",
        "?product=gst&access_token=x",
    ] {
        lacks(&asked(&app, query, &whole).await, None);
    }
    // The products in the token count, not those of its client.
    let part = app.access_token(&client, &[("scope", "gst")]).await;
    passes(&asked(&app, "?product=gst", &part).await);
    lacks(&asked(&app, "?product=e-invoicing", &part).await, Some("e-invoicing"));
    // The token is checked first.
    invalid_token(&asked(&app, "?x=y", "x").await);
    app.stop().await;
}

async fn without_a_token_the_challenge_has_no_error(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = token_of(&app, &client).await.text;
    let ask = |query: &str| app.request(Method::GET, &format!("{VERIFY}{query}"));
    for request in [
        ask(""),
        ask("?product=gst"),
        ask(&format!("?access_token={token}")),
        ask("").basic_auth(&client.client_id, Some(&client.client_secret)),
        ask("").header("authorization", format!("DPoP {token}")),
        ask("").header("authorization", format!("Bearer2 {token}")),
        ask("").header("x-access-token", token.clone()),
        ask("").header("cookie", format!("access_token={token}")),
        ask("").header("proxy-authorization", format!("Bearer {token}")),
        app.request(Method::POST, VERIFY).form(&[("access_token", &token)]),
    ] {
        let reply = Reply::to(request).await;
        stopped(&reply, 401);
        assert_eq!(reply.header("www-authenticate"), Some(CHALLENGE));
    }
    // A token without the word Bearer before it is not treated as missing.
    let reply = Reply::to(ask("").header("authorization", token.clone())).await;
    invalid_token(&reply);
    assert!(reply.header("www-authenticate").unwrap().contains("lacks the word Bearer"), "{reply:?}");
    for cut in [&token[..token.len() - 1], &token[..40], token.rsplit_once('.').unwrap().0] {
        let reply = Reply::to(ask("").bearer_auth(cut)).await;
        invalid_token(&reply);
        let says = format!("it may have been cut when pasted; it has {} characters", cut.len());
        assert!(reply.header("www-authenticate").unwrap().contains(&says), "{reply:?}");
    }
    app.stop().await;
}

async fn a_truncated_token_gets_its_own_error_and_an_altered_one_does_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let import = json!({"alg": "RS256", "private_key_pem": rsa_private_key()});
    admin.create("/v1/signing-keys", &import).await;
    let is_called_cut = async |token: &str| {
        let reply = asked(&app, "", token).await;
        invalid_token(&reply);
        reply.header("www-authenticate").unwrap().contains("it may have been cut")
    };
    // The length of a signature depends on the key.
    for alg in ["ES256", "RS256"] {
        let client = client_in(&admin, "acme", json!({"signing_alg": alg})).await;
        let text = token_of(&app, &client).await.text;
        let (header, signature) = (text.split_once('.').unwrap().0, text.rfind('.').unwrap() + 1);
        assert!(is_called_cut(&text[..text.len() - 1]).await, "{alg}");
        let mut altered = text.clone();
        altered
            .replace_range(signature..=signature, if text[signature..].starts_with('A') { "B" } else { "A" });
        assert!(!is_called_cut(&altered).await, "{alg}");
        // A text of three parts that is longer than any token is not parsed, so the error does not say that it was cut.
        let of_length = |length: usize| format!("{header}.{}.x", "A".repeat(length - header.len() - 3));
        assert!(is_called_cut(&of_length(MAX_TOKEN_BYTES)).await, "{alg}");
        assert!(!is_called_cut(&of_length(MAX_TOKEN_BYTES + 1)).await, "{alg}");
    }
    app.stop().await;
}

async fn a_token_that_is_not_valid_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let Token { text, claims, .. } = token_of(&app, &client).await;
    let (rest, signature) = text.rsplit_once('.').unwrap();
    let other = TestApp::start(engine).await;
    let foreign = token_of(&other, &other.bootstrap().await).await.text;
    other.stop().await;
    let forged = |changes| signed(&app, TokenTyp::AccessToken, &with(&claims, changes));
    let reply = form(&app, "/oauth2/introspect", &client, &[("token", &text)]).header("accept", SIGNED);
    let of_another_kind = Reply::to(reply).await.text();
    for bad in [
        "",
        " ",
        "x",
        "a.b.c",
        rest,
        &format!("{rest}.x{signature}"),
        &format!("{text}.x"),
        &format!("{text} x"),
        &format!("{text},{text}"),
        &"x".repeat(7000),
        "eyJhbGciOiJub25lIn0.e30.",
        &foreign,
        &of_another_kind,
        &signed(&app, TokenTyp::StatusList, &claims),
        &signed(&app, TokenTyp::Jwt, &claims),
        &forged(json!({"exp": START})),
        // The service that checks a token allows a minute, since the clock of the replica that issued it may be ahead.
        &forged(json!({"nbf": START + 61})),
        &forged(json!({"iss": "https://elsewhere.example"})),
        &forged(json!({"workspace_id": "platform"})),
        &forged(json!({"status": null})),
    ] {
        let request = app.request(Method::GET, VERIFY).header("authorization", format!("Bearer {bad}"));
        invalid_token(&Reply::to(request).await);
    }
    let header = |bytes: &[u8]| reqwest::header::HeaderValue::from_bytes(bytes).unwrap();
    for value in [&b"Bearer \xff\xfe"[..], b"Bearer"] {
        invalid_token(
            &Reply::to(app.request(Method::GET, VERIFY).header("authorization", header(value))).await,
        );
    }
    app.clock.advance(3599);
    passes(&asked(&app, "", &text).await);
    app.clock.advance(1);
    invalid_token(&asked(&app, "", &text).await);
    app.stop().await;
}

async fn the_scheme_is_read_in_any_case_and_two_tokens_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = token_of(&app, &client).await.text;
    for scheme in ["Bearer", "bearer", "BEARER", "bEARER", "Bearer "] {
        let request = app.request(Method::GET, VERIFY).header("authorization", format!("{scheme} {token}"));
        passes(&Reply::to(request).await);
    }
    invalid_token(&Reply::to(ask(&app, "", &token).bearer_auth(&token)).await);
    invalid_token(&Reply::to(ask(&app, "", &token).basic_auth("x", Some("y"))).await);
    app.stop().await;
}

async fn headers_named_in_the_settings_are_read(engine: Engine) {
    let settings = "verify.token_headers = [\"X-Access-Token\", \"x-forwarded-authorization\"]";
    let app = TestApp::start_with(engine, settings).await;
    let client = app.bootstrap().await;
    let token = token_of(&app, &client).await.text;
    let by = |name: &str, value: &str| app.request(Method::GET, VERIFY).header(name, value);
    for request in [
        by("x-access-token", &token),
        by("X-ACCESS-TOKEN", &format!("bearer {token}")),
        by("x-forwarded-authorization", &format!("Bearer {token}")),
        by("x-forwarded-authorization", &token).header("x-access-token", ""),
        by("x-access-token", &token).basic_auth("x", Some("y")),
        ask(&app, "", &token),
        ask(&app, "", &token).header("x-access-token", ""),
    ] {
        passes(&Reply::to(request).await);
    }
    for request in [
        by("x-access-token", "x"),
        by("x-access-token", &format!("Basic {token}")),
        by("x-access-token", &token).header("x-access-token", &token),
        by("x-access-token", &token).header("x-forwarded-authorization", &token),
        ask(&app, "", &token).header("x-access-token", "x"),
        ask(&app, "", "x").header("x-access-token", &token),
    ] {
        invalid_token(&Reply::to(request).await);
    }
    stopped(&Reply::to(by("x-api-key", &token)).await, 401);
    stopped(&Reply::to(by("x-access-token", "")).await, 401);
    app.stop().await;
}

async fn a_bound_token_is_refused_since_no_proof_is_checked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_in(&admin, "acme", json!({})).await;
    let claims = token_of(&app, &client).await.claims;
    for cnf in [json!({"x5t#S256": "A".repeat(43)}), json!({"jkt": "B".repeat(43)}), json!({})] {
        let bound = signed(&app, TokenTyp::AccessToken, &with(&claims, json!({"cnf": cnf})));
        invalid_token(&asked(&app, "", &bound).await);
        // Headers with a certificate or a DPoP proof do not help, since nothing checks them.
        let request = ask(&app, "", &bound).header("x-client-cert", "x").header("dpop", "x.y.z");
        invalid_token(&Reply::to(request).await);
    }
    app.stop().await;
}

async fn a_revoked_token_is_refused_immediately(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for expiry in [stateless(), recorded(), never()] {
        let client = client_in(&admin, "acme", expiry).await;
        let (one, other) = (token_of(&app, &client).await.text, token_of(&app, &client).await.text);
        passes(&asked(&app, "?product=gst", &one).await);
        acknowledged(&revoked(&app, &client, &one).await);
        invalid_token(&asked(&app, "?product=gst", &one).await);
        passes(&asked(&app, "?product=gst", &other).await);
    }
    app.stop().await;
}

async fn a_token_whose_state_cannot_be_read_gets_503(engine: Engine) {
    // With this setting, stateless tokens are still issued during an outage. Forward-auth answers 503 all the same.
    let app = TestApp::start_with(engine, "tokens.serve_stale_seconds = 60").await;
    let admin = app.administrator().await;
    let mut tokens = Vec::new();
    for expiry in [stateless(), never()] {
        tokens.push(token_of(&app, &client_in(&admin, "acme", expiry).await).await.text);
    }
    let unavailable = |reply: &Reply| {
        stopped(reply, 503);
        assert_eq!((reply.header("retry-after"), reply.header("www-authenticate")), (Some("5"), None));
    };
    app.database.go_away().await;
    for token in &tokens {
        unavailable(&asked(&app, "", token).await);
        unavailable(&asked(&app, "?product=other", token).await);
    }
    // After five seconds it is not known whether the keys are still current, so an invalid token gets 503 too. A request
    // without a token needs no keys.
    app.clock.advance_millis(5001);
    unavailable(&asked(&app, "", &tokens[0]).await);
    unavailable(&asked(&app, "", "x").await);
    stopped(&Reply::of(app.get(VERIFY).await).await, 401);
    app.database.come_back().await;
    for token in &tokens {
        passes(&asked(&app, "", token).await);
    }
    app.stop().await;
}

async fn bodies_are_not_read(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = token_of(&app, &client).await.text;
    // One connection is used for many requests.
    let mut wire = Wire::to(&app).await;
    for _ in 0..3 {
        let head = format!("GET {VERIFY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
        wire.send(format!("{head}\r\n")).await;
        passes(&wire.reply().await);
        wire.send(format!("{head}Content-Length: 0\r\n\r\n")).await;
        passes(&wire.reply().await);
    }
    // Any headers about a body are accepted, with or without the body.
    for body in [
        "Content-Length: 5\r\n\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 99999999999\r\n\r\n",
        "Content-Length: 10\r\nContent-Encoding: br\r\n\r\n0123456789",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        for (token, status) in [(token.as_str(), 200), ("x", 401)] {
            let mut wire = Wire::to(&app).await;
            let head = format!("POST {VERIFY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
            wire.send(format!("{head}{body}")).await;
            assert_eq!(wire.reply().await.status, status, "{body}");
            // Later bytes are not read as a request.
            wire.must_close().await;
        }
    }
    app.stop().await;
}

/// A proxy keeps the headers of a reply in a buffer of a fixed size. The longest token makes the longest headers.
async fn the_headers_of_a_reply_have_a_bound(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let mut codes = Vec::new();
    for n in 0..90 {
        let code = format!("{:x<60}-{n:02}", "product");
        admin.product(&code, json!({})).await;
        codes.push(code);
    }
    let client = client_in(&admin, "acme", json!({"products": codes})).await;
    let mut longest = 0;
    for products in [1, 40, 80, 90] {
        let scope = codes[..products].join(" ");
        let token = app.access_token(&client, &[("scope", &scope)]).await;
        let reply = asked(&app, "", &token).await;
        if token.len() > MAX_TOKEN_BYTES {
            invalid_token(&reply);
            continue;
        }
        passes(&reply);
        assert_eq!(reply.header("x-mintmark-products"), Some(scope.as_str()));
        longest = reply.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!(longest < token.len(), "{longest} of {}", token.len());
    }
    // The buffer in docs/forward-auth.md has 16 KiB; 8 KiB would be too small.
    assert!((8 * 1024..16 * 1024).contains(&longest), "{longest}");
    app.stop().await;
}

/// The server reads at most 96 header lines, and answers a longer head itself.
async fn a_head_with_too_many_lines_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = token_of(&app, &client).await.text;
    // The request has two more lines: `Host` and `Authorization`.
    for (lines, status) in [(94, 200), (95, 431)] {
        let more = (0..lines).fold(String::new(), |more, n| format!("{more}X-Line-{n}: x\r\n"));
        let mut wire = Wire::to(&app).await;
        wire.send(format!("GET {VERIFY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n"))
            .await;
        assert_eq!(wire.reply().await.status, status, "{lines}");
    }
    app.stop().await;
}

async fn every_random_request_gets_200_401_403_or_503(engine: Engine) {
    let app = TestApp::start_with(engine, "verify.token_headers = [\"x-access-token\"]").await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let client = client_in(&admin, "acme", json!({"products": ["gst"]})).await;
    let token = token_of(&app, &client).await.text;
    // Pseudo-random bytes, the same in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..400 {
        let mut odd = |length: u64| -> Vec<u8> {
            // Any bytes that a header may have: no controls but the tab.
            (0..next(length))
                .map(|_| match next(4) {
                    0 => u8::try_from(0x80 + next(0x80)).unwrap(),
                    1 => b"\t \",;=%&.Bearer"[usize::try_from(next(15)).unwrap()],
                    _ => u8::try_from(0x20 + next(0x5f)).unwrap(),
                })
                .collect()
        };
        let query: String = odd(12).iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect();
        let query = query.replace(['#', '"', '<', '>', '`', '{', '}', '|', '\\', '^'], "%");
        let value = |bytes: Vec<u8>| reqwest::header::HeaderValue::from_bytes(&bytes);
        let method = ["GET", "POST", "DELETE", "LOCK"][round % 4];
        // The token has only the product of every fifth round.
        let query = if round % 5 == 0 { "gst".to_owned() } else { query };
        let path = format!("{VERIFY}?product={query}");
        let mut request = app.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        if round % 3 != 0 {
            request = request.bearer_auth(&token);
        }
        for name in ["x-access-token", "content-type", "accept", "x-forwarded-for", "host2", "expect2"] {
            let value = value(odd(40));
            // A request with two tokens is refused, so only some rounds have this header.
            if name == "x-access-token" && round % 2 == 0 {
                continue;
            }
            if let Ok(value) = value {
                request = request.header(name, value);
            }
        }
        let reply = Reply::to(request).await;
        assert!([200, 401, 403, 503].contains(&reply.status), "{path}: {reply:?}");
        seen.insert(reply.status);
    }
    assert_eq!(seen, [200, 401, 403].into());
    app.stop().await;
}
