//! Signing in and out, and the links by which people set up their first way in.

mod again;
mod forms;
mod oidc;
mod passkeys;
mod passwords;
mod second_factor;
mod sessions;
mod setup_links;
