//! HTTP as bytes, for requests that no client library would send.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::TestApp;

/// How long a test waits for a reply before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The reply to a request of the client library.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        Self::of(request.send().await.unwrap()).await
    }

    /// Reads a response of the client library.
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let text =
            |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(named, _)| named == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that was sent at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} was sent more than once: {self:?}");
        values.first().copied()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The reply without the headers that differ between any two replies: the date and the request id.
    pub(crate) fn comparable(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date" && name != "x-request-id");
        self.headers.sort();
        self
    }
}

/// A connection to the app.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(crate) async fn to(app: &TestApp) -> Self {
        Self::at(app.base.strip_prefix("http://").unwrap()).await
    }

    /// Connects to an address.
    pub(crate) async fn at(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    /// Sends raw bytes. If the app has closed the connection, reading the reply shows it.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next reply.
    pub(crate) async fn reply(&mut self) -> Reply {
        timeout(WAIT_MAX, self.read_reply(true)).await.expect("a reply in time")
    }

    /// The next reply, which must be to a HEAD request: it has no body, whatever its `Content-Length` says.
    pub(crate) async fn reply_to_head(&mut self) -> Reply {
        timeout(WAIT_MAX, self.read_reply(false)).await.expect("a reply in time")
    }

    /// Closes the sending side, as a client does after `Connection: close`, and waits until the app closes the connection
    /// without sending another byte.
    pub(crate) async fn must_close(&mut self) {
        let _ = self.stream.shutdown().await;
        self.must_be_closed().await;
    }

    /// Waits until the app closes the connection by itself, without sending another byte.
    pub(crate) async fn must_be_closed(&mut self) {
        let more = timeout(WAIT_MAX, self.read_some()).await.expect("the connection to be closed");
        assert!(
            !more && self.unread.is_empty(),
            "more was sent: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
    }

    /// Everything that comes until the app closes the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let all = async { while self.read_some().await {} };
        timeout(WAIT_MAX, all).await.expect("the connection to be closed");
        std::mem::take(&mut self.unread)
    }

    async fn read_reply(&mut self, has_body: bool) -> Reply {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.read_some().await,
                "closed within a head: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        // `HTTP/1.1 200 OK`
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if has_body && status >= 200 && status != 204 && status != 304 {
            assert_eq!(reply.header("transfer-encoding"), None);
            let length = reply.header("content-length").map_or(0, |text| text.parse().unwrap());
            while self.unread.len() < length {
                assert!(self.read_some().await, "closed within a body: {reply:?}");
            }
            reply.body = self.unread.drain(..length).collect();
        }
        reply
    }

    /// Whether bytes arrived; `false` at the end of the stream and after an error.
    async fn read_some(&mut self) -> bool {
        let mut buffer = [0_u8; 4096];
        let count = self.stream.read(&mut buffer).await.unwrap_or(0);
        self.unread.extend(buffer.iter().take(count));
        count > 0
    }
}
