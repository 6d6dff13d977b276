//! Deletes expired sessions, setup links and states ([`super::states`]), and the networks that operators have not signed in
//! from for 180 days.

use super::Operators;
use super::sessions::IDLE_SECONDS;
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;

/// For how long a network stays known after a sign-in from it, in seconds: 180 days.
const NETWORK_KEPT: i64 = 180 * 86_400;
/// How many rows are deleted at once.
const BATCH: u32 = 500;

impl Operators {
    /// Deletes what has expired, in small batches.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was deleted before the error stays deleted.
    pub(crate) async fn clean_up(&self, now: UnixSeconds) -> Result<(), Error> {
        let storage = &self.kernel.storage;
        let full = u64::from(BATCH);
        while storage.purge_sessions(now, now - IDLE_SECONDS, BATCH).await? >= full {}
        while storage.purge_setup_links(now, BATCH).await? >= full {}
        while storage.purge_states(now, BATCH).await? >= full {}
        while storage.purge_networks(now - NETWORK_KEPT, BATCH).await? >= full {}
        Ok(())
    }
}
