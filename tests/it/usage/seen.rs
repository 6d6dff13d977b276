//! Where clients were seen from: the address of each secret's last use, and the networks of a client.

use serde_json::{Value, json};

use super::{BEHIND_A_PROXY, client, from, pass, read, stocked, usage, with_secret};
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    each_secret_shows_its_last_use,
    networks_are_those_of_the_last_uses,
    at_most_a_hundred_networks_are_kept,
    uses_are_counted_for_a_day,
);

async fn secrets(admin: &Administrator<'_>, client: &Credentials) -> Vec<Value> {
    let page = read(admin, &format!("/v1/api-clients/{}/secrets", client.client_id)).await;
    page["items"].as_array().unwrap().clone()
}

fn shown(secret: &Value) -> (Value, Value) {
    (secret["last_used_from"].clone(), secret["used_last_24h"].clone())
}

async fn each_secret_shows_its_last_use(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let other_process = app.replica(BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    let path = format!("/v1/api-clients/{}/secrets", erp.client_id);
    let made = admin.create(&path, &json!({})).await;
    assert_eq!(shown(&made), (json!(null), json!(0)));
    let second = with_secret(&erp, made["client_secret"].as_str().unwrap());
    assert_eq!(
        secrets(&admin, &erp).await.iter().map(shown).collect::<Vec<_>>(),
        [(json!(null), json!(0)), (json!(null), json!(0))]
    );
    for source in ["203.0.113.7", "198.51.100.9", "::ffff:203.0.113.8"] {
        assert_eq!(Reply::to(from(&app, &erp, source)).await.status, 200);
        app.clock.advance(1);
    }
    assert_eq!(Reply::to(from(&app, &second, "2001:db8:1:2::3")).await.status, 200);
    // The first round reads while nothing is stored, the second after the uses are stored.
    for _ in 0..2 {
        let [first, other] = secrets(&admin, &erp).await.try_into().unwrap();
        assert_eq!(shown(&first), (json!("203.0.113.8"), json!(3)));
        assert_eq!(shown(&other), (json!("2001:db8:1:2::3"), json!(1)));
        // The secret looks the same by itself, in the record of its client, and in the list of clients.
        let id = other["secret_id"].as_str().unwrap();
        assert_eq!(read(&admin, &format!("{path}/{id}")).await, other);
        let record = read(&admin, &format!("/v1/api-clients/{}", erp.client_id)).await;
        assert_eq!(record["secrets"], json!([first, other]));
        let list = read(&admin, "/v1/api-clients?limit=1").await;
        assert_eq!(list["items"][0]["secrets"], json!([first, other]));
        app.core.services.usage.flush().await.unwrap();
    }
    // The last use is shown, whichever process it was at.
    let services = &other_process.core.services;
    app.clock.advance(1);
    services.ledger.poll().await.unwrap();
    assert_eq!(Reply::to(from(&other_process, &second, "192.0.2.1")).await.status, 200);
    services.usage.flush().await.unwrap();
    assert_eq!(shown(&secrets(&admin, &erp).await[1]), (json!("192.0.2.1"), json!(2)));
    app.clock.advance(1);
    assert_eq!(Reply::to(from(&app, &second, "192.0.2.2")).await.status, 200);
    app.core.services.usage.flush().await.unwrap();
    assert_eq!(shown(&secrets(&admin, &erp).await[1]), (json!("192.0.2.2"), json!(3)));
    other_process.stop().await;
    app.stop().await;
}

async fn networks_are_those_of_the_last_uses(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    assert_eq!(usage(&admin, &erp).await["seen_from"], json!([]));
    for source in ["203.0.113.7", "2001:db8:1:2::3", "203.0.113.200", "2001:db8:1:ffff::"] {
        assert_eq!(Reply::to(from(&app, &erp, source)).await.status, 200);
        app.clock.advance(10);
    }
    // A refused request does not count.
    let wrong = with_secret(&erp, &super::unknown_secret());
    assert_eq!(Reply::to(from(&app, &wrong, "192.0.2.1")).await.status, 401);
    let expected = json!([
        {"network": "2001:db8:1::/48", "last_seen_at": "2026-09-21T14:13:50Z"},
        {"network": "203.0.113.0/24", "last_seen_at": "2026-09-21T14:13:40Z"},
    ]);
    assert_eq!(usage(&admin, &erp).await["seen_from"], expected);
    // Reading stored these uses. Now the first network is used again.
    assert_eq!(Reply::to(from(&app, &erp, "203.0.113.9")).await.status, 200);
    let seen = usage(&admin, &erp).await;
    assert_eq!(
        seen["seen_from"][0],
        json!({"network": "203.0.113.0/24", "last_seen_at": "2026-09-21T14:14:00Z"})
    );
    app.stop().await;
}

async fn at_most_a_hundred_networks_are_kept(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    for n in 0..150 {
        assert_eq!(Reply::to(from(&app, &erp, &format!("10.0.{n}.1"))).await.status, 200);
        app.clock.advance(1);
        if n % 70 == 0 {
            app.core.services.usage.flush().await.unwrap();
        }
    }
    let seen = usage(&admin, &erp).await;
    let seen = seen["seen_from"].as_array().unwrap();
    assert_eq!((seen.len(), &seen[0]["network"]), (100, &json!("10.0.149.0/24")));
    assert_eq!(seen[99]["network"], "10.0.50.0/24");
    app.stop().await;
}

async fn uses_are_counted_for_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let (erp, manager) = (client(&admin, json!({})).await, admin.client.clone());
    // Uses are counted by the hour, so the one at 14:13 counts until 15:00 of the next day.
    for passed in [0, 2_800, 20 * 3_600] {
        pass(&app, passed).await;
        app.access_token(&erp, &[]).await;
    }
    let count = async || {
        let admin = app.administrator_as(&manager, "mintmark:read").await;
        secrets(&admin, &erp).await[0]["used_last_24h"].clone()
    };
    assert_eq!(count().await, 3);
    pass(&app, 4 * 3_600 - 1).await;
    assert_eq!(count().await, 3);
    pass(&app, 3_600).await;
    assert_eq!(count().await, 2);
    app.stop().await;
}
