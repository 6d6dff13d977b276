//! Tests of crates that users of Mintmark need, against the running service: the OAuth client `oauth2` gets tokens,
//! `jsonwebtoken` verifies them with its default options, and `standardwebhooks` verifies a request to a webhook. Run by
//! `scripts/test interop`, which sets the service up.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod verifiers;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
