//! A commit that changes no record: with it a process checks that writing works, and stores the time of its clock.

use crate::storage::engine::{on_read, on_tx, statements};
use crate::storage::{Storage, StorageError};

statements! {
    BEAT = "UPDATE service_state SET beats = beats + 1, last_instant = COALESCE(CAST($1 AS BIGINT), last_instant)
        WHERE id = 1";
    LAST_INSTANT = "SELECT last_instant FROM service_state WHERE id = 1";
}

impl Storage {
    /// Commits a heartbeat, which does not increment the change counter. `instant` is stored as the last one that a serving
    /// process saw (`None`: the stored one stays).
    pub async fn beat(&self, instant: Option<i64>) -> Result<(), StorageError> {
        let beat = async {
            let mut tx = self.begin().await?;
            on_tx!(tx.db, conn => sqlx::query(BEAT).bind(instant).execute(&mut *conn).await.map(|_| ()))?;
            tx.db.commit().await?;
            self.db.check_in_place()
        };
        self.writes.note(beat.await, true)
    }

    /// The last instant that [`Storage::beat`] stored; `None` if it stored none yet.
    pub async fn last_instant(&self) -> Result<Option<i64>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(LAST_INSTANT).fetch_one(pool).await)?)
    }
}
