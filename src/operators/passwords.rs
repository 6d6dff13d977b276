//! Hashes and verifies passwords: argon2id (RFC 9106) with 19 MiB, 2 passes and 1 lane. That is slow on purpose, so it runs on
//! threads apart from those that serve requests, at most as many at once as there are cores.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::kernel::{Error, Kernel};

/// The fewest characters of a password.
const LENGTH_MIN: usize = 12;
/// The most bytes of a password.
const BYTES_MAX: usize = 1_000;
/// How many passwords may wait for a core. Further ones are refused, to be tried again later.
const WAITING_MAX: usize = 64;

/// A hash with the same parameters as all others, whose password nobody knows. A password for an address without an operator is
/// checked against it, so that the check takes as long as for an address with one.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies passwords, a few at once.
#[derive(Debug)]
pub(super) struct Passwords {
    /// A permit for each password that is worked on.
    cores: Semaphore,
    /// A permit for each password that is worked on or waits.
    places: Semaphore,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cores: Semaphore::new(cores), places: Semaphore::new(cores + WAITING_MAX) }
    }

    /// The hash of a new password, as a PHC string.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `/password`; [`Error::Conflict`] if too many wait; [`Error::Crypto`].
    pub(super) async fn hash(&self, kernel: &Kernel, password: &str) -> Result<String, Error> {
        check(password).map_err(|why| Error::invalid("/password", why))?;
        let salt = kernel.random.fill::<16>()?;
        let password = Zeroizing::new(password.to_owned());
        let hashed = self.work(move || {
            let hashed = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            hashed.map(|hash| hash.to_string()).map_err(|error| Error::Crypto(error.to_string()))
        });
        match hashed.await? {
            Some(hash) => hash,
            None => {
                Err(Error::Conflict("too many passwords are being checked: try again in a minute".to_owned()))
            }
        }
    }

    /// Whether `password` is the one of `hash`. Without a hash the same work is done, and the answer is `false`. `None` if too
    /// many wait.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub(super) async fn verify(&self, hash: Option<&str>, password: &str) -> Result<Option<bool>, Error> {
        let stored = hash.unwrap_or(NOBODYS).to_owned();
        // A password that is too long is wrong, but checking it must take as long, so it is cut and checked anyway.
        let length = password.len();
        let end = length.min(BYTES_MAX);
        let password = Zeroizing::new(password.as_bytes().get(..end).unwrap_or_default().to_vec());
        let is_cut = end < length;
        let matches = self
            .work(move || argon2().map(|argon2| argon2.verify_password(&password, stored.as_str()).is_ok()))
            .await?;
        matches.transpose().map(|matches| matches.map(|matches| matches && hash.is_some() && !is_cut))
    }

    /// Does slow work on a blocking thread, when a core is free. `None` if too many wait.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        let Ok(_place) = self.places.try_acquire() else { return Ok(None) };
        let _core = self.cores.acquire().await.map_err(|error| Error::Crypto(error.to_string()))?;
        let done =
            tokio::task::spawn_blocking(work).await.map_err(|error| Error::Crypto(error.to_string()))?;
        Ok(Some(done))
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| Error::Crypto(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The rule for a new password. Any characters are allowed (NIST SP 800-63B-4 §3.1.1.2).
fn check(password: &str) -> Result<(), String> {
    let count = password.chars().count();
    if count < LENGTH_MIN {
        return Err(format!("must have at least {LENGTH_MIN} characters; it has {count}"));
    }
    if password.len() > BYTES_MAX {
        return Err(format!("must have at most {BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_12_characters_to_1000_bytes_of_any_kind() {
        for good in ["aaaaaaaaaaaa", "correct horse", "पासवर्डपासवर्ड", &"a".repeat(1_000)]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "aaaaaaaaaaa", "ääääääääää", &"a".repeat(1_001)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobodys_hash_costs_the_same_and_only_the_right_password_matches() {
        let passwords = Passwords::new();
        assert_eq!(passwords.verify(None, "nobody").await.unwrap(), Some(false));
        let ours = argon2().unwrap().hash_password_with_salt(b"correct horse", &[1; 16]).unwrap().to_string();
        let params = |hash: &str| hash.rsplit_once('$').unwrap().0.rsplit_once('$').unwrap().0.to_owned();
        assert_eq!(params(&ours), params(NOBODYS));
        assert_eq!(ours.len(), NOBODYS.len());
        assert_eq!(passwords.verify(Some(&ours), "correct horse").await.unwrap(), Some(true));
        assert_eq!(passwords.verify(Some(&ours), "correct house").await.unwrap(), Some(false));
        assert_eq!(passwords.verify(Some(&ours), &"a".repeat(5_000)).await.unwrap(), Some(false));
    }
}
