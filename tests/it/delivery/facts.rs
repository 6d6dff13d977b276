//! What the services put into a mail: who made the change, from where and when, and which mail a change makes.

use mintmark::clients::ClientChange;
use mintmark::kernel::{Caller, Manager, Precondition};
use mintmark::model::audit::Actor;
use mintmark::model::member::Member;
use serde_json::{Value, json};

use crate::support::{Engine, START, TestApp, on_both_engines};

on_both_engines!(a_change_queues_the_mail_of_the_kind_that_matters_most, mails_say_who_made_a_change);

/// Kind and facts of the newest mail.
async fn newest(app: &TestApp) -> (String, Value) {
    let kind = "SELECT kind FROM deliveries ORDER BY delivery_id DESC LIMIT 1";
    let body = "SELECT body FROM deliveries ORDER BY delivery_id DESC LIMIT 1";
    let mut session = app.database.session().await;
    let (kind, body) = (session.texts(kind).await.remove(0), session.texts(body).await.remove(0));
    (kind, serde_json::from_str(&body).unwrap())
}

async fn a_change_queues_the_mail_of_the_kind_that_matters_most(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("e-invoicing", json!({})).await;
    let members = json!({"label": "ERP", "products": ["gst", "e-invoicing"], "notification_emails": ["a@acme.example"]});
    let (client, _) = admin.client("platform", members).await;
    let (kind, facts) = newest(&app).await;
    assert_eq!((kind.as_str(), &facts["label"]), ("client.created", &json!("ERP")));
    assert_eq!(facts["products"], json!(["e-invoicing", "gst"]));
    assert_eq!((&facts["at"], &facts["source_ip"]), (&json!(START), &json!("127.0.0.1")));
    let path = format!("/v1/api-clients/{}", client.client_id);
    for (patch, expected) in [
        (json!({"label": "ERP 2"}), "client.updated"),
        (json!({"products": ["gst"]}), "client.products_taken"),
        (json!({"status": "disabled", "products": ["gst", "e-invoicing"]}), "client.disabled"),
        (json!({"status": "active", "products": ["e-invoicing"]}), "client.enabled"),
    ] {
        // Mails of the same kind within a minute are merged.
        app.clock.advance(61);
        assert_eq!(admin.patch(&path, &patch).await.status(), 200);
        let (kind, facts) = newest(&app).await;
        assert_eq!(kind, expected, "{patch}");
        for (member, value) in patch.as_object().unwrap() {
            assert_eq!(facts["changed"][member]["new"].is_array(), value.is_array(), "{facts}");
        }
        if kind == "client.products_taken" {
            assert_eq!(facts["taken"], json!(["e-invoicing"]));
        }
    }
    app.stop().await;
}

async fn mails_say_who_made_a_change(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let members = json!({"label": "ERP", "products": ["gst"], "notification_emails": ["a@acme.example"]});
    let (client, _) = admin.client("platform", members).await;
    let (_, facts) = newest(&app).await;
    assert_eq!(facts["by"]["kind"], "client");
    assert!(facts["by"]["name"].is_string() && facts["by"]["id"] != client.client_id.as_str(), "{facts}");
    admin.workspace("acme", json!({})).await;
    let roles = json!([{"role": "workspace_viewer", "workspace_id": "acme"}]);
    let person = json!({"email": "priya@acme.example", "name": "Priya Sharma", "roles": roles});
    let operator_id =
        admin.create("/v1/operators", &person).await["operator_id"].as_str().unwrap().to_owned();
    let command_line = Caller::clone(&Manager::command_line());
    let by = |name: String| Actor { name, request_id: None, source_ip: Some("203.0.113.9".to_owned()) };
    for (number, (actor, expected)) in [
        (
            by(format!("operator:{operator_id}")),
            json!({"kind": "operator", "id": operator_id, "name": "Priya Sharma"}),
        ),
        (by("operator:gone".to_owned()), json!({"kind": "operator", "id": "gone"})),
        (Actor::command_line(), json!({"kind": "cli"})),
        (Actor::system(), json!({"kind": "system"})),
    ]
    .into_iter()
    .enumerate()
    {
        // Mails of the same kind within a minute are merged.
        app.clock.advance(61);
        let source_ip = actor.source_ip.clone();
        let caller = Manager::try_from(Caller { actor, ..command_line.clone() }).unwrap();
        let change =
            ClientChange { label: Member::Value(format!("ERP {number}")), ..ClientChange::default() };
        let clients = &app.core.services.clients;
        clients.change_client(&caller, &client.client_id, &Precondition::None, &change).await.unwrap();
        let (_, facts) = newest(&app).await;
        assert_eq!((&facts["by"], &facts["source_ip"]), (&expected, &json!(source_ip)));
    }
    app.stop().await;
}
