//! `mintmark healthcheck`: whether the server on this machine responds, for containers without curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use super::{Failure, Global, output};

/// How long the server may take to respond.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Check that the server on this machine responds
///
/// It requests /healthz at server.listen (for a wildcard address, at loopback) and waits at most 3 seconds. With server.tls
/// it does not check the certificate, which is for the public host name.
#[derive(Debug, Args)]
#[command(after_help = "Example, in a Dockerfile:\n  HEALTHCHECK CMD mintmark healthcheck")]
pub(super) struct Healthcheck {}

impl Healthcheck {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let settings = global.settings()?;
        let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/healthz", reachable(settings.server.listen));
        let failed = |why: String| Failure::Fault(format!("{url}: {why}"));
        let client = reqwest::Client::builder()
            .timeout(WAIT_MAX)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(|error| failed(reason(&error)))?;
        let reply = client.get(&url).send().await.map_err(|error| failed(reason(&error)))?;
        if !reply.status().is_success() {
            return Err(failed(format!("the server responds with {}", reply.status())));
        }
        Ok(output::line("alive")?)
    }
}

/// The address to connect to: for a wildcard address, loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The innermost cause, which says what happened ("Connection refused").
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no response within {} seconds", WAIT_MAX.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_wildcard_address_is_reached_by_loopback_and_any_other_address_directly() {
        for (listen, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("10.1.2.3:80", "10.1.2.3:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
