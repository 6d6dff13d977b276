//! What a process holds in memory of the database, and how the change counter keeps it in step.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::kernel::Error;
use crate::storage::Change;

/// Something held in memory that a change in the database makes outdated.
pub(crate) trait Memory: Debug + Send + Sync {
    /// Drops what `change` made outdated. `seq` is the change counter after it.
    fn invalidate(&self, seq: i64, change: &Change);

    /// Drops everything that was read before the change counter had the value `seq`.
    fn invalidate_all(&self, seq: i64);

    /// Reloads what must always be in memory. The counter counts as confirmed only after this.
    fn catch_up(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}
