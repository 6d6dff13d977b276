//! The worker as it runs in a process: it sends at once after a commit, shares the work with other processes, and finishes what
//! it is sending when it stops.

use std::sync::Arc;

use futures_util::future::join;
use mintmark::delivery::Worker;
use mintmark::model::delivery::NewDelivery;
use serde_json::json;
use tokio::sync::watch;

use super::{mail, queue, states};
use crate::support::{Answer, Engine, Heard, MailServer, TestApp, on_both_engines, until};

on_both_engines!(
    a_mail_is_sent_as_soon_as_its_change_is_committed,
    processes_share_the_work,
    a_thousand_mails_for_a_dead_host_delay_no_others,
    a_stop_finishes_what_is_being_sent,
    an_expired_lease_is_taken_over_and_a_late_result_does_not_count,
);

/// Runs the workers until `doing` is done, and then stops them.
async fn while_running<const N: usize>(workers: [&Arc<Worker>; N], doing: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let all = futures_util::future::join_all(workers.map(|worker| worker.run(stopping.clone())));
    let doing = async {
        doing.await;
        stop.send(true).unwrap();
    };
    join(all, doing).await;
}

async fn count(app: &TestApp, condition: &str) -> i64 {
    app.database.number(&format!("SELECT COUNT(*) FROM deliveries WHERE {condition}")).await
}

async fn a_mail_is_sent_as_soon_as_its_change_is_committed(engine: Engine) {
    let server = MailServer::start();
    // Here the app runs its own worker.
    let settings = format!("{}delivery.worker = \"on\"", server.settings());
    let app = TestApp::start_with(engine, &settings).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let contact = json!(["fin@acme.example"]);
    admin.client("acme", json!({"products": ["gst"], "notification_emails": contact})).await;
    server.wait_for(1).await;
    until("the mail is marked as sent", async || states(&app).await == ["sent 1 250"]).await;
    app.stop().await;
}

async fn processes_share_the_work(engine: Engine) {
    let server = MailServer::start();
    let app = TestApp::start_with(engine, &server.settings()).await;
    let replica = app.replica(&server.settings()).await;
    let mails = (0..90).map(|number| mail(number, &format!("{number}@acme.example")));
    queue(&app.database.open().await, mails).await;
    while_running([&app.worker, &replica.worker], async {
        until("all are sent", async || count(&app, "sent_at IS NULL").await == 0).await;
    })
    .await;
    let mut recipients = server.recipients();
    assert_eq!(recipients.len(), 90, "each is sent once");
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 90);
    assert_eq!(count(&app, "attempts = 1 AND lease_until = 0 AND lease_owner IS NULL").await, 90);
}

async fn a_thousand_mails_for_a_dead_host_delay_no_others(engine: Engine) {
    let server = MailServer::scripted(|heard| match heard {
        Heard::Command(line) if line.contains("@dead.example") => Answer::Wait,
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    let at_host = |number: usize, host: &str| NewDelivery {
        host: host.to_owned(),
        // The mails for the dead host have waited the longest.
        first_attempt_at: mail(0, "").first_attempt_at - if host == "dead.example" { 100 } else { 0 },
        ..mail(number, &format!("{number}@{host}"))
    };
    let dead = (0..1_000).map(|number| at_host(number, "dead.example"));
    let others = (1_000..1_040).map(|number| at_host(number, &format!("host{}.example", number % 8)));
    queue(&app.database.open().await, dead.chain(others)).await;
    while_running([&app.worker], async {
        until("the others are sent", async || count(&app, "sent_at IS NOT NULL").await == 40).await;
        assert_eq!(count(&app, "host = 'dead.example' AND attempts > 0").await, 2, "two at once");
        server.release();
    })
    .await;
    let others = server.recipients().iter().filter(|recipient| !recipient.contains("dead")).count();
    assert_eq!(others, 40);
}

async fn a_stop_finishes_what_is_being_sent(engine: Engine) {
    let server = MailServer::scripted(|heard| match heard {
        Heard::Mail(_) => Answer::Wait,
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    queue(&app.database.open().await, (0..5).map(|number| mail(number, "a@acme.example"))).await;
    let (stop, stopping) = watch::channel(false);
    let stopped = async {
        // All mails have one host, which gets at most two at once.
        server.wait_for(2).await;
        stop.send(true).unwrap();
        server.release();
    };
    join(app.worker.run(stopping), stopped).await;
    let states = states(&app).await;
    assert_eq!(states.iter().filter(|state| *state == "sent 1 250").count(), 2, "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "waits 0 0").count(), 3, "{states:?}");
    assert_eq!(count(&app, "lease_until > 0").await, 0);
}

async fn an_expired_lease_is_taken_over_and_a_late_result_does_not_count(engine: Engine) {
    let server = MailServer::scripted(|heard| match heard {
        Heard::Mail(mail) if mail.to.starts_with("slow") => Answer::Wait,
        _ => Answer::Usual,
    });
    let app = TestApp::start_with(engine, &server.settings()).await;
    // The replica sends through another mail server, which answers at once.
    let replica = app.replica(&MailServer::start().settings()).await;
    queue(&app.database.open().await, [mail(1, "slow@acme.example")]).await;
    let taken_over = async {
        server.wait_for(1).await;
        assert_eq!(replica.worker.run_once().await.unwrap(), 0, "it is leased");
        // A lease ends after 120 seconds.
        app.clock.advance(120);
        assert_eq!(replica.worker.run_once().await.unwrap(), 1);
        // Sent at the second attempt, with the SMTP reply 250.
        assert_eq!(states(&app).await, ["sent 2 250"]);
        // A late result would replace this value.
        app.database.session().await.execute("UPDATE deliveries SET sent_at = 7").await;
        server.release();
    };
    let (tried, ()) = join(app.worker.run_once(), taken_over).await;
    assert_eq!(tried.unwrap(), 1);
    assert_eq!(app.database.number("SELECT sent_at FROM deliveries").await, 7, "the late result is dropped");
}
