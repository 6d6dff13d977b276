//! Deliveries: what mails say, how they are sent to a scripted mail server, and how several processes share the work.

mod facts;
mod hostile;
mod letters;
mod mail;
mod messages;
mod outage;
mod refusals;
mod setup_link;
mod sharing;

use mintmark::model::delivery::{Channel, MAIL_HOST, NewDelivery};
use mintmark::storage::Storage;

use crate::support::{START, TestApp};

/// A mail about `cl_1` to `recipient`, due at once.
fn mail(number: usize, recipient: &str) -> NewDelivery {
    NewDelivery {
        delivery_id: format!("00000000-0000-7000-8000-{number:012}"),
        channel: Channel::Mail,
        kind: "client.created".to_owned(),
        recipient: recipient.to_owned(),
        host: MAIL_HOST.to_owned(),
        workspace_id: None,
        about_id: "cl_1".to_owned(),
        body: "{\"label\":\"ERP\"}".to_owned(),
        unique_key: None,
        occurrences: 1,
        queued_at: START,
        first_attempt_at: START,
    }
}

/// Queues deliveries as another process would.
async fn queue(storage: &Storage, new: impl IntoIterator<Item = NewDelivery>) {
    let mut tx = storage.begin().await.unwrap();
    for delivery in new {
        assert!(tx.enqueue_delivery(&delivery).await.unwrap());
    }
    tx.commit().await.unwrap();
}

/// What became of each delivery, in the order of their ids: state, attempts, status of the last reply (0 without a reply).
async fn states(app: &TestApp) -> Vec<String> {
    let sql = "SELECT CASE WHEN sent_at IS NOT NULL THEN 'sent' WHEN dead_at IS NOT NULL THEN 'dead' ELSE 'waits' END
            || ' ' || attempts || ' ' || COALESCE(last_status, 0) FROM deliveries ORDER BY delivery_id";
    app.database.session().await.texts(sql).await
}

/// The last error of the first delivery.
async fn error(app: &TestApp) -> String {
    let sql = "SELECT COALESCE(last_error, '') FROM deliveries ORDER BY delivery_id LIMIT 1";
    app.database.session().await.texts(sql).await.remove(0)
}
