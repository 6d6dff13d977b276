//! The check of `server.*`: addresses, the issuer (by default derived from them), TLS, proxies, limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use reqwest::Url;

use super::super::proxies::{fold_network, parse_network};
use super::super::raw;
use super::super::{PublicUrl, ServerSettings, TlsSettings, TrustedProxies};
use super::Check;

impl Check {
    pub(super) fn server(&mut self, raw: &raw::Server) -> Option<ServerSettings> {
        let listen = self.address("server.listen", &raw.listen);
        let management_listen = match raw.management_listen.as_str() {
            "" => None,
            text => self.address("server.management_listen", text),
        };
        if listen.is_some_and(|listen| listen.port() != 0 && management_listen == Some(listen)) {
            self.refuse(
                "server.management_listen",
                "it is the same address as server.listen",
                "Choose another address, or remove it to serve everything on server.listen",
            );
        }
        let tls = self.tls(&raw.tls);
        let public_url = self.public_url(&raw.public_url, listen, tls.is_some());
        let management_url = self.management_url(&raw.management_url, management_listen, tls.is_some());
        let trusted_proxies = self.trusted_proxies(&raw.trusted_proxies);
        let workers = match self.count("server.workers", raw.workers, 0..=1024) {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let request = self.seconds("server.request_timeout_seconds", raw.request_timeout_seconds, 1..=300);
        let keep_alive = self.seconds("server.keep_alive_seconds", raw.keep_alive_seconds, 0..=3600);
        let drain = self.seconds("server.drain_seconds", raw.drain_seconds, 0..=300);
        let shutdown =
            self.seconds("server.shutdown_timeout_seconds", raw.shutdown_timeout_seconds, 1..=3600);
        let max_connections = self.count("server.max_connections", raw.max_connections, 1..=1_000_000);
        Some(ServerSettings {
            listen: listen?,
            management_listen,
            management_url,
            public_url: public_url?,
            workers,
            trusted_proxies,
            request_timeout: request,
            keep_alive,
            drain,
            shutdown_timeout: shutdown,
            max_connections,
            tls,
        })
    }

    fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.refuse(
                key,
                format!("{text:?} is not an IP address with a port"),
                "Write it like 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080",
            );
        }
        address
    }

    fn tls(&mut self, raw: &raw::Tls) -> Option<TlsSettings> {
        let (cert, key) = ("server.tls.cert_file", "server.tls.key_file");
        for (name, path) in [(cert, &raw.cert_file), (key, &raw.key_file)] {
            if path.is_empty() {
                continue;
            }
            // The file is read and not only opened, because a folder can be opened too.
            if let Err(why) = std::fs::read(path) {
                self.refuse(
                    name,
                    format!("{path} cannot be read: {why}"),
                    "Set it to a PEM file that this process can read",
                );
            }
        }
        let missing = match (raw.cert_file.is_empty(), raw.key_file.is_empty()) {
            (true, true) => return None,
            (false, false) => {
                let path = PathBuf::from;
                return Some(TlsSettings { cert_file: path(&raw.cert_file), key_file: path(&raw.key_file) });
            }
            (true, false) => cert,
            (false, true) => key,
        };
        self.refuse(
            missing,
            "TLS needs a certificate and its key, but only one is set",
            "Set both, or remove both",
        );
        None
    }

    fn public_url(&mut self, text: &str, listen: Option<SocketAddr>, tls: bool) -> Option<PublicUrl> {
        let key = "server.public_url";
        if text.is_empty() {
            let port = listen?.port();
            if port == 0 {
                self.refuse(
                    key,
                    "server.listen has port 0, so the issuer is not known",
                    "Set it to the URL that clients use",
                );
                return None;
            }
            if tls {
                self.refuse(
                    key,
                    "with server.tls the issuer is an https URL, and its host is not known",
                    "Set it to the URL that clients use",
                );
                return None;
            }
            let local = match listen?.ip() {
                // A server that listens on [::1] or 127.0.0.2 does not answer at 127.0.0.1.
                ip if ip.is_loopback() => ip,
                // On 0.0.0.0 or [::] the server answers at 127.0.0.1 too, on another address it does not. `mintmark check`
                // warns about both.
                _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
            };
            return origin(SocketAddr::new(local, port), false);
        }
        match PublicUrl::parse(text) {
            Ok(url) if tls && !url.is_https() => {
                self.refuse(
                    key,
                    "it is an http URL, but with server.tls the server speaks https",
                    "Change it to an https URL",
                );
                None
            }
            Ok(url) => Some(url),
            Err((reason, remedy)) => {
                self.refuse(key, reason, remedy);
                None
            }
        }
    }

    /// The origin of the console; `None` without `server.management_listen`.
    fn management_url(&mut self, text: &str, listen: Option<SocketAddr>, tls: bool) -> Option<PublicUrl> {
        let key = "server.management_url";
        let Some(listen) = listen else {
            if !text.is_empty() {
                self.refuse(
                    key,
                    "it is the origin of the console at server.management_listen, which is not set",
                    "Remove it, since the console is below server.public_url; or set server.management_listen too",
                );
            }
            return None;
        };
        if text.is_empty() {
            if !listen.ip().is_loopback() {
                self.refuse(
                    key,
                    "server.management_listen is not loopback, so the address of the console in browsers is not known",
                    "Set it to the origin that browsers use, like https://mintmark.internal.example.com",
                );
                return None;
            }
            if listen.port() == 0 {
                self.refuse(
                    key,
                    "server.management_listen has port 0, so the address of the console is not known",
                    "Set it to the origin that browsers use",
                );
                return None;
            }
            return origin(listen, tls);
        }
        match PublicUrl::parse(text) {
            Ok(url) if !url.path().is_empty() => {
                self.refuse(key, "it has a path", "Write scheme, host and port only");
                None
            }
            Ok(url) if tls && !url.is_https() => {
                self.refuse(
                    key,
                    "it is an http URL, but with server.tls the server speaks https",
                    "Change it to an https URL",
                );
                None
            }
            Ok(url) => Some(url),
            Err((reason, remedy)) => {
                self.refuse(key, reason, remedy);
                None
            }
        }
    }

    fn trusted_proxies(&mut self, texts: &[String]) -> TrustedProxies {
        let mut networks = Vec::new();
        for text in texts {
            match parse_network(text).map(fold_network) {
                None => self.refuse(
                    "server.trusted_proxies",
                    format!("{text:?} is not a network"),
                    "Write networks like 10.0.0.0/8 or single addresses",
                ),
                Some(network) if network.prefix_len() == 0 => self.refuse(
                    "server.trusted_proxies",
                    format!("{text} trusts everyone, so any client could choose the IP address that is checked against allowed_ips"),
                    "List only the networks of your proxies",
                ),
                Some(network) => networks.push(network),
            }
        }
        TrustedProxies::new(networks)
    }
}

/// The URL of an address in its normal form, which leaves out the port that the scheme has by default.
fn origin(address: SocketAddr, tls: bool) -> Option<PublicUrl> {
    let scheme = if tls { "https" } else { "http" };
    // Without the scope of an IPv6 address, which no URL has.
    let address = SocketAddr::new(address.ip(), address.port());
    let url = Url::parse(&format!("{scheme}://{address}")).ok()?;
    PublicUrl::parse(url.as_str().trim_end_matches('/')).ok()
}
