//! The sockets of the server, bound before anything else is opened.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

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
    /// Binds the addresses of the settings that are not bound yet.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind(
        settings: &Settings,
        public: Option<TcpListener>,
        management: Option<TcpListener>,
    ) -> Result<Self, StartError> {
        let (listen, management_listen) = (settings.server.listen, settings.server.management_listen);
        Ok(Self {
            public: public.map_or_else(|| Self::bind_public(listen), Ok)?,
            management: match (management, management_listen) {
                (None, Some(address)) => Some(Self::bind_management(address)?),
                (bound, _) => bound,
            },
        })
    }

    /// Binds the public address. If the system chooses the port, settings such as the issuer depend on that port.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind_public(address: SocketAddr) -> Result<TcpListener, StartError> {
        bind("server.listen", address)
    }

    /// Binds the separate address of `/v1`, `/console` and `/metrics`.
    ///
    /// # Errors
    /// [`StartError::Io`] naming the address.
    pub fn bind_management(address: SocketAddr) -> Result<TcpListener, StartError> {
        bind("server.management_listen", address)
    }
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    listen(address).map_err(|error| {
        let port = if address.port() < 1024 { 8080 } else { address.port().checked_add(1).unwrap_or(8080) };
        let with_port = SocketAddr::new(address.ip(), port);
        let (hint, other) = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                ("Another process uses this port: stop it, or choose another port", with_port)
            }
            std::io::ErrorKind::PermissionDenied => {
                ("Ports below 1024 are reserved for root: choose another port", with_port)
            }
            _ => {
                let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
                ("Choose an address of this machine", loopback)
            }
        };
        let variable = setting.to_uppercase().replace('.', "__");
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
