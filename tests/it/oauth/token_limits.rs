//! Requests that are too large, too slow or ambiguous (`docs/conformance.md` T21, T22): refused early and at low
//! cost, with no bytes left on the connection that could be read as a next request.

use super::expect::{
    FORM, GRANT, basic, invalid_client, invalid_request, issued, pair, post, refused, reply_as,
};
use crate::support::{Credentials, Engine, Reply, TestApp, Wire, on_both_engines};

const LIMIT: usize = 64 * 1024;

on_both_engines!(
    t21_a_body_one_byte_above_the_limit_is_refused,
    t21_a_body_that_is_announced_too_large_is_not_awaited,
    t21_chunks_beyond_the_limit_are_refused,
    t21_an_unread_body_closes_the_connection,
    t22_a_slow_body_ends_by_the_request_timeout,
    t21_heads_that_are_too_large_are_refused,
    t21_long_secrets_are_not_cut,
    t22_encoded_bodies_are_refused_unread,
    t22_framing_that_can_be_read_in_two_ways_is_refused,
);

fn head(client: &Credentials) -> String {
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nAuthorization: {}\r\n",
        basic(pair(client))
    )
}

async fn t21_a_body_one_byte_above_the_limit_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let padded = |length: usize| format!("{GRANT}&x={}", "y".repeat(length - GRANT.len() - 3));
    issued(&reply_as(&app, &client, padded(LIMIT)).await);
    refused(&reply_as(&app, &client, padded(LIMIT + 1)).await, 413, "invalid_request");
    let secret = format!("{GRANT}&client_id={}&client_secret={}", client.client_id, "s".repeat(1024 * 1024));
    refused(&Reply::to(post(&app, secret)).await, 413, "invalid_request");
    app.stop().await;
}

async fn t21_a_body_that_is_announced_too_large_is_not_awaited(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for length in [LIMIT as u64 + 1, 10_000_000_000, u64::MAX] {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}Content-Length: {length}\r\n\r\n", head(&client))).await;
        let reply = wire.reply().await;
        refused(&reply, 413, "invalid_request");
        assert_eq!(reply.header("connection"), Some("close"));
        wire.must_close().await;
    }
    app.stop().await;
}

async fn t21_chunks_beyond_the_limit_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let mut wire = Wire::to(&app).await;
    wire.send(format!("{}Transfer-Encoding: chunked\r\n\r\n", head(&client))).await;
    let chunk = format!("1000\r\n{}\r\n", "y".repeat(0x1000));
    for _ in 0..=LIMIT / 0x1000 {
        wire.send(&chunk).await;
    }
    let reply = wire.reply().await;
    refused(&reply, 413, "invalid_request");
    assert_eq!(reply.header("connection"), Some("close"));
    wire.must_close().await;
    app.stop().await;
}

async fn t21_an_unread_body_closes_the_connection(engine: Engine) {
    let app = TestApp::start_with(engine, "server.request_timeout_seconds = 1").await;
    let client = app.bootstrap().await;
    // The sender ends neither the body nor the connection.
    let mut wire = Wire::to(&app).await;
    let chunk = format!("11000\r\n{}\r\n", "y".repeat(0x11000));
    wire.send(format!("{}Transfer-Encoding: chunked\r\n\r\n{chunk}", head(&client))).await;
    refused(&wire.reply().await, 413, "invalid_request");
    wire.must_be_closed().await;
    let mut wire = Wire::to(&app).await;
    wire.send(format!("{}Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", head(&client)))
        .await;
    refused(&wire.reply().await, 415, "invalid_request");
    wire.must_be_closed().await;
    app.stop().await;
}

async fn t22_a_slow_body_ends_by_the_request_timeout(engine: Engine) {
    let app = TestApp::start_with(engine, "server.request_timeout_seconds = 1").await;
    let client = app.bootstrap().await;
    for framing in ["Content-Length: 100\r\n\r\ngrant", "Transfer-Encoding: chunked\r\n\r\n5\r\ngrant"] {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}{framing}", head(&client))).await;
        let reply = wire.reply().await;
        refused(&reply, 408, "invalid_request");
        assert_eq!(reply.header("connection"), Some("close"));
        wire.must_be_closed().await;
    }
    // The same timeout applies to an incomplete head. It gets no reply, because it is not a request yet.
    let mut wire = Wire::to(&app).await;
    wire.send(head(&client)).await;
    wire.must_be_closed().await;
    app.stop().await;
}

