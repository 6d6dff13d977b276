//! Signing keys as an administrator sees them: a page of them, or one.

use super::{Signing, rotation};
use crate::kernel::{Error, Reader};
use crate::model::key::SigningKey;
use crate::model::page::{Items, Page};

/// A signing key and what depends on it.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The key.
    pub key: SigningKey,
    /// How many recorded tokens that it signed are live.
    pub live_tokens: i64,
}

impl Signing {
    /// A page of the published keys, oldest first.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn signing_keys(&self, caller: &Reader, page: &Page) -> Result<Items<KeyRecord>, Error> {
        // There are few keys, and all are read anyway. If the key at which the last page ended is gone, the cursor still has
        // the time of its creation, which says where to continue.
        Ok(Items::of_whole_list(self.published_keys(caller).await?, page, place_in_list))
    }

    /// One published key.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a key that is no longer published; [`Error::Denied`],
    /// [`Error::Storage`].
    pub async fn signing_key(&self, caller: &Reader, kid: &str) -> Result<KeyRecord, Error> {
        let keys = self.published_keys(caller).await?;
        keys.into_iter().find(|record| record.key.kid == kid).ok_or(Error::NotFound("signing key"))
    }

    async fn published_keys(&self, caller: &Reader) -> Result<Vec<KeyRecord>, Error> {
        caller.must_read_platform("signing keys")?;
        let (keys, _) = self.kernel.storage.signing_keys().await?;
        let now = self.kernel.clock.now();
        let live = self.kernel.storage.live_tokens_by_kid(now).await?;
        // A step that is due may not be stored yet, but it is already in force.
        Ok(rotation::in_force(keys, now)
            .into_iter()
            .map(|key| KeyRecord { live_tokens: live_tokens_of(&live, &key.kid), key })
            .collect())
    }
}

/// The ordering key of the list: the time of creation, then the `kid`.
fn place_in_list(record: &KeyRecord) -> String {
    format!("{:020}:{}", record.key.created_at, record.key.kid)
}

/// How many live tokens a key signed, from the counts of all keys.
pub(super) fn live_tokens_of(live: &[(String, i64)], kid: &str) -> i64 {
    live.iter().find(|(of, _)| of == kid).map_or(0, |(_, count)| *count)
}
