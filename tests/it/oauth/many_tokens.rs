//! A client with very many tokens does not block others: its tokens are ended in bounded steps, and work that waits for one
//! client does not delay the others.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, issued, reply_as};
use super::listed::{client, list_at};
use crate::support::{Administrator, Credentials, Engine, START, TestApp, on_both_engines, until};

on_both_engines!(
    many_tokens_are_ended_in_steps,
    a_sixth_secret_is_refused_before_any_token_is_revoked,
    a_key_with_many_tokens_is_revoked_in_steps,
    a_change_from_many_to_a_number_ends_many_tokens_in_steps,
    a_change_from_replace_to_a_number_ends_many_tokens_in_steps,
    a_workspace_with_many_clients_is_suspended_in_steps,
);

/// More than two steps of 1,000.
const MANY: i64 = 2_500;

/// An administrator. The products `gst` and `tax` exist.
async fn furnished(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("tax", json!({})).await;
    admin
}

/// A client with one token that it requested and `MANY` more, and the path of the status list with all their slots.
async fn with_many_tokens(app: &TestApp, admin: &Administrator<'_>, name: &str) -> (Credentials, String) {
    let more =
        json!({"products": ["gst", "tax"], "token_expiry": {"mode": "never"}, "active_tokens": "many"});
    let client = client(admin, more).await;
    let list = super::listed::path_of(&issued(&reply_as(app, &client, GRANT).await));
    let numbers = match app.database.engine() {
        Engine::Sqlite => {
            format!(
                "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {MANY}) SELECT n FROM n)"
            )
        }
        Engine::Postgres => format!("generate_series(1, {MANY}) AS n (n)"),
    };
    let mut session = app.database.session().await;
    session
        .execute(&format!(
            "INSERT INTO access_tokens (jti, client_id, workspace_id, kid, generation, scope, products, issued_at,
                issued_by, status_list, status_idx)
            SELECT '{name}' || n.n, t.client_id, t.workspace_id, t.kid, t.generation, t.scope, t.products, {START},
                'client', t.status_list, 100000 + n.n
            FROM access_tokens t, {numbers}{} WHERE t.client_id = '{}'",
            if app.database.engine() == Engine::Sqlite { " n" } else { "" },
            client.client_id
        ))
        .await;
    (client, list)
}

/// How many tokens of the client are live, and how many tokens each step revoked, as its audit event says.
async fn left_and_steps(app: &TestApp, client: &Credentials) -> (i64, Vec<i64>) {
    let mut session = app.database.session().await;
    let id = &client.client_id;
    let live = format!("SELECT COUNT(*) FROM access_tokens WHERE client_id = '{id}' AND revoked_at IS NULL");
    let steps = "SELECT entry FROM audit_events WHERE action = 'access_tokens.revoked' ORDER BY event_id";
    let live = session.number(&live).await;
    let steps = session.texts(steps).await.into_iter().filter_map(|entry| {
        let detail = serde_json::from_str::<Value>(&entry).unwrap()["detail"].take();
        (detail["part"] == true).then(|| detail["revoked_tokens"].as_i64().unwrap())
    });
    (live, steps.collect())
}

/// Whether all slots of the `MANY` added tokens say that they are revoked.
async fn all_marked(app: &TestApp, list: &str) -> bool {
    let list = list_at(app, list).await;
    (1..=MANY).all(|n| list.status(u64::try_from(100_000 + n).unwrap()) == 1)
}

async fn many_tokens_are_ended_in_steps(engine: Engine) {
    let record = "/v1/api-clients/{client_id}";
    for (name, method, path, body) in [
        ("withdraw", Method::PATCH, record.to_owned(), json!({"products": ["tax"]})),
        ("replace", Method::PATCH, record.to_owned(), json!({"active_tokens": "replace"})),
        ("all", Method::DELETE, format!("{record}/access-tokens"), json!({})),
        ("leak", Method::POST, format!("{record}/secrets"), json!({"revoke_tokens": true})),
        ("delete", Method::DELETE, record.to_owned(), json!({})),
    ] {
        let app = TestApp::start(engine).await;
        let admin = furnished(&app).await;
        let (client, list) = with_many_tokens(&app, &admin, name).await;
        let path = path.replace("{client_id}", &client.client_id);
        let reply = admin.request(method, &path).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "{name}: {}", reply.text().await.unwrap());
        if name == "withdraw" || name == "replace" {
            assert_eq!(reply.json::<Value>().await.unwrap()["revoked_tokens"], MANY + 1, "{name}");
        }
        assert_eq!(left_and_steps(&app, &client).await, (0, vec![1_000, 1_000, 501]), "{name}");
        assert!(all_marked(&app, &list).await, "{name}");
        // The event of the change itself has the total, once.
        let events = admin.get(&format!("/v1/audit-events?client_id={}", client.client_id)).await;
        let events: Value = events.json().await.unwrap();
        assert_eq!(events["items"][0]["detail"].get("part"), None, "{name}");
        assert!(
            events["items"][0]["detail"].to_string().contains(&(MANY + 1).to_string()),
            "{name}: {events}"
        );
        app.stop().await;
    }
}

