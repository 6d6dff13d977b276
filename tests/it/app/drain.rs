//! SIGTERM under load: for `server.drain_seconds` the service still accepts requests while `/readyz` and `Connection: close`
//! send clients elsewhere. No request is lost.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Engine, Reply, TestApp, Wire, on_both_engines};

on_both_engines!(not_one_request_is_lost);

const DRAIN: &str = "server.drain_seconds = 1";

/// Half of the clients open a connection for each request. The others keep a connection until the server closes it.
const CLIENTS: usize = 12;

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    after_stop: AtomicUsize,
}

async fn not_one_request_is_lost(engine: Engine) {
    let app = TestApp::start_with(engine, DRAIN).await;
    let client = app.bootstrap().await;
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        client.client_id, client.client_secret
    );
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    let address = app.base.strip_prefix("http://").unwrap().to_owned();
    let (counts, stopping) = (Arc::new(Counts::default()), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for number in 0..CLIENTS {
        let keeps = number % 2 == 0;
        let connection = if keeps { "" } else { "Connection: close\r\n" };
        let request = format!("{request}{connection}\r\n{body}");
        let (address, counts, stopping) = (address.clone(), Arc::clone(&counts), Arc::clone(&stopping));
        load.spawn(async move {
            // Until the server refuses the connection: then no request was sent that could be lost.
            while let Some(stream) = connect(&address).await {
                exchange(stream, &request, &counts, &stopping).await;
            }
        });
    }
    while counts.answered.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    stopping.store(1, Ordering::Relaxed);
    app.stop().await;
    while let Some(ended) = load.join_next().await {
        ended.expect("no request is lost");
    }
    assert!(counts.after_stop.load(Ordering::Relaxed) > 100, "requests were still accepted");
}

/// A connection; `None` if the server no longer accepts any.
async fn connect(address: &str) -> Option<TcpStream> {
    match TcpStream::connect(address).await {
        Ok(stream) => Some(stream),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
        Err(error) => panic!("connecting failed: {error}"),
    }
}

/// Sends requests until a reply ends the connection. Each request must be answered.
async fn exchange(mut stream: TcpStream, request: &str, counts: &Counts, stopping: &AtomicUsize) {
    loop {
        let was_stopping = stopping.load(Ordering::Relaxed) == 1;
        stream.write_all(request.as_bytes()).await.expect("a request is sent");
        let head = reply(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        counts.answered.fetch_add(1, Ordering::Relaxed);
        counts.after_stop.fetch_add(usize::from(was_stopping), Ordering::Relaxed);
        if head.to_ascii_lowercase().contains("connection: close") {
            return;
        }
        // Without `Connection: close`, the server must accept another request on this connection.
    }
}

/// The head of a reply, after its body has been read.
async fn reply(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let count = stream.read_buf(&mut bytes).await.expect("a reply is read");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(count > 0, "the connection was closed before the reply: {text:?}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let (_, length) = length.split_once("content-length: ").expect("a Content-Length");
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if body.len() >= length {
            return head.to_owned();
        }
    }
}

#[tokio::test]
async fn a_draining_server_answers_and_asks_clients_to_close() {
    let app = TestApp::start_with(Engine::Sqlite, DRAIN).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut kept = Wire::to(&app).await;
    kept.send(ask("/readyz")).await;
    let reply = kept.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (200, None));
    let address = app.base.strip_prefix("http://").unwrap().to_owned();
    let mut idle = Wire::to(&app).await;
    idle.send(ask("/healthz")).await;
    assert_eq!(idle.reply().await.status, 200);

    let stopping = app.begin_stop();
    // Repeated until the service has noticed that it should stop.
    let reply = loop {
        kept.send(ask("/readyz")).await;
        let reply = kept.reply().await;
        if reply.status != 200 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((reply.status, reply.header("connection")), (503, Some("close")), "{reply:?}");
    kept.must_be_closed().await;
    for (path, status) in
        [("/healthz", 200), ("/.well-known/jwks.json", 200), ("/v1/products", 401), ("/x", 404)]
    {
        let mut new = Wire::at(&address).await;
        new.send(ask(path)).await;
        let reply: Reply = new.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{path}");
        new.must_be_closed().await;
    }
    stopping.await;
    idle.must_be_closed().await;
    assert!(connect(&address).await.is_none());
}
