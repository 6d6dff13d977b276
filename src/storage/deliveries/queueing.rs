//! Queues deliveries in the transaction of the change they report.
//!
//! A client cannot make the table grow without bound by mails: those of one kind to one recipient within
//! [`MERGED_SECONDS`] are one row with a count, and beyond [`WAITING_MAX`] rows of a client only the count of a summary rises.

use crate::model::delivery::{Channel, MAIL_HOST, NewDelivery};
use crate::model::mail::{Mail, MailKind};
use crate::storage::engine::{on_read, on_tx, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

/// For how many seconds after it was queued others of the same kind, client and recipient are merged into a mail.
const MERGED_SECONDS: i64 = 60;

/// How many mails of one client may wait, not counting its summary.
const WAITING_MAX: i64 = 1_000;

statements! {
    // A mail that is being sent, or was tried, is left as it is.
    MERGE = "UPDATE deliveries SET occurrences = occurrences + 1, body = $5
        WHERE about_id = $1 AND kind = $2 AND recipient = $3 AND queued_at > $4
            AND sent_at IS NULL AND dead_at IS NULL AND attempts = 0 AND lease_until = 0 AND channel = 'mail'";
    INSERT = "INSERT INTO deliveries (delivery_id, channel, kind, recipient, host, workspace_id, about_id, body, unique_key,
            occurrences, queued_at, attempts, next_attempt_at, lease_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, 0)
        ON CONFLICT (unique_key) DO NOTHING";
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM
        (SELECT 1 FROM deliveries WHERE about_id = $1 AND sent_at IS NULL AND dead_at IS NULL AND channel = 'mail'
            AND kind <> 'summary' LIMIT $2) waiting";
    MAILS_ABOUT = "SELECT kind, recipient FROM deliveries WHERE about_id = $1 AND channel = 'mail' ORDER BY delivery_id";
}

impl Storage {
    /// The mails about a client or an operator, sent or not, oldest first: kind and recipient.
    pub async fn mails_about(&self, id: &str) -> Result<Vec<(String, String)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(MAILS_ABOUT).bind(id).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Queues a delivery. Returns whether it is new: there may be one with its unique key already.
    pub async fn enqueue_delivery(&mut self, new: &NewDelivery) -> Result<bool, StorageError> {
        let rows = on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&new.delivery_id).bind(new.channel.as_str()).bind(&new.kind).bind(&new.recipient).bind(&new.host)
            .bind(&new.workspace_id).bind(&new.about_id).bind(&new.body).bind(&new.unique_key)
            .bind(new.occurrences).bind(new.queued_at).bind(new.first_attempt_at)
            .execute(&mut *conn).await.map(|done| done.rows_affected()))?;
        self.has_queued |= touched(rows);
        Ok(touched(rows))
    }

    /// Queues the mails about one change of a client in the transaction of the change. All of them are of one client,
    /// which is locked.
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
        for mail in new.iter().take(room) {
            self.enqueue_delivery(&delivery(mail, mail.kind, &mail.recipient)).await?;
        }
        for mail in new.iter().skip(room) {
            // The recipient is chosen when it is sent.
            if !self.merge(mail, "", MailKind::Summary, i64::MIN).await? {
                self.enqueue_delivery(&delivery(mail, MailKind::Summary, "")).await?;
            }
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