async fn a_sixth_secret_is_refused_before_any_token_is_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (client, _) = with_many_tokens(&app, &admin, "sixth").await;
    let secrets = format!("/v1/api-clients/{}/secrets", client.client_id);
    for _ in 0..4 {
        admin.create(&secrets, &json!({})).await;
    }
    assert_eq!(admin.post(&secrets, &json!({"revoke_tokens": true})).await.status(), 409);
    assert_eq!(left_and_steps(&app, &client).await, (MANY + 1, vec![]));
    let only = json!({"revoke_tokens": true, "expire_others_after_seconds": 0});
    admin.create(&secrets, &only).await;
    assert_eq!(left_and_steps(&app, &client).await, (0, vec![1_000, 1_000, 501]));
    app.stop().await;
}

async fn a_key_with_many_tokens_is_revoked_in_steps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (one, list) = with_many_tokens(&app, &admin, "one").await;
    let other = client(&admin, json!({"token_expiry": {"mode": "never"}})).await;
    issued(&reply_as(&app, &other, GRANT).await);
    // The only token of this client expired a minute ago, so it is not revoked, and the contact gets no mail.
    let contact = json!({"token_expiry": {"mode": "never"}, "notification_emails": ["it@acme.example"]});
    let ended = client(&admin, contact).await;
    issued(&reply_as(&app, &ended, GRANT).await);
    let ends = START - 60;
    let sql = format!("UPDATE access_tokens SET expires_at = {ends} WHERE client_id = '{}'", ended.client_id);
    app.database.session().await.execute(&sql).await;
    let kid = "SELECT kid FROM signing_keys WHERE use_for = 'never_expiring'";
    let kid = app.database.session().await.texts(kid).await.remove(0);
    // A request that fails its precondition revokes nothing.
    let stale = admin
        .request(Method::DELETE, &format!("/v1/signing-keys/{kid}?revoke_tokens=true"))
        .header("if-match", "\"v999\"");
    assert_eq!(stale.send().await.unwrap().status(), 412);
    assert_eq!(left_and_steps(&app, &one).await, (MANY + 1, vec![]));
    let reply = admin.delete(&format!("/v1/signing-keys/{kid}?revoke_tokens=true")).await;
    assert_eq!(reply.status(), 204);
    let (left, steps) = left_and_steps(&app, &one).await;
    // The tokens of `one`, and the token of `other`.
    assert_eq!((left, steps), (0, vec![1_000, 1_000, 502]));
    assert_eq!(left_and_steps(&app, &other).await.0, 0);
    assert!(all_marked(&app, &list).await);
    let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'signing_key.deleted'";
    assert_eq!(app.database.number(mails).await, 0);
    app.stop().await;
}

async fn a_change_from_many_to_a_number_ends_many_tokens_in_steps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    // Usually the next token revokes the tokens beyond the number. If there are more than 1,000, the change itself does.
    let (client, _) = with_many_tokens(&app, &admin, "beyond").await;
    let reply =
        admin.patch(&format!("/v1/api-clients/{}", client.client_id), &json!({"active_tokens": 4})).await;
    assert_eq!(reply.json::<Value>().await.unwrap()["revoked_tokens"], MANY + 1 - 4);
    assert_eq!(left_and_steps(&app, &client).await, (4, vec![1_000, 1_000, 497]));
    issued(&reply_as(&app, &client, GRANT).await);
    assert_eq!(left_and_steps(&app, &client).await.0, 4);
    app.stop().await;
}

/// With a grace period, any number of replaced tokens may be live.
async fn a_change_from_replace_to_a_number_ends_many_tokens_in_steps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (client, _) = with_many_tokens(&app, &admin, "grace").await;
    let mut session = app.database.session().await;
    let id = &client.client_id;
    // A change to `replace` through the API would revoke the tokens.
    let replaces = format!(
        "UPDATE api_clients SET active_tokens = 'replace', replace_grace_seconds = 86400 WHERE client_id = '{id}'"
    );
    session.execute(&replaces).await;
    let reply = admin.patch(&format!("/v1/api-clients/{id}"), &json!({"active_tokens": 4})).await;
    assert_eq!(reply.json::<Value>().await.unwrap()["revoked_tokens"], MANY + 1 - 4);
    assert_eq!(left_and_steps(&app, &client).await, (4, vec![1_000, 1_000, 497]));
    app.stop().await;
}

