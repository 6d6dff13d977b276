//! The extractor in a real server. The requests are written to a socket, since no client library would send some of them.

use crate::support::{
    AUDIENCE, FakeIssuer, LIST, TestClock, builder, good_claims, keys, list_claims, slots, with,
};
use actix_web::{App, HttpServer, web};
use mintmark_verifier::actix::{Authorized, Rejection, Requirement};
use mintmark_verifier::{Fetched, Verifier};
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Gst;

impl Requirement for Gst {
    const PRODUCTS: &'static [&'static str] = &["gst"];
}

struct Both;

impl Requirement for Both {
    const PRODUCTS: &'static [&'static str] = &["gst", "vat"];
}

async fn any(token: Authorized) -> String {
    token.into_claims().client_id.clone()
}

async fn gst(token: Authorized<Gst>) -> String {
    token.workspace_id.clone()
}

async fn both(_: Authorized<Both>) -> &'static str {
    "both"
}

async fn by_call(token: Authorized) -> Result<String, Rejection> {
    token.require_product("vat")?;
    Ok(token.jti.clone())
}

/// A server on a free port, with or without a verifier.
fn serve(verifier: Option<Verifier>) -> SocketAddr {
    let verifier = verifier.map(web::Data::new);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let run = move || {
        let app = move || {
            let app = App::new()
                .route("/any", web::get().to(any))
                .route("/gst", web::get().to(gst))
                .route("/both", web::get().to(both))
                .route("/by-call", web::get().to(by_call));
            match &verifier {
                Some(verifier) => app.app_data(verifier.clone()),
                None => app,
            }
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::System::new().block_on(server.run()).unwrap();
    };
    // A thread with the runtime of actix; it ends with the process.
    std::thread::spawn(run);
    address
}

/// The whole answer to a GET with these header lines.
async fn ask(server: SocketAddr, path: &str, headers: &[&str]) -> String {
    let mut stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let lines = headers.iter().fold(String::new(), |lines, line| lines + line + "\r\n");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

fn field(response: &str, name: &str) -> Option<String> {
    response.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

/// Status, `WWW-Authenticate` and body of the answer to a GET with these header lines.
async fn get(server: SocketAddr, path: &str, headers: &[&str]) -> (u16, Option<String>, String) {
    let response = ask(server, path, headers).await;
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    (response[9..12].parse().unwrap(), field(&response, "www-authenticate"), body.to_owned())
}

#[tokio::test]
async fn a_good_token_reaches_the_handler() {
    let server = serve(Some(builder(&FakeIssuer::new(), &TestClock::new()).build().unwrap()));
    let token = keys().es256.token(&good_claims());
    for (path, scheme, body) in [
        ("/any", "Bearer ", "cl_1"),
        ("/any", "bearer ", "cl_1"),
        ("/any", "BEARER   ", "cl_1"),
        ("/gst", "bEaReR ", "acme-in"),
    ] {
        let answer = get(server, path, &[&format!("Authorization: {scheme}{token}")]).await;
        assert_eq!(answer, (200, None, body.to_owned()), "{path} {scheme}");
    }
}

#[tokio::test]
async fn a_request_without_a_bearer_token_gets_a_challenge_without_an_error() {
    let server = serve(Some(builder(&FakeIssuer::new(), &TestClock::new()).build().unwrap()));
    let token = keys().es256.token(&good_claims());
    let challenge = format!("Bearer realm=\"{AUDIENCE}\"");
    let query = format!("/any?access_token={token}");
    for (path, headers) in [
        ("/any", vec![]),
        (&query, vec![]),
        ("/any", vec![format!("Authorization: Basic {token}")]),
        ("/any", vec![format!("Authorization: DPoP {token}")]),
        ("/any", vec![format!("Authorization: {token}")]),
        ("/any", vec![format!("X-Authorization: Bearer {token}")]),
        ("/any", vec![format!("Cookie: access_token={token}")]),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = get(server, path, &headers).await;
        assert_eq!(answer, (401, Some(challenge.clone()), String::new()), "{path} {headers:?}");
    }
}

#[tokio::test]
async fn the_answer_to_an_invalid_token_has_the_reason() {
    let server = serve(Some(builder(&FakeIssuer::new(), &TestClock::new()).build().unwrap()));
    let good = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
    let expired = keys().es256.token(&with(good_claims(), "exp", json!(1)));
    let expired = format!("Authorization: Bearer {expired}");
    let not_ascii = good.clone() + "é";
    for (headers, says) in [
        (vec![expired.as_str()], "the token has expired"),
        (vec![&good, &good], "the token is malformed: the request has two Authorization headers: send one"),
        (
            vec![&good, "authorization: Basic YTpi"],
            "the token is malformed: the request has two Authorization headers: send one",
        ),
        (vec!["Authorization: Bearer"], "the token is malformed: it does not have three parts"),
        (vec!["Authorization: Bearer a b"], "the token is malformed: it does not have three parts"),
        (vec![&not_ascii], "the token is malformed: the Authorization header is not ASCII"),
    ] {
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{says}\"");
        assert_eq!(get(server, "/any", &headers).await, (401, Some(challenge), String::new()), "{headers:?}");
    }
}

#[tokio::test]
async fn the_answer_to_a_revoked_or_suspended_token_says_so() {
    for (value, says) in [(1, "the token was revoked"), (2, "the token is suspended")] {
        let issuer = FakeIssuer::new();
        issuer.publish_list(&list_claims(&slots(2, &[(4711, value)])));
        let server = serve(Some(builder(&issuer, &TestClock::new()).build().unwrap()));
        let token = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{says}\"");
        assert_eq!(get(server, "/any", &[&token]).await, (401, Some(challenge), String::new()));
    }
}

#[tokio::test]
async fn a_token_whose_list_cannot_be_fetched_gets_503() {
    let issuer = FakeIssuer::new();
    issuer.respond(LIST, Fetched { status: 500, ..Fetched::default() });
    let server = serve(Some(builder(&issuer, &TestClock::new()).build().unwrap()));
    let token = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
    assert_eq!(get(server, "/any", &[&token]).await, (503, None, String::new()));
}

#[tokio::test]
async fn a_token_without_a_required_product_gets_403_with_its_scope() {
    let server = serve(Some(builder(&FakeIssuer::new(), &TestClock::new()).build().unwrap()));
    let token = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"vat\"".to_owned();
    for path in ["/both", "/by-call"] {
        assert_eq!(
            get(server, path, &[&token]).await,
            (403, Some(challenge.clone()), String::new()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_whose_key_cannot_be_fetched_gets_503_with_retry_after() {
    let issuer = FakeIssuer::new();
    issuer.set_down(true);
    let server = serve(Some(builder(&issuer, &TestClock::new()).build().unwrap()));
    let token = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
    assert_eq!(get(server, "/any", &[&token]).await, (503, None, String::new()));
    assert_eq!(field(&ask(server, "/any", &[&token]).await, "retry-after").as_deref(), Some("5"));
}

#[tokio::test]
async fn without_a_verifier_no_request_is_accepted() {
    let server = serve(None);
    let token = format!("Authorization: Bearer {}", keys().es256.token(&good_claims()));
    assert_eq!(get(server, "/any", &[&token]).await, (500, None, String::new()));
}
