//! HTTP requests of the service to other hosts, for every part of the service that makes one, such as OpenID Connect. Some of
//! the URLs come from people who must not reach what this machine can reach, so the same rules apply to all:
//!
//! - https only; http too where this service itself is on loopback only;
//! - the *connected* address is public or listed in `outbound.allow`. Names are resolved here, once for each connection, so
//!   what is checked is what is connected to, and a name that changes its address (DNS rebinding) gains nothing;
//! - no proxy, no user name in the URL, no redirect, a limit of time and size.
//!
//! The error of an address that is not allowed says only that, and nothing about what is there.

mod address;
mod error;
mod request;
mod resolve;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url, redirect};

use crate::config::AllowList;

pub use address::is_public;
pub use error::OutboundError;
pub use request::{Answer, Glance, Request};
pub use resolve::{Resolver, Resolving, SystemResolver};

/// How long connecting may take. [`Request::within`] limits a request as a whole.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes requests. The process has one.
#[derive(Debug)]
pub struct Outbound {
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolver>,
    /// Made at the first request: it reads the certificates that this machine trusts, which a service that makes no requests
    /// does not need.
    client: OnceLock<Client>,
}

/// What may be reached.
#[derive(Debug)]
struct Rules {
    allow: AllowList,
    plain_http: bool,
}

impl Rules {
    fn may_connect(&self, host: &str, address: IpAddr) -> bool {
        is_public(address) || self.allow.has_address(address) || self.allow.has_host(host)
    }
}

impl Outbound {
    /// Reaches public addresses and those of `allow`; over http too if `plain_http`.
    pub fn new(allow: AllowList, plain_http: bool, resolver: Arc<dyn Resolver>) -> Self {
        Self { rules: Arc::new(Rules { allow, plain_http }), resolver, client: OnceLock::new() }
    }

    /// Whether `url` may be requested, as far as the URL itself shows. Its host name is not resolved.
    ///
    /// # Errors
    /// [`OutboundError::Url`] or [`OutboundError::NotAllowed`].
    pub fn check(&self, url: &str) -> Result<(), OutboundError> {
        self.parse(url).map(drop)
    }

    /// Host and port of `url`, which must be one that [`Outbound::check`] lets through.
    ///
    /// # Errors
    /// As [`Outbound::check`].
    pub fn host_of(&self, url: &str) -> Result<String, OutboundError> {
        let url = self.parse(url)?;
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(format!("{}:{port}", url.host_str().unwrap_or_default()))
    }

    /// Makes a request and reads the whole reply, whatever its status.
    ///
    /// # Errors
    /// An [`OutboundError`]; a reply that is too long is one.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, OutboundError> {
        let limit = request.limit();
        read(self.begin(request).await?, limit).await
    }

    /// Makes a request for a caller who needs only the status of the reply. If the host is public, also reads the first bytes
    /// of the body, as far as they come in time.
    ///
    /// # Errors
    /// An [`OutboundError`] if there is no status.
    pub async fn glance(&self, request: Request<'_>) -> Result<Glance, OutboundError> {
        let limit = request.limit();
        let response = self.begin(request).await?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let mut glance = Glance {
            status: response.status().as_u16(),
            retry_after: retry_after.map(str::to_owned),
            beginning: None,
        };
        if response.remote_addr().is_some_and(|peer| is_public(peer.ip())) {
            glance.beginning = Some(beginning(response, limit).await);
        }
        Ok(glance)
    }

    /// Makes a request and reads the head of the reply.
    async fn begin(&self, request: Request<'_>) -> Result<Response, OutboundError> {
        let url = self.parse(request.url())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let response = request.build(self.client()?, url).send().await?;
        // The resolver passes on only allowed addresses. If the client ever connects to another, nothing is read from it.
        if response.remote_addr().is_some_and(|peer| !self.rules.may_connect(&host, peer.ip())) {
            return Err(OutboundError::NotAllowed);
        }
        Ok(response)
    }

    fn parse(&self, text: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(text).map_err(|_| OutboundError::Url("it is not a URL"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.rules.plain_http => {}
            _ => return Err(OutboundError::Url("it is not an https URL")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Url("it has a user name or a password"));
        }
        let host = url.host_str().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        // The client does not resolve an IP address, so it is checked here.
        match bare.parse() {
            Ok(address) if !self.rules.may_connect(host, address) => Err(OutboundError::NotAllowed),
            _ => Ok(url),
        }
    }

    fn client(&self) -> Result<&Client, OutboundError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // An error means that a provider is installed already; it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = Client::builder()
            .user_agent(concat!("mintmark/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .https_only(!self.rules.plain_http)
            .dns_resolver(resolve::Guard::new(Arc::clone(&self.rules), Arc::clone(&self.resolver)))
            .connect_timeout(CONNECT_MAX)
            // Requests are few. A kept connection would not be checked again, and would belong to the runtime of one worker.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(self.client.get_or_init(|| made))
    }
}

async fn read(mut response: Response, limit: usize) -> Result<Answer, OutboundError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(OutboundError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

/// The first `limit` bytes of a body, or fewer if no more come.
async fn beginning(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < limit {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(limit);
    body
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::config::Settings;

    /// What is read of a reply of these bytes, as if its host were public.
    async fn seen(reply: String, limit: usize) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            // The client may have closed the connection after `limit` bytes.
            let _ = stream.write_all(reply.as_bytes());
        });
        let settings = Settings::from_toml_layers(&["outbound.allow = [\"127.0.0.1\"]"]).unwrap();
        let outbound = Outbound::new(settings.outbound.allow, true, Arc::new(SystemResolver));
        beginning(outbound.begin(Request::json(&url, "{}")).await.unwrap(), limit).await
    }

    #[tokio::test]
    async fn the_beginning_of_a_reply_is_read_and_no_more() {
        let reply =
            |length: usize, body: &str| format!("HTTP/1.1 500 X\r\nContent-Length: {length}\r\n\r\n{body}");
        let long = "x".repeat(10_000_000);
        assert_eq!(seen(reply(long.len(), &long), 1024).await, vec![b'x'; 1024]);
        assert_eq!(seen(reply(2, "no"), 1024).await, b"no");
        // Cut off by the other side.
        assert_eq!(seen(reply(100, "half"), 1024).await, b"half");
        assert_eq!(seen(reply(0, ""), 1024).await, b"");
    }
}
