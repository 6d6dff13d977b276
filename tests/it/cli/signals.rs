//! Signals to a server: SIGTERM, SIGINT and SIGHUP, also while nobody reads its log.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use reqwest::Client;

use super::process::{Place, Running};
use crate::support::{Engine, Pair};

/// A drain time in seconds that is longer than the tests wait.
const LONG: &str = "300";

fn place() -> Place {
    Place::new(Engine::Sqlite)
}

fn long_drain() -> Place {
    place().with("MINTMARK__SERVER__DRAIN_SECONDS", LONG)
}

#[test]
fn an_interrupt_does_not_drain() {
    let place = long_drain();
    let serving = place.serve();
    serving.running.signal("INT");
    let ran = serving.running.wait();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("SIGINT: finishing requests in flight"), "{ran:?}");
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    for second in ["TERM", "INT"] {
        let place = long_drain();
        let mut running: Running = place.serve().running;
        running.signal("TERM");
        running.stderr.wait_for("SIGTERM: sending clients elsewhere for 300 seconds");
        running.signal(second);
        let ran = running.wait();
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(&format!("SIG{second}: stopped at once")), "{ran:?}");
    }
}

#[test]
fn a_quickstart_does_not_drain() {
    let place = long_drain();
    let mut running = place.start(&["quickstart"]);
    running.stdout.wait_for("Serving until Ctrl-C.");
    running.signal("TERM");
    assert_eq!(running.wait().code, 0);
}

#[tokio::test]
async fn a_hang_up_without_a_certificate_changes_nothing() {
    let place = place();
    let mut serving = place.serve();
    for _ in 0..2 {
        serving.running.signal("HUP");
        serving.running.stderr.wait_for("there is no TLS certificate to read again");
        assert_eq!(serving.get("/healthz").await.status(), 200);
    }
    assert_eq!(serving.stop().code, 0);
}

#[tokio::test]
async fn a_new_certificate_is_used_on_hang_up_and_when_its_files_change_unless_it_is_invalid() {
    let place = place()
        .with("MINTMARK__SERVER__PUBLIC_URL", "https://tokens.example.com")
        .with("MINTMARK__SERVER__TLS__CERT_FILE", "cert.pem")
        .with("MINTMARK__SERVER__TLS__KEY_FILE", "key.pem");
    let install = |pair: &Pair| {
        for (from, to) in [(&pair.certificate, "cert.pem"), (&pair.key, "key.pem")] {
            std::fs::copy(from, place.path("new.pem")).unwrap();
            std::fs::rename(place.path("new.pem"), place.path(to)).unwrap();
        }
    };
    let pairs = ["one", "two", "three"].map(|name| Pair::new(&place.path(""), name));
    let [one, two, three] = [0, 1, 2].map(|n| pairs[n].client());
    install(&pairs[0]);
    let mut serving = place.serve();
    let url = format!("https://{}/healthz", serving.address());
    let is_trusted =
        async |client: &Client| client.get(&url).send().await.is_ok_and(|reply| reply.status() == 200);
    assert!(is_trusted(&one).await && !is_trusted(&two).await);

    install(&pairs[1]);
    serving.running.signal("HUP");
    serving.running.stderr.wait_for("the TLS certificate was read again");
    assert!(is_trusted(&two).await && !is_trusted(&one).await);

    place.write("cert.pem", "not a certificate");
    serving.running.signal("HUP");
    let line = serving.running.stderr.wait_for("contains no certificate");
    assert!(line.contains("the TLS certificate in use stays"), "{line}");
    assert!(is_trusted(&two).await);

    install(&pairs[2]);
    serving.running.stderr.wait_for("the TLS certificate was read again");
    assert!(is_trusted(&three).await && !is_trusted(&two).await);
    assert_eq!(serving.stop().code, 0);
}

#[test]
fn an_unread_log_does_not_block_the_exit() {
    // One signal: no drain, since `Place` sets it to 0 seconds. Two: the second ends a long drain, with exit code 1. They are
    // different signals, since a busy process may receive two equal ones as one.
    for signals in [&["TERM"][..], &["TERM", "INT"]] {
        let place =
            if signals.len() > 1 { long_drain() } else { place() }.with("MINTMARK__LOG__LEVEL", "debug");
        let mut child = serve_unread(&place);
        for signal in signals {
            let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
            assert!(sent.success());
        }
        let (ended, has_ended) = channel();
        let id = child.id();
        std::thread::spawn(move || ended.send(child.wait().unwrap().code()));
        let code = has_ended.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| {
            let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
            panic!("the server does not end after {signals:?}")
        });
        assert_eq!(code, Some(i32::from(signals.len() > 1)), "{signals:?}");
    }
}

/// A server whose log was read only up to the line with the message `serving`. Since then it has logged more than a pipe holds.
fn serve_unread(place: &Place) -> Child {
    let mut command = place.shell();
    command.args(["-c", "exec \"$0\" serve", env!("CARGO_BIN_EXE_mintmark")]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::with_capacity(512, child.stderr.take().unwrap());
    let line = loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server ended before it served");
        if line.contains("\"message\":\"serving\"") {
            break line;
        }
    };
    let start: serde_json::Value = serde_json::from_str(&line).unwrap();
    let mut stream = TcpStream::connect(start["listen"].as_str().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    for _ in 0..2_000 {
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut reply = [0; 4096];
        let count = stream.read(&mut reply).unwrap();
        assert!(reply[..count].starts_with(b"HTTP/1.1 404 "));
    }
    // The pipe stays open, and is not read any more.
    child.stderr = Some(log.into_inner());
    child
}
