//! The statuses of slots: rows of `status_bits`, each a part of a status list.

use crate::model::status::{self, Mark, PART_BYTES, SLOTS_PER_LIST, SLOTS_PER_PART, Slot};
use crate::storage::engine::{on_tx, statements};
use crate::storage::{Change, StorageError, Tx};

statements! {
    // Reads a part and locks its row, which is added if it is missing; a list that is no longer published has no parts.
    LOCK_PART = "INSERT INTO status_bits (list, part, bits)
        SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), $3 WHERE EXISTS (SELECT 1 FROM status_lists l WHERE l.list = $1)
        ON CONFLICT (list, part) DO UPDATE SET part = excluded.part RETURNING bits";
    WRITE_PART = "UPDATE status_bits SET bits = $3 WHERE list = $1 AND part = $2";
    WRITE_ANY_PART = "INSERT INTO status_bits (list, part, bits) VALUES ($1, $2, $3)
        ON CONFLICT (list, part) DO UPDATE SET bits = excluded.bits";
    FILL_ALL = "UPDATE status_lists SET filled_at = COALESCE(filled_at, CAST($1 AS BIGINT)),
        last_exp = CASE WHEN last_exp < $2 THEN $2 ELSE last_exp END";
    HELD = "SELECT status_list, status_idx FROM access_tokens
        WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
            AND status_list IS NOT NULL AND status_idx IS NOT NULL";
}

impl Tx {
    /// Marks slots, and records which lists changed. Slots of lists that have ended are skipped.
    pub async fn mark_slots(&mut self, slots: &[Slot], mark: Mark) -> Result<(), StorageError> {
        if slots.is_empty() {
            return Ok(());
        }
        // A transaction may mark several times, so sorting alone would not prevent a deadlock of two transactions.
        self.serialise_status_lists().await?;
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        for of_part in slots.chunk_by(|a, b| (a.list, a.part()) == (b.list, b.part())) {
            let Some(first) = of_part.first() else { continue };
            let (list, part) = (first.list, first.part());
            let empty = vec![0_u8; PART_BYTES];
            let stored: Option<Vec<u8>> = on_tx!(self.db, conn => sqlx::query_scalar(LOCK_PART)
                .bind(list).bind(i64::from(part)).bind(empty).fetch_optional(&mut *conn).await)?;
            let Some(mut bits) = stored else { continue };
            let mut changed = false;
            for slot in of_part {
                changed |= status::mark(&mut bits, part * SLOTS_PER_PART, slot.idx, mark);
            }
            if changed {
                on_tx!(self.db, conn => sqlx::query(WRITE_PART)
                    .bind(list).bind(i64::from(part)).bind(bits).execute(&mut *conn).await.map(|_| ()))?;
                self.changed(Change::StatusList(list));
            }
        }
        Ok(())
    }

    /// Marks every slot of every list as revoked except those in `kept`, and leases no more slots of these lists. For a
    /// restored database, which does not know which slots were leased since its backup. Tokens in these lists may be valid
    /// until `exp`.
    pub async fn revoke_slots_except(
        &mut self,
        kept: &[Slot],
        now: i64,
        exp: i64,
    ) -> Result<(), StorageError> {
        self.serialise_status_lists().await?;
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        for list in self.status_lists().await? {
            let stored = self.status_parts(list).await?;
            for part in 0..SLOTS_PER_LIST / SLOTS_PER_PART {
                let before = stored.iter().find(|(number, _)| *number == i64::from(part));
                let bits =
                    status::revoke_all_except(before.map(|(_, bits)| bits.as_slice()), list, part, &kept);
                on_tx!(self.db, conn => sqlx::query(WRITE_ANY_PART)
                    .bind(list).bind(i64::from(part)).bind(bits).execute(&mut *conn).await.map(|_| ()))?;
            }
            self.changed(Change::StatusList(list));
        }
        on_tx!(self.db, conn => sqlx::query(FILL_ALL).bind(now).bind(exp).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// The slots of recorded tokens that are neither revoked nor expired at `now`.
    pub async fn slots_of_live_tokens(&mut self, now: i64) -> Result<Vec<Slot>, StorageError> {
        let rows: Vec<(Option<i64>, Option<i64>)> =
            on_tx!(self.db, conn => sqlx::query_as(HELD).bind(now).fetch_all(&mut *conn).await)?;
        Ok(rows.into_iter().filter_map(|(list, idx)| Slot::from_columns(list, idx)).collect())
    }
}
