//! Deliveries of a webhook over the API: read, sent as a test, and sent again.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{id, started, webhook, worker};
use crate::manage::{self, ok, problem};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    a_test_event_is_sent_and_listed,
    a_failed_delivery_is_sent_again,
    deleting_a_webhook_deletes_its_waiting_deliveries,
    deleting_a_workspace_deletes_its_waiting_deliveries,
);

async fn a_test_event_is_sent_and_listed(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(204)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({"events": ["product.created"]})).await;
    let path = format!("/v1/webhooks/{}", id(&hook));
    let queued = admin.create(&format!("{path}/test"), &json!({})).await;
    worker(&app).run_once().await.unwrap();
    assert_eq!(receiver.types(), ["webhook.test"]);
    assert_eq!(receiver.got()[0].json()["data"]["webhook_id"], hook["webhook_id"]);
    let listed = ok(&manage::Reply::of(admin.get(&format!("{path}/deliveries?count=true")).await).await, 200);
    let expected = json!({
        "delivery_id": queued["delivery_id"], "webhook_id": hook["webhook_id"], "type": "webhook.test",
        "status": "sent", "body": receiver.got()[0].body, "queued_at": "2026-09-21T14:13:20Z", "attempts": 1,
        "next_attempt_at": null, "last_attempt_at": "2026-09-21T14:13:20Z", "last_status": 204, "last_error": null,
        "last_reply": null, "sent_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(listed, json!({"items": [expected], "next_cursor": null, "total": 1}));
    // A disabled webhook gets neither a test event nor a delivery that was sent before.
    admin.patch(&path, &json!({"status": "disabled"})).await;
    for at in ["test".to_owned(), format!("deliveries/{}/resend", queued["delivery_id"].as_str().unwrap())] {
        let refused = manage::Reply::of(admin.post(&format!("{path}/{at}"), &json!({})).await).await;
        problem(&refused, 409, "conflict");
    }
    app.stop().await;
}

async fn a_failed_delivery_is_sent_again(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(500)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    worker(&app).run_once().await.unwrap();
    let path = format!("/v1/webhooks/{}/deliveries", id(&hook));
    let first =
        async || -> Value { ok(&manage::Reply::of(admin.get(&path).await).await, 200)["items"][0].clone() };
    let failed = first().await;
    assert_eq!((&failed["status"], &failed["last_status"]), (&json!("waiting"), &json!(500)));
    assert!(failed["next_attempt_at"].as_str().unwrap() > "2026-09-21T14:13:20Z", "{failed}");
    receiver.answers(Reply::status(200));
    let resend = format!("{path}/{}/resend", failed["delivery_id"].as_str().unwrap());
    let again = ok(&manage::Reply::to(admin.request(Method::POST, &resend)).await, 200);
    assert_eq!(
        (&again["status"], &again["next_attempt_at"]),
        (&json!("waiting"), &json!("2026-09-21T14:13:20Z"))
    );
    worker(&app).run_once().await.unwrap();
    assert_eq!(first().await["status"], "sent");
    // A delivery that the receiver accepted can be sent again too.
    ok(&manage::Reply::to(admin.request(Method::POST, &resend)).await, 200);
    worker(&app).run_once().await.unwrap();
    let ids: Vec<String> = receiver.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, [failed["delivery_id"].as_str().unwrap(); 3]);
    let other = webhook(&admin, "acme", &receiver, json!({})).await;
    // Under the path of another webhook the delivery is not found.
    let foreign = resend.replace(id(&hook), id(&other));
    problem(&manage::Reply::to(admin.request(Method::POST, &foreign)).await, 404, "not-found");
    app.stop().await;
}

async fn deleting_a_webhook_deletes_its_waiting_deliveries(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    let hook = webhook(&admin, "acme", &receiver, json!({})).await;
    let path = format!("/v1/webhooks/{}", id(&hook));
    assert_eq!(admin.delete(&path).await.status(), 204);
    assert_eq!(worker(&app).run_once().await.unwrap(), 0);
    problem(&manage::Reply::of(admin.get(&format!("{path}/deliveries")).await).await, 404, "not-found");
    assert_eq!(receiver.got().len(), 0);
    app.stop().await;
}

async fn deleting_a_workspace_deletes_its_waiting_deliveries(engine: Engine) {
    let (app, receiver) = (started(engine).await, Receiver::start(Reply::status(200)));
    let admin = app.administrator().await;
    for workspace in ["acme", "other"] {
        admin.workspace(workspace, json!({})).await;
    }
    webhook(&admin, "acme", &receiver, json!({})).await;
    webhook(&admin, "acme", &receiver, json!({})).await;
    let stays = webhook(&admin, "other", &receiver, json!({})).await;
    assert_eq!(admin.delete("/v1/workspaces/acme").await.status(), 204);
    // The deliveries that wait are deleted. They are not given up one by one, with an event for each.
    worker(&app).run_once().await.unwrap();
    let failed =
        ok(&manage::Reply::of(admin.get("/v1/audit-events?action=delivery.failed").await).await, 200);
    assert_eq!(failed["items"], json!([]));
    assert_eq!(receiver.got().len(), 1, "the event for the other workspace");
    let path = format!("/v1/webhooks/{}/deliveries", id(&stays));
    assert_eq!(
        ok(&manage::Reply::of(admin.get(&path).await).await, 200)["items"].as_array().unwrap().len(),
        1
    );
    app.stop().await;
}
