//! Client authentication (RFC 6749 §2.3, §5.2; `docs/conformance.md` T5–T9, T11–T13, T24): a request without valid credentials
//! of a client that may get tokens gets the same reply for every reason. Only some malformed credentials get a reply that names
//! the fault.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::expect::{
    GRANT, basic, fully_encoded, invalid_client, invalid_request, issued, pair, post, post_as, refused,
    reply_as,
};
use crate::support::{Credentials, Engine, Reply, START, TestApp, on_both_engines};

on_both_engines!(
    t05_every_cause_gets_the_same_bytes,
    t05_a_secret_expires_on_time,
    t05_every_live_secret_is_accepted,
    t06_wrong_credentials_in_the_body_get_a_challenge,
    t07_a_client_id_alone_proves_nothing,
    t08_two_methods_at_once_are_refused_even_if_correct,
    t09_another_client_id_in_the_body_is_refused,
    t11_ids_and_secrets_are_the_same_raw_and_encoded,
    t12_malformed_basic_is_refused,
    t12_malformed_credentials_get_the_reason,
    t13_other_schemes_do_not_authenticate,
    t24_failures_are_slowed_and_the_right_secret_is_not,
    credentials_of_wrong_form_cost_no_lookup,
);

/// Two token requests of a client: one authenticates by Basic, the other by form post.
fn both_ways(app: &TestApp, client: &Credentials) -> [RequestBuilder; 2] {
    let body = format!("{GRANT}&client_id={}&client_secret={}", client.client_id, client.client_secret);
    [post_as(app, client, GRANT), post(app, body)]
}

async fn t05_every_cause_gets_the_same_bytes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for workspace in ["acme", "closing"] {
        admin.workspace(workspace, json!({})).await;
    }
    let made = async |workspace: &str, more: serde_json::Value| {
        let mut members = json!({"products": ["gst"]});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.client(workspace, members).await.0
    };
    let client_path = |client: &Credentials| format!("/v1/api-clients/{}", client.client_id);
    let good = made("acme", json!({})).await;
    let wrong = Credentials { client_secret: made("acme", json!({})).await.client_secret, ..good.clone() };
    let malformed = Credentials { client_secret: "wrong".to_owned(), ..good.clone() };
    let unknown = Credentials { client_id: "cl_0000000000000000000000".to_owned(), ..good.clone() };
    let malformed_id = Credentials { client_id: "admin".to_owned(), ..good.clone() };
    let disabled = made("acme", json!({})).await;
    let deleted = made("acme", json!({})).await;
    // Two minutes after `START`.
    let expired = made("acme", json!({"expires_at": "2026-09-21T14:15:20Z"})).await;
    let elsewhere = made("acme", json!({"allowed_ips": ["203.0.113.7"]})).await;
    let suspended = made("closing", json!({})).await;
    let (removed_secret, record) = admin.client("acme", json!({"products": ["gst"]})).await;
    let old_secret = record["secrets"][0]["secret_id"].as_str().unwrap().to_owned();
    let secrets = format!("{}/secrets", client_path(&removed_secret));
    let ending = json!({"expires_at": "2026-09-21T14:15:20Z"});
    let text = |made: &serde_json::Value| made["client_secret"].as_str().unwrap().to_owned();
    let expired_secret =
        Credentials { client_secret: text(&admin.create(&secrets, &ending).await), ..removed_secret.clone() };
    // The last live secret cannot be deleted without `force`, so the client gets a third one.
    admin.create(&secrets, &json!({})).await;
    for client in [&disabled, &deleted, &expired, &suspended, &removed_secret, &expired_secret] {
        issued(&reply_as(&app, client, GRANT).await);
    }

    app.clock.advance(120);
    let patched = admin.patch(&client_path(&disabled), &json!({"status": "disabled"})).await;
    assert_eq!(patched.status(), 200);
    let patched = admin.patch("/v1/workspaces/closing", &json!({"status": "suspended"})).await;
    assert_eq!(patched.status(), 200);
    for gone in [client_path(&deleted), format!("{secrets}/{old_secret}")] {
        assert_eq!(admin.delete(&gone).await.status(), 204, "{gone}");
    }

    let first = Reply::to(post_as(&app, &unknown, GRANT)).await;
    invalid_client(&first);
    for (cause, client) in [
        ("wrong secret", &wrong),
        ("malformed secret", &malformed),
        ("unknown client", &unknown),
        ("malformed client id", &malformed_id),
        ("disabled", &disabled),
        ("deleted", &deleted),
        ("client expired", &expired),
        ("source address", &elsewhere),
        ("workspace suspended", &suspended),
        ("secret removed", &removed_secret),
        ("secret expired", &expired_secret),
    ] {
        for request in both_ways(&app, client) {
            let reply = Reply::to(request).await;
            invalid_client(&reply);
            assert_eq!(reply.comparable(), first.clone().comparable(), "{cause}");
        }
    }
    issued(&reply_as(&app, &good, GRANT).await);
    app.stop().await;
}

