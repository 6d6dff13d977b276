//! Keys of long-lived tokens: a key stays published while a live token depends on it, through any number of rotations; a
//! stolen one is revoked with its tokens (`docs/revocation.md`).

use mintmark::model::key::{Phase, UseFor};
use mintmark::storage::Storage;
use reqwest::Method;
use serde_json::{Value, json};

use super::expect::Token;
use super::listed::{never_expiring, revoke, status_of};
use super::presenting::{client_in, introspected, recorded, stateless, token_of};
use super::verifying::{accepted, verified};
use crate::support::{Administrator, Credentials, Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    old_tokens_outlive_ten_rotations,
    a_stolen_key_is_revoked_with_its_tokens,
    revoking_a_never_expiring_key_revokes_only_its_tokens,
    revoking_a_retired_key_does_not_affect_later_clients,
    the_refusal_to_delete_a_key_names_the_clients_that_need_it,
);

const DAY: i64 = 86_400;

fn kid(token: &Token) -> String {
    token.header["kid"].as_str().unwrap().to_owned()
}

/// Rotates the key for never-expiring tokens. When this returns, the successor signs.
async fn rotate(app: &TestApp, admin: &Administrator<'_>) {
    let reply = admin.post("/v1/signing-keys", &json!({"alg": "ES256", "use_for": "never_expiring"})).await;
    assert_eq!(reply.status(), 201);
    app.clock.advance(900);
    app.core.services.signing.advance_signing_keys().await.unwrap();
}

async fn phase_and_private_key(storage: &Storage, kid: &str) -> (Phase, bool) {
    let key = storage.signing_key(kid).await.unwrap().unwrap();
    (key.phase, key.sealed_private.is_some())
}

async fn published(app: &TestApp) -> Vec<String> {
    let keys: Value = app.get("/.well-known/jwks.json").await.json().await.unwrap();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn old_tokens_outlive_ten_rotations(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let storage = app.database.open().await;
    let mut tokens = vec![token_of(&app, &client).await];
    for _ in 0..10 {
        rotate(&app, &admin).await;
        // The administrator's token is valid for an hour, so a week later another one is needed.
        app.clock.advance(7 * DAY);
        admin = app.administrator_as(&admin.client, "mintmark:manage").await;
        let before = tokens.last().unwrap();
        let token = token_of(&app, &client).await;
        assert_ne!(kid(&token), kid(before), "the new key signs the token");
        assert_eq!(phase_and_private_key(&storage, &kid(before)).await, (Phase::Retiring, false));
        assert_eq!(phase_and_private_key(&storage, &kid(&token)).await, (Phase::Active, true));
        tokens.push(token);
        app.core.services.signing.advance_signing_keys().await.unwrap();
        let kids = published(&app).await;
        for token in &tokens {
            assert!(kids.contains(&kid(token)));
            // Verified with only the published keys, as any other service does.
            accepted(&app, token).await;
            assert_eq!(status_of(&app, token).await, 0);
        }
        let refused = Reply::of(admin.delete(&format!("/v1/signing-keys/{}", kid(&tokens[0]))).await).await;
        assert_eq!(refused.status, 409, "{refused:?}");
    }

    // When the last live token of a key ends, the key is removed automatically; the others stay.
    revoke(&app, &tokens[3]).await;
    app.core.services.signing.advance_signing_keys().await.unwrap();
    let gone = kid(&tokens[3]);
    assert_eq!(phase_and_private_key(&storage, &gone).await, (Phase::Gone, false));
    let kids = published(&app).await;
    assert!(!kids.contains(&gone));
    for token in tokens.iter().filter(|token| kid(token) != gone) {
        accepted(&app, token).await;
    }
    verified(&app, &tokens[3]).await.unwrap_err();
    app.stop().await;
}

async fn a_stolen_key_is_revoked_with_its_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let contact = json!({"notification_emails": ["it@acme.example"]});
    let with = |mut members: Value| {
        members.as_object_mut().unwrap().extend(contact.as_object().unwrap().clone());
        members
    };
    let short = client_in(&admin, "acme", with(stateless())).await;
    let long = client_in(&admin, "acme", with(recorded())).await;
    let never = client_in(&admin, "acme", with(json!({"token_expiry": {"mode": "never"}}))).await;
    let (of_short, of_long) = (token_of(&app, &short).await, token_of(&app, &long).await);
    let of_never = token_of(&app, &never).await;
    assert_eq!(kid(&of_short), kid(&of_long));
    let stolen = kid(&of_short);
    let path = format!("/v1/signing-keys/{stolen}");

    let reply = admin.request(Method::DELETE, &format!("{path}?revoke_tokens=true")).send().await.unwrap();
    assert_eq!(reply.status(), 204);
    // That key also signed the caller's own token.
    assert_eq!(admin.get("/v1/signing-keys").await.status(), 401);
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    assert!(!published(&app).await.contains(&stolen));
    for (client, token) in [(&short, &of_short), (&long, &of_long)] {
        assert_eq!(introspected(&app, client, &token.text).await.json(), json!({"active": false}));
        verified(&app, token).await.unwrap_err();
        assert_eq!(status_of(&app, token).await, 1);
        let next = token_of(&app, client).await;
        assert_ne!(kid(&next), stolen);
        accepted(&app, &next).await;
    }
    // Tokens that the key of the other class signed stay valid.
    accepted(&app, &of_never).await;
    assert_eq!((status_of(&app, &of_never).await, kid(&token_of(&app, &never).await)), (0, kid(&of_never)));
    let storage = app.database.open().await;
    assert_eq!(phase_and_private_key(&storage, &stolen).await, (Phase::Gone, false));
    let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'signing_key.deleted'";
    assert_eq!(app.database.number(mails).await, 3, "each client may have stateless tokens of the key");
    let event: Value = admin.get("/v1/audit-events?action=signing_key.deleted").await.json().await.unwrap();
    assert_eq!(event["items"][0]["target"], stolen.as_str());
    // Only recorded tokens are counted.
    assert_eq!(event["items"][0]["detail"]["revoked_tokens"], 1);
    app.stop().await;
}

