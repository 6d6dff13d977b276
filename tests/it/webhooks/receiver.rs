//! A receiver of webhooks: a server on loopback that answers as a test says, and keeps what it got.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How the receiver answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// With this status, these lines of the head, and this body.
    Status(u16, &'static str, String),
    /// Not at all.
    Nothing,
    /// With one byte a second.
    Slowly,
    /// With 200 at once, and then one byte of the body a second.
    SlowBody,
    /// With 500, after it has met the test twice at this barrier: when the request has arrived, and when it may be answered.
    Held(Arc<Barrier>),
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Status(status, "", String::new())
    }
}

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub(super) struct Got {
    head: String,
    pub(super) body: String,
}

impl Got {
    /// A header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> &str {
        let found =
            self.head.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    reply: Arc<Mutex<Reply>>,
}

impl Receiver {
    /// Starts a receiver that gives every request this answer.
    pub(super) fn start(reply: Reply) -> Self {
        Self::start_at("127.0.0.1:0", reply)
    }

    pub(super) fn start_at(address: &str, reply: Reply) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (got, reply) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(reply)));
        let (keeping, answering) = (Arc::clone(&got), Arc::clone(&reply));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (keeping, answering) = (Arc::clone(&keeping), Arc::clone(&answering));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&mut stream) else { return };
                    keeping.lock().unwrap().push(request);
                    let reply = answering.lock().unwrap().clone();
                    answer(&mut stream, &reply);
                });
            }
        });
        Self { address, got, reply }
    }

    /// From now on the receiver gives every request this answer.
    pub(super) fn answers(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(super) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/in?token=s3cret", self.address.port())
    }

    /// The requests that the receiver got, oldest first.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The types of the events that the receiver got.
    pub(super) fn types(&self) -> Vec<String> {
        self.got().iter().map(|got| got.json()["type"].as_str().unwrap().to_owned()).collect()
    }
}

fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 65_536];
    loop {
        let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.replace("\r\n", "\n");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(Got { head, body: body.to_owned() });
        }
    }
}

fn answer(stream: &mut TcpStream, reply: &Reply) {
    const PER_BYTE: Duration = Duration::from_secs(1);
    let slowly = |stream: &mut TcpStream, text: &str| {
        for byte in text.bytes() {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(PER_BYTE);
        }
    };
    match reply {
        Reply::Status(status, more, body) => {
            let head = format!(
                "HTTP/1.1 {status} Reason\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // The app may close the connection before it has read everything.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
        // Waits until the app closes the connection.
        Reply::Nothing => drop(stream.read(&mut [0; 1])),
        Reply::Held(meeting) => {
            meeting.wait();
            meeting.wait();
            answer(stream, &Reply::status(500));
        }
        Reply::Slowly => slowly(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Reply::SlowBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
            slowly(stream, &"x".repeat(100));
        }
    }
}
