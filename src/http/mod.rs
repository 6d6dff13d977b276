//! What the HTTP doors (`oauth`, `manage`, `console`) share: reading a body ([`body`], [`json`]) and a bearer token
//! ([`bearer`]), conditional requests and replies that may be cached ([`conditional`]), content negotiation
//! ([`negotiate`]), `Retry-After`, the sender of a request ([`peer`]), the state of a connection ([`connection`]), and bodies
//! that no handler reads ([`unread_body`]). This module does not depend on any service.

pub(crate) mod bearer;
pub(crate) mod body;
pub(crate) mod conditional;
pub(crate) mod connection;
pub(crate) mod json;
pub(crate) mod negotiate;
pub(crate) mod peer;
pub(crate) mod retry_after;
pub(crate) mod unread_body;
