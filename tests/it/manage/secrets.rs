//! `/v1/api-clients/{client_id}/secrets`: how secrets are rotated and limited, and that each is shown only once.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::api_clients::{kind_and_pointers, read};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

/// A client with the product `gst`, the path of its secrets, and an administrator of the platform.
async fn furnished(app: &TestApp) -> (Administrator<'_>, Credentials, String) {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.workspace("acme-in", json!({})).await;
    let (client, _) = admin
        .client("acme-in", json!({"products": ["gst"], "notification_emails": ["it@acme.example"]}))
        .await;
    let path = format!("/v1/api-clients/{}/secrets", client.client_id);
    (admin, client, path)
}

/// The status of a token request with another secret of the client.
async fn status_with(app: &TestApp, client: &Credentials, secret: &Value) -> u16 {
    let client_secret = secret["client_secret"].as_str().unwrap().to_owned();
    app.token(&Credentials { client_secret, ..client.clone() }, &[]).await.status().as_u16()
}

async fn a_secret_is_rotated_with_overlap(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    app.clock.advance(1);
    let response = admin.post(&path, &json!({"expire_others_after_seconds": 60})).await;
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (status, new) = read(response).await;
    assert_eq!(status, 201, "{new}");
    assert_eq!(location, format!("{path}/{}", new["secret_id"].as_str().unwrap()));
    let (_, list) = read(admin.get(&path).await).await;
    let old = list["items"][0].clone();
    assert_eq!((&old["expires_at"], &old["last_used_at"]), (&json!("2026-09-21T14:14:21Z"), &Value::Null));
    for secret in [&json!({"client_secret": client.client_secret}), &new] {
        assert_eq!(status_with(&app, &client, secret).await, 200);
    }
    let old_path = format!("{path}/{}", old["secret_id"].as_str().unwrap());
    assert_eq!(read(admin.get(&old_path).await).await.1["last_used_at"], "2026-09-21T14:13:21Z");

    app.clock.advance(59);
    assert_eq!(app.token(&client, &[]).await.status(), 200);
    app.clock.advance(1);
    assert_eq!(app.token(&client, &[]).await.status(), 401, "the secret expires without a job");
    assert_eq!(status_with(&app, &client, &new).await, 200);
    assert_eq!(read(admin.get(&path).await).await.1["items"].as_array().unwrap().len(), 1);
    for response in [admin.get(&old_path).await, admin.delete(&old_path).await] {
        assert_eq!(response.status(), 404);
    }

    // A third secret expires the others immediately.
    let (_, newest) = read(admin.post(&path, &json!({"expire_others_after_seconds": 0})).await).await;
    assert_eq!(status_with(&app, &client, &new).await, 401);
    assert_eq!(status_with(&app, &client, &newest).await, 200);
    // There is a mail about the client, and one about each secret that was added.
    let mails = app.database.open().await.mails_about(&client.client_id).await.unwrap();
    let mut kinds: Vec<&str> = mails.iter().map(|(kind, _)| kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["client.created", "secret.created", "secret.created"]);
}

async fn five_live_secrets_are_the_most(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let empty = json!({});
    let outcomes = join_all((0..10).map(|_| admin.post(&path, &empty))).await;
    let (mut made, mut refused) = (0, 0);
    for response in outcomes {
        match read(response).await {
            (201, _) => made += 1,
            (409, problem) => {
                assert_eq!(kind_and_pointers(&problem).0, "conflict");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, refused), (4, 6), "the client already had one");
    let (_, list) = read(admin.get(&format!("{path}?limit=3")).await).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let cursor = list["next_cursor"].as_str().unwrap();
    let (_, rest) = read(admin.get(&format!("{path}?limit=3&cursor={cursor}")).await).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &Value::Null));
    let (_, problem) = read(admin.post(&path, &empty).await).await;
    assert!(problem["detail"].as_str().unwrap().contains("expire_others_after_seconds"), "{problem}");
    // Expiring the other secrets, as the error suggests, makes room for a new one.
    let (status, newest) = read(admin.post(&path, &json!({"expire_others_after_seconds": 0})).await).await;
    assert_eq!(status, 201);
    assert_eq!(
        (status_with(&app, &client, &newest).await, app.token(&client, &[]).await.status().as_u16()),
        (200, 401)
    );
}

