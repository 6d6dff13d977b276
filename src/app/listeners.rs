//! The sockets that are served on: bound by the caller, before anything else is opened.

use std::net::{SocketAddr, TcpListener};

use super::StartError;
use crate::config::Settings;

/// The sockets to serve on, bound by the caller.
#[derive(Debug)]
pub struct Listeners {
    /// For everyone.
    pub public: TcpListener,
    /// For `/v1` and `/metrics`, when they have an address of their own.
    pub management: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        Self::with_public(Self::bind_public(settings.server.listen)?, settings)
    }

    /// Binds the address for everyone alone; for a port that the system chooses, on which the settings then depend.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind_public(address: SocketAddr) -> Result<TcpListener, StartError> {
        bind("server.listen", address)
    }

    /// Binds what the settings name beside the address for everyone.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn with_public(public: TcpListener, settings: &Settings) -> Result<Self, StartError> {
        let management = settings.server.management_listen;
        let management = management.map(|address| bind("server.management_listen", address)).transpose()?;
        Ok(Self { public, management })
    }
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "Another process listens there: stop it, or choose another port",
            std::io::ErrorKind::PermissionDenied => "Ports below 1024 are for root: choose another",
            _ => "Choose an address of this machine",
        };
        let port = if address.port() < 1024 { 8080 } else { address.port().checked_add(1).unwrap_or(8080) };
        let variable = setting.to_uppercase().replace('.', "__");
        let other = SocketAddr::new(address.ip(), port);
        let text = format!("{setting} = {address}: {error}. {hint}, as in MINTMARK__{variable}={other}");
        StartError::Io(std::io::Error::new(error.kind(), text))
    })
}
