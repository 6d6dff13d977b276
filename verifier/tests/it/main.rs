//! The verifier's tests, in one binary. `#[cfg(test)]` marks the modules whose helper functions may panic, because clippy
//! allows that only in tests and in modules marked like this.

#[cfg(test)]
mod actix;
mod claims;
mod errors;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod jwks;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod known_tokens;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod status;
#[cfg(test)]
mod support;
#[cfg(test)]
mod valid;