async fn the_last_live_secret_is_kept_unless_forced(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let (_, first) = read(admin.get(&path).await).await;
    let first = format!("{path}/{}", first["items"][0]["secret_id"].as_str().unwrap());
    let (status, problem) = read(admin.delete(&first).await).await;
    assert_eq!((status, kind_and_pointers(&problem).0), (409, "conflict"));
    assert_eq!(admin.delete(&format!("{first}?force=yes")).await.status(), 400);
    assert_eq!(app.token(&client, &[]).await.status(), 200);
    // An expired secret does not count.
    admin.create(&path, &json!({"expires_at": "2026-09-21T14:13:30Z"})).await;
    app.clock.advance(10);
    assert_eq!(admin.delete(&first).await.status(), 409);
    let second = admin.create(&path, &json!({})).await;
    assert_eq!(admin.delete(&first).await.status(), 204);
    assert_eq!(app.token(&client, &[]).await.status(), 401);
    assert_eq!(status_with(&app, &client, &second).await, 200);
    let second_path = format!("{path}/{}", second["secret_id"].as_str().unwrap());
    assert_eq!(admin.delete(&format!("{second_path}?force=true")).await.status(), 204);
    assert_eq!(status_with(&app, &client, &second).await, 401);
    assert_eq!(read(admin.get(&path).await).await.1["items"], json!([]));
    // A client without a secret can get a new one.
    let third = admin.create(&path, &json!({})).await;
    assert_eq!(status_with(&app, &client, &third).await, 200);

    // Another client's secret is not found under this one.
    let (_, other) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    let foreign = other["secrets"][0]["secret_id"].as_str().unwrap();
    for id in [foreign, "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e05", "x", "%00"] {
        let path = format!("{path}/{id}");
        assert_eq!(admin.get(&path).await.status(), 404, "{id}");
        assert_eq!(admin.delete(&format!("{path}?force=true")).await.status(), 404, "{id}");
    }
}

async fn invalid_members_are_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, _, path) = furnished(&app).await;
    for (wanted, pointers) in [
        (json!({"expires_at": "2026-09-21T14:13:20Z"}), vec!["/expires_at"]),
        (
            json!({"expires_at": "tomorrow", "expire_others_after_seconds": -1, "label": "x"}),
            vec!["/expire_others_after_seconds", "/expires_at", "/label"],
        ),
        // 2,592,000 seconds, which are 30 days, are the most.
        (
            json!({"expire_others_after_seconds": 2_592_001, "revoke_tokens": 1}),
            vec!["/expire_others_after_seconds", "/revoke_tokens"],
        ),
        (json!({"expire_others_after_seconds": "60"}), vec!["/expire_others_after_seconds"]),
    ] {
        let (status, problem) = read(admin.post(&path, &wanted).await).await;
        assert_eq!(
            (status, kind_and_pointers(&problem)),
            (422, ("validation", pointers)),
            "{wanted}: {problem}"
        );
    }
    for wanted in [
        json!({"expires_at": null, "expire_others_after_seconds": null, "revoke_tokens": null}),
        json!({"expires_at": "2026-09-21T14:13:21Z", "expire_others_after_seconds": 2_592_000, "revoke_tokens": false}),
    ] {
        admin.create(&path, &wanted).await;
    }
    // A request without a body gets the defaults.
    assert_eq!(admin.request(Method::POST, &path).send().await.unwrap().status(), 201);
}

/// Reads a secret as a secret scanner does, by the published format.
async fn a_secret_has_the_published_form(engine: Engine) {
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let second = admin.create(&path, &json!({})).await;
    let second = second["client_secret"].as_str().unwrap();
    assert_ne!(client.client_secret, second);
    for secret in [client.client_secret.as_str(), second] {
        assert!(secret.starts_with("mms_") && secret.len() == 53, "{secret}");
        let (checked, checksum) = secret.split_at(47);
        assert!(secret[4..].chars().all(|c| ALPHABET.contains(c)));
        let mut crc = !0_u32;
        for byte in checked.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            }
        }
        let read = checksum.chars().fold(0_u64, |sum, c| sum * 62 + ALPHABET.find(c).unwrap() as u64);
        assert_eq!(read, u64::from(!crc));
    }
}

