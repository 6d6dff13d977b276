//! Tests of crates that services use, against the running service: the OAuth client `oauth2` gets tokens, and
//! `jsonwebtoken` verifies them with its default options. `standardwebhooks` verifies what a webhook was sent. Run by
//! `scripts/test interop`, which sets the service up.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod verifiers;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
