//! Queued mails.

use mintmark::model::mail::{Mail, MailKind, QueuedMail};
use mintmark::model::reach::Reach;

use crate::storage::samples::{NOW, change, page, stocked};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(
    mails_wait_with_the_change_they_tell_of,
    mails_of_one_kind_to_one_contact_are_one_row_with_a_count,
    beyond_a_thousand_only_a_summary_counts,
    mails_are_deleted_in_time,
    mails_are_listed_within_reach,
);

fn mail(mail_id: &str, client_id: &str, kind: MailKind) -> Mail {
    Mail {
        mail_id: mail_id.to_owned(),
        queued_at: NOW,
        kind,
        recipient: format!("{mail_id}@example.com"),
        client_id: client_id.to_owned(),
        facts: serde_json::Map::from_iter([("label".to_owned(), "SAP ✓".into())]),
    }
}

async fn mails_wait_with_the_change_they_tell_of(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 0);

    let mut tx = storage.begin().await.unwrap();
    tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 0);

    change!(storage, tx => tx.enqueue(&[mail("m2", "cl_1", MailKind::SecretCreated)]));
    change!(storage, tx => tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]));
    change!(storage, tx => tx.enqueue(&[mail("m3", "cl_2", MailKind::ClientCreated)]));
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 3);
    let waiting = storage.unsent_mails("cl_1").await.unwrap();
    let expected = [("client_created", "m1@example.com"), ("secret_created", "m2@example.com")];
    assert_eq!(waiting, expected.map(|(kind, to)| (kind.to_owned(), to.to_owned())));
    assert_eq!(storage.unsent_mails("cl_9").await.unwrap(), []);
}

/// Kind, recipient and count of every mail, in the order of their ids.
async fn rows(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT kind || ' ' || recipient || ' ' || occurrences FROM outbox ORDER BY mail_id";
    database.session().await.texts(sql).await
}

async fn mails_of_one_kind_to_one_contact_are_one_row_with_a_count(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let to = |mail_id: &str, recipient: &str, after: i64| Mail {
        recipient: recipient.to_owned(),
        queued_at: NOW + after,
        facts: serde_json::Map::from_iter([("after".to_owned(), after.into())]),
        ..mail(mail_id, "cl_1", MailKind::TokenRevoked)
    };
    let other_kind = |mail_id: &str| Mail { kind: MailKind::TokenCreated, ..to(mail_id, "a@x", 1) };
    let other_client = |mail_id: &str| Mail { client_id: "cl_2".to_owned(), ..to(mail_id, "a@x", 1) };
    change!(storage, tx => tx.enqueue(&[to("m1", "a@x", 0), to("m2", "b@x", 0)]));
    change!(storage, tx => tx.enqueue(&[to("m3", "a@x", 59), to("m4", "c@x", 59)]));
    change!(storage, tx => tx.enqueue(&[other_kind("m5")]));
    change!(storage, tx => tx.enqueue(&[other_client("m6")]));
    let merged = [
        "token_revoked a@x 2",
        "token_revoked b@x 1",
        "token_revoked c@x 1",
        "token_created a@x 1",
        "token_revoked a@x 1",
    ];
    assert_eq!(rows(&database).await, merged);
    // The text is that of the last one.
    let facts = database.session().await.texts("SELECT facts FROM outbox WHERE mail_id = 'm1'").await;
    assert_eq!(facts, ["{\"after\":59}"]);
    // A mail that is a minute old, or that is being sent, was tried or was sent, is left unchanged.
    change!(storage, tx => tx.enqueue(&[to("m7", "a@x", 60)]));
    for claim in ["lease_until = 1", "attempts = 1", "sent_at = 1"] {
        database.session().await.execute(&format!("UPDATE outbox SET {claim} WHERE mail_id = 'm2'")).await;
        change!(storage, tx => tx.enqueue(&[to(&format!("m8 {claim}"), "b@x", 1)]));
        database
            .session()
            .await
            .execute("UPDATE outbox SET lease_until = 0, attempts = 0, sent_at = NULL WHERE mail_id = 'm2'")
            .await;
        database.session().await.execute("DELETE FROM outbox WHERE mail_id LIKE 'm8%'").await;
        assert_eq!(rows(&database).await[1], "token_revoked b@x 1", "{claim}");
    }
    assert_eq!(rows(&database).await.len(), 6);
}

