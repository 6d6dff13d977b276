//! Queueing: mails that are merged, and deliveries that are queued once.

use mintmark::model::delivery::NewDelivery;
use mintmark::model::mail::{Mail, MailKind};

use super::webhook;
use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    mails_are_queued_only_if_their_change_is_committed,
    mails_of_one_kind_to_one_contact_are_one_row_with_a_count,
    beyond_a_thousand_mails_only_the_count_of_a_summary_rises,
    a_unique_key_is_queued_once,
    many_deliveries_are_queued_unchanged,
    a_commit_wakes_the_sender,
);

fn mail(delivery_id: &str, client_id: &str, kind: MailKind) -> Mail {
    Mail {
        mail_id: delivery_id.to_owned(),
        queued_at: NOW,
        kind,
        recipient: format!("{delivery_id}@example.com"),
        client_id: client_id.to_owned(),
        workspace_id: Some("acme".to_owned()),
        facts: serde_json::Map::from_iter([("label".to_owned(), "SAP ✓".into())]),
    }
}

async fn mails_are_queued_only_if_their_change_is_committed(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 0);

    let mut tx = storage.begin().await.unwrap();
    tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 0);

    change!(storage, tx => tx.enqueue(&[mail("m2", "cl_1", MailKind::SecretCreated)]));
    change!(storage, tx => tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]));
    change!(storage, tx => tx.enqueue(&[mail("m3", "cl_2", MailKind::ClientCreated)]));
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 3);
    let waiting = storage.mails_about("cl_1").await.unwrap();
    let expected = [("client.created", "m1@example.com"), ("secret.created", "m2@example.com")];
    assert_eq!(waiting, expected.map(|(kind, to)| (kind.to_owned(), to.to_owned())));
    assert_eq!(storage.mails_about("cl_9").await.unwrap(), []);
}

/// Kind, recipient and count of every mail, in the order of their ids.
async fn rows(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT kind || ' ' || recipient || ' ' || occurrences FROM deliveries ORDER BY delivery_id";
    database.session().await.texts(sql).await
}

async fn mails_of_one_kind_to_one_contact_are_one_row_with_a_count(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let to = |delivery_id: &str, recipient: &str, after: i64| Mail {
        recipient: recipient.to_owned(),
        queued_at: NOW + after,
        facts: serde_json::Map::from_iter([("after".to_owned(), after.into())]),
        ..mail(delivery_id, "cl_1", MailKind::TokenRevoked)
    };
    let other_kind = |delivery_id: &str| Mail { kind: MailKind::TokenCreated, ..to(delivery_id, "a@x", 1) };
    let other_client = |delivery_id: &str| Mail { client_id: "cl_2".to_owned(), ..to(delivery_id, "a@x", 1) };
    change!(storage, tx => tx.enqueue(&[to("m1", "a@x", 0), to("m2", "b@x", 0)]));
    change!(storage, tx => tx.enqueue(&[to("m3", "a@x", 59), to("m4", "c@x", 59)]));
    change!(storage, tx => tx.enqueue(&[other_kind("m5")]));
    change!(storage, tx => tx.enqueue(&[other_client("m6")]));
    let merged = [
        "access_token.revoked a@x 2",
        "access_token.revoked b@x 1",
        "access_token.revoked c@x 1",
        "access_token.created a@x 1",
        "access_token.revoked a@x 1",
    ];
    assert_eq!(rows(&database).await, merged);
    // The facts are those of the last mail.
    let facts = database.session().await.texts("SELECT body FROM deliveries WHERE delivery_id = 'm1'").await;
    assert_eq!(facts, ["{\"after\":59}"]);
    // Nothing is merged into a mail that is a minute old, is being sent, was tried, was sent or was given up.
    change!(storage, tx => tx.enqueue(&[to("m7", "a@x", 60)]));
    for state in ["lease_until = 1", "attempts = 1", "sent_at = 1", "dead_at = 1"] {
        database
            .session()
            .await
            .execute(&format!("UPDATE deliveries SET {state} WHERE delivery_id = 'm2'"))
            .await;
        change!(storage, tx => tx.enqueue(&[to(&format!("m8 {state}"), "b@x", 1)]));
        database
            .session()
            .await
            .execute(
                "UPDATE deliveries SET lease_until = 0, attempts = 0, sent_at = NULL, dead_at = NULL
                 WHERE delivery_id = 'm2'",
            )
            .await;
        database.session().await.execute("DELETE FROM deliveries WHERE delivery_id LIKE 'm8%'").await;
        assert_eq!(rows(&database).await[1], "access_token.revoked b@x 1", "{state}");
    }
    assert_eq!(rows(&database).await.len(), 6);
}

