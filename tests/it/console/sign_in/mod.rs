//! Signing in and out, and the links with which operators set up their first way to sign in.

mod again;
mod forms;
mod oidc;
mod passkeys;
mod passwords;
mod second_factor;
mod sessions;
mod setup_links;
