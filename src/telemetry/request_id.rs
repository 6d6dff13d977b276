//! The id of a request: in `X-Request-Id`, in every log line of the request, in every problem (`docs/management-api.md`).
//!
//! The server always generates it: a caller could choose an id that collides with another or forges log lines.

use std::cell::Cell;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use actix_web::HttpMessage;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const LEN: usize = 22;

/// 128 bits as base64url, stored inline so that it is cheap to copy.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; LEN]);

impl RequestId {
    /// The id of `request`. Without [`super::http::Telemetry`] around the app, it is all dashes.
    pub fn of(request: &impl HttpMessage) -> Self {
        super::http::current_id(request).unwrap_or(Self([b'-'; LEN]))
    }

    fn from_bits(bits: u128) -> Self {
        let mut text = [b'-'; LEN];
        // 16 bytes are 22 characters, so this always fits; otherwise the dashes remain.
        let _ = URL_SAFE_NO_PAD.encode_slice(bits.to_be_bytes(), &mut text);
        Self(text)
    }

    /// The id as text: 22 characters of `[A-Za-z0-9_-]`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text of the id, as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The ids of one worker.
///
/// An id must not collide and must not reveal how many requests there were, but it protects nothing. So it is a hash
/// (`SipHash`) of a random seed, the worker and a counter. That takes no system call and no lock, and the same seed gives the
/// same ids.
#[derive(Debug)]
pub(super) struct RequestIds {
    seed: [u8; 16],
    worker: u64,
    drawn: Cell<u64>,
}

impl RequestIds {
    /// `seed` is random, and the same for all workers of an app; `worker` is a different number for each of them.
    pub(super) fn new(seed: [u8; 16], worker: u64) -> Self {
        Self { seed, worker, drawn: Cell::new(0) }
    }

    pub(super) fn draw(&self) -> RequestId {
        let n = self.drawn.get().wrapping_add(1);
        self.drawn.set(n);
        RequestId::from_bits(u128::from(self.half(n, 0)) << 64 | u128::from(self.half(n, 1)))
    }

    fn half(&self, n: u64, which: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.seed);
        hasher.write_u64(self.worker);
        hasher.write_u64(n);
        hasher.write_u64(which);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_between_requests_workers_and_seeds() {
        let mut seen = HashSet::new();
        for (seed, worker) in [([1; 16], 0), ([1; 16], 1), ([2; 16], 0)] {
            let ids = RequestIds::new(seed, worker);
            for _ in 0..10_000 {
                assert!(seen.insert(ids.draw()));
            }
        }
        let halves: HashSet<Vec<u8>> = seen.iter().map(|id| id.as_bytes()[..10].to_vec()).collect();
        assert_eq!(halves.len(), seen.len(), "the first 60 bits of 30,000 random ids do not collide");
    }

    #[test]
    fn the_form_is_22_characters_of_base64url() {
        let id = RequestIds::new([7; 16], 3).draw();
        assert_eq!(id.as_str().len(), 22);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
        assert_eq!(id, RequestIds::new([7; 16], 3).draw());
        assert_eq!(RequestId::from_bits(0).as_str(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(RequestId::from_bits(u128::MAX).as_str(), "_____________________w");
    }
}
