//! What every door on HTTP shares, and no other room knows: reading a body ([`body`], [`json`]) and a bearer token
//! ([`bearer`]), conditional requests and replies that may be cached ([`conditional`]), content negotiation
//! ([`negotiate`]), `Retry-After`, and who sent a request ([`peer`]); what a connection is doing ([`connection`]), and what
//! becomes of a body that nobody reads ([`unread_body`]). It knows no service.

pub(crate) mod bearer;
pub(crate) mod body;
pub(crate) mod conditional;
pub(crate) mod connection;
pub(crate) mod json;
pub(crate) mod negotiate;
pub(crate) mod peer;
pub(crate) mod retry_after;
pub(crate) mod unread_body;
