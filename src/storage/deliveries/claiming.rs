//! Claims deliveries and stores the results; also queues a delivery again, and drops setup links. Several processes share the
//! work: a claim is a lease, and a result is stored only while the row is still at the same attempt.

use crate::model::delivery::{Channel, Claimed, Report};
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

macro_rules! due {
    () => {
        "sent_at IS NULL AND dead_at IS NULL AND next_attempt_at <= $2 AND lease_until <= $2"
    };
}

macro_rules! erased {
    () => {
        "body = CASE WHEN kind = 'operator.setup_link_created' THEN '{}' ELSE body END"
    };
}

statements! {
    // The hosts for which something is due, and since when their first delivery is due. The cost grows with the
    // number of hosts that have a waiting delivery, not with the number of deliveries.
    DUE_HOSTS = "WITH RECURSIVE hosts (host) AS (
            SELECT MIN(host) FROM deliveries WHERE sent_at IS NULL AND dead_at IS NULL
            UNION ALL
            SELECT (SELECT MIN(d.host) FROM deliveries d
                WHERE d.sent_at IS NULL AND d.dead_at IS NULL AND d.host > hosts.host)
            FROM hosts WHERE hosts.host IS NOT NULL)
        SELECT host, due FROM (SELECT host, (SELECT MIN(d.next_attempt_at) FROM deliveries d
                WHERE d.sent_at IS NULL AND d.dead_at IS NULL AND d.host = hosts.host) AS due
            FROM hosts WHERE host IS NOT NULL) waiting
        WHERE due <= $1 ORDER BY due, host";
    // One row, so that two processes that claim at once cannot lock rows in different orders. The outer test makes
    // PostgreSQL leave a row that another process took meanwhile.
    CLAIM = concat!("UPDATE deliveries SET attempts = attempts + 1, lease_owner = $3, lease_until = $4,
            last_attempt_at = $2
        WHERE delivery_id = (SELECT delivery_id FROM deliveries WHERE host = $1 AND ", due!(), "
                ORDER BY next_attempt_at, delivery_id LIMIT 1)
            AND ", due!(), "
        RETURNING delivery_id, channel, kind, recipient, host, workspace_id, about_id, body, occurrences, queued_at,
            attempts");
    // The sealed setup link in a body is kept only as long as the delivery waits.
    SENT = concat!("UPDATE deliveries SET sent_at = $4, ", erased!(), ", lease_owner = NULL, lease_until = 0,
            last_status = $5, last_error = $6, last_reply = $7
        WHERE delivery_id = $1 AND lease_owner = $2 AND attempts = $3");
    RETRY = "UPDATE deliveries SET next_attempt_at = $4, lease_owner = NULL, lease_until = 0, last_status = $5,
            last_error = $6, last_reply = $7
        WHERE delivery_id = $1 AND lease_owner = $2 AND attempts = $3";
    DEAD = concat!("UPDATE deliveries SET dead_at = $4, ", erased!(), ", lease_owner = NULL, lease_until = 0,
            last_status = $5, last_error = $6, last_reply = $7
        WHERE delivery_id = $1 AND lease_owner = $2 AND attempts = $3");
    DROP_SETUP_LINKS = "DELETE FROM deliveries WHERE about_id = $1 AND kind = 'operator.setup_link_created'
        AND sent_at IS NULL AND dead_at IS NULL";
    GIVE_BACK = "UPDATE deliveries SET attempts = attempts - 1, lease_owner = NULL, lease_until = 0,
            last_attempt_at = CASE WHEN attempts = 1 THEN NULL ELSE last_attempt_at END
        WHERE delivery_id = $1 AND lease_owner = $2 AND attempts = $3";
    SEND_AGAIN = "UPDATE deliveries SET dead_at = NULL, attempts = 0, next_attempt_at = $2, lease_owner = NULL,
            lease_until = 0
        WHERE delivery_id = $1 AND dead_at IS NOT NULL";
}

row! {
    struct ClaimedRow {
        delivery_id: String,
        channel: String,
        kind: String,
        recipient: String,
        host: String,
        workspace_id: Option<String>,
        about_id: String,
        body: String,
        occurrences: i64,
        queued_at: i64,
        attempts: i64,
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It was sent at this time.
    Sent(i64),
    /// It is tried again at this time.
    At(i64),
    /// It was given up at this time.
    Dead(i64),
}

impl Storage {
    /// The hosts for which deliveries are due, and since when; the longest due first. A delivery that is being sent counts too.
    pub async fn due_hosts(&self, now: i64) -> Result<Vec<(String, i64)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(DUE_HOSTS).bind(now).fetch_all(pool).await)?)
    }

    /// Claims the delivery to `host` that has been due for longest, for `owner` and until `lease_until`. `None` if none is
    /// due, or if another process was first.
    pub async fn claim_delivery(
        &self,
        host: &str,
        now: i64,
        owner: &str,
        lease_until: i64,
    ) -> Result<Option<Claimed>, StorageError> {
        let row: Option<ClaimedRow> = on_write!(self, pool => sqlx::query_as(CLAIM)
            .bind(host).bind(now).bind(owner).bind(lease_until).fetch_optional(pool).await)?;
        row.map(|row| {
            Ok(Claimed {
                channel: channel(&row.channel)?,
                delivery_id: row.delivery_id,
                kind: row.kind,
                recipient: row.recipient,
                host: row.host,
                workspace_id: row.workspace_id,
                about_id: row.about_id,
                body: row.body,
                occurrences: row.occurrences,
                queued_at: row.queued_at,
                attempt: row.attempts,
                owner: owner.to_owned(),
            })
        })
        .transpose()
    }

    /// Gives back a delivery that was claimed and not tried. The claim does not count as an attempt.
    pub async fn give_back_delivery(&self, claimed: &Claimed) -> Result<bool, StorageError> {
        let rows = on_write!(self, pool => sqlx::query(GIVE_BACK)
            .bind(&claimed.delivery_id).bind(&claimed.owner).bind(claimed.attempt)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}

impl Tx {
    /// Stores the result of an attempt. Returns `false` if the row is at another attempt by now: then nothing was stored.
    pub async fn finish_delivery(
        &mut self,
        claimed: &Claimed,
        next: Next,
        report: &Report,
    ) -> Result<bool, StorageError> {
        let (sql, at) = match next {
            Next::Sent(at) => (SENT, at),
            Next::At(at) => (RETRY, at),
            Next::Dead(at) => (DEAD, at),
        };
        let rows = on_tx!(self.db, conn => sqlx::query(sql)
            .bind(&claimed.delivery_id).bind(&claimed.owner).bind(claimed.attempt).bind(at)
            .bind(report.status.map(i64::from)).bind(&report.error).bind(&report.reply)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }

    /// Deletes the waiting mails with a setup link for an operator, because the link no longer works. A mail that a process is
    /// sending is deleted too: it cannot be stopped, but it is not tried again.
    pub async fn drop_setup_link_mails(&mut self, operator_id: &str) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(DROP_SETUP_LINKS)
            .bind(operator_id).execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }

    /// Lets a delivery that was given up wait again, from the first attempt. Returns whether it was given up.
    pub async fn send_delivery_again(&mut self, delivery_id: &str, now: i64) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(SEND_AGAIN)
            .bind(delivery_id).bind(now).execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        self.has_queued |= touched(rows);
        Ok(touched(rows))
    }
}

/// The channel with the name in a row.
pub(super) fn channel(name: &str) -> Result<Channel, StorageError> {
    Channel::from_name(name).ok_or_else(|| StorageError::Damaged(format!("deliveries.channel is `{name}`")))
}
