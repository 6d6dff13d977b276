//! Up to which end reminders were made: for each kind and number of days before the end, the last end that was looked at.

use std::collections::BTreeMap;

use crate::model::reminder::{End, EndingKind};
use crate::storage::engine::{on_tx, statements};
use crate::storage::{StorageError, Tx};

statements! {
    TAKE_TURN = "UPDATE turns SET number = number WHERE name = 'reminders'";
    REACHED = "SELECT kind, days, ends_at, id FROM reminders";
    MOVE = "UPDATE reminders SET ends_at = $3, id = $4 WHERE kind = $1 AND days = $2";
}

impl Tx {
    /// Waits until no other transaction makes reminders, and makes others wait until the end of this one. Returns the last end
    /// that was looked at, by kind and number of days.
    pub async fn take_turn_of_reminders(&mut self) -> Result<BTreeMap<(EndingKind, i64), End>, StorageError> {
        on_tx!(self.db, conn => sqlx::query(TAKE_TURN).execute(&mut *conn).await.map(|_| ()))?;
        let rows: Vec<(String, i64, i64, String)> =
            on_tx!(self.db, conn => sqlx::query_as(REACHED).fetch_all(&mut *conn).await)?;
        let known = rows
            .into_iter()
            .filter_map(|(kind, days, at, id)| Some(((EndingKind::from_name(&kind)?, days), End { at, id })));
        Ok(known.collect())
    }

    /// Writes the last end that was looked at.
    pub async fn reminders_reached(
        &mut self,
        kind: EndingKind,
        days: i64,
        end: &End,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(MOVE)
            .bind(kind.as_str()).bind(days).bind(end.at).bind(&end.id)
            .execute(&mut *conn).await.map(|_| ()))?;
        self.has_written = true;
        Ok(())
    }
}