async fn revoking_a_never_expiring_key_revokes_only_its_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let never = json!({"token_expiry": {"mode": "never"}, "notification_emails": ["a@acme.example", "b@acme.example"]});
    let (client, bystander) =
        (client_in(&admin, "acme", never.clone()).await, client_in(&admin, "acme", never).await);
    let stateless = client_in(&admin, "acme", stateless()).await;
    let (one, other) = (token_of(&app, &client).await, token_of(&app, &client).await);
    let short = token_of(&app, &stateless).await;
    let path = format!("/v1/signing-keys/{}?revoke_tokens=true", kid(&one));
    assert_eq!(admin.delete(&path).await.status(), 204);
    for token in [&one, &other] {
        assert_eq!(
            (
                introspected(&app, &client, &token.text).await.json()["active"].clone(),
                status_of(&app, token).await
            ),
            (json!(false), 1)
        );
    }
    assert_eq!(introspected(&app, &stateless, &short.text).await.json()["active"], true);
    for (client, generation) in [(&client, 1), (&bystander, 1), (&stateless, 1)] {
        let record: Value =
            admin.get(&format!("/v1/api-clients/{}", client.client_id)).await.json().await.unwrap();
        assert_eq!(record["generation"], generation);
    }
    // One mail for each contact of the client whose tokens were revoked.
    let mails = "SELECT COUNT(*) FROM deliveries WHERE kind = 'signing_key.deleted'";
    assert_eq!(app.database.number(mails).await, 2);
    let (keys, _) = app.database.open().await.signing_keys().await.unwrap();
    let active: Vec<_> = keys
        .iter()
        .filter(|key| key.use_for == UseFor::NeverExpiring && key.phase == Phase::Active)
        .collect();
    assert_eq!(active.len(), 1, "a successor signs at once");
    let next = token_of(&app, &client).await;
    assert_eq!(kid(&next), active[0].kid);
    accepted(&app, &next).await;
    app.stop().await;
}

