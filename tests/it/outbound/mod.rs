//! Requests to other hosts: which are refused, which address they connect to, and how large and how late a reply may be.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mintmark::config::Settings;
use mintmark::outbound::{Outbound, OutboundError, Request, Resolver, Resolving, SystemResolver};

/// A server on loopback that answers every connection with the same bytes. It counts connections and keeps what they sent.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With `None`, the server never answers.
    fn start(reply: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (count, read, reply) = (Arc::clone(&connections), Arc::clone(&heads), reply.map(str::to_owned));
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or(0);
                read.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
                match &reply {
                    Some(reply) => drop(stream.write_all(reply.as_bytes())),
                    None => open.push(stream),
                }
            }
        });
        Self { address, connections, heads }
    }

    fn with_body(body: &str) -> Self {
        Self::start(Some(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())))
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Resolves every name. Each look-up gets the next list of addresses, and all further look-ups get the last one.
#[derive(Debug)]
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolver for Names {
    fn resolve(&self, _: String) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(next.unwrap_or_default()) })
    }
}

/// Never answers a look-up.
#[derive(Debug)]
struct Slow;

impl Resolver for Slow {
    fn resolve(&self, _: String) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// Allows http URLs too, since the public URL is on loopback by default.
fn outbound(allow: &str, resolver: Arc<dyn Resolver>) -> Outbound {
    let settings = Settings::from_toml_layers(&[&format!("outbound.allow = {allow}")]).unwrap();
    Outbound::new(settings.outbound.allow, settings.server.public_url.is_loopback(), resolver)
}

async fn status(outbound: &Outbound, url: &str) -> Result<u16, OutboundError> {
    outbound.send(Request::get(url)).await.map(|answer| answer.status)
}

#[tokio::test]
async fn internal_addresses_are_refused_unless_they_are_listed() {
    let server = Server::with_body("{}");
    let closed = outbound("[]", Arc::new(SystemResolver));
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[::7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ] {
        let refused = status(&closed, &format!("http://{host}:{port}/")).await.expect_err(host);
        assert_eq!(refused.to_string(), "address not allowed", "{host}");
    }
    assert_eq!(server.connections(), 0);
    for (allow, host) in [
        ("[\"127.0.0.0/8\"]", "127.0.0.1"),
        ("[\"127.0.0.1\"]", "[::ffff:127.0.0.1]"),
        ("[\"127.0.0.1\", \"::1\"]", "localhost"),
        ("[\"localhost\"]", "localhost"),
    ] {
        let open = outbound(allow, Arc::new(SystemResolver));
        assert_eq!(status(&open, &server.url(host)).await, Ok(200), "{allow} {host}");
    }
    let other = outbound("[\"10.0.0.0/8\", \"hooks.internal\"]", Arc::new(SystemResolver));
    assert_eq!(status(&other, &server.url("localhost")).await, Err(OutboundError::NotAllowed));
}

#[tokio::test]
async fn every_address_of_a_name_is_checked() {
    let server = Server::with_body("{}");
    for inside in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "64:ff9b::7f00:1", "169.254.169.254", "10.1.2.3"] {
        let outbound = outbound("[]", Names::new(&[&[inside]]));
        let refused = status(&outbound, &server.url("hooks.example.com")).await;
        assert_eq!(refused, Err(OutboundError::NotAllowed), "{inside}");
    }
    assert_eq!(server.connections(), 0);
    // Of several addresses, only the listed one is connected to.
    let mixed = outbound("[\"127.0.0.1\"]", Names::new(&[&["127.0.0.2", "10.0.0.1", "::ffff:127.0.0.1"]]));
    assert_eq!(status(&mixed, &server.url("hooks.example.com")).await, Ok(200));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_listed_name_may_have_any_address_and_another_name_may_not() {
    let server = Server::with_body("{}");
    let outbound = outbound("[\"hooks.internal\"]", Names::new(&[&["127.0.0.1"]]));
    assert_eq!(status(&outbound, &server.url("hooks.internal")).await, Ok(200));
    assert_eq!(status(&outbound, &server.url("HOOKS.internal.")).await, Ok(200));
    for host in ["a.hooks.internal", "hooks.internal.example.com", "internal"] {
        assert_eq!(status(&outbound, &server.url(host)).await, Err(OutboundError::NotAllowed), "{host}");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let server = Server::with_body("{}");
    // An allowed address at the first look-up, and another one from then on.
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let outbound = outbound("[\"127.0.0.1\"]", Arc::clone(&names) as _);
    let url = server.url("rebind.example.com");
    outbound.check(&url).unwrap();
    assert_eq!(status(&outbound, &url).await, Ok(200));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "the checked address is the one that is used");
    // Each request resolves again, and no connection is kept.
    assert_eq!(status(&outbound, &url).await, Err(OutboundError::NotAllowed));
    assert_eq!((names.asked.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let inside = Server::with_body("secret");
    let reply =
        format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", inside.url("127.0.0.1"));
    let server = Server::start(Some(&reply));
    let outbound = outbound("[\"127.0.0.1\"]", Arc::new(SystemResolver));
    assert_eq!(status(&outbound, &server.url("127.0.0.1")).await, Ok(302));
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn replies_above_the_size_limit_are_refused() {
    let outbound = outbound("[\"127.0.0.1\"]", Arc::new(SystemResolver));
    let server = Server::with_body("0123456789");
    let url = server.url("127.0.0.1");
    let whole = outbound.send(Request::get(&url).at_most(10)).await.unwrap();
    assert_eq!(whole.body, b"0123456789");
    assert_eq!(outbound.send(Request::get(&url).at_most(9)).await, Err(OutboundError::TooLarge(9)));
    // A reply of 512 KiB without a length and without an end. Without `at_most` the limit is 256 KiB.
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    let endless = Server::start(Some(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunk.repeat(64)
    )));
    let refused = outbound.send(Request::get(&endless.url("127.0.0.1"))).await;
    assert_eq!(refused, Err(OutboundError::TooLarge(256 * 1024)));
}

#[tokio::test]
async fn late_and_incomplete_replies_are_errors() {
    let silent = Server::start(None);
    let cut = Server::start(Some("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"));
    let outbound = outbound("[\"127.0.0.1\"]", Arc::new(SystemResolver));
    let url = silent.url("127.0.0.1");
    let late = outbound.send(Request::get(&url).within(Duration::from_millis(50))).await;
    assert_eq!(late, Err(OutboundError::TimedOut));
    let url = cut.url("127.0.0.1");
    assert!(matches!(outbound.send(Request::get(&url)).await, Err(OutboundError::Failed(_))));
}

#[tokio::test]
async fn resolving_counts_towards_the_time_limit() {
    let outbound = outbound("[]", Arc::new(Slow));
    let late =
        outbound.send(Request::get("http://slow.example.com/").within(Duration::from_millis(50))).await;
    assert_eq!(late, Err(OutboundError::TimedOut));
}

#[tokio::test]
async fn urls_other_than_https_or_with_a_user_name_are_refused() {
    let settings = "server.public_url = \"https://tokens.example.com\"\noutbound.allow = [\"127.0.0.1\"]";
    let settings = Settings::from_toml_layers(&[settings]).unwrap();
    let server = Server::with_body("{}");
    let loopback = settings.server.public_url.is_loopback();
    let public = Outbound::new(settings.outbound.allow, loopback, Arc::new(SystemResolver));
    for (url, reason) in [
        (server.url("127.0.0.1").as_str(), "it is not an https URL"),
        ("ftp://example.com/", "it is not an https URL"),
        ("file:///etc/passwd", "it is not an https URL"),
        ("gopher://127.0.0.1/", "it is not an https URL"),
        ("data:text/plain,x", "it is not an https URL"),
        ("https://me@example.com/", "it has a user name or a password"),
        ("https://me:pw@example.com/", "it has a user name or a password"),
        ("https://example.com@127.0.0.1/", "it has a user name or a password"),
        ("https://", "it is not a URL"),
        ("example.com", "it is not a URL"),
    ] {
        let reason = format!("the URL cannot be requested: {reason}");
        assert_eq!(status(&public, url).await.unwrap_err().to_string(), reason, "{url}");
        assert_eq!(public.check(url).unwrap_err().to_string(), reason, "{url}");
    }
    assert_eq!(server.connections(), 0);
    // A server that speaks plain HTTP does not complete a TLS handshake.
    let url = server.url("127.0.0.1").replace("http:", "https:");
    assert!(matches!(status(&public, &url).await, Err(OutboundError::Failed(_))));
}

#[tokio::test]
async fn a_form_is_sent_with_its_credentials_and_an_error_does_not_show_the_url() {
    let server = Server::with_body("{}");
    let outbound = outbound("[\"127.0.0.1\"]", Arc::new(SystemResolver));
    let url = server.url("127.0.0.1");
    let sent = Request::form(&url, &[("code", "a b&c")]).basic("id", "canary");
    assert_eq!(outbound.send(sent).await.unwrap().status, 200);
    let head = server.heads.lock().unwrap().join("");
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Basic aWQ6Y2FuYXJ5\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\ncode=a+b%26c"), "{head}");
    drop(server);
    let nowhere = "http://127.0.0.1:1/?token=canary";
    let failed = outbound.send(Request::get(nowhere)).await.unwrap_err();
    assert!(matches!(failed, OutboundError::Failed(_)), "{failed}");
    assert!(!failed.to_string().contains("canary"), "{failed}");
}

#[tokio::test]
async fn a_glance_at_an_internal_host_shows_no_body() {
    let reply = "HTTP/1.1 503 Later\r\nRetry-After: 120\r\nContent-Length: 6\r\n\r\nsecret";
    let server = Server::start(Some(reply));
    let outbound = outbound("[\"127.0.0.1\"]", Arc::new(SystemResolver));
    let url = server.url("127.0.0.1");
    let request = Request::json(&url, "{\"a\":1}").header("webhook-id", "x").at_most(1024);
    let seen = outbound.glance(request).await.unwrap();
    assert_eq!((seen.status, seen.retry_after.as_deref(), seen.beginning), (503, Some("120"), None));
    let sent = server.heads.lock().unwrap()[0].clone();
    assert!(sent.starts_with("POST / ") && sent.contains("content-type: application/json"), "{sent}");
    assert!(sent.contains("webhook-id: x") && sent.ends_with("{\"a\":1}"), "{sent}");
}
