//! Mails: their headers, and what happens to them with and without a mail server.

use mintmark::model::delivery::{LOGGED, NewDelivery};
use serde_json::json;

use super::{mail, queue, states};
use crate::support::{Engine, MailServer, TestApp, on_both_engines};

on_both_engines!(
    a_change_of_a_client_is_mailed_to_its_contacts,
    without_a_server_a_mail_counts_as_sent,
    a_summary_goes_to_the_current_contacts,
);

async fn a_change_of_a_client_is_mailed_to_its_contacts(engine: Engine) {
    let server = MailServer::start();
    let settings = format!("{}smtp.reply_to = \"help@example.com\"", server.settings());
    let app = TestApp::start_with(engine, &settings).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let contacts = json!(["fin@acme.example", "it@acme.example"]);
    let (client, _) = admin
        .client("acme", json!({"label": "SAP ✓", "products": ["gst"], "notification_emails": contacts}))
        .await;
    assert_eq!(app.worker.run_once().await.unwrap(), 2);
    let mails = server.received();
    let mut recipients = server.recipients();
    recipients.sort();
    assert_eq!(recipients, ["fin@acme.example", "it@acme.example"]);
    assert_eq!(states(&app).await, ["sent 1 250", "sent 1 250"]);
    let ids = "SELECT delivery_id FROM deliveries WHERE recipient = ";
    for mail in &mails {
        assert_eq!(mail.from, "tokens@example.com");
        let id = app.database.session().await.texts(&format!("{ids}'{}'", mail.to)).await.remove(0);
        let host = "127.0.0.1";
        for (name, value) in [
            ("Message-ID", format!("<{id}@{host}>")),
            ("References", format!("<{}@{host}>", client.client_id)),
            ("Auto-Submitted", "auto-generated".to_owned()),
            ("From", "\"Tokens of Example\" <tokens@example.com>".to_owned()),
            ("Reply-To", "help@example.com".to_owned()),
            ("To", mail.to.clone()),
            ("Date", "Mon, 21 Sep 2026 14:13:20 +0000".to_owned()),
        ] {
            assert_eq!(mail.header(name), Some(value), "{}", mail.text);
        }
        let content = mail.header("Content-Type").unwrap();
        assert!(content.starts_with("multipart/alternative;"), "{content}");
        assert!(mail.text.contains("text/plain") && mail.text.contains("text/html"), "{}", mail.text);
        assert!(mail.text.is_ascii(), "a server without 8BITMIME must be able to accept it: {}", mail.text);
    }
    assert_eq!(app.worker.run_once().await.unwrap(), 0, "each is sent once");
    assert_eq!(server.received().len(), 2);
}

async fn without_a_server_a_mail_counts_as_sent(engine: Engine) {
    let app = TestApp::start(engine).await;
    queue(&app.database.open().await, [mail(1, "a@acme.example")]).await;
    assert_eq!(app.worker.run_once().await.unwrap(), 1);
    assert_eq!(states(&app).await, ["sent 1 0"]);
    let reply = app.database.session().await.texts("SELECT last_reply FROM deliveries").await;
    assert_eq!(reply, [LOGGED]);
}

async fn a_summary_goes_to_the_current_contacts(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let summary = |number, about: &str| NewDelivery {
        kind: "summary".to_owned(),
        about_id: about.to_owned(),
        occurrences: 38,
        ..mail(number, "")
    };
    queue(&app.database.open().await, [summary(1, &client.client_id), summary(2, "cl_deleted")]).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let contacts = json!({"notification_emails": ["now@acme.example", "too@acme.example"]});
    assert_eq!(admin.patch(&path, &contacts).await.status(), 200);
    app.worker.run_once().await.unwrap();
    let summaries = "SELECT recipient || ' ' || occurrences || ' ' || (sent_at IS NOT NULL) FROM deliveries
        WHERE kind = 'summary' ORDER BY recipient";
    let sent = if engine == Engine::Sqlite { "1" } else { "true" };
    let expected =
        [" 38", " 38", "now@acme.example 38", "too@acme.example 38"].map(|row| format!("{row} {sent}"));
    assert_eq!(app.database.session().await.texts(summaries).await, expected);
    let replies = "SELECT last_reply FROM deliveries WHERE recipient = '' ORDER BY delivery_id";
    let replies = app.database.session().await.texts(replies).await;
    assert_eq!(replies, ["2 mails were queued for it", "the API client has no contacts any more"]);
    let mut recipients = server.recipients();
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients, ["now@acme.example", "too@acme.example"]);
}
