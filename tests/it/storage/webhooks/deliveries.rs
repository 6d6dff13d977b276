//! Deliveries of one webhook: sent again, or deleted with the webhook.

use mintmark::model::delivery::{Channel, NewDelivery};
use mintmark::model::reach::Reach;

use crate::storage::samples::{NOW, change, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_delivery_is_sent_again_unless_it_is_being_sent,
    all_deliveries_of_a_webhook_are_deleted_in_batches
);

fn delivery(delivery_id: &str, recipient: &str) -> NewDelivery {
    NewDelivery {
        delivery_id: delivery_id.to_owned(),
        channel: Channel::Webhook,
        kind: "client.created".to_owned(),
        recipient: recipient.to_owned(),
        host: "h:443".to_owned(),
        workspace_id: None,
        about_id: "cl_1".to_owned(),
        body: "{}".to_owned(),
        unique_key: None,
        occurrences: 1,
        queued_at: NOW,
        first_attempt_at: NOW,
    }
}

async fn a_delivery_is_sent_again_unless_it_is_being_sent(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    change!(storage, tx => tx.enqueue_delivery(&delivery("d1", "w1")));
    storage.claim_delivery("h:443", NOW, "owner", NOW + 120).await.unwrap().unwrap();
    assert!(!change!(storage, tx => tx.send_to_webhook_again("w1", "d1", NOW + 119)));
    assert!(!change!(storage, tx => tx.send_to_webhook_again("w2", "d1", NOW + 120)));
    assert!(change!(storage, tx => tx.send_to_webhook_again("w1", "d1", NOW + 120)));
    let found = storage.delivery(&Reach::Platform, "d1").await.unwrap().unwrap();
    assert_eq!(
        (found.attempts, found.next_attempt_at, found.sent_at, found.dead_at),
        (0, NOW + 120, None, None)
    );
}

async fn all_deliveries_of_a_webhook_are_deleted_in_batches(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, webhook) in [("d1", "w1"), ("d2", "w1"), ("d3", "w1"), ("d4", "w2")] {
        change!(storage, tx => tx.enqueue_delivery(&delivery(id, webhook)));
    }
    assert_eq!(storage.count_deliveries_of_webhook("w1").await.unwrap(), 3);
    assert_eq!(storage.delete_deliveries_of_webhook("w1", 2).await.unwrap(), 2);
    assert_eq!(storage.delete_deliveries_of_webhook("w1", 2).await.unwrap(), 1);
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 1);
}
