//! Chance: the one place random bytes come from, for ids, secrets, nonces and keys.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// The operating system's random number generator. Free to clone and to share.
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
    /// [`RandomUnavailable`] if the operating system has none to give; nothing may be issued then.
    pub fn fill<const N: usize>(&self) -> Result<[u8; N], RandomUnavailable> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| RandomUnavailable)?;
        Ok(bytes)
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
}
