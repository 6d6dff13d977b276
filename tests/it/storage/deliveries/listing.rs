//! Lists of deliveries, and counts of those that wait.

use mintmark::model::delivery::{Channel, Delivery, NewDelivery};
use mintmark::model::page::Items;
use mintmark::model::reach::Reach;
use mintmark::storage::{Backlog, DeliveryFilter};

use super::webhook;
use crate::storage::samples::{NOW, change, page, stocked};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    deliveries_are_listed_within_reach,
    waiting_deliveries_are_counted,
    the_deliveries_of_a_webhook_are_listed
);

const ALL: DeliveryFilter = DeliveryFilter { channel: None, dead: false };

fn mail(id: &str, workspace: Option<&str>, about: &str) -> NewDelivery {
    NewDelivery {
        channel: Channel::Mail,
        recipient: "a@example.com".to_owned(),
        host: "smtp".to_owned(),
        workspace_id: workspace.map(str::to_owned),
        about_id: about.to_owned(),
        ..webhook(id, "smtp")
    }
}

fn ids(found: &Items<Delivery>) -> Vec<&str> {
    found.items.iter().map(|delivery| delivery.delivery_id.as_str()).collect()
}

async fn deliveries_are_listed_within_reach(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    let new = [
        mail("m1", Some("acme"), "cl_1"),
        webhook("m2", "a:443"),
        mail("m3", Some("acme"), "cl_deleted"),
        mail("m4", None, "op_1"),
        mail("m5", Some("other"), "cl_9"),
    ];
    for delivery in &new {
        change!(storage, tx => tx.enqueue_delivery(delivery));
    }
    let report = "UPDATE deliveries SET attempts = 2, next_attempt_at = 9, dead_at = 8, last_attempt_at = 7,
        last_status = 550, last_error = 'no such user', last_reply = '550 ✗', occurrences = 3 WHERE delivery_id = 'm1'";
    database.session().await.execute(report).await;

    let everyone = Reach::Platform;
    let first = storage.deliveries(&everyone, ALL, &page(3, None)).await.unwrap();
    assert_eq!(ids(&first), ["m5", "m4", "m3"]);
    let deleted = &first.items[2];
    assert_eq!((&deleted.about, deleted.is_about_client), (&None, false));
    let rest = storage.deliveries(&everyone, ALL, &page(3, first.next_after.as_deref())).await.unwrap();
    assert_eq!((ids(&rest), &rest.next_after), (vec!["m2", "m1"], &None));
    let expected = Delivery {
        delivery_id: "m1".to_owned(),
        channel: Channel::Mail,
        kind: "client.created".to_owned(),
        recipient: "a@example.com".to_owned(),
        workspace_id: Some("acme".to_owned()),
        about_id: "cl_1".to_owned(),
        about: Some("SAP S/4HANA ✓".to_owned()),
        is_about_client: true,
        body: "{\"n\":\"m1 ✓\"}".to_owned(),
        occurrences: 3,
        queued_at: NOW,
        attempts: 2,
        next_attempt_at: 9,
        sent_at: None,
        dead_at: Some(8),
        last_attempt_at: Some(7),
        last_status: Some(550),
        last_error: Some("no such user".to_owned()),
        last_reply: Some("550 ✗".to_owned()),
    };
    assert_eq!(rest.items[1], expected);
    let acme = Reach::Workspace("acme".to_owned());
    assert_eq!(ids(&storage.deliveries(&acme, ALL, &page(9, None)).await.unwrap()), ["m3", "m2", "m1"]);
    let webhooks = DeliveryFilter { channel: Some(Channel::Webhook), dead: false };
    assert_eq!(ids(&storage.deliveries(&everyone, webhooks, &page(9, None)).await.unwrap()), ["m2"]);
    let dead = DeliveryFilter { channel: None, dead: true };
    assert_eq!(ids(&storage.deliveries(&everyone, dead, &page(9, None)).await.unwrap()), ["m1"]);
    let nobody = Reach::Workspace("nobody".to_owned());
    assert_eq!(storage.deliveries(&nobody, ALL, &page(9, None)).await.unwrap().items, []);

    assert_eq!(storage.delivery(&acme, "m1").await.unwrap(), Some(expected));
    assert!(storage.delivery(&everyone, "m4").await.unwrap().is_some());
    for (reach, id) in [(&acme, "m4"), (&acme, "m5"), (&everyone, "m9")] {
        assert_eq!(storage.delivery(reach, id).await.unwrap(), None, "{id}");
    }
}

async fn waiting_deliveries_are_counted(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    assert_eq!(storage.backlog(&Reach::Platform).await.unwrap(), Backlog::default());
    assert_eq!(storage.backlog_of(Channel::Mail).await.unwrap(), (None, 0));
    for (number, delivery) in
        [mail("m1", Some("acme"), "cl_1"), mail("m2", None, "op_1"), webhook("m3", "a:443")]
            .iter()
            .enumerate()
    {
        let queued_at = NOW + i64::try_from(number).unwrap();
        change!(storage, tx => tx.enqueue_delivery(&NewDelivery { queued_at, ..delivery.clone() }));
    }
    database.session().await.execute("UPDATE deliveries SET attempts = 1 WHERE delivery_id = 'm3'").await;
    let all = Backlog { waiting: 3, since: Some(NOW), tried: 1, dead: 0 };
    assert_eq!(storage.backlog(&Reach::Platform).await.unwrap(), all);
    assert_eq!(storage.backlog_of(Channel::Mail).await.unwrap(), (Some(NOW), 0));
    assert_eq!(storage.backlog_of(Channel::Webhook).await.unwrap(), (Some(NOW + 2), 0));
    let mut session = database.session().await;
    session.execute("UPDATE deliveries SET dead_at = 1 WHERE delivery_id = 'm1'").await;
    session.execute("UPDATE deliveries SET sent_at = 1 WHERE delivery_id = 'm2'").await;
    let acme = Reach::Workspace("acme".to_owned());
    let rest = Backlog { waiting: 1, since: Some(NOW + 2), tried: 1, dead: 1 };
    assert_eq!(storage.backlog(&acme).await.unwrap(), rest);
    assert_eq!(storage.backlog_of(Channel::Mail).await.unwrap(), (None, 1));
    let other = Reach::Workspace("other".to_owned());
    assert_eq!(storage.backlog(&other).await.unwrap(), Backlog::default());
}

async fn the_deliveries_of_a_webhook_are_listed(engine: Engine) {
    let (_database, storage) = stocked(engine).await;
    for (id, host) in [("d1", "a"), ("d2", "b"), ("d3", "a"), ("d4", "a")] {
        change!(storage, tx => tx.enqueue_delivery(&webhook(id, host)));
    }
    change!(storage, tx => tx.enqueue_delivery(&NewDelivery { recipient: "wh_a".to_owned(), ..mail("d5", None, "x") }));
    let first = storage.deliveries_of_webhook("wh_a", &page(2, None)).await.unwrap();
    assert_eq!(ids(&first), ["d4", "d3"]);
    let rest = storage.deliveries_of_webhook("wh_a", &page(2, first.next_after.as_deref())).await.unwrap();
    assert_eq!((ids(&rest), &rest.next_after), (vec!["d1"], &None));
}
