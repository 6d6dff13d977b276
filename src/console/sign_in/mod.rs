//! Signing in: with a passkey, with a password and a second factor, or by an OpenID Connect provider; once more before
//! protected changes; and signing out.
//!
//! The sign-in page never says whether the address or the password was wrong, and the check takes the same time for an address
//! that no operator has.

pub(crate) mod again;
mod begin;
pub(crate) mod code;
pub(super) mod new_way;
pub(crate) mod oidc;
pub(crate) mod out;
pub(crate) mod passkey;
pub(crate) mod password;
mod qr;
mod step;
pub(super) mod totp;
pub(super) mod webauthn;

pub(super) use begin::{begin, keep};

use super::door::Door;
use webauthn::RelyingParty;

/// The button that asks the browser for a passkey.
#[derive(Debug)]
pub(super) struct PasskeyButton {
    /// Where the answer of the browser is sent.
    pub(super) action: String,
    /// Where the script gets the options for `navigator.credentials`.
    pub(super) options: String,
    pub(super) label: &'static str,
}

impl PasskeyButton {
    /// A button whose answer goes to `path`; `None` where the console is at an IP address, which has no passkeys.
    pub(super) fn at(door: &Door, path: &str, label: &'static str) -> Option<Self> {
        RelyingParty::of(&door.origin)?;
        let action = door.href(path);
        Some(Self { options: format!("{action}/options"), action, label })
    }
}

/// Why there are no passkeys; `None` unless the console is at an IP address.
pub(super) fn why_no_passkeys(door: &Door) -> Option<String> {
    RelyingParty::of(&door.origin).is_none().then(|| {
        format!(
            "Passkeys are bound to a host name, and this console is at an IP address: {}. With a name in server.public_url they can be used.",
            door.origin
        )
    })
}

/// The host of the console, without its port: what passkeys are bound to.
pub(super) fn host(door: &Door) -> &str {
    let host = door.origin.split_once("://").map_or(door.origin.as_str(), |(_, host)| host);
    host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(name, _)| name)
}
