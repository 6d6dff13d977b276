//! The source of random bytes for ids, secrets, nonces and keys. Only `signing::private_key` does not use it: for signing keys
//! and signatures, the cryptographic library draws random bytes itself.

use std::cell::RefCell;
use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// The operating system's random number generator. Costs nothing to clone or share.
#[derive(Clone)]
pub struct Random(SystemRandom);

impl Random {
    /// The operating system's generator.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }

    /// `N` random bytes. Never blocks once the machine is up.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if the operating system gives none; then nothing may be issued.
    pub fn fill<const N: usize>(&self) -> Result<[u8; N], RandomUnavailable> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| RandomUnavailable)?;
        Ok(bytes)
    }

    /// `N` random bytes for an id that is published as soon as it is used, or for the salt of an audit entry. They come from a
    /// block that is drawn in advance for each thread, which saves system calls. Not for secrets, because the block stays in
    /// memory.
    ///
    /// # Errors
    /// [`RandomUnavailable`], as for [`Random::fill`].
    pub fn fill_id<const N: usize>(&self) -> Result<[u8; N], RandomUnavailable> {
        AHEAD.with_borrow_mut(|ahead| {
            if let Some(bytes) = ahead.take() {
                return Ok(bytes);
            }
            *ahead = Ahead { block: self.fill()?, used: 0 };
            ahead.take().ok_or(RandomUnavailable)
        })
    }
}

/// How many bytes are drawn in advance: 32 token ids of 16 bytes.
const BLOCK: usize = 512;

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { block: [0; BLOCK], used: BLOCK }) };
}

/// A block of random bytes. Each byte is given out once.
struct Ahead {
    block: [u8; BLOCK],
    used: usize,
}

impl Ahead {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.block.get(self.used..)?.first_chunk()?;
        self.used += N;
        Some(bytes)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the operating system gives no random bytes (getrandom failed); nothing secure can be made without them"
)]
pub struct RandomUnavailable;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn two_draws_differ() {
        let random = Random::new();
        let draws: HashSet<[u8; 16]> = (0..1000).map(|_| random.fill().unwrap()).collect();
        assert_eq!(draws.len(), 1000);
    }

    #[test]
    fn no_id_is_drawn_twice_within_a_thread_or_across_threads() {
        let random = Random::new();
        let draw = |random: &Random| {
            let short: Vec<[u8; 16]> = (0..500).map(|_| random.fill_id().unwrap()).collect();
            // A block is not a multiple of 48 bytes.
            let long: Vec<[u8; 48]> = (0..500).map(|_| random.fill_id().unwrap()).collect();
            let long = long.iter().flat_map(|id| id.as_chunks::<16>().0.to_vec());
            short.into_iter().chain(long).collect::<Vec<_>>()
        };
        let elsewhere = random.clone();
        let other = std::thread::spawn(move || draw(&elsewhere)).join().unwrap();
        let draws: HashSet<[u8; 16]> = draw(&random).into_iter().chain(other).collect();
        assert_eq!(draws.len(), 4000);
    }
}