async fn t05_a_secret_expires_on_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}/secrets", client.client_id);
    // The first secret, which `client` uses, expires in a minute.
    admin.create(&path, &json!({"expire_others_after_seconds": 60})).await;
    app.clock.advance(59);
    issued(&reply_as(&app, &client, GRANT).await);
    app.clock.advance_millis(999);
    issued(&reply_as(&app, &client, GRANT).await);
    app.clock.advance_millis(1);
    invalid_client(&reply_as(&app, &client, GRANT).await);
    app.clock.advance(86_400);
    invalid_client(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}

async fn t05_every_live_secret_is_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}/secrets", client.client_id);
    let mut live = vec![client.clone()];
    for _ in 0..4 {
        let made = admin.create(&path, &json!({})).await;
        let client_secret = made["client_secret"].as_str().unwrap().to_owned();
        live.push(Credentials { client_secret, ..client.clone() });
    }
    for one in &live {
        for request in both_ways(&app, one) {
            issued(&Reply::to(request).await);
        }
    }
    let made = admin.create(&path, &json!({"expire_others_after_seconds": 0})).await;
    for one in &live {
        invalid_client(&reply_as(&app, one, GRANT).await);
    }
    let client_secret = made["client_secret"].as_str().unwrap().to_owned();
    issued(&reply_as(&app, &Credentials { client_secret, ..client }, GRANT).await);
    app.stop().await;
}

async fn t06_wrong_credentials_in_the_body_get_a_challenge(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let unknown = "cl_0000000000000000000000";
    for (id, secret) in [
        (client.client_id.as_str(), "wrong"),
        (unknown, client.client_secret.as_str()),
        (client.client_secret.as_str(), client.client_id.as_str()),
    ] {
        let reply = Reply::to(post(&app, format!("{GRANT}&client_id={id}&client_secret={secret}"))).await;
        // `invalid_client` checks that the 401 has its challenge.
        invalid_client(&reply);
    }
    app.stop().await;
}

async fn t07_a_client_id_alone_proves_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let id = &client.client_id;
    invalid_client(&Reply::to(post(&app, GRANT)).await);
    for body in [
        format!("{GRANT}&client_id={id}"),
        format!("{GRANT}&client_id={id}&client_secret="),
        format!("{GRANT}&client_id=&client_secret="),
    ] {
        invalid_client(&Reply::to(post(&app, body)).await);
    }
    for credentials in [format!("{id}:"), format!("{id}:+"), format!("{id}:%20")] {
        invalid_client(&Reply::to(post(&app, GRANT).header("authorization", basic(credentials))).await);
    }
    // A secret without its client id is an incomplete request.
    let body = format!("{GRANT}&client_secret={}", client.client_secret);
    invalid_request(&Reply::to(post(&app, body)).await);
    let of_nobody = basic(format!(":{}", client.client_secret));
    invalid_client(&Reply::to(post(&app, GRANT).header("authorization", of_nobody)).await);
    app.stop().await;
}

