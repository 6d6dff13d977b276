//! Resolves names for the HTTP client, which connects to the addresses that are returned here and to no others.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving as ClientResolving};

use super::Rules;
use super::error::Refused;

/// What a [`Resolver`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name. A trait, so that tests can say what a name resolves to.
pub trait Resolver: Send + Sync + Debug {
    /// The addresses of `host`.
    fn resolve(&self, host: String) -> Resolving;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: String) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Passes on only those addresses that may be reached.
pub(super) struct Guard {
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolver>,
}

impl Guard {
    pub(super) fn new(rules: Arc<Rules>, resolver: Arc<dyn Resolver>) -> Self {
        Self { rules, resolver }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> ClientResolving {
        let host = name.as_str().to_owned();
        let found = self.resolver.resolve(host.clone());
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let found = found.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            let reachable: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| rules.may_connect(&host, *address))
                // With port 0 the client takes the port of the URL.
                .map(|address| SocketAddr::new(address.to_canonical(), 0))
                .collect();
            if reachable.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}