async fn beyond_a_thousand_only_a_summary_counts(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let many = |from: usize, count: usize| -> Vec<Mail> {
        (from..from + count).map(|n| mail(&format!("m{n:05}"), "cl_1", MailKind::ClientUpdated)).collect()
    };
    change!(storage, tx => tx.enqueue(&many(0, 998)));
    change!(storage, tx => tx.enqueue(&many(998, 20)));
    change!(storage, tx => tx.enqueue(&many(1_018, 20)));
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 1_001);
    let summary =
        "SELECT occurrences FROM outbox WHERE client_id = 'cl_1' AND kind = 'summary' AND recipient = ''";
    assert_eq!(database.number(summary).await, 38);
    let facts = "SELECT facts FROM outbox WHERE kind = 'summary'";
    assert_eq!(database.session().await.texts(facts).await, ["{\"label\":\"SAP ✓\"}"]);
    // Another client has its own thousand, and what merges needs no room.
    change!(storage, tx => tx.enqueue(&[mail("other", "cl_2", MailKind::ClientUpdated)]));
    change!(storage, tx => tx.enqueue(&[mail("m00007", "cl_1", MailKind::ClientUpdated)]));
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 1_002);
    assert_eq!(database.number(summary).await, 38);
    // When some are sent there is room again, and a summary that is being sent is left as it is.
    database.session().await.execute("UPDATE outbox SET sent_at = 1 WHERE mail_id < 'm00010'").await;
    database.session().await.execute("UPDATE outbox SET lease_until = 1 WHERE kind = 'summary'").await;
    change!(storage, tx => tx.enqueue(&many(2_000, 10)));
    assert_eq!(database.number(summary).await, 38);
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 1_002);
    change!(storage, tx => tx.enqueue(&many(3_000, 1)));
    assert_eq!(database.number("SELECT COUNT(*) FROM outbox WHERE kind = 'summary'").await, 2);
}

async fn mails_are_deleted_in_time(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for (mail_id, queued_at) in [("m1", NOW), ("m2", NOW + 1), ("m3", NOW + 2), ("m4", NOW + 3)] {
        change!(storage, tx => tx.enqueue(&[Mail { queued_at, ..mail(mail_id, "cl_1", MailKind::ClientCreated) }]));
    }
    database
        .session()
        .await
        .execute(&format!("UPDATE outbox SET sent_at = {} WHERE mail_id IN ('m3', 'm4')", NOW + 9))
        .await;
    assert_eq!(storage.purge_mails(NOW + 8, NOW - 1, 10).await.unwrap(), 0);
    assert_eq!(storage.purge_mails(NOW + 9, NOW - 1, 1).await.unwrap(), 1);
    assert_eq!(storage.purge_mails(NOW + 9, NOW, 10).await.unwrap(), 2);
    assert_eq!(storage.unsent_mails("cl_1").await.unwrap().len(), 1);
}

async fn mails_are_listed_within_reach(engine: Engine) {
    let (database, storage) = stocked(engine).await;
    assert_eq!(storage.waiting_mails(&Reach::Platform).await.unwrap(), (0, None, 0));
    change!(storage, tx => tx.enqueue(&[mail("m1", "cl_1", MailKind::ClientCreated)]));
    let later = Mail { queued_at: NOW + 5, ..mail("m2", "cl_deleted", MailKind::ClientDeleted) };
    change!(storage, tx => tx.enqueue(&[later]));
    change!(storage, tx => tx.enqueue(&[mail("m3", "cl_1", MailKind::TokenRevoked)]));
    database
        .session()
        .await
        .execute("UPDATE outbox SET attempts = 2, next_attempt_at = 9 WHERE mail_id = 'm1'")
        .await;
    let all = storage.mails(&Reach::Platform, &page(2, None)).await.unwrap();
    let ids = |items: &[QueuedMail]| items.iter().map(|mail| mail.mail_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&all.items), ["m3", "m2"]);
    let deleted = &all.items[1];
    assert_eq!((deleted.about.as_deref(), deleted.workspace_id.as_deref()), (None, None));
    let rest = storage.mails(&Reach::Platform, &page(2, all.next_after.as_deref())).await.unwrap();
    let expected = QueuedMail {
        mail_id: "m1".to_owned(),
        queued_at: NOW,
        kind: "client_created".to_owned(),
        recipient: "m1@example.com".to_owned(),
        about_id: "cl_1".to_owned(),
        about: Some("SAP S/4HANA ✓".to_owned()),
        workspace_id: Some("acme".to_owned()),
        occurrences: 1,
        attempts: 2,
        next_attempt_at: 9,
        sent_at: None,
    };
    assert_eq!((rest.items, rest.next_after), (vec![expected], None));
    assert_eq!(storage.waiting_mails(&Reach::Platform).await.unwrap(), (3, Some(NOW), 1));
    let acme = Reach::Workspace("acme".to_owned());
    assert_eq!(ids(&storage.mails(&acme, &page(9, None)).await.unwrap().items), ["m3", "m1"]);
    database.session().await.execute("UPDATE outbox SET sent_at = 1 WHERE mail_id = 'm1'").await;
    assert_eq!(storage.waiting_mails(&acme).await.unwrap(), (1, Some(NOW), 0));
    let other = Reach::Workspace("other".to_owned());
    assert_eq!(storage.mails(&other, &page(9, None)).await.unwrap().items, []);
    assert_eq!(storage.waiting_mails(&other).await.unwrap(), (0, None, 0));
}