/// The same id and secret in header and body count as one method, and are accepted (`token_success.rs`).
async fn t08_two_methods_at_once_are_refused_even_if_correct(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (&client.client_id, &client.client_secret);
    let assertion = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                     &client_assertion=eyJhbGciOiJub25lIn0.e30.";
    let other_end = if secret.ends_with('x') { 'y' } else { 'x' };
    for body in [
        format!("{GRANT}&client_id={id}&client_secret={}{other_end}", &secret[..52]),
        format!("{GRANT}&client_id={id}&client_secret={secret}+"),
        format!("{GRANT}&client_id={id}x&client_secret={secret}"),
        format!("{GRANT}&client_secret={secret}"),
        format!("{GRANT}&client_secret=wrong"),
        format!("{GRANT}&{assertion}"),
        format!("{GRANT}&client_assertion=x"),
        format!("{GRANT}&client_assertion_type=x"),
    ] {
        invalid_request(&reply_as(&app, &client, body.clone()).await);
        // Also with a header that does not authenticate a client.
        invalid_request(&Reply::to(post(&app, body).header("authorization", "Bearer x")).await);
    }
    let body = format!("{GRANT}&client_id={id}&client_secret={secret}&{assertion}");
    invalid_request(&Reply::to(post(&app, body)).await);
    let header = basic(pair(&client));
    for second in [header.clone(), "Basic".to_owned(), "Bearer x".to_owned(), String::new()] {
        let two = post(&app, GRANT).header("authorization", &header).header("authorization", second);
        invalid_request(&Reply::to(two).await);
    }
    // Assertions are not supported.
    for body in [format!("{GRANT}&{assertion}"), format!("{GRANT}&client_id={id}&{assertion}")] {
        invalid_client(&Reply::to(post(&app, body)).await);
    }
    app.stop().await;
}

async fn t09_another_client_id_in_the_body_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for other in [
        "cl_0000000000000000000000".to_owned(),
        client.client_id.to_uppercase(),
        format!("{}%20", client.client_id),
        format!("{}x", client.client_id),
    ] {
        invalid_request(&reply_as(&app, &client, format!("{GRANT}&client_id={other}")).await);
    }
    app.stop().await;
}

async fn t11_ids_and_secrets_are_the_same_raw_and_encoded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for _ in 0..10 {
        let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
        for text in [&client.client_id, &client.client_secret] {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            assert!(text.bytes().all(plain), "{text}");
            assert_eq!(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>(), *text);
        }
    }
    app.stop().await;
}

async fn t12_malformed_basic_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (client.client_id.as_str(), client.client_secret.as_str());
    let first = Reply::to(post(&app, GRANT)).await;
    invalid_client(&first);
    let right = basic(pair(&client));
    let unpadded = right.trim_end_matches('=').to_owned();
    let headers = [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!!".to_owned(),
        right.replace("Basic ", "Basic"),
        right.replace("Basic ", "Basic\t"),
        right.replace("Basic ", "Basic realm="),
        format!("{right}!"),
        right.replace("Basic ", ""),
        // Credentials in the URL-safe base64 alphabet, which RFC 7617 does not use.
        basic("~~~:???>>>").replace('+', "-").replace('/', "_"),
        basic(id),
        basic(format!("{id}{secret}")),
        basic(""),
        basic(":"),
        basic(format!("{id}:%zz")),
        basic(format!("{id}:%ff")),
        basic(format!("{id}:%2")),
        basic(format!("{id}%00:{secret}")),
        basic(format!("{id}:{secret}%00")),
        basic(format!("{id}:{secret}\0")),
        basic(format!(" {id}:{secret}")),
        basic(format!("{id}\u{7f}:{secret}")),
        basic(format!("{id}é:{secret}")),
        basic([id.as_bytes(), b"\xff:", secret.as_bytes()].concat()),
    ];
    for header in headers {
        let reply = Reply::to(post(&app, GRANT).header("authorization", &header)).await;
        invalid_client(&reply);
        assert_eq!(reply.comparable(), first.clone().comparable(), "{header:?}");
    }
    let bytes = [right.as_bytes(), b"\xff"].concat();
    invalid_client(&Reply::to(post(&app, GRANT).header("authorization", bytes)).await);
    if unpadded != right {
        invalid_client(&Reply::to(post(&app, GRANT).header("authorization", unpadded)).await);
    }
    issued(&Reply::to(post(&app, GRANT).header("authorization", right)).await);
    app.stop().await;
}

