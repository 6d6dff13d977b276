//! The first use of a secret, and the first use of a client from a network: each makes one event and its mails, and writes
//! nothing while a token is issued.

use serde_json::{Value, json};

use super::{BEHIND_A_PROXY, client, from, pass, read, stocked, unknown_secret, with_secret};
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    a_secret_is_new_once_and_a_network_if_it_was_not_seen_before,
    two_replicas_report_a_first_use_once,
    the_hundred_and_first_network_makes_the_first_new_again,
    contacts_are_mailed,
);

/// The events so far, oldest first: whether the secret was new, and the network and address that it was used from.
async fn events(admin: &Administrator<'_>, client: &Credentials) -> Vec<(bool, String, String)> {
    let path = format!("/v1/audit-events?action=secret.first_used&limit=200&client_id={}", client.client_id);
    let page = read(admin, &path).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = page["items"].as_array().unwrap().iter().rev().map(|event| {
        assert_eq!(event["actor"], format!("client:{}", client.client_id));
        let detail = &event["detail"];
        (detail["is_first"].as_bool().unwrap(), text(&detail["network"]), text(&event["source_ip"]))
    });
    events.collect()
}

async fn authenticate(app: &TestApp, client: &Credentials, source: &str) {
    assert_eq!(Reply::to(from(app, client, source)).await.status, 200, "{source}");
}

fn event(is_first: bool, network: &str, source: &str) -> (bool, String, String) {
    (is_first, network.to_owned(), source.to_owned())
}

async fn a_secret_is_new_once_and_a_network_if_it_was_not_seen_before(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    // A refused request is not a use.
    assert_eq!(
        Reply::to(from(&app, &with_secret(&erp, &unknown_secret()), "198.51.100.1")).await.status,
        401
    );
    authenticate(&app, &erp, "203.0.113.7").await;
    assert!(events(&admin, &erp).await.is_empty(), "nothing is written while the token is issued");
    let usage = &app.core.services.usage;
    for _ in 0..2 {
        usage.flush().await.unwrap();
        assert_eq!(events(&admin, &erp).await, [event(true, "203.0.113.0/24", "203.0.113.7")]);
    }
    // Another address of the same network, much later.
    pass(&app, 600).await;
    authenticate(&app, &erp, "203.0.113.200").await;
    // Two other networks: one is used twice, and the address of the other is IPv4-mapped.
    authenticate(&app, &erp, "2001:db8:1:2::3").await;
    authenticate(&app, &erp, "::ffff:198.51.100.9").await;
    authenticate(&app, &erp, "2001:db8:1:ffff::1").await;
    usage.flush().await.unwrap();
    let found = events(&admin, &erp).await;
    // The events of one flush are in the order of their networks.
    assert_eq!(
        found[1..],
        [event(false, "198.51.100.0/24", "198.51.100.9"), event(false, "2001:db8:1::/48", "2001:db8:1:2::3"),]
    );
    // A new secret makes an event, whether the network that it is used from is known or not.
    let path = format!("/v1/api-clients/{}/secrets", erp.client_id);
    for (source, network) in [("203.0.113.7", "203.0.113.0/24"), ("192.0.2.1", "192.0.2.0/24")] {
        let made = admin.create(&path, &json!({})).await;
        let newest = with_secret(&erp, made["client_secret"].as_str().unwrap());
        pass(&app, 1).await;
        authenticate(&app, &newest, source).await;
        usage.flush().await.unwrap();
        assert_eq!(*events(&admin, &erp).await.last().unwrap(), event(true, network, source));
    }
    assert_eq!(events(&admin, &erp).await.len(), 5);
    app.stop().await;
}

async fn two_replicas_report_a_first_use_once(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let other = app.replica(BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    other.core.services.ledger.poll().await.unwrap();
    authenticate(&app, &erp, "203.0.113.7").await;
    authenticate(&other, &erp, "203.0.113.9").await;
    let (here, there) = (&app.core.services.usage, &other.core.services.usage);
    let (here, there) = tokio::join!(here.flush(), there.flush());
    here.unwrap();
    there.unwrap();
    let found = events(&admin, &erp).await;
    assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, true, "203.0.113.0/24"));
    other.stop().await;
    app.stop().await;
}

async fn the_hundred_and_first_network_makes_the_first_new_again(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    // After 101 networks the first, number 0, is forgotten. Number 50 is still known.
    for n in (0..101).chain([0, 50]) {
        authenticate(&app, &erp, &format!("10.0.{n}.1")).await;
        app.clock.advance(1);
        app.core.services.usage.flush().await.unwrap();
    }
    let found = events(&admin, &erp).await;
    assert_eq!(found.len(), 102);
    assert_eq!(found[101], event(false, "10.0.0.0/24", "10.0.0.1"));
    app.stop().await;
}

async fn contacts_are_mailed(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({"notification_emails": ["a@acme.example", "b@acme.example"]})).await;
    authenticate(&app, &erp, "203.0.113.7").await;
    app.core.services.usage.flush().await.unwrap();
    let mails = app.database.open().await.mails_about(&erp.client_id).await.unwrap();
    let first_used: Vec<_> =
        mails.iter().filter(|(kind, _)| kind == "secret.first_used").map(|(_, to)| to).collect();
    assert_eq!(first_used, ["a@acme.example", "b@acme.example"]);
    app.stop().await;
}
