//! What a cache of database records must offer, so that the change counter can invalidate it.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::kernel::Error;
use crate::storage::Change;

/// A cache of database records.
pub(crate) trait Cache: Debug + Send + Sync {
    /// Drops what `change` makes outdated. `seq` is the change counter after the change.
    fn invalidate(&self, seq: i64, change: &Change);

    /// Drops everything that was read before the change counter reached `seq`.
    fn invalidate_all(&self, seq: i64);

    /// Reloads what must always be cached. The counter counts as confirmed only after this.
    fn catch_up(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}
