//! Mails that wait to be sent: rows of `outbox`, written in the transaction of the change they report.
//!
//! A client cannot make this table grow without bound: mails of one kind to one recipient within [`MERGED_SECONDS`] are one
//! row with a count, and beyond [`WAITING_MAX`] rows of a client only the count of a summary rises.

use crate::model::mail::{Mail, MailKind};
use crate::storage::engine::{on_read, on_tx, on_write, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

/// For how many seconds after it was queued others of the same kind, client and recipient are merged into a mail.
const MERGED_SECONDS: i64 = 60;

/// How many mails of one client may wait, not counting its summary.
const WAITING_MAX: i64 = 1_000;

statements! {
    // A mail that is being sent, or was tried, is left as it is.
    MERGE = "UPDATE outbox SET occurrences = occurrences + 1, facts = $5
        WHERE client_id = $1 AND kind = $2 AND recipient = $3 AND queued_at > $4
            AND sent_at IS NULL AND attempts = 0 AND lease_until = 0";
    INSERT = "INSERT INTO outbox (mail_id, queued_at, kind, recipient, client_id, facts, attempts, next_attempt_at,
            lease_until, sent_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $2, 0, NULL)";
    COUNT_UNSENT = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL";
    COUNT_OF_CLIENT = "SELECT COUNT(*) FROM
        (SELECT 1 FROM outbox WHERE client_id = $1 AND sent_at IS NULL AND kind <> 'summary' LIMIT $2) waiting";
    UNSENT_OF_CLIENT = "SELECT kind, recipient FROM outbox WHERE client_id = $1 AND sent_at IS NULL ORDER BY mail_id";
    PURGE_SENT = "DELETE FROM outbox WHERE mail_id IN
        (SELECT mail_id FROM outbox WHERE sent_at IS NOT NULL AND sent_at <= $1 ORDER BY sent_at LIMIT $2)";
    PURGE_OLD = "DELETE FROM outbox WHERE mail_id IN
        (SELECT mail_id FROM outbox WHERE queued_at <= $1 ORDER BY queued_at LIMIT $2)";
}

impl Storage {
    /// How many mails wait.
    pub async fn count_unsent_mails(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT_UNSENT).fetch_one(pool).await)?)
    }

    /// The waiting mails about a client, oldest first: kind and recipient.
    pub async fn unsent_mails(&self, client_id: &str) -> Result<Vec<(String, String)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(UNSENT_OF_CLIENT).bind(client_id).fetch_all(pool).await)?)
    }

    /// Deletes up to `limit` mails that were sent before `sent_before`, and as many that were queued before
    /// `queued_before` and never could be. Returns how many.
    pub async fn purge_mails(
        &self,
        sent_before: i64,
        queued_before: i64,
        limit: u32,
    ) -> Result<u64, StorageError> {
        let sent = on_write!(self, pool => sqlx::query(PURGE_SENT)
            .bind(sent_before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
        let old = on_write!(self, pool => sqlx::query(PURGE_OLD)
            .bind(queued_before).bind(i64::from(limit)).execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(sent + old)
    }
}

impl Tx {
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
            self.insert_mail(mail, mail.kind, &mail.recipient).await?;
        }
        for mail in new.iter().skip(room) {
            // The recipient is chosen when it is sent.
            if !self.merge(mail, "", MailKind::Summary, i64::MIN).await? {
                self.insert_mail(mail, MailKind::Summary, "").await?;
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

    async fn insert_mail(
        &mut self,
        mail: &Mail,
        kind: MailKind,
        recipient: &str,
    ) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&mail.mail_id).bind(mail.queued_at).bind(kind.as_str()).bind(recipient)
            .bind(&mail.client_id).bind(facts(mail, kind))
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}

/// Merged mails have the facts of the last one. A summary has only the label.
fn facts(mail: &Mail, kind: MailKind) -> String {
    let label = || mail.facts.get_key_value("label").map(|(name, label)| (name.clone(), label.clone()));
    let facts = match kind {
        MailKind::Summary => label().into_iter().collect(),
        _ => mail.facts.clone(),
    };
    serde_json::Value::Object(facts).to_string()
}
