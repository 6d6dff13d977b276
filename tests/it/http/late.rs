//! How long a connection may keep the server waiting: for a head, also that of a later request; between requests; for the
//! reader of a reply; for a TLS handshake.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::support::{Engine, Reply, TestApp, Wire, tls_app};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const PART: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Late: ";

/// An app with a request timeout of one second.
async fn hasty() -> TestApp {
    TestApp::start_with(Engine::Sqlite, "server.request_timeout_seconds = 1").await
}

/// Sends a byte at a time until the other side has closed.
async fn drip(wire: &mut Wire) {
    let mut pace = interval(Duration::from_millis(50));
    let dripping = async {
        loop {
            tokio::select! {
                () = wire.must_be_closed() => return,
                _ = pace.tick() => {}
            }
            wire.send("y").await;
        }
    };
    timeout(Duration::from_secs(20), dripping).await.expect("the connection to be closed");
}

#[tokio::test]
async fn a_connection_with_a_late_head_is_closed_without_a_reply() {
    let app = hasty().await;
    let mut silent = Wire::to(&app).await;
    let mut partial = Wire::to(&app).await;
    partial.send(PART).await;
    let mut dripped = Wire::to(&app).await;
    dripped.send(PART).await;
    drip(&mut dripped).await;
    silent.must_be_closed().await;
    partial.must_be_closed().await;
    app.stop().await;
}

#[tokio::test]
async fn a_later_request_with_a_late_head_closes_the_connection_too() {
    // An idle connection stays open for 75 seconds by default, so it is the late head that closes it here.
    let app = hasty().await;
    for before in [1, 2] {
        let (mut partial, mut dripped) = (Wire::to(&app).await, Wire::to(&app).await);
        for wire in [&mut partial, &mut dripped] {
            for _ in 0..before {
                wire.send(HEALTH).await;
                assert_eq!(wire.reply().await.status, 200);
            }
            wire.send(PART).await;
        }
        drip(&mut dripped).await;
        partial.must_be_closed().await;
    }
    // The same if the head begins in the same packet as the request before it.
    let mut wire = Wire::to(&app).await;
    wire.send(format!("{HEALTH}{PART}")).await;
    assert_eq!(wire.reply().await.status, 200);
    drip(&mut wire).await;
    app.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let app = TestApp::start_with(Engine::Sqlite, "server.keep_alive_seconds = 1").await;
    let mut wire = Wire::to(&app).await;
    for _ in 0..3 {
        wire.send(HEALTH).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (200, None));
    }
    wire.must_be_closed().await;
    app.stop().await;

    let app = TestApp::start_with(Engine::Sqlite, "server.keep_alive_seconds = 0").await;
    let mut wire = Wire::to(&app).await;
    wire.send(HEALTH).await;
    assert_eq!(wire.reply().await.header("connection"), Some("close"));
    wire.must_be_closed().await;
    app.stop().await;
}

#[tokio::test]
async fn an_unread_reply_does_not_keep_the_connection_open() {
    let app = hasty().await;
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
    // Writing fails when the server has closed the connection.
    let asking = async {
        let request = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n".repeat(16);
        while stream.write_all(request.as_bytes()).await.is_ok() {}
    };
    timeout(Duration::from_secs(30), asking).await.expect("the connection to be closed");
    app.stop().await;
}

#[tokio::test]
async fn silent_handshakes_end_and_do_not_delay_others() {
    let tls = tls_app(Engine::Sqlite).await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(Wire::to(&tls.app).await);
    }
    // The request is answered before the silent handshakes end, which may take five seconds.
    let request = tls.http.get(format!("{}/healthz", tls.base)).timeout(Duration::from_secs(4));
    assert_eq!(Reply::to(request).await.status, 200);
    for wire in &mut silent {
        wire.must_be_closed().await;
    }
    tls.app.stop().await;
}
