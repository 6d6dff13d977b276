//! What one request of a browser leaves for a later one: challenges, OpenID Connect states, the operator whose password was
//! right, new recovery codes until they are stored. A state is sealed, short-lived, and deleted when it is taken.

use zeroize::Zeroizing;

use super::{Operators, tokens};
use crate::kernel::Error;

impl Operators {
    /// Stores `state` for `seconds`. Returns the name by which it is found again, 256 random bits as base64url.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn new_state(
        &self,
        purpose: &str,
        state: &[u8],
        seconds: i64,
    ) -> Result<Zeroizing<String>, Error> {
        let name = tokens::new(&self.kernel)?;
        let hash = tokens::hash(name.as_bytes());
        let sealed = self.kernel.subkeys.seal_state(&self.kernel.random, purpose, &hash, state)?;
        let expires_at = self.kernel.clock.now().saturating_add(seconds);
        self.kernel.storage.put_state(&hash, purpose, &sealed, expires_at).await?;
        Ok(name)
    }

    /// Reads the state of that purpose and name, and deletes it. `None` if it does not exist or has expired.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn take_state(&self, purpose: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(hash) = tokens::hash_of(name) else { return Ok(None) };
        let taken = self.kernel.storage.take_state(&hash, purpose, self.kernel.clock.now()).await?;
        let Some(sealed) = taken else { return Ok(None) };
        Ok(Some(self.kernel.subkeys.open_state(purpose, &hash, &sealed)?))
    }

    /// Reads the state of that purpose and name, and keeps it. `None` if it does not exist or has expired.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn read_state(&self, purpose: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(hash) = tokens::hash_of(name) else { return Ok(None) };
        let found = self.kernel.storage.state(&hash, purpose, self.kernel.clock.now()).await?;
        let Some(sealed) = found else { return Ok(None) };
        Ok(Some(self.kernel.subkeys.open_state(purpose, &hash, &sealed)?))
    }
}
