//! The setup link of an operator: mailed where there is a mail server, kept sealed while it waits, and erased afterwards.

use mintmark::kernel::Manager;
use mintmark::ledger::DeliveryFilter;
use mintmark::model::page::Page;
use serde_json::json;

use super::states;
use crate::support::{Administrator, Engine, MailServer, TestApp, on_both_engines};

on_both_engines!(
    a_setup_link_is_mailed_and_erased,
    without_a_server_no_link_is_queued,
    a_link_that_expires_before_it_is_sent_is_given_up_and_erased,
    a_mail_whose_link_no_longer_works_is_dropped,
);

async fn invite(admin: &Administrator<'_>) -> (String, String) {
    admin.workspace("acme", json!({})).await;
    let roles = json!([{"role": "workspace_viewer", "workspace_id": "acme"}]);
    let members = json!({"email": "arjun@acme.example", "name": "Arjun Mehta", "roles": roles});
    let made = admin.create("/v1/operators", &members).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("operator_id"), text("setup_link"))
}

async fn bodies(app: &TestApp) -> Vec<String> {
    app.database.session().await.texts("SELECT body FROM deliveries ORDER BY delivery_id").await
}

/// The text of a mail without the soft line breaks and the escaped `=` of quoted-printable.
fn unwrapped(text: &str) -> String {
    text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
}

async fn a_setup_link_is_mailed_and_erased(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let admin = app.administrator().await;
    let (operator_id, first) = invite(&admin).await;
    let waiting = bodies(&app).await;
    assert!(waiting.len() == 1 && waiting[0].contains("sealed_link"));
    let token = first.rsplit_once('/').unwrap().1;
    assert!(!waiting[0].contains(token), "a link that waits is sealed");
    // Another link replaces the first one, and its mail.
    let path = format!("/v1/operators/{operator_id}/setup-link");
    let second = admin.create(&path, &json!({})).await;
    let second = second["setup_link"].as_str().unwrap().to_owned();
    assert_eq!(bodies(&app).await.len(), 1);
    assert_eq!(app.worker.run_once().await.unwrap(), 1);
    let mail = server.received().remove(0);
    assert_eq!(mail.to, "arjun@acme.example");
    let text = unwrapped(&mail.text);
    assert!(text.contains(&second) && !text.contains(&first), "{text}");
    // Sent at the first attempt, with the SMTP reply 250.
    assert_eq!(
        (states(&app).await, bodies(&app).await),
        (vec!["sent 1 250".to_owned()], vec!["{}".to_owned()])
    );
    app.stop().await;
}

async fn without_a_server_no_link_is_queued(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let (_, link) = invite(&admin).await;
    assert!(link.contains("/console/setup/"));
    assert!(bodies(&app).await.is_empty());
    app.stop().await;
}

async fn a_link_that_expires_before_it_is_sent_is_given_up_and_erased(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let admin = app.administrator().await;
    invite(&admin).await;
    // A setup link is valid for a day.
    app.clock.advance(86_400);
    app.core.services.ledger.poll().await.unwrap();
    app.worker.run_once().await.unwrap();
    assert!(server.received().is_empty());
    // Given up at the first attempt, which sent nothing.
    assert_eq!(states(&app).await[0], "dead 1 0");
    assert_eq!(bodies(&app).await[0], "{}");
    let why = super::error(&app).await;
    assert_eq!(why, "the setup link has expired: make a new one");
    // The mail cannot be sent again, since its link is erased.
    let manager = Manager::command_line();
    let ledger = &app.core.services.ledger;
    let page = Page::first(10);
    let dead = DeliveryFilter { channel: None, dead: true };
    let dead = ledger.deliveries(&manager, dead, &page).await.unwrap().items;
    let again = ledger.send_again(&manager, &dead[0].delivery_id).await;
    assert!(again.unwrap_err().to_string().contains("make a new link"));
    app.stop().await;
}

async fn a_mail_whose_link_no_longer_works_is_dropped(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let admin = app.administrator().await;
    let (operator_id, _) = invite(&admin).await;
    let path = format!("/v1/operators/{operator_id}");
    // A process has claimed the mail and crashed, so another one would send it once the lease has expired.
    let claimed = "UPDATE deliveries SET lease_owner = 'crashed', lease_until = 1, attempts = 1";
    app.database.session().await.execute(claimed).await;
    let link = format!("{path}/setup-link");
    admin.create(&link, &json!({})).await;
    assert_eq!(bodies(&app).await.len(), 1, "only the mail with the new link is left");

    let changed = admin.patch(&path, &json!({"email": "mehta@acme.example"})).await;
    assert_eq!((changed.status().as_u16(), bodies(&app).await.len()), (200, 0));
    admin.create(&link, &json!({})).await;
    let disabled = admin.patch(&path, &json!({"status": "disabled"})).await;
    assert_eq!((disabled.status().as_u16(), bodies(&app).await.len()), (200, 0));
    assert_eq!(admin.patch(&path, &json!({"status": "active"})).await.status(), 200);
    let used = admin.create(&link, &json!({})).await;
    app.use_setup_link(&used).await;
    assert_eq!(bodies(&app).await.len(), 0);
    admin.create(&link, &json!({})).await;
    assert_eq!((admin.delete(&path).await.status().as_u16(), bodies(&app).await.len()), (204, 0));
    app.stop().await;
}
