//! Passkeys: what a browser is asked, and whether its answer is valid (WebAuthn level 3, §7).
//!
//! The pages that sign in with passkeys or set them up use this module. It gets bytes and returns a verdict: it knows neither
//! requests nor storage. Its callers make challenges, keep them and use them up. Attestation is not requested and not checked.

mod authenticator_data;
mod cbor;
mod client_data;
mod cose;
mod options;
mod refused;
mod registration;
mod sign_in;
#[cfg(test)]
mod vectors_tests;

pub(in crate::console) use options::{Account, registration_options, sign_in_options};
pub(in crate::console) use refused::Refused;
pub(in crate::console) use registration::{NewPasskey, Registration};
pub(in crate::console) use sign_in::{SignIn, StoredKey};

/// The site that passkeys are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct RelyingParty {
    /// The host that passkeys are bound to.
    pub(in crate::console) id: String,
    /// Scheme, host and port, as browsers write them.
    pub(in crate::console) origin: String,
}

impl RelyingParty {
    /// The site of an origin. `None` if its host is an IP address: passkeys are bound to names.
    pub(in crate::console) fn of(origin: &str) -> Option<Self> {
        let host = origin.split_once("://")?.1;
        let id = host.split_once(':').map_or(host, |(name, _)| name);
        let is_name = !id.is_empty() && !host.starts_with('[') && id.parse::<std::net::Ipv4Addr>().is_err();
        is_name.then(|| Self { id: id.to_owned(), origin: origin.to_owned() })
    }
}
