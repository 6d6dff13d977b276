//! A receiver of webhooks that accepts all requests, and closes a connection where the plan says.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::plan::{Plan, Then};

/// The head of a reply that accepts a request.
pub(super) const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
/// A whole reply.
pub(super) const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken";

/// Listens until the process ends.
pub(super) fn listen(plan: &Arc<Plan>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plan = Arc::clone(plan);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let plan = Arc::clone(&plan);
            // A connection may end at any byte, which is no error here.
            std::thread::spawn(move || serve(&plan, stream));
        }
    });
    address
}

fn serve(plan: &Arc<Plan>, stream: TcpStream) -> Option<()> {
    if plan.connected() {
        return None;
    }
    let mut reader = BufReader::new(stream);
    let head = read(plan, &mut reader, |bytes| bytes.ends_with(b"\r\n\r\n"))?;
    let header = |name: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name}: {head}"))
    };
    let length: usize = header("content-length").parse().unwrap();
    let body = read(plan, &mut reader, |bytes| bytes.len() == length)?;
    let id = header("webhook-id");
    let then = plan.came(id, &body);
    let reply = match then {
        Then::Reply => REPLY,
        Then::KillAfter(bytes) => &REPLY[..bytes],
    };
    // A reply accepts the delivery as soon as its head is complete, without the body.
    if reply.len() >= HEAD.len() {
        plan.answers(id);
    }
    let sent = reader.get_mut().write_all(reply.as_bytes());
    if let Then::KillAfter(_) = then {
        plan.kill();
    }
    sent.ok()
}

fn read(plan: &Plan, reader: &mut BufReader<TcpStream>, is_whole: impl Fn(&[u8]) -> bool) -> Option<String> {
    let mut bytes = Vec::new();
    while !is_whole(&bytes) {
        let mut byte = [0];
        reader.read_exact(&mut byte).ok()?;
        if plan.byte() {
            return None;
        }
        bytes.push(byte[0]);
    }
    Some(String::from_utf8(bytes).unwrap())
}