/// Malformed credentials get a reply that depends only on the fault: it is the same for every client, needs no look-up, and
/// does not count as an attempt to guess a secret.
async fn t12_malformed_credentials_get_the_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let (id, secret) = (client.client_id.as_str(), client.client_secret.as_str());
    let (body, last) = secret.split_at(secret.len() - 1);
    let mistyped = format!("{body}{}", if last == "0" { "1" } else { "0" });
    let white = "white space or a line end";
    let mut rows = Vec::new();
    for (wrong, why) in [
        (format!("{secret}\n"), white),
        (format!("{secret} "), white),
        (format!("\t{secret}"), white),
        (body.to_owned(), "53 characters"),
        ("mms_".to_owned(), "53 characters"),
        // The secret pasted twice, without its second `_`, so that it has only letters and digits after `mms_`.
        (format!("{secret}{secret}").replacen("mms_", "mms", 2).replacen("mms", "mms_", 1), "53 characters"),
        (format!("{secret}:"), "only letters and digits"),
        (secret.replacen("mms_", "mms_-", 1), "only letters and digits"),
        (mistyped, "checksum"),
    ] {
        rows.push((basic(format!("{id}:{wrong}")), wrong, why));
    }
    for (header, wrong, why) in rows {
        let by_header = post(&app, GRANT).header("authorization", header);
        let by_body = |id: &str| {
            post(
                &app,
                format!("{GRANT}&client_id={}&client_secret={}", fully_encoded(id), fully_encoded(&wrong)),
            )
        };
        let first = Reply::to(by_header).await;
        invalid_client(&first);
        assert!(first.json()["error_description"].as_str().unwrap().contains(why), "{wrong:?}: {first:?}");
        for id in [id, "cl_0000000000000000000000", "nobody"] {
            let reply = Reply::to(by_body(id)).await;
            assert_eq!(reply.comparable(), first.clone().comparable(), "{wrong:?} of {id}");
        }
    }
    let right = basic(pair(&client));
    for (header, why) in [
        (format!("{right}, {right}"), "spaces inside"),
        (right.replacen("Basic ", "Basic realm ", 1), "spaces inside"),
        (format!("{} {}", &right[..40], &right[40..]), "spaces inside"),
        (format!("Basic {id}:{secret}"), "encode client_id:client_secret in base64"),
        (format!("basic {id}: {secret}"), "encode client_id:client_secret in base64"),
        ("Basic :".to_owned(), "encode client_id:client_secret in base64"),
    ] {
        let reply = Reply::to(post(&app, GRANT).header("authorization", &header)).await;
        invalid_client(&reply);
        assert!(reply.text().contains(why), "{header}: {reply:?}");
    }
    assert_eq!(app.core.services.clients.cached(), 0, "nothing was looked up");
    // Malformed credentials are refused any number of times, and never throttled.
    let cut = Credentials { client_secret: body.to_owned(), ..client.clone() };
    for _ in 0..100 {
        invalid_client(&reply_as(&app, &cut, GRANT).await);
    }
    // A text that does not begin like a secret may be a guess, like any wrong secret.
    let other = Credentials { client_secret: "secret ".to_owned(), ..client.clone() };
    let wrong = Reply::to(post(&app, GRANT)).await;
    for request in both_ways(&app, &other) {
        assert_eq!(Reply::to(request).await.comparable(), wrong.clone().comparable());
    }
    issued(&reply_as(&app, &client, GRANT).await);
    app.stop().await;
}

