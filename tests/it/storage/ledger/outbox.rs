//! Queued mails.

use mintmark::model::mail::{Mail, MailKind};

use crate::storage::samples::{NOW, change};
use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(mails_wait_with_the_change_they_tell_of);

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
    tx.enqueue(&mail("m1", "cl_1", MailKind::ClientCreated)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 0);

    change!(storage, tx => tx.enqueue(&mail("m2", "cl_1", MailKind::SecretCreated)));
    change!(storage, tx => tx.enqueue(&mail("m1", "cl_1", MailKind::ClientCreated)));
    change!(storage, tx => tx.enqueue(&mail("m3", "cl_2", MailKind::ClientCreated)));
    assert_eq!(storage.count_unsent_mails().await.unwrap(), 3);
    let waiting = storage.unsent_mails("cl_1").await.unwrap();
    let expected = [("client_created", "m1@example.com"), ("secret_created", "m2@example.com")];
    assert_eq!(waiting, expected.map(|(kind, to)| (kind.to_owned(), to.to_owned())));
    assert_eq!(storage.unsent_mails("cl_9").await.unwrap(), []);
}
