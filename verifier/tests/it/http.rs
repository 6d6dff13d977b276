//! The usual transport over real sockets: what it fetches, and where it stops.

use crate::support::{AUDIENCE, NOW, good_claims, keys, with};
use mintmark_verifier::{Fetch as _, HttpFetch, MAX_BODY_BYTES, Request, Unavailable, Verifier, VerifyError};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Serves `respond` (path → whole response) on a free port until the test ends; returns the issuer.
fn serve(respond: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let own = issuer.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // The client may hang up in the middle; that is one of the cases.
            let _ = respond(&own, &path, &mut stream);
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
    Verifier::builder(issuer, AUDIENCE).clock(|| NOW).check_status(false).build().unwrap()
}

fn token(issuer: &str) -> String {
    keys().eddsa.token(&with(good_claims(), "iss", json!(issuer)))
}

#[tokio::test]
async fn a_token_is_verified_over_http() {
    let issuer = serve(|issuer, path, stream| match path {
        "/.well-known/oauth-authorization-server" => ok(stream, "", &metadata(issuer)),
        "/.well-known/jwks.json" => {
            let jwks: Vec<_> = keys().published().iter().map(|key| &key.jwk).collect();
            ok(stream, "Cache-Control: max-age=300\r\n", &json!({"keys": jwks}).to_string())
        }
        _ => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    });
    assert_eq!(verifier(&issuer).verify(&token(&issuer)).await.unwrap().client_id, "cl_1");
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
    let VerifyError::KeysUnavailable(Unavailable::Unreachable(why)) = &error else { panic!("{error}") };
    assert!(why.contains(&format!("longer than {MAX_BODY_BYTES} bytes")), "{why}");
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_read() {
    let issuer = serve(|_, path, stream| ok(stream, "", &"x".repeat(path[1..].parse().unwrap())));
    let (fetch, url) = (HttpFetch::new().unwrap(), |length: usize| format!("{issuer}/{length}"));
    assert_eq!(fetch.get(Request::new(&url(MAX_BODY_BYTES))).await.unwrap().body.len(), MAX_BODY_BYTES);
    assert!(fetch.get(Request::new(&url(MAX_BODY_BYTES + 1))).await.is_err());
}

#[tokio::test]
async fn a_closed_port_is_said_to_be_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = verifier(&issuer).verify(&token(&issuer)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.answer().status(), 503);
}
