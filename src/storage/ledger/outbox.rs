//! Mails that wait to be sent: rows of `outbox`, written in the transaction of the change they report.
//!
//! A client cannot make this table grow without bound: mails of one kind to one recipient within [`MERGED_SECONDS`] are one
//! row with a count, and beyond [`WAITING_MAX`] rows of a client only the count of a summary rises.

use crate::model::mail::{Mail, MailKind, QueuedMail};
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::storage::engine::{on_read, on_tx, on_write, row, statements};
use crate::storage::{Storage, StorageError, Tx, touched};

/// For how many seconds after it was queued others of the same kind, client and recipient are merged into a mail.
const MERGED_SECONDS: i64 = 60;

/// How many mails of one client may wait, not counting its summary.
const WAITING_MAX: i64 = 1_000;

// A mail about an operator has the id of the operator in place of that of a client. One about a client that was deleted
// belongs to no workspace any more.
macro_rules! listed {
    () => {
        " FROM outbox m LEFT JOIN api_clients c ON c.client_id = m.client_id
            LEFT JOIN operators o ON o.operator_id = m.client_id
        WHERE (CAST($1 AS TEXT) IS NULL OR c.workspace_id = $1)"
    };
}

statements! {
    LIST = concat!("SELECT m.mail_id, m.queued_at, m.kind, m.recipient, m.client_id, m.occurrences, m.attempts,
            m.next_attempt_at, m.sent_at, COALESCE(c.label, o.name) AS about, c.workspace_id", listed!(), "
            AND (CAST($2 AS TEXT) IS NULL OR m.mail_id < $2)
        ORDER BY m.mail_id DESC LIMIT $3");
    COUNT_LISTED = concat!("SELECT COUNT(*), MIN(m.queued_at), COUNT(CASE WHEN m.attempts > 0 THEN 1 END)", listed!(), "
            AND m.sent_at IS NULL");
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

row! {
    struct MailRow {
        mail_id: String,
        queued_at: i64,
        kind: String,
        recipient: String,
        client_id: String,
        occurrences: i64,
        attempts: i64,
        next_attempt_at: i64,
        sent_at: Option<i64>,
        about: Option<String>,
        workspace_id: Option<String>,
    }
}

impl From<MailRow> for QueuedMail {
    fn from(row: MailRow) -> Self {
        Self {
            mail_id: row.mail_id,
            queued_at: row.queued_at,
            kind: row.kind,
            recipient: row.recipient,
            about_id: row.client_id,
            about: row.about,
            workspace_id: row.workspace_id,
            occurrences: row.occurrences,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            sent_at: row.sent_at,
        }
    }
}

impl Storage {
    /// A page of the mails about clients within reach, newest first; with the whole reach also those about operators and
    /// about what was deleted.
    pub async fn mails(&self, reach: &Reach, page: &Page) -> Result<Items<QueuedMail>, StorageError> {
        let rows: Vec<MailRow> = on_read!(self, pool => sqlx::query_as(LIST)
            .bind(reach.limit()).bind(page.after.as_deref()).bind(i64::from(page.limit) + 1).fetch_all(pool).await)?;
        Ok(Items::cut(rows, page.limit, |row| row.mail_id.clone()).map(QueuedMail::from))
    }

    /// Of those mails: how many wait, since when the oldest of these does, and how many of these were tried.
    pub async fn waiting_mails(&self, reach: &Reach) -> Result<(i64, Option<i64>, i64), StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(COUNT_LISTED).bind(reach.limit()).fetch_one(pool).await)?)
    }

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
