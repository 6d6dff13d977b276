//! Queues deliveries in the transaction of the change they report.
//!
//! Mails about one client cannot make the table grow without bound. Those of one kind to one recipient within
//! [`MERGED_SECONDS`] are one row with a count. Beyond [`WAITING_MAX`] rows of a client, only the count of a summary rises.

use serde::Serialize;

use crate::model::delivery::{Channel, MAIL_HOST, NewDelivery};
use crate::model::mail::{Mail, MailKind};
use crate::storage::engine::{EngineSql, on_read, on_tx, over_rows, rows_as_json, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

/// For how many seconds after a mail was queued, others of the same kind, client and recipient are merged into it.
const MERGED_SECONDS: i64 = 60;

/// How many mails of one client may wait, not counting its summary.
const WAITING_MAX: i64 = 1_000;

/// How many deliveries one statement inserts, since each may have a body of 20 kB.
const INSERTED_AT_ONCE: usize = 200;

statements! {
    // A mail that is being sent, or was tried, is left as it is.
    MERGE = "UPDATE deliveries SET occurrences = occurrences + 1, body = $5
        WHERE about_id = $1 AND kind = $2 AND recipient = $3 AND queued_at > $4
            AND sent_at IS NULL AND dead_at IS NULL AND attempts = 0 AND lease_until = 0 AND channel = 'mail'";
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM
        (SELECT 1 FROM deliveries WHERE about_id = $1 AND sent_at IS NULL AND dead_at IS NULL AND channel = 'mail'
            AND kind <> 'summary' LIMIT $2) waiting";
    MAILS_ABOUT = "SELECT kind, recipient FROM deliveries WHERE about_id = $1 AND channel = 'mail' ORDER BY delivery_id";
}

const INSERT: EngineSql = over_rows!(
    "INSERT INTO deliveries (delivery_id, channel, kind, recipient, host, workspace_id, about_id, body, unique_key,
        occurrences, queued_at, attempts, next_attempt_at, lease_until)
    SELECT given.value ->> 0, given.value ->> 1, given.value ->> 2, given.value ->> 3, given.value ->> 4,
        given.value ->> 5, given.value ->> 6, given.value ->> 7, given.value ->> 8, CAST(given.value ->> 9 AS BIGINT),
        CAST(given.value ->> 10 AS BIGINT), 0, CAST(given.value ->> 11 AS BIGINT), 0 FROM",
    "WHERE 1 = 1 ON CONFLICT (unique_key) DO NOTHING"
);

impl Storage {
    /// The mails about a client or an operator, sent or not, oldest first: kind and recipient.
    pub async fn mails_about(&self, id: &str) -> Result<Vec<(String, String)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(MAILS_ABOUT).bind(id).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Queues a delivery. Returns whether it is new: there may be one with its unique key already.
    pub async fn enqueue_delivery(&mut self, new: &NewDelivery) -> Result<bool, StorageError> {
        self.enqueue_deliveries(std::slice::from_ref(new)).await.map(touched)
    }

    /// Queues deliveries, up to 200 in a statement. Returns how many of them are new.
    pub async fn enqueue_deliveries(&mut self, new: &[NewDelivery]) -> Result<u64, StorageError> {
        let sql = self.db.choose(INSERT);
        let mut queued = 0;
        for some in new.chunks(INSERTED_AT_ONCE) {
            let rows = rows_as_json(some.iter().map(columns))?;
            queued += on_tx!(self.db, conn => sqlx::query(sql).bind(&rows).execute(&mut *conn).await
                .map(|done| done.rows_affected()))?;
        }
        self.has_queued |= touched(queued);
        Ok(queued)
    }

    /// Queues the mails about one change of a client or an operator in the transaction of the change. All of them are about the
    /// same client or operator. If the caller has not locked its record, transactions at the same time may merge fewer mails,
    /// and queue a few more than `WAITING_MAX`.
    pub async fn enqueue(&mut self, mails: &[Mail]) -> Result<(), StorageError> {
        let mut new = Vec::with_capacity(mails.len());
        for mail in mails {
            if !self.merge(mail, &mail.recipient, mail.kind, mail.queued_at - MERGED_SECONDS).await? {
                new.push(mail);
            }
        }
        let Some(first) = new.first() else { return Ok(()) };
        let waiting: i64 = on_tx!(self.db, conn => sqlx::query_scalar(COUNT_OF_CLIENT)
            .bind(&first.client_id).bind(WAITING_MAX).fetch_one(&mut *conn).await)?;
        let room = usize::try_from(WAITING_MAX - waiting).unwrap_or_default();
        let fitting: Vec<NewDelivery> =
            new.iter().take(room).map(|mail| delivery(mail, mail.kind, &mail.recipient)).collect();
        self.enqueue_deliveries(&fitting).await?;
        // A summary counts changes, not mails. Its recipients are chosen when it is sent.
        if let Some(mail) = new.get(room)
            && !self.merge(mail, "", MailKind::Summary, i64::MIN).await?
        {
            self.enqueue_delivery(&delivery(mail, MailKind::Summary, "")).await?;
        }
        Ok(())
    }

    async fn merge(
        &mut self,
        mail: &Mail,
        recipient: &str,
        kind: MailKind,
        queued_after: i64,
    ) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(MERGE)
            .bind(&mail.client_id).bind(kind.as_str()).bind(recipient).bind(queued_after).bind(facts(mail, kind))
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        Ok(touched(rows))
    }
}

/// The values of a delivery, in the order in which [`INSERT`] reads them.
fn columns(new: &NewDelivery) -> impl Serialize {
    (
        &new.delivery_id,
        new.channel.as_str(),
        &new.kind,
        &new.recipient,
        &new.host,
        &new.workspace_id,
        &new.about_id,
        &new.body,
        &new.unique_key,
        new.occurrences,
        new.queued_at,
        new.first_attempt_at,
    )
}

fn delivery(mail: &Mail, kind: MailKind, recipient: &str) -> NewDelivery {
    NewDelivery {
        delivery_id: mail.mail_id.clone(),
        channel: Channel::Mail,
        kind: kind.as_str().to_owned(),
        recipient: recipient.to_owned(),
        host: MAIL_HOST.to_owned(),
        workspace_id: mail.workspace_id.clone(),
        about_id: mail.client_id.clone(),
        body: facts(mail, kind),
        unique_key: None,
        occurrences: 1,
        queued_at: mail.queued_at,
        first_attempt_at: mail.queued_at,
    }
}

/// Merged mails have the facts of the last one. A summary has only those of the client, and when the last change was.
fn facts(mail: &Mail, kind: MailKind) -> String {
    let mut facts = mail.facts.clone();
    if kind == MailKind::Summary {
        facts.retain(|name, _| ["label", "workspace_id", "at"].contains(&name.as_str()));
    }
    serde_json::Value::Object(facts).to_string()
}
