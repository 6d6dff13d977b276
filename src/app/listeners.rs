//! The sockets of the server, bound before anything else is opened.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::config::Settings;

/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The sockets of the server.
#[derive(Debug)]
pub struct Listeners {
    /// `server.listen`.
    pub public: TcpListener,
    /// `server.management_listen`, for `/v1`, `/console` and `/metrics`, if it is set.
    pub management: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of the settings.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind(settings: &Settings) -> Result<Self, StartError> {
        Self::with_public(Self::bind_public(settings.server.listen)?, settings)
    }

    /// Binds the public address only: if the system chooses its port, the settings depend on it.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind_public(address: SocketAddr) -> Result<TcpListener, StartError> {
        bind("server.listen", address)
    }

    /// Binds the other addresses of the settings.
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
    listen(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "Another process uses this port: stop it, or choose another port"
            }
            std::io::ErrorKind::PermissionDenied => {
                "Ports below 1024 are reserved for root: choose another port"
            }
            _ => "Choose an address of this machine",
        };
        let port = if address.port() < 1024 { 8080 } else { address.port().checked_add(1).unwrap_or(8080) };
        let variable = setting.to_uppercase().replace('.', "__");
        let other = SocketAddr::new(address.ip(), port);
        let text =
            format!("{setting} = {address}: {error}. {hint}, for example MINTMARK__{variable}={other}");
        StartError::Io(std::io::Error::new(error.kind(), text))
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait until the connections of the process before it are forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
