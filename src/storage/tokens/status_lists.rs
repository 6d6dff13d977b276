//! Status lists: rows of `status_lists`.
//!
//! Slots are leased from a counter that only increases, so no slot is used twice. Slots that a process has leased but not
//! used when it ends stay unused.

use crate::model::slot_lease::{Lease, ListKind};
use crate::model::status::{LIST_BYTES, PART_BYTES, SLOTS_PER_LIST};
use crate::storage::engine::{on_read, on_tx, statements};
use crate::storage::{Change, Storage, StorageError, Tx};

statements! {
    OPEN = "SELECT list FROM status_lists WHERE holds = $1 AND COALESCE(kid, '') = $2 AND filled_at IS NULL
        ORDER BY list LIMIT 1";
    LEASE = "UPDATE status_lists SET leased = leased + $2,
            filled_at = CASE WHEN leased + $2 >= $3 THEN CAST($4 AS BIGINT) ELSE filled_at END
        WHERE list = $1 RETURNING leased, seed";
    // This lock is taken before the rows of lists, and after the rows of clients and keys.
    TURN = "UPDATE turns SET number = number WHERE name = 'status_lists'";
    NEXT = "UPDATE turns SET number = number + $1 WHERE name = 'status_lists' RETURNING number";
    INSERT = "INSERT INTO status_lists (list, holds, kid, seed, leased, created_at, last_exp)
        VALUES ($1, $2, $3, $4, 0, $5, 0)";
    FIND = "SELECT (SELECT change_seq FROM service_state WHERE id = 1) FROM status_lists WHERE list = $1";
    PARTS = "SELECT part, bits FROM status_bits WHERE list = $1 ORDER BY part";
    ALL = "SELECT list FROM status_lists ORDER BY list";
    OUTLIVES = "UPDATE status_lists SET last_exp = $2 WHERE list = $1 AND last_exp < $2";
    // The key is no longer published, so its tokens count as ended.
    CLOSE = "UPDATE status_lists SET filled_at = COALESCE(filled_at, CAST($2 AS BIGINT)), last_exp = $2 WHERE kid = $1";
    // A list may have ended if all of this holds: by `$1` it was full or closed, so that no lease of it is left, and the last
    // token known in it had ended; no client has a slot in it; and its key is gone, if it is for the tokens of one key.
    MAY_HAVE_ENDED = "SELECT l.list FROM status_lists l
        WHERE l.filled_at IS NOT NULL AND l.filled_at <= $1 AND l.last_exp <= $1
            AND NOT EXISTS (SELECT 1 FROM api_clients c WHERE c.status_list = l.list)
            AND (l.kid IS NULL OR EXISTS (SELECT 1 FROM signing_keys k WHERE k.kid = l.kid AND k.phase = 'gone'))
        ORDER BY l.list";
    LAST_END = "SELECT expires_at FROM access_tokens WHERE expires_at > $2 AND status_list = $1
        ORDER BY expires_at DESC LIMIT 1";
    REMOVE = "DELETE FROM status_lists WHERE list = $1";
}

/// The statuses of one list, as they were when the change counter was `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatusList {
    /// Two bits per slot, as in draft-ietf-oauth-status-list-21 §4.1; always for the whole list.
    pub bits: Vec<u8>,
    /// The value of the change counter when the statuses were read.
    pub as_of: i64,
}

impl Storage {
    /// The statuses of a list; `None` if there is no list of that number, or it has ended.
    pub async fn status_list(&self, list: i64) -> Result<Option<StoredStatusList>, StorageError> {
        let mut tx = self.snapshot().await?;
        let found: Option<i64> =
            on_tx!(tx.db, conn => sqlx::query_scalar(FIND).bind(list).fetch_optional(&mut *conn).await)?;
        let parts: Vec<(i64, Vec<u8>)> = match found {
            Some(_) => tx.status_parts(list).await?,
            None => Vec::new(),
        };
        tx.rollback().await?;
        let Some(as_of) = found else { return Ok(None) };
        let mut bits = vec![0; LIST_BYTES];
        for (part, stored) in parts {
            let at = usize::try_from(part).ok().and_then(|part| part.checked_mul(PART_BYTES));
            let place =
                at.and_then(|at| bits.get_mut(at..at + PART_BYTES)).filter(|to| to.len() == stored.len());
            let Some(place) = place else {
                return Err(StorageError::Damaged(format!(
                    "part {part} of list {list} in status_bits is invalid"
                )));
            };
            place.copy_from_slice(&stored);
        }
        Ok(Some(StoredStatusList { bits, as_of }))
    }

