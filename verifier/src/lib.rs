//! Verifies [Mintmark](https://github.com/mintmark/mintmark) access tokens inside the service that receives them. It
//! fetches the issuer's key set and status lists from time to time, and makes no request per token. A revoked token is
//! refused within the `ttl` of the status lists, which is a minute by default.
//!
//! ```no_run
//! use mintmark_verifier::{Answer, Verifier};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Once per process. The issuer is Mintmark's public URL; the audience is that of this service's products.
//!     let verifier = Verifier::builder("https://tokens.example.com", "https://api.example.com")
//!         .allow_never_expiring(true)
//!         .build()?;
//!     // Optional: fails at start, and not at the first request, if the issuer cannot be reached.
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
//!             Answer::Unavailable => println!("503: {error}"),
//!         },
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What is checked
//! In this order. [`VerifyError::code`] says which check failed, and does not change between versions:
//! 1. the form: length, three parts, strict base64url, `typ` of an access token, no `crit`, a supported algorithm;
//! 2. the key: the issuer publishes it under the token's `kid`, for exactly the token's `alg` (ES256, `EdDSA`, RS256 or
//!    PS256). Keys inside the token are never used;
//! 3. the signature;
//! 4. the claims: no member occurs twice, each required claim has its type, the issuer, the audience, `sub` =
//!    `client_id`, `exp`, `iat`, `nbf`, and the required products;
//! 5. the status: the entry of the token in its status list is 0, VALID.
//!
//! Verified tokens are remembered by their SHA-256 ([`VerifierBuilder::remember_tokens`]), so the signature of a
//! repeated token is not checked again. What can change is checked each time: that the key is still published, the
//! times, the status.
//!
//! Two kinds of tokens are refused by default: those that never expire ([`VerifierBuilder::allow_never_expiring`]),
//! and those bound to a key, whose proof only your service can check ([`VerifierBuilder::allow_bound`]).
//!
//! # When the issuer is asked
//! For keys: at the first token, at the key set's `max-age`, and for a token with an unknown `kid`. There is one fetch at
//! a time, and at most one every [`min_refetch_seconds`](VerifierBuilder::min_refetch_seconds), or one every second while
//! there is no usable set. The new set replaces the last one as a whole, so a key that the issuer withdrew is gone. While the
//! issuer is unreachable the last set is used until it is [`max_stale_seconds`](VerifierBuilder::max_stale_seconds) old.
//! After that no token is accepted, and the answer is 503.
//!
//! For a status list: at the first token with an entry in it, and again at three quarters of its `ttl`. The first caller
//! to notice fetches, the others use the list they have. An unchanged list is confirmed by its `ETag`. A list is used
//! for its `ttl`, counted from the start of the fetch. If it cannot be fetched by then, its tokens get 503
//! ([`VerifyError::StatusUnavailable`]);
//! [`status_fail_open_seconds`](VerifierBuilder::status_fail_open_seconds) makes it usable for longer. An unavailable
//! list is requested at most once a second, and an unreachable issuer once a second for all lists. Lists are accepted
//! only from `<issuer>/oauth2/status-lists/`, signed by a key that the issuer publishes.
//!
//! Otherwise `verify` makes no request and takes no lock. [`Verifier::refresh`] fetches the keys, and the status lists that a
//! token referred to in the last hour. With a timer that calls it every 15 seconds (for a `ttl` of 60), a request of your
//! service waits for the issuer only if its token has a `kid` or a status list that is not cached yet, or that no token has
//! referred to for an hour. [`Verifier::verify`] needs a tokio runtime with its timer enabled.
//!
//! # Parts
//! [`Verifier`] does all of this. [`Checks`] with a [`KeySet`] checks everything but the status, without network and
//! clock; [`Checks::any_audience`] is for the issuer itself. [`Slots`] decodes a status list. [`claims`] has the types
//! of the claims, which the issuer uses too. [`provider`] makes the `jsonwebtoken` crate verify with ring. The feature
//! `actix` adds an extractor for actix-web, and `fetch` (on by default) the HTTP client; without it you implement
//! [`Fetch`].

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
