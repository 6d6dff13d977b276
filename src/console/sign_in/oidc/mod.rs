//! Sign-in by an OpenID Connect provider of the settings (`[[console.oidc]]`): OpenID Connect Core 1.0 §3.1 (authorization
//! code) with PKCE (RFC 7636), a nonce, and the issuer in the reply (RFC 9207).
//!
//! [`start`] sends the browser to the provider, from a link: a form may not lead to another site. [`callback`] takes what the
//! provider sends back. [`provider`] knows what the provider publishes and asks it for the ID token. Whether a reply and a
//! token are good is decided by pure functions: [`metadata`], [`reply`], [`keys`], [`id_token`]. An account is known by issuer
//! and subject, never by its address.

mod attempt;
pub(crate) mod callback;
mod id_token;
#[cfg(test)]
mod id_token_tests;
mod keys;
pub(in crate::console) mod links;
mod metadata;
mod pages;
mod provider;
mod refused;
mod reply;
#[cfg(test)]
mod sample;
pub(crate) mod start;

pub use provider::Providers;
