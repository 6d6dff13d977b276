//! The default HTTP client over real sockets: what it fetches, and its limits.

use crate::support::{AUDIENCE, NOW, TestClock, good_claims, keys, list_claims, slots, with};
use mintmark_verifier::{Fetch as _, HttpFetch, MAX_BODY_BYTES, Request, Unavailable, Verifier, VerifyError};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Serves `respond`, which writes the response for a path, on a free port; returns the issuer.
fn serve(respond: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    serve_heads(move |issuer, head, stream| {
        let path = head.split(' ').nth(1).unwrap();
        respond(issuer, path, stream)
    })
}

/// Like [`serve`], for a `respond` that takes the head of the request in lower case.
fn serve_heads(
    respond: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let own = issuer.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map(|line| line.unwrap_or_default().to_lowercase());
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            // The client may close the connection early, as in `an_endless_answer_is_cut_off`.
            let _ = respond(&own, &head.join("\n"), &mut stream);
        }
    });
    issuer
}

fn ok(stream: &mut TcpStream, headers: &str, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn metadata(issuer: &str) -> String {
    json!({"issuer": issuer, "jwks_uri": format!("{issuer}/.well-known/jwks.json")}).to_string()
}

fn verifier(issuer: &str) -> Verifier {
    Verifier::builder(issuer, AUDIENCE).clock(|| NOW).build().unwrap()
}

fn token(issuer: &str) -> String {
    let status = json!({"status_list": {"idx": 4711, "uri": format!("{issuer}{LIST}")}});
    keys().eddsa.token(&with(with(good_claims(), "iss", json!(issuer)), "status", status))
}

const LIST: &str = "/oauth2/status-lists/3";

fn list(issuer: &str) -> String {
    keys().es256.list(&with(list_claims(&slots(2, &[])), "sub", json!(format!("{issuer}{LIST}"))))
}

#[tokio::test]
async fn a_token_is_verified_over_http() {
    let issuer = serve(|issuer, path, stream| match path {
        "/.well-known/oauth-authorization-server" => ok(stream, "", &metadata(issuer)),
        "/.well-known/jwks.json" => {
            let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
            ok(stream, "Cache-Control: max-age=300\r\n", &json!({"keys": jwks}).to_string())
        }
        LIST => ok(stream, "Content-Type: application/statuslist+jwt\r\n", &list(issuer)),
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    });
    assert_eq!(verifier(&issuer).verify(&token(&issuer)).await.unwrap().client_id, "cl_1");
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let issuer = serve_heads(move |issuer, head, stream| {
        let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
        let path = head.split(' ').nth(1).unwrap();
        if path == "/.well-known/oauth-authorization-server" {
            ok(stream, "", &metadata(issuer))
        } else if path == "/.well-known/jwks.json" {
            ok(stream, "", &json!({"keys": jwks}).to_string())
        } else if !head.contains("\naccept: application/statuslist+jwt") {
            write!(stream, "HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n")
        } else if head.contains("\nif-none-match: \"v1\"") {
            write!(stream, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"v1\"\r\n\r\n")
        } else {
            counted.fetch_add(1, Ordering::SeqCst);
            ok(stream, "ETag: \"v1\"\r\n", &list(issuer))
        }
    });
    let clock = TestClock::new();
    let shown = clock.clone();
    let verifier = Verifier::builder(&issuer, AUDIENCE).clock(move || shown.now()).build().unwrap();
    for _ in 0..4 {
        verifier.verify(&token(&issuer)).await.unwrap();
        clock.advance(60);
    }
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = serve(|issuer, path, stream| match path {
        "/moved" => ok(stream, "", &metadata(issuer)),
        _ => write!(stream, "HTTP/1.1 302 Found\r\nLocation: {issuer}/moved\r\nContent-Length: 0\r\n\r\n"),
    });
    let url = format!("{issuer}/.well-known/oauth-authorization-server");
    let refused = VerifyError::KeysUnavailable(Unavailable::Status { url, status: 302 });
    assert_eq!(verifier(&issuer).verify(&token(&issuer)).await, Err(refused));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let issuer = serve(|_, _, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"issuer\":\"")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let error = verifier(&issuer).verify(&token(&issuer)).await.unwrap_err();
    let url = format!("{issuer}/.well-known/oauth-authorization-server");
    let too_long = Unavailable::InvalidAnswer { url, why: "it is longer than 256 KiB" };
    assert_eq!(error, VerifyError::KeysUnavailable(too_long));
}

#[tokio::test]
async fn an_answer_as_long_as_the_limit_is_read() {
    let issuer = serve(|_, path, stream| ok(stream, "", &"x".repeat(path[1..].parse().unwrap())));
    let (fetch, url) = (HttpFetch::new().unwrap(), |length: usize| format!("{issuer}/{length}"));
    assert_eq!(fetch.get(Request::new(&url(MAX_BODY_BYTES))).await.unwrap().body.len(), MAX_BODY_BYTES);
    let longer = fetch.get(Request::new(&url(MAX_BODY_BYTES + 1))).await.unwrap();
    assert_eq!(longer.body.len(), MAX_BODY_BYTES + 1, "so that the verifier refuses it");
}

#[tokio::test]
async fn a_refused_connection_is_named_in_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = verifier(&issuer).verify(&token(&issuer)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.answer().status(), 503);
}
