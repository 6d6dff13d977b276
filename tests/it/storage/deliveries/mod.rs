//! Deliveries: queueing, claiming, listing, deleting, and what earlier versions left behind.

mod claiming;
mod from_outbox;
mod listing;
mod purging;
mod queueing;

use mintmark::model::delivery::{Channel, NewDelivery};

use crate::storage::samples::NOW;

/// A webhook delivery to `host`, due at [`NOW`].
fn webhook(delivery_id: &str, host: &str) -> NewDelivery {
    NewDelivery {
        delivery_id: delivery_id.to_owned(),
        channel: Channel::Webhook,
        kind: "client.created".to_owned(),
        recipient: format!("wh_{host}"),
        host: host.to_owned(),
        workspace_id: Some("acme".to_owned()),
        about_id: "cl_1".to_owned(),
        body: format!("{{\"n\":\"{delivery_id} ✓\"}}"),
        unique_key: None,
        occurrences: 1,
        queued_at: NOW,
        first_attempt_at: NOW,
    }
}
