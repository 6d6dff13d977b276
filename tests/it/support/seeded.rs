//! Random numbers from a seed, which is printed so that a failed run can be repeated.

/// Numbers that follow from a seed, by xorshift. The seed must not be 0, from which only zeros follow.
pub(crate) struct Random {
    /// The seed that repeats the numbers.
    pub(crate) seed: u64,
    state: u64,
}

impl Random {
    /// From the seed in this environment variable, or from a new one if it is not set. Prints the seed.
    pub(crate) fn seeded(variable: &str) -> Self {
        let seed = match std::env::var(variable) {
            Ok(seed) => seed.parse().expect("the seed is a number that an earlier run printed"),
            Err(_) => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ()) | 1,
        };
        println!("{variable}={seed}");
        Self { seed, state: seed }
    }

    /// A number from 0 up to, but not including, `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(end).unwrap()).unwrap()
    }
}