async fn t21_heads_that_are_too_large_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let many_headers = (0..200).fold(String::new(), |lines, n| format!("{lines}X-{n}: y\r\n"));
    for too_large in [
        format!("Authorization: Basic {}\r\n", "Y".repeat(1024 * 1024)),
        format!("X: {}\r\n", "y".repeat(1024 * 1024)),
        many_headers,
    ] {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{too_large}\r\n")).await;
        assert_eq!(wire.reply().await.status, 431);
        wire.must_close().await;
    }
    // A header that is too long for credentials is refused without decoding it.
    let long = basic(format!("{}:{}", client.client_id, "s".repeat(50_000)));
    invalid_client(&Reply::to(post(&app, GRANT).header("authorization", long)).await);
    app.stop().await;
}

async fn t21_long_secrets_are_not_cut(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for length in [1, 20, 500, 4096, 40_000] {
        let longer = format!("{}{}", client.client_secret, "x".repeat(length));
        let body = format!("{GRANT}&client_id={}&client_secret={longer}", client.client_id);
        invalid_client(&Reply::to(post(&app, body)).await);
        invalid_client(
            &reply_as(&app, &Credentials { client_secret: longer, ..client.clone() }, GRANT).await,
        );
        let mut longer_id = client.clone();
        longer_id.client_id.push_str(&"x".repeat(length));
        invalid_client(&reply_as(&app, &longer_id, GRANT).await);
    }
    let (all_but_last, _) = client.client_secret.split_at(client.client_secret.len() - 1);
    for last in ('0'..='9').chain('A'..='Z').chain('a'..='z') {
        let other = Credentials { client_secret: format!("{all_but_last}{last}"), ..client.clone() };
        let reply = reply_as(&app, &other, GRANT).await;
        if other.client_secret == client.client_secret {
            issued(&reply);
        } else {
            assert_ne!(reply.status, 200, "{reply:?}");
        }
    }
    app.stop().await;
}

async fn t22_encoded_bodies_are_refused_unread(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for encoding in ["gzip", "br", "zstd", "deflate", "x-gzip", "GZIP", "identity, gzip", "unknown", ""] {
        // The announced body is not sent.
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}Content-Encoding: {encoding}\r\nContent-Length: 850\r\n\r\n", head(&client)))
            .await;
        let reply = wire.reply().await;
        refused(&reply, 415, "invalid_request");
        assert_eq!(reply.header("connection"), Some("close"));
        wire.must_close().await;
    }
    let mut wire = Wire::to(&app).await;
    let two = "Content-Encoding: identity\r\nContent-Encoding: br\r\n";
    wire.send(format!("{}{two}Content-Length: 850\r\n\r\n", head(&client))).await;
    refused(&wire.reply().await, 415, "invalid_request");
    wire.must_close().await;
    for encoding in ["identity", "Identity"] {
        let mut wire = Wire::to(&app).await;
        let length = GRANT.len();
        wire.send(format!(
            "{}Content-Encoding: {encoding}\r\nContent-Length: {length}\r\n\r\n{GRANT}",
            head(&client)
        ))
        .await;
        issued(&wire.reply().await);
    }
    app.stop().await;
}

async fn t22_framing_that_can_be_read_in_two_ways_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = GRANT.len();
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{GRANT}{smuggled}"),
        format!("Content-Length: {length}, {length}\r\n\r\n{GRANT}{smuggled}"),
        format!("Content-Length: +{length}\r\n\r\n{GRANT}{smuggled}"),
        format!("Content-Length: -1\r\n\r\n{GRANT}{smuggled}"),
        format!("Content-Length: 0x10\r\n\r\n{GRANT}{smuggled}"),
        format!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("X: a\0b\r\nContent-Length: {length}\r\n\r\n{GRANT}{smuggled}"),
        format!("Host: y\r\nContent-Length: {length}\r\n\r\n{GRANT}{smuggled}"),
    ] {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}{framing}", head(&client))).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{framing:?}: {reply:?}");
        wire.must_close().await;
    }
    // A body that turns out not to be chunked ends the connection too.
    let mut wire = Wire::to(&app).await;
    wire.send(format!(
        "{}Transfer-Encoding: chunked\r\n\r\nzz\r\n{GRANT}\r\n0\r\n\r\n{smuggled}",
        head(&client)
    ))
    .await;
    invalid_request(&wire.reply().await);
    wire.must_close().await;
    app.stop().await;
}
