//! The load generator: connections that stay open, each with one token request at a time, in one thread on the second core.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::mintmark_server::Client;
use crate::process::pinned;

const BODY: &str = "grant_type=client_credentials";

/// The server to send requests to, and the clients to use, in turn.
pub(crate) struct Target<'a> {
    pub(crate) address: &'a str,
    pub(crate) clients: &'a [Client],
}

/// The result of a load.
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Runs the load in a process of its own, pinned to the second core.
pub(crate) fn on_the_other_core(target: &Target<'_>, connections: usize, time: Duration) -> Report {
    let mut command = pinned("1", &std::env::current_exe().expect("own path").display().to_string());
    command.args(["generate", target.address, &connections.to_string(), &time.as_millis().to_string()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = child.expect("taskset starts the generator");
    let mut stdin = child.stdin.take().expect("piped");
    for client in target.clients {
        writeln!(stdin, "{} {}", client.client_id, client.client_secret).expect("it is read");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("the generator ends");
    let text = String::from_utf8(output.stdout).expect("numbers");
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [per_second, p50_ms, p99_ms] = numbers[..] else { panic!("the generator failed: {text}") };
    Report { per_second, p50_ms, p99_ms }
}

/// The generator itself, in the child.
pub(crate) fn child(arguments: impl Iterator<Item = String>) {
    let arguments: Vec<String> = arguments.collect();
    let [address, connections, millis] = &arguments[..] else { panic!("three arguments") };
    let clients = std::io::read_to_string(std::io::stdin()).expect("the clients");
    let requests: Vec<Vec<u8>> = clients
        .lines()
        .map(|line| line.split_once(' ').expect("an id and a secret"))
        .map(|(client_id, client_secret)| request(client_id, client_secret))
        .collect();
    let time = Duration::from_millis(millis.parse().expect("milliseconds"));
    let connections: usize = connections.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let started = Instant::now();
    let mut micros: Vec<u32> = runtime.block_on(async {
        // Together, the connections go through all clients repeatedly.
        let asking = (0..connections).map(|first| {
            let requests = requests.iter().cycle().skip(first).step_by(connections);
            ask(address, requests, started, time)
        });
        futures_util::future::join_all(asking).await.into_iter().flatten().collect()
    });
    let took = started.elapsed().as_secs_f64();
    micros.sort_unstable();
    let at = |share: f64| f64::from(micros[((micros.len() - 1) as f64 * share) as usize]) / 1000.0;
    println!("{} {} {}", micros.len() as f64 / took, at(0.5), at(0.99));
}

fn request(client_id: &str, client_secret: &str) -> Vec<u8> {
    let basic = STANDARD.encode(format!("{client_id}:{client_secret}"));
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

async fn ask(
    address: &str,
    requests: impl Iterator<Item = &Vec<u8>>,
    started: Instant,
    time: Duration,
) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP option");
    let mut micros = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    for request in requests.take_while(|_| started.elapsed() < time) {
        let asked = Instant::now();
        stream.write_all(request).await.expect("it is sent");
        let mut read = 0;
        loop {
            let n = stream.read(&mut buffer[read..]).await.expect("it answers");
            assert!(n > 0, "the server closed the connection");
            read += n;
            if is_whole(&buffer[..read]) {
                break;
            }
        }
        micros.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    micros
}

/// Whether the buffer holds one whole reply. A status other than 200 ends the benchmark.
fn is_whole(reply: &[u8]) -> bool {
    let Some(end) = reply.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&reply[..end]).expect("text");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        })
        .map(|(_, value)| value.parse::<usize>().expect("a length"))
        .expect("Content-Length");
    reply.len() >= end + 4 + length
}

/// The metrics of the server.
pub(crate) fn metrics(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("it answers");
    reply
}

/// One token request on a new connection. Returns the reply's status line, empty if there was none.
pub(crate) fn one(address: &str, client_id: &str, client_secret: &str) -> String {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return String::new() };
    stream.write_all(&request(client_id, client_secret)).expect("it is sent");
    let mut reply = vec![0; 4096];
    let n = stream.read(&mut reply).unwrap_or(0);
    String::from_utf8_lossy(&reply[..n]).lines().next().unwrap_or_default().to_owned()
}
