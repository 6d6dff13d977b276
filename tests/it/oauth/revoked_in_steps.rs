//! A signing key that signed for very many clients is revoked: at once in the key set, introspection and forward-auth, and in
//! bounded steps in the records and the status lists, so that other changes do not wait.

use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, reply_as};
use super::listed::status_of;
use super::presenting::introspected;
use super::verifying::accepted;
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(a_key_of_many_clients_is_revoked_in_steps, an_interrupted_revocation_is_finished,);

/// More clients than two steps of 50 have.
const MANY: usize = 120;

/// An administrator, and `MANY` clients of `acme` with the product `gst`.
async fn furnished(app: &TestApp) -> (Administrator<'_>, Vec<Credentials>) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let mut clients = Vec::new();
    for _ in 0..MANY {
        let members = json!({"products": ["gst"], "notification_emails": ["it@acme.example"]});
        clients.push(admin.client("acme", members).await.0);
    }
    (admin, clients)
}

fn kid(token: &Token) -> &str {
    token.header["kid"].as_str().unwrap()
}

/// The details of the events about revoked tokens, oldest first: the events of steps, and the others.
async fn events(app: &TestApp) -> (Vec<Value>, Vec<Value>) {
    let entries = "SELECT entry FROM audit_events WHERE action = 'access_tokens.revoked' ORDER BY event_id";
    let entries = app.database.session().await.texts(entries).await;
    let details = entries.iter().map(|entry| serde_json::from_str::<Value>(entry).unwrap()["detail"].take());
    details.partition(|detail| detail["part"] == true)
}

async fn number_of(app: &TestApp, what: &str) -> i64 {
    app.database.number(&format!("SELECT COUNT(*) FROM {what}")).await
}

async fn inactive(app: &TestApp, client: &Credentials, token: &Token) {
    assert_eq!(introspected(app, client, &token.text).await.json(), json!({"active": false}));
}

async fn published(app: &TestApp, kid: &str) -> bool {
    let keys = Reply::of(app.get("/.well-known/jwks.json").await).await.json();
    keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
}

async fn a_key_of_many_clients_is_revoked_in_steps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let (first, last) = (&clients[0], &clients[MANY - 1]);
    let tokens = [issued(&reply_as(&app, first, GRANT).await), issued(&reply_as(&app, last, GRANT).await)];
    let recorded = json!({"products": ["gst"], "token_expiry": {"mode": "after", "seconds": 200_000}});
    let (recorded, _) = admin.client("acme", recorded).await;
    let of_recorded = issued(&reply_as(&app, &recorded, GRANT).await);
    let stolen = kid(&tokens[0]).to_owned();
    assert_eq!(kid(&of_recorded), stolen);

    let path = format!("/v1/signing-keys/{stolen}?revoke_tokens=true");
    let reply = Reply::of(admin.delete(&path).await).await;
    // Only recorded tokens are counted.
    assert_eq!((reply.status, reply.header("mintmark-revoked-tokens")), (204, Some("1")), "{reply:?}");
    assert!(!published(&app, &stolen).await);
    for (client, token) in [(first, &tokens[0]), (last, &tokens[1]), (&recorded, &of_recorded)] {
        inactive(&app, client, token).await;
        assert_eq!(status_of(&app, token).await, 1);
    }
    // The `MANY` clients, the one with a recorded token, and the administrator's.
    let all = i64::try_from(MANY + 2).unwrap();
    assert_eq!(number_of(&app, "api_clients WHERE generation = 2").await, all);
    assert_eq!(
        number_of(&app, "deliveries WHERE kind = 'signing_key.deleted'").await,
        i64::try_from(MANY).unwrap()
    );
    let (steps, whole) = events(&app).await;
    let sizes: Vec<i64> = steps.iter().map(|step| step["clients"].as_i64().unwrap()).collect();
    assert_eq!(sizes, [50, 50, 22]);
    assert_eq!(whole, [json!({"kid": stolen, "clients": all, "revoked_tokens": 1})]);
    // Nothing is left to do. Stateless tokens are recorded only while a key is being revoked, so the next one is not.
    assert_eq!(number_of(&app, "signing_keys WHERE revoking_since IS NOT NULL").await, 0);
    let before = number_of(&app, "access_tokens").await;
    accepted(&app, &issued(&reply_as(&app, first, GRANT).await)).await;
    assert_eq!(number_of(&app, "access_tokens").await, before);
    app.core.services.signing.finish_revocations().await.unwrap();
    assert_eq!(events(&app).await.0.len(), 3);
    app.stop().await;
}

