//! Verifies [Mintmark](https://github.com/mintmark/mintmark) access tokens offline, for the services that are
//! called with one: no request to the issuer per token, only its key set and its status lists, fetched now and
//! then. A token that is revoked dies here within the `ttl` of the lists, a minute by default.
//!
//! ```no_run
//! use mintmark_verifier::{Answer, Verifier};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Once per process. The issuer is Mintmark's public URL, the audience is that of this service's products.
//!     let verifier = Verifier::builder("https://tokens.example.com", "https://api.example.com")
//!         .allow_never_expiring(true)
//!         .build()?;
//!     // Optional: find out now rather than at the first request whether the issuer can be reached.
//!     verifier.refresh().await?;
//!
//!     // For each request: the text after `Bearer `.
//!     let token = std::env::args().nth(1).ok_or("usage: verify TOKEN")?;
//!     let outcome = verifier.verify(&token).await.and_then(|claims| {
//!         claims.require_product("gst")?;
//!         Ok(claims)
//!     });
//!     match outcome {
//!         Ok(claims) => println!("{} of workspace {}", claims.client_id, claims.workspace_id),
//!         Err(error) => match error.answer() {
//!             Answer::InvalidToken => println!("401: {error}"),
//!             Answer::InsufficientScope => println!("403: {error}"),
//!             Answer::CannotKnow => println!("503: {error}"),
//!         },
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What is checked
//! In this order, each with an error of its own ([`VerifyError::code`] is stable):
//! 1. the form: length, three parts, strict base64url, `typ` of an access token, no `crit`, an algorithm that is allowed;
//! 2. the key: one that the issuer publishes under the token's `kid` for exactly the token's `alg` (ES256, `EdDSA`, RS256
//!    or PS256). Keys that a token brings along are never looked at;
//! 3. the signature;
//! 4. the claims: no member twice, every required one of its type, the issuer, the audience, `sub` = `client_id`, `exp`,
//!    `iat`, `nbf`, and the products that were demanded;
//! 5. the status: the token's slot in the status list that its claims name must say valid.
//!
//! Tokens found good are remembered by their SHA-256 ([`VerifierBuilder::remember_tokens`]), so that a repeat costs
//! no signature check. What may have changed is looked at each time: that the very key is still published, the
//! times, the status.
//!
//! Two kinds of token are refused unless they are asked for: those that never expire
//! ([`VerifierBuilder::allow_never_expiring`]) and those bound to a key whose proof only the caller can check
//! ([`VerifierBuilder::allow_bound`]).
//!
//! # When the issuer is asked
//! For keys: at the first token, at the key set's `max-age`, and when a token names an unknown key; one fetch at a
//! time, at most one in [`min_refetch_seconds`](VerifierBuilder::min_refetch_seconds). A fetched set replaces
//! the last one whole, so a key that the issuer withdrew is dead by then. If the issuer cannot be reached,
//! the last set goes on being used until it is [`max_stale_seconds`](VerifierBuilder::max_stale_seconds) old;
//! after that nothing is accepted, and the answer is 503.
//!
//! For a status list: when the first token names it, and again at three quarters of its `ttl`, by the one caller who
//! notices while the others go on; one fetch of a list at a time, confirmed by its `ETag` where nothing has changed.
//! A list is used for its `ttl`, counted from the start of the fetch, and not a second longer: if it cannot be
//! fetched by then, its tokens get 503 ([`VerifyError::StatusUnavailable`]), unless
//! [`status_fail_open_seconds`](VerifierBuilder::status_fail_open_seconds) says for how much longer it may serve. A
//! list that cannot be had is asked for once a second at most, and an issuer out of reach once a second for all of
//! them. Lists are believed only from `<issuer>/oauth2/status-lists/`, signed by one of the issuer's keys, and no
//! longer than that key is published.
//!
//! In between nobody is asked and no lock is taken. A service that calls [`Verifier::refresh`] on a timer, every 15
//! seconds with the usual `ttl` of 60, has no request that waits for the issuer at all. [`Verifier::verify`] wants a
//! tokio runtime with its timer on.
//!
//! # Parts
//! [`Verifier`] does all of it. [`Checks`] with a [`KeySet`] does all but the status, without network and clock;
//! [`Checks::any_audience`] is for the issuer itself. [`Slots`] reads the bits of a status list.
//! `actix` (feature of that name) is an extractor for actix-web. [`claims`] has the claims' types,
//! which the issuer signs from. [`provider`] lets the `jsonwebtoken` crate verify by ring. Without the
//! feature `fetch` (on by default) there is no HTTP client: bring a [`Fetch`].

#[cfg(feature = "actix")]
pub mod actix;
mod builder;
mod checks;
pub mod claims;
mod clock;
mod endpoint;
mod error;
mod fetch;
#[cfg(feature = "fetch")]
mod http_fetch;
mod json;
mod jwks;
mod jws;
mod keys;
mod known_tokens;
mod outage;
pub mod provider;
mod slots;
mod status;
mod status_list;
mod verify;

pub use builder::{BuildError, VerifierBuilder};
pub use checks::Checks;
pub use claims::AccessTokenClaims;
pub use clock::{Clock, SystemClock};
pub use error::{Answer, VerifyError};
pub use fetch::{Fetch, FetchError, FetchFuture, Fetched, MAX_BODY_BYTES, Request, Unavailable};
#[cfg(feature = "fetch")]
pub use http_fetch::HttpFetch;
pub use jws::MAX_TOKEN_BYTES;
pub use keys::{KeySet, KeySetError};
pub use slots::{MAX_STATUS_LIST_BYTES, Slots};
pub use verify::Verifier;

/// The README's code is compiled with the documentation's.
#[cfg(all(doctest, feature = "actix"))]
#[doc = include_str!("../README.md")]
struct Readme;
