//! The root key, sealed under the master key: in the only row of `service_state`, which also has the change counter.

use crate::storage::engine::{on_read, on_tx, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

statements! {
    FIND_ROOT = "SELECT master_fingerprint, sealed_root FROM service_state WHERE id = 1 AND sealed_root IS NOT NULL";
    LOCK = "UPDATE service_state SET change_seq = change_seq WHERE id = 1 RETURNING master_fingerprint, sealed_root";
    INSERT_ROOT = "UPDATE service_state SET master_fingerprint = $1, sealed_root = $2, created_at = $3
        WHERE id = 1 AND sealed_root IS NULL";
    // If two transactions replace the root key at the same time, the second one finds that it has changed.
    REPLACE_ROOT = "UPDATE service_state SET master_fingerprint = $2, sealed_root = $3
        WHERE id = 1 AND master_fingerprint = $1";
}

/// The root key as stored: unreadable without the master key of that fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRoot {
    /// Identifies the master key without revealing it.
    pub master_fingerprint: Vec<u8>,
    /// The sealed root key.
    pub sealed: Vec<u8>,
}

impl Storage {
    /// The sealed root key; `None` in a database that has not been served yet.
    pub async fn sealed_root(&self) -> Result<Option<SealedRoot>, StorageError> {
        let row: Option<(Vec<u8>, Vec<u8>)> =
            on_read!(self, pool => sqlx::query_as(FIND_ROOT).fetch_optional(pool).await)?;
        Ok(row.map(|(master_fingerprint, sealed)| SealedRoot { master_fingerprint, sealed }))
    }
}

impl Tx {
    /// The sealed root key, locked until the end of the transaction; `None` in a database that was never served.
    pub async fn lock_sealed_root(&mut self) -> Result<Option<SealedRoot>, StorageError> {
        let row: (Option<Vec<u8>>, Option<Vec<u8>>) =
            on_tx!(self.db, conn => sqlx::query_as(LOCK).fetch_one(&mut *conn).await)?;
        let (Some(master_fingerprint), Some(sealed)) = row else { return Ok(None) };
        Ok(Some(SealedRoot { master_fingerprint, sealed }))
    }

    /// Stores the root key if there is none yet. `false` if another process was first.
    pub async fn insert_sealed_root(&mut self, root: &SealedRoot, now: i64) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT_ROOT)
            .bind(&root.master_fingerprint).bind(&root.sealed).bind(now)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Stores the root key as sealed under another master key. `false` if it is no longer sealed under the master
    /// key with the fingerprint `before`.
    pub async fn replace_sealed_root(
        &mut self,
        before: &[u8],
        root: &SealedRoot,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(REPLACE_ROOT)
            .bind(before).bind(&root.master_fingerprint).bind(&root.sealed)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}