/// A process has deleted the key, and ended before it revoked the tokens of the clients.
async fn an_interrupted_revocation_is_finished(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, clients) = furnished(&app).await;
    let before = issued(&reply_as(&app, &clients[0], GRANT).await);
    let next = admin.create("/v1/signing-keys", &json!({"alg": "ES256"})).await;
    let now = app.core.services.clock().now();
    let deleted = format!(
        "UPDATE signing_keys SET phase = 'gone', sealed_private = NULL, retired_at = {now}, revoking_since = {now}
            WHERE kid = '{}';
        UPDATE signing_keys SET phase = 'active', activates_at = {now} WHERE kid = '{}';
        UPDATE service_state SET change_seq = change_seq + 1;
        INSERT INTO change_log (seq, kind, id) SELECT change_seq, 'signing_keys', '' FROM service_state",
        kid(&before),
        next["kid"].as_str().unwrap()
    );
    app.database.session().await.execute(&deleted).await;
    app.core.services.ledger.poll().await.unwrap();

    // No token of the key is valid from then on, though the status list does not say so yet.
    assert!(!published(&app, kid(&before)).await);
    inactive(&app, &clients[0], &before).await;
    assert_eq!(status_of(&app, &before).await, 0);
    // A token that is issued before the steps are done must stay valid after them, so it is recorded and gets its own slot.
    let meanwhile = issued(&reply_as(&app, &clients[0], GRANT).await);
    assert_eq!(meanwhile.header["kid"], next["kid"]);
    assert_eq!(number_of(&app, "access_tokens").await, 1);

    app.core.services.signing.finish_revocations().await.unwrap();
    assert_eq!(status_of(&app, &before).await, 1);
    accepted(&app, &meanwhile).await;
    assert_eq!(introspected(&app, &clients[0], &meanwhile.text).await.json()["active"], true);
    assert_eq!(status_of(&app, &meanwhile).await, 0);
    assert_eq!(number_of(&app, "api_clients WHERE generation <> 2").await, 0);
    assert_eq!(events(&app).await.0.len(), 3);
    assert_eq!(number_of(&app, "signing_keys WHERE revoking_since IS NOT NULL").await, 0);
    accepted(&app, &issued(&reply_as(&app, &clients[0], GRANT).await)).await;
    assert_eq!(number_of(&app, "access_tokens").await, 1);
    app.stop().await;
}

/// While a step waits for the locked row of a client, the key is gone already, and other changes go on. On SQLite a writer
/// locks the whole database, so this can only be tested on PostgreSQL.
#[tokio::test]
async fn other_changes_do_not_wait_for_the_steps() {
    let app = TestApp::start(Engine::Postgres).await;
    let (admin, clients) = furnished(&app).await;
    // Steps take clients in the order of their ids, which are random. The step of the first client is committed when the last
    // step waits.
    let first = clients.iter().min_by_key(|client| &client.client_id).unwrap();
    let manages = json!({"permissions": ["mintmark:manage"]});
    let to_first = format!("/v1/api-clients/{}", first.client_id);
    assert_eq!(admin.patch(&to_first, &manages).await.status(), 200);
    let token = issued(&reply_as(&app, &clients[0], GRANT).await);
    let path = format!("/v1/signing-keys/{}?revoke_tokens=true", kid(&token));
    let mut session = app.database.session().await;
    session.begin().await;
    let held =
        "UPDATE api_clients SET version = version WHERE client_id = (SELECT MAX(client_id) FROM api_clients)";
    session.execute(held).await;
    let mut revoking = std::pin::pin!(Reply::to(admin.request(Method::DELETE, &path)));
    tokio::select! {
        biased;
        reply = &mut revoking => panic!("the request should have waited: {reply:?}"),
        () = app.database.someone_waits() => {}
    }
    assert!(!published(&app, kid(&token)).await);
    inactive(&app, &clients[0], &token).await;
    // The key signed the administrator's token too, so `first` makes the other change, with a token of the new key.
    let by_first = app.administrator_as(first, "mintmark:manage").await;
    assert_eq!(by_first.patch("/v1/workspaces/acme", &json!({"name": "Acme 2"})).await.status(), 200);
    let done = number_of(&app, "api_clients WHERE generation = 2").await;
    assert_eq!(done, 100, "all steps but the last");
    session.execute("COMMIT").await;
    assert_eq!(revoking.await.status, 204);
    assert_eq!(number_of(&app, "api_clients WHERE generation <> 2").await, 0);
    app.stop().await;
}
