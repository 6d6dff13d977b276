//! Mails that wait to be sent: rows of `outbox`, written in the transaction of the change they report.

use crate::model::mail::Mail;
use crate::storage::engine::{on_read, on_tx, statements};
use crate::storage::{Storage, StorageError, Tx};

statements! {
    INSERT = "INSERT INTO outbox (mail_id, queued_at, kind, recipient, client_id, facts, attempts, next_attempt_at,
            lease_until, sent_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $2, 0, NULL)";
    COUNT_UNSENT = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL";
    UNSENT_OF_CLIENT = "SELECT kind, recipient FROM outbox WHERE client_id = $1 AND sent_at IS NULL ORDER BY mail_id";
}

impl Storage {
    /// How many mails wait.
    pub async fn count_unsent_mails(&self) -> Result<i64, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_scalar(COUNT_UNSENT).fetch_one(pool).await)?)
    }

    /// The waiting mails about a client, oldest first: which message, and to whom.
    pub async fn unsent_mails(&self, client_id: &str) -> Result<Vec<(String, String)>, StorageError> {
        Ok(on_read!(self, pool => sqlx::query_as(UNSENT_OF_CLIENT).bind(client_id).fetch_all(pool).await)?)
    }
}

impl Tx {
    /// Queues a mail in the transaction of the change it reports.
    pub async fn enqueue(&mut self, mail: &Mail) -> Result<(), StorageError> {
        on_tx!(self.db, conn => sqlx::query(INSERT)
            .bind(&mail.mail_id).bind(mail.queued_at).bind(mail.kind.as_str()).bind(&mail.recipient)
            .bind(&mail.client_id).bind(serde_json::Value::Object(mail.facts.clone()).to_string())
            .execute(&mut *conn).await.map(|_| ()))?;
        Ok(())
    }
}