async fn beyond_a_thousand_mails_only_the_count_of_a_summary_rises(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let many = |from: usize, count: usize| -> Vec<Mail> {
        (from..from + count).map(|n| mail(&format!("m{n:05}"), "cl_1", MailKind::ClientUpdated)).collect()
    };
    change!(storage, tx => tx.enqueue(&many(0, 998)));
    change!(storage, tx => tx.enqueue(&many(998, 1)));
    // There is room for one more mail. Each of the next 38 changes has three mails, so two mails of the first change and all of
    // the others go into the summary, which counts each change once.
    for change in 0..38 {
        change!(storage, tx => tx.enqueue(&many(999 + 3 * change, 3)));
    }
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 1_001);
    let summary =
        "SELECT occurrences FROM deliveries WHERE about_id = 'cl_1' AND kind = 'summary' AND recipient = ''";
    assert_eq!(database.number(summary).await, 38);
    let facts = "SELECT body FROM deliveries WHERE kind = 'summary'";
    assert_eq!(database.session().await.texts(facts).await, ["{\"label\":\"SAP ✓\"}"]);
    // Each client has a separate thousand, and a mail that is merged takes no room.
    change!(storage, tx => tx.enqueue(&[mail("other", "cl_2", MailKind::ClientUpdated)]));
    change!(storage, tx => tx.enqueue(&[mail("m00007", "cl_1", MailKind::ClientUpdated)]));
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 1_002);
    assert_eq!(database.number(summary).await, 38);
    // When some are sent, there is room again. A summary that is being sent is not changed: the next mail starts a new one.
    database.session().await.execute("UPDATE deliveries SET sent_at = 1 WHERE delivery_id < 'm00010'").await;
    database.session().await.execute("UPDATE deliveries SET lease_until = 1 WHERE kind = 'summary'").await;
    change!(storage, tx => tx.enqueue(&many(2_000, 10)));
    assert_eq!(database.number(summary).await, 38);
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 1_002);
    change!(storage, tx => tx.enqueue(&many(3_000, 1)));
    assert_eq!(database.number("SELECT COUNT(*) FROM deliveries WHERE kind = 'summary'").await, 2);
}

async fn a_unique_key_is_queued_once(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let keyed =
        |id: &str, key: &str| NewDelivery { unique_key: Some(key.to_owned()), ..webhook(id, "a:443") };
    assert!(change!(storage, tx => tx.enqueue_delivery(&keyed("d1", "secret.expiring s1 30"))));
    assert!(!change!(storage, tx => tx.enqueue_delivery(&keyed("d2", "secret.expiring s1 30"))));
    assert!(change!(storage, tx => tx.enqueue_delivery(&keyed("d3", "secret.expiring s1 7"))));
    // The key still counts when its delivery was sent. Deliveries without a key are all queued.
    database.session().await.execute("UPDATE deliveries SET sent_at = 1").await;
    assert!(!change!(storage, tx => tx.enqueue_delivery(&keyed("d4", "secret.expiring s1 7"))));
    assert!(change!(storage, tx => tx.enqueue_delivery(&webhook("d5", "a:443"))));
    assert!(change!(storage, tx => tx.enqueue_delivery(&webhook("d6", "a:443"))));
    assert_eq!(storage.count_waiting_deliveries().await.unwrap(), 2);
}

async fn many_deliveries_are_queued_unchanged(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    // More deliveries than one statement inserts. In the second call, the key of every third one is already queued.
    let many = |first: u16| -> Vec<NewDelivery> {
        let keyed = |n: u16| n.is_multiple_of(3).then(|| format!("checkpoint {n}"));
        let delivery =
            |n| NewDelivery { unique_key: keyed(n), ..webhook(&format!("d{first}-{n:03}"), "a:443") };
        (0..450).map(delivery).collect()
    };
    assert_eq!(change!(storage, tx => tx.enqueue_deliveries(&many(1))), 450);
    assert_eq!(change!(storage, tx => tx.enqueue_deliveries(&many(2))), 300);
    assert_eq!(change!(storage, tx => tx.enqueue_deliveries(&[])), 0);
    let odd = NewDelivery {
        workspace_id: None,
        body: "{\"label\":\"a\\u0000b\\\"\\\\\\n' $1 ₹ 😀\"}".to_owned() + &" ".repeat(20_000),
        occurrences: i64::MAX,
        queued_at: -1,
        first_attempt_at: NOW + 7,
        ..webhook("odd", "[2001:db8::1]:443")
    };
    assert_eq!(change!(storage, tx => tx.enqueue_deliveries(std::slice::from_ref(&odd))), 1);
    let stored = database
        .number(&format!(
            "SELECT COUNT(*) FROM deliveries WHERE delivery_id = 'odd' AND channel = 'webhook' AND kind = '{}'
                AND recipient = '{}' AND host = '{}' AND workspace_id IS NULL AND about_id = 'cl_1' AND body = '{}'
                AND unique_key IS NULL AND occurrences = {} AND queued_at = -1 AND next_attempt_at = {}
                AND attempts = 0 AND lease_until = 0",
            odd.kind,
            odd.recipient,
            odd.host,
            odd.body.replace('\'', "''"),
            i64::MAX,
            NOW + 7
        ))
        .await;
    assert_eq!(stored, 1);
}

async fn a_commit_wakes_the_sender(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let woken = || async {
        tokio::select! {
            biased;
            () = storage.delivery_queued() => true,
            () = std::future::ready(()) => false,
        }
    };
    assert!(!woken().await);
    let mut tx = storage.begin().await.unwrap();
    tx.enqueue_delivery(&webhook("d1", "a:443")).await.unwrap();
    assert!(!woken().await, "the delivery is not committed yet");
    tx.commit().await.unwrap();
    assert!(woken().await);
    assert!(!woken().await, "it is woken once");
    change!(storage, tx => tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]));
    assert!(woken().await);
    let mut tx = storage.begin().await.unwrap();
    tx.enqueue_delivery(&webhook("d2", "a:443")).await.unwrap();
    tx.rollback().await.unwrap();
    storage.begin().await.unwrap().commit().await.unwrap();
    assert!(!woken().await, "nothing was queued");
}