async fn t13_other_schemes_do_not_authenticate(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let token = issued(&reply_as(&app, &client, GRANT).await).text;
    let right = basic(pair(&client));
    for header in [
        "Bearer x".to_owned(),
        format!("Bearer {token}"),
        format!("DPoP {token}"),
        right.replace("Basic", "Digest"),
        right.replace("Basic", "Basic2"),
        right.replace("Basic", "Bearer"),
    ] {
        invalid_client(&Reply::to(post(&app, GRANT).header("authorization", header)).await);
    }
    let proxy = post(&app, GRANT).header("proxy-authorization", &right);
    invalid_client(&Reply::to(proxy).await);
    let cookie = post(&app, GRANT).header("cookie", format!("client_secret={}", client.client_secret));
    invalid_client(&Reply::to(cookie).await);
    app.stop().await;
}

async fn t24_failures_are_slowed_and_the_right_secret_is_not(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let wrong = Credentials { client_secret: "wrong".to_owned(), ..client.clone() };
    let mut slowed = None;
    for _ in 0..200 {
        let reply = reply_as(&app, &wrong, GRANT).await;
        if reply.status == 429 {
            slowed = Some(reply);
            break;
        }
        invalid_client(&reply);
    }
    let slowed = slowed.expect("fewer than 200 failures get 401");
    refused(&slowed, 429, "temporarily_unavailable");
    // Both methods of authentication are slowed.
    for request in both_ways(&app, &wrong) {
        refused(&Reply::to(request).await, 429, "temporarily_unavailable");
    }
    // The client itself is not locked out, and others are not slowed.
    for request in both_ways(&app, &client) {
        issued(&Reply::to(request).await);
    }
    let other = Credentials { client_id: "cl_0000000000000000000000".to_owned(), ..wrong.clone() };
    invalid_client(&reply_as(&app, &other, GRANT).await);
    // After the seconds of `Retry-After`, a wrong secret gets 401 again.
    let seconds: i64 = slowed.header("retry-after").unwrap().parse().unwrap();
    app.clock.advance(seconds);
    invalid_client(&reply_as(&app, &wrong, GRANT).await);
    assert_eq!(app.core.services.clock().now(), START + seconds);
    app.stop().await;
}

async fn credentials_of_wrong_form_cost_no_lookup(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    // Every client that is looked up is cached, even if it does not exist.
    assert_eq!(app.core.services.clients.cached(), 0);
    let (body, last) = client.client_secret.split_at(client.client_secret.len() - 1);
    let other_checksum = format!("{body}{}", if last == "0" { "1" } else { "0" });
    for secret in ["wrong", "mms_", &other_checksum, &client.client_secret.to_uppercase(), &"x".repeat(53)] {
        let wrong = Credentials { client_secret: secret.to_owned(), ..client.clone() };
        invalid_client(&reply_as(&app, &wrong, GRANT).await);
    }
    let malformed_id = Credentials { client_id: "x".repeat(25), ..client.clone() };
    invalid_client(&reply_as(&app, &malformed_id, GRANT).await);
    invalid_client(
        &Reply::to(
            app.request(Method::POST, "/oauth2/token")
                .header("content-type", super::expect::FORM)
                .body(GRANT),
        )
        .await,
    );
    assert_eq!(app.core.services.clients.cached(), 0);
    issued(&reply_as(&app, &client, GRANT).await);
    assert_eq!(app.core.services.clients.cached(), 1);
    app.stop().await;
}
