//! The sockets of the server, bound before anything else is opened.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::config::Settings;

/// How many connections may wait to be accepted. The system may allow fewer (`net.core.somaxconn`).
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

    /// Binds only the public address: if the system chooses the port, settings such as the issuer depend on that port.
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
    // Otherwise a restarted server could not bind while connections of the previous process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
