//! Bodies that no handler reads, on every route: discarded if they are small and arrive soon, otherwise the connection is
//! closed with the reply. No body keeps a connection open, and none is read without limit.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Engine, TestApp, Wire};

/// Requests whose body no handler reads, with the status of the reply.
const UNREAD: [(&str, u16); 17] = [
    ("GET /healthz", 200),
    ("GET /readyz", 200),
    ("GET /metrics", 200),
    ("GET /docs", 200),
    ("GET /openapi.yaml", 200),
    ("GET /.well-known/jwks.json", 200),
    ("GET /.well-known/oauth-authorization-server", 200),
    ("GET /oauth2/status-lists", 200),
    ("POST /oauth2/verify", 401),
    ("GET /v1/products", 401),
    ("POST /v1/products", 401),
    ("DELETE /v1/products/gst", 401),
    ("GET /nowhere", 404),
    ("POST /v1/nowhere", 404),
    ("PUT /healthz", 405),
    ("DELETE /oauth2/token", 405),
    // The token endpoint refuses a request without the media type of a form or of JSON before it reads the body.
    ("POST /oauth2/token", 400),
];

async fn app() -> TestApp {
    TestApp::start(Engine::Sqlite).await
}

fn head(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: x\r\n")
}

#[tokio::test]
async fn a_small_body_is_discarded_and_the_connection_used_again() {
    let app = app().await;
    let whole =
        ["Content-Length: 7\r\n\r\nabcdefg", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"];
    for (line, status) in UNREAD {
        let mut wire = Wire::to(&app).await;
        for framing in whole {
            wire.send(format!("{}{framing}", head(line))).await;
            let reply = wire.reply().await;
            assert_eq!(reply.status, status, "{line}: {reply:?}");
            assert_eq!(reply.header("connection"), None, "{line}: {reply:?}");
        }
    }
    // The longest body that is discarded.
    let mut wire = Wire::to(&app).await;
    let most = "y".repeat(64 * 1024);
    wire.send(format!("{}Content-Length: {}\r\n\r\n{most}", head("GET /healthz"), most.len())).await;
    assert_eq!(wire.reply().await.header("connection"), None);
    wire.send(format!("{}\r\n", head("GET /healthz"))).await;
    assert_eq!(wire.reply().await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_end_closes_the_connection() {
    let app = app().await;
    let endless = [
        "Content-Length: 7\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    for framing in endless {
        let mut wires = Vec::new();
        for (line, status) in UNREAD {
            let mut wire = Wire::to(&app).await;
            wire.send(format!("{}{framing}", head(line))).await;
            wires.push((wire, line, status));
        }
        for (mut wire, line, status) in wires {
            let reply = wire.reply().await;
            assert_eq!(reply.status, status, "{line} {framing:?}: {reply:?}");
            assert_eq!(reply.header("connection"), Some("close"), "{line} {framing:?}");
            wire.must_be_closed().await;
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_not_awaited() {
    let app = app().await;
    for (line, status) in UNREAD {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}Content-Length: 65537\r\n\r\n", head(line))).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{line}");
        wire.must_be_closed().await;
    }
    app.stop().await;
}

#[tokio::test]
async fn an_endless_body_is_not_read_without_limit() {
    const MOST: usize = 64 * 1024 * 1024;
    let app = app().await;
    let chunk = format!("10000\r\n{}\r\n", "y".repeat(0x10000));
    for (line, status) in UNREAD {
        let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
        stream
            .write_all(format!("{}Transfer-Encoding: chunked\r\n\r\n", head(line)).as_bytes())
            .await
            .unwrap();
        let (mut reader, mut writer) = stream.split();
        let flood = async {
            let mut sent = 0;
            while sent < MOST && writer.write_all(chunk.as_bytes()).await.is_ok() {
                sent += chunk.len();
            }
            sent
        };
        // The reply may be lost, since the server closes the connection with bytes unread. If it arrives, it must be right.
        let read = async {
            let mut reply = Vec::new();
            let _ = reader.read_to_end(&mut reply).await;
            reply
        };
        let both = async { tokio::join!(flood, read) };
        let (sent, reply) = timeout(Duration::from_secs(30), both).await.expect("the connection to end");
        assert!(sent < MOST, "{line}: {sent} bytes were taken");
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {reply}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unread_body_of_an_authorised_request_is_discarded_or_closes_the_connection() {
    let app = app().await;
    let admin = app.administrator().await;
    let head = format!("{}Authorization: Bearer {}\r\n", head("GET /v1/products"), admin.token);
    let mut wire = Wire::to(&app).await;
    for _ in 0..2 {
        wire.send(format!("{head}Content-Length: 3\r\n\r\nabc")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (200, None), "{reply:?}");
    }
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")).await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{reply:?}");
    wire.must_be_closed().await;
    app.stop().await;
}

#[tokio::test]
async fn more_unfinished_bodies_than_connections_leave_room_for_others() {
    let app = TestApp::start_with(Engine::Sqlite, "server.max_connections = 4").await;
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut wire = Wire::to(&app).await;
        wire.send(format!("{}Transfer-Encoding: chunked\r\n\r\n1\r\n", head("GET /healthz"))).await;
        held.push(wire);
    }
    assert_eq!(app.get("/healthz").await.status(), 200);
    drop(held);
    app.stop().await;
}