/// Tests the engines in turn, because the process has only one log.
#[tokio::test]
async fn a_secret_is_shown_only_once() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        seen_once(engine).await;
    }
}

async fn seen_once(engine: Engine) {
    watch_the_log();
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let second = admin.create(&path, &json!({})).await["client_secret"].as_str().unwrap().to_owned();
    let other = Credentials { client_secret: second.clone(), ..client.clone() };
    assert_eq!(app.token(&other, &[]).await.status(), 200);
    let mut wrong = client.clone();
    wrong.client_secret.replace_range(10..11, if &wrong.client_secret[10..11] == "A" { "B" } else { "A" });
    assert_eq!(app.token(&wrong, &[]).await.status(), 401);
    let of_client = format!("/v1/api-clients/{}", client.client_id);
    let changed = read(admin.patch(&of_client, &json!({"label": "Renamed"})).await).await.1.to_string();
    let mut shown = vec![changed];
    for path in
        [&of_client, &path, "/v1/workspaces/acme-in/api-clients", "/v1/audit-events?limit=200", "/metrics"]
    {
        let response = admin.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        shown.push(response.text().await.unwrap());
    }
    let log = logged();
    assert!(log.contains(&client.client_id), "the log was watched: it names the client");
    shown.push(log);
    for secret in [&client.client_secret, &second, &wrong.client_secret] {
        // No text contains the secret. Its last four characters are shown on purpose.
        let basic = STANDARD.encode(format!("{}:{secret}", client.client_id));
        for text in &shown {
            assert!(!text.contains(&secret[4..44]) && !text.contains(&basic), "{text}");
        }
    }
    assert!(shown[1].contains(&format!("\"last_four\":\"{}\"", &second[49..])));
}

async fn a_repeated_request_gets_the_same_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, client, path) = furnished(&app).await;
    let send = |key: &'static str, body: Value| {
        admin.request(Method::POST, &path).header("idempotency-key", key).json(&body).send()
    };
    let first = read(send("k1", json!({})).await.unwrap()).await;
    let again = read(send("k1", json!({})).await.unwrap()).await;
    assert_eq!((first.0, &first), (201, &again));
    assert_eq!(status_with(&app, &client, &again.1).await, 200);
    assert_eq!(read(send("k1", json!({"revoke_tokens": false})).await.unwrap()).await.0, 422);
    // With three more the client has five secrets, the most, so the next request is refused. The refusal is not saved, so the
    // same request may succeed later.
    for _ in 0..3 {
        admin.create(&path, &json!({})).await;
    }
    assert_eq!(read(send("k2", json!({})).await.unwrap()).await.0, 409);
    let oldest = read(admin.get(&path).await).await.1["items"][0]["secret_id"].as_str().unwrap().to_owned();
    assert_eq!(admin.delete(&format!("{path}/{oldest}")).await.status(), 204);
    assert_eq!(read(send("k2", json!({})).await.unwrap()).await.0, 201);
}

/// What this process logs while a test watches; `None` while no test does.
static LOG: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Records everything that this process logs from now on, at every level.
fn watch_the_log() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let log =
            tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE).with_writer(Watch);
        tracing::subscriber::set_global_default(log.finish()).unwrap();
    });
    LOG.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// Returns what was logged since [`watch_the_log`], and stops watching.
fn logged() -> String {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).take();
    String::from_utf8_lossy(&log.expect("`watch_the_log` was called before")).into_owned()
}

struct Watch;

impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            log.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Watch {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

on_both_engines!(
    a_secret_is_rotated_with_overlap,
    five_live_secrets_are_the_most,
    the_last_live_secret_is_kept_unless_forced,
    invalid_members_are_named,
    a_secret_has_the_published_form,
    a_repeated_request_gets_the_same_secret,
);
