//! Turns old counts of clients by hour into counts by day. Deletes old counts of clients by day, and old counts of secrets,
//! which are kept by hour only. Refused requests and networks beyond their maximum number are deleted where new ones are added.

use super::Usage;
use super::tally::{hour_of, start_of};
use crate::kernel::Error;
use crate::model::clock::UnixSeconds;
use crate::model::usage::{DAY, HOUR};

/// How long counts of clients and secrets by hour are kept, in seconds: 48 hours.
const HOURS_KEPT: i64 = 48 * HOUR;

/// How long counts by day are kept, in seconds: 400 days.
pub(super) const DAYS_KEPT: i64 = 400 * DAY;

/// How many rows are changed or deleted at once.
const BATCH: u32 = 500;

impl Usage {
    /// Turns old counts of clients by hour into counts by day. Deletes old counts by day and old counts of secrets. Works in
    /// small batches.
    ///
    /// # Errors
    /// [`Error::Storage`]; what was done before the error stays.
    pub(crate) async fn clean_up(&self, now: UnixSeconds) -> Result<(), Error> {
        let hours = start_of(hour_of(now)) - HOURS_KEPT;
        let days = now - now.rem_euclid(DAY) - DAYS_KEPT;
        let storage = &self.kernel.storage;
        while storage.fold_usage(hours, BATCH).await? >= u64::from(BATCH) {}
        while storage.purge_usage(hours, days, BATCH).await? >= u64::from(BATCH) {}
        Ok(())
    }
}
