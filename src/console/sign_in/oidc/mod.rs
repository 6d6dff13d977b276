//! Sign-in by an OpenID Connect provider from the settings (`[[console.oidc]]`): OpenID Connect Core 1.0 §3.1 (authorization
//! code) with PKCE (RFC 7636), a nonce, and the issuer in the reply (RFC 9207).
//!
//! [`start`] sends the browser to the provider, from a link: a form may not lead to another site (CSP `form-action`).
//! [`callback`] takes what the provider sends back. [`provider`] keeps what the provider publishes, and gets the ID token from
//! the provider. Pure functions decide whether a reply and a token are valid: [`metadata`], [`reply`], [`keys`], [`id_token`].
//! An account is identified by issuer and subject, never by its email address.

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