async fn a_workspace_with_many_clients_is_suspended_in_steps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    admin.workspace("acme", json!({})).await;
    // More clients than the 20 that one transaction marks.
    for _ in 0..25 {
        admin.client("acme", json!({"products": ["gst"]})).await;
    }
    let marked =
        "SELECT COUNT(*) FROM api_clients WHERE workspace_id = 'acme' AND slots_suspended_at IS NOT NULL";
    for (status, count) in [("suspended", 25), ("active", 0)] {
        assert_eq!(admin.patch("/v1/workspaces/acme", &json!({"status": status})).await.status(), 200);
        assert_eq!(app.database.number(marked).await, count);
    }
    // A process suspended the workspace and ended before it marked the clients. Repeating the request marks them, and so does
    // the background job.
    for by_job in [false, true] {
        let mut session = app.database.session().await;
        session
            .execute(&format!("UPDATE workspaces SET suspended_at = {START} WHERE workspace_id = 'acme'"))
            .await;
        if by_job {
            app.core.services.tokens.finish_suspensions().await.unwrap();
        } else {
            assert_eq!(
                admin.patch("/v1/workspaces/acme", &json!({"status": "suspended"})).await.status(),
                200
            );
        }
        assert_eq!(app.database.number(marked).await, 25);
        session.execute("UPDATE workspaces SET suspended_at = NULL WHERE workspace_id = 'acme'").await;
        app.core.services.tokens.finish_suspensions().await.unwrap();
        assert_eq!(app.database.number(marked).await, 0);
    }
    app.stop().await;
}

/// On SQLite a writer locks the whole database, so this can only be tested on PostgreSQL.
#[tokio::test]
async fn a_locked_client_delays_only_its_own_requests() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = furnished(&app).await;
    let never = json!({"token_expiry": {"mode": "never"}});
    let (held, other) = (client(&admin, never.clone()).await, client(&admin, never).await);
    for client in [&held, &other] {
        issued(&reply_as(&app, client, GRANT).await);
    }
    let mut session = app.database.session().await;
    session.begin().await;
    session
        .execute(&format!("UPDATE api_clients SET version = version WHERE client_id = '{}'", held.client_id))
        .await;
    let waiting = join_all((0..5).map(|_| reply_as(&app, &held, GRANT)));
    let others = async {
        let tokens = &app.core.services.tokens;
        until("the tokens of the locked client wait", async || tokens.tokens_being_recorded() >= 5).await;
        for _ in 0..3 {
            for reply in join_all((0..5).map(|_| reply_as(&app, &other, GRANT))).await {
                issued(&reply);
            }
        }
        // A change of the other client is not delayed either, although both have the same workspace and products.
        let path = format!("/v1/api-clients/{}", other.client_id);
        assert_eq!(admin.patch(&path, &json!({"products": ["gst", "tax"]})).await.status(), 200);
        assert_eq!(tokens.tokens_being_recorded(), 5);
        session.execute("COMMIT").await;
    };
    let (replies, ()) = tokio::join!(waiting, others);
    for reply in &replies {
        issued(reply);
    }
    app.stop().await;
}

/// Tested on PostgreSQL only, for the same reason as the test above.
#[tokio::test]
async fn a_locked_client_does_not_delay_due_changes_of_other_clients() {
    let app = TestApp::start(Engine::Postgres).await;
    let admin = furnished(&app).await;
    let replacing = json!({"active_tokens": "replace", "replace_grace_seconds": 60});
    let (held, other) = (client(&admin, replacing.clone()).await, client(&admin, replacing).await);
    for client in [&held, &held, &other, &other] {
        issued(&reply_as(&app, client, GRANT).await);
    }
    let mut session = app.database.session().await;
    session.begin().await;
    session
        .execute(&format!("UPDATE api_clients SET version = version WHERE client_id = '{}'", held.client_id))
        .await;
    // From here on the background job may apply the changes that are due, too.
    app.clock.advance(60);
    let revoked = async |client: &Credentials| {
        let id = &client.client_id;
        let sql =
            format!("SELECT COUNT(*) FROM access_tokens WHERE client_id = '{id}' AND revoked_at IS NOT NULL");
        app.database.number(&sql).await
    };
    app.core.services.tokens.apply_due_changes().await.unwrap();
    assert_eq!((revoked(&held).await, revoked(&other).await), (0, 1));
    session.execute("COMMIT").await;
    app.core.services.tokens.apply_due_changes().await.unwrap();
    assert_eq!((revoked(&held).await, revoked(&other).await), (1, 1));
    app.stop().await;
}