async fn the_refusal_to_delete_a_key_names_the_clients_that_need_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = never_expiring(&admin).await;
    let other = super::listed::client(&admin, json!({"token_expiry": {"mode": "never"}})).await;
    let tokens = [token_of(&app, &client).await, token_of(&app, &client).await, token_of(&app, &other).await];
    let path = format!("/v1/signing-keys/{}", kid(&tokens[0]));
    let detail = async || {
        let reply = Reply::of(admin.delete(&path).await).await;
        assert_eq!(reply.status, 409, "{reply:?}");
        reply.json()["detail"].as_str().unwrap().to_owned()
    };
    let whose = format!(
        "3 live recorded tokens depend on this key: {} (2), {} (1)",
        client.client_id, other.client_id
    );
    let answer = detail().await;
    assert!(answer.contains("signs tokens") && answer.contains(&whose), "{answer}");
    rotate(&app, &admin).await;
    let answer = detail().await;
    assert!(answer.starts_with(&whose) && answer.contains("?revoke_tokens=true"), "{answer}");
    for token in &tokens[..2] {
        revoke(&app, token).await;
    }
    let answer = detail().await;
    assert!(
        answer.starts_with(&format!("1 live recorded token depends on this key: {} (1)", other.client_id)),
        "{answer}"
    );
    let record: Value = admin.get(&path).await.json().await.unwrap();
    assert_eq!((&record["live_tokens"], &record["phase"]), (&json!(1), &json!("retiring")));
    revoke(&app, &tokens[2]).await;
    // No token depends on the key any more, so it is removed automatically, at the earliest a minute after it retired.
    app.clock.advance(2 * DAY);
    app.core.services.signing.advance_signing_keys().await.unwrap();
    assert!(!published(&app).await.contains(&kid(&tokens[0])));
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    assert_eq!(admin.delete(&path).await.status(), 404);
    app.stop().await;
}

/// A key that has retired signed nothing for a generation that began later.
async fn revoking_a_retired_key_does_not_affect_later_clients(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let before = client_in(&admin, "before", stateless()).await;
    let renewed = client_in(&admin, "renewed", stateless()).await;
    let retired = kid(&token_of(&app, &before).await);
    assert_eq!(admin.post("/v1/signing-keys", &json!({"alg": "ES256"})).await.status(), 201);
    app.clock.advance(900);
    app.core.services.signing.advance_signing_keys().await.unwrap();
    // For a minute another replica may still sign with the retired key.
    app.clock.advance(60);
    let within = client_in(&admin, "within", stateless()).await;
    app.clock.advance(1);
    let after = client_in(&admin, "after", stateless()).await;
    let path = format!("/v1/api-clients/{}/access-tokens", renewed.client_id);
    assert_eq!(admin.delete(&path).await.status(), 204);

    // From here on the administrator's token is signed by the new key.
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    let mut tokens = Vec::new();
    for client in [&before, &within, &renewed, &after] {
        let token = token_of(&app, client).await;
        assert_ne!(kid(&token), retired);
        tokens.push(token);
    }
    let path = format!("/v1/signing-keys/{retired}?revoke_tokens=true");
    assert_eq!(admin.delete(&path).await.status(), 204);
    assert!(!published(&app).await.contains(&retired));
    // The administrator's client is older than the retirement, so the revocation has ended its token.
    let admin = app.administrator_as(&admin.client, "mintmark:manage").await;
    let generation = async |client: &Credentials| {
        let path = format!("/v1/api-clients/{}", client.client_id);
        Reply::of(admin.get(&path).await).await.json()["generation"].clone()
    };
    // The generation of `renewed` is 2 because its tokens were revoked above, not because of the key.
    for (client, token, expected, is_spared) in [
        (&before, &tokens[0], 2, false),
        (&within, &tokens[1], 2, false),
        (&renewed, &tokens[2], 2, true),
        (&after, &tokens[3], 1, true),
    ] {
        assert_eq!(generation(client).await, expected, "{}", client.client_id);
        let reply = introspected(&app, client, &token.text).await;
        assert_eq!(reply.json()["active"], is_spared, "{reply:?}");
        assert_eq!(status_of(&app, token).await, u8::from(!is_spared));
    }
    app.stop().await;
}