    /// The numbers of the lists that are published, in order.
    pub async fn status_lists(&self) -> Result<Vec<i64>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(ALL).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Makes other transactions that work on status lists wait until this one ends.
    pub(super) async fn serialise_status_lists(&mut self) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(TURN).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    pub(super) async fn status_lists(&mut self) -> Result<Vec<i64>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(ALL).fetch_all(&mut *conn).await)?)
    }

    /// The stored parts of a list, in order; a part without a mark may be missing.
    pub(super) async fn status_parts(&mut self, list: i64) -> Result<Vec<(i64, Vec<u8>)>, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_as(PARTS).bind(list).fetch_all(&mut *conn).await)?)
    }

    /// Leases up to `count` slots, at least one, for tokens of this kind. If a new list is needed, `seed` decides the order
    /// of its slots. Transactions that lease slots wait for each other.
    pub async fn lease_slots(
        &mut self,
        kind: ListKind<'_>,
        count: u32,
        seed: [u8; 16],
        now: i64,
    ) -> Result<Lease, StorageError> {
        self.serialise_status_lists().await?;
        let open: Option<i64> = on_tx!(self.db, conn => sqlx::query_scalar(OPEN)
            .bind(kind.as_str()).bind(kind.kid().unwrap_or_default()).fetch_optional(&mut *conn).await)?;
        let list = match open {
            Some(list) => list,
            None => self.open_status_list(kind, seed, now).await?,
        };
        let count = count.clamp(1, SLOTS_PER_LIST);
        let (leased, seed): (i64, Vec<u8>) = on_tx!(self.db, conn => sqlx::query_as(LEASE)
            .bind(list).bind(i64::from(count)).bind(i64::from(SLOTS_PER_LIST)).bind(now)
            .fetch_one(&mut *conn).await)?;
        let damaged =
            || StorageError::Damaged(format!("`leased` or `seed` of list {list} in status_lists is invalid"));
        let end = u32::try_from(leased).map_err(|_| damaged())?;
        let seed: [u8; 16] = seed.try_into().map_err(|_| damaged())?;
        Ok(Lease::new(list, seed, end.saturating_sub(count), end))
    }

    async fn open_status_list(
        &mut self,
        kind: ListKind<'_>,
        seed: [u8; 16],
        now: i64,
    ) -> Result<i64, StorageError> {
        let list = self.skip_status_lists(1).await?;
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(list).bind(kind.as_str()).bind(kind.kid()).bind(seed.as_slice()).bind(now)
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(list)
    }

    /// Raises the number of the last list by `count`, so that the numbers in between are never used. Returns the last
    /// number.
    pub async fn skip_status_lists(&mut self, count: i64) -> Result<i64, StorageError> {
        Ok(on_tx!(self.db, conn => sqlx::query_scalar(NEXT).bind(count).fetch_one(&mut *conn).await)?)
    }

    /// Records that tokens in a list may be valid until `exp`, although no row refers to their slot any more.
    pub async fn status_list_outlives(&mut self, list: i64, exp: i64) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(OUTLIVES).bind(list).bind(exp).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Leases no more slots for tokens of a key that is no longer published.
    pub async fn close_status_lists_of(&mut self, kid: &str, now: i64) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(CLOSE).bind(kid).bind(now).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Removes up to `limit` lists in which no token has been live, and from which no slot was leased, since `before`.
    /// Returns their numbers, which are never used again.
    pub async fn remove_ended_status_lists(
        &mut self,
        before: i64,
        limit: u32,
    ) -> Result<Vec<i64>, StorageError> {
        self.serialise_status_lists().await?;
        let may_have_ended: Vec<i64> = on_tx!(self.db, conn => sqlx::query_scalar(MAY_HAVE_ENDED)
            .bind(before).fetch_all(&mut *conn).await)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut ended = Vec::new();
        for list in may_have_ended {
            if ended.len() >= limit {
                break;
            }
            let last_end: Option<i64> = on_tx!(self.db, conn => sqlx::query_scalar(LAST_END)
                .bind(list).bind(before).fetch_optional(&mut *conn).await)?;
            if let Some(last_end) = last_end {
                // No token is added to a full list, so the last end need not be looked up again before it has passed.
                self.status_list_outlives(list, last_end).await?;
                continue;
            }
            on_tx!(self.db, conn => sqlx::query(REMOVE).bind(list).execute(&mut *conn).await.map(|_| ()))?;
            self.changed(Change::StatusList(list));
            ended.push(list);
        }
        Ok(ended)
    }
}
