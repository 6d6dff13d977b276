//! Whether speed depends on the amount of data: the time of introspection and listing with 1,000 recorded tokens of 100
//! clients, and with 1,000,000 tokens of 100,000 clients, on SQLite.
//!
//! `cargo bench --bench scale` prints the medians and their ratio, which is what counts.
#![expect(clippy::expect_used, reason = "a benchmark that fails should stop with the reason")]
#![expect(clippy::indexing_slicing, reason = "the middle of a list that is not empty")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured here")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use mintmark::app::Core;
use mintmark::config::Settings;
use mintmark::kernel::Manager;
use mintmark::model::client::{ActiveTokens, ApiClient};
use mintmark::model::clock::{Clock as _, SystemClock};
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::ids;
use mintmark::model::page::Page;
use mintmark::model::slot_lease::ListKind;
use mintmark::model::status::Slot;
use mintmark::model::token::RecordedToken;
use mintmark::storage::Storage;
use mintmark::tokens::Validity;
use mintmark_verifier::AccessTokenClaims;
use tempfile::TempDir;

const ISSUER: &str = "http://127.0.0.1:8080";
const TOKENS_A_CLIENT: usize = 10;
/// How many tokens and clients are asked about, spread over all of them.
const ASKED: usize = 2_000;
/// How often all of them are asked about.
const ROUNDS: usize = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(compare());
}

async fn compare() {
    let [small, large] = [Service::with_tokens(1_000).await, Service::with_tokens(1_000_000).await];
    println!("{:<36} {:>12} {:>12} {:>8}", "median, in microseconds", "1,000", "1,000,000", "ratio");
    for (name, question) in [
        ("introspection of a recorded token", Question::IsItLive),
        ("a client's list of tokens", Question::List),
    ] {
        let mut micros = [Vec::new(), Vec::new()];
        for round in 0..=ROUNDS {
            // Alternately, so that other load on the machine affects both.
            for (service, micros) in [&small, &large].into_iter().zip(&mut micros) {
                let asked = service.ask(question).await;
                // The first round fills the cache of clients, as in a service that has been running.
                if round > 0 {
                    micros.extend(asked);
                }
            }
        }
        let [small, large] = micros.map(median);
        println!("{name:<36} {small:>12.1} {large:>12.1} {:>8.2}", large / small);
    }
    small.core.services.close().await;
    large.core.services.close().await;
}

#[derive(Debug, Clone, Copy)]
enum Question {
    IsItLive,
    List,
}

/// A service with recorded tokens.
struct Service {
    core: Core,
    clients: Vec<String>,
    _folder: TempDir,
}

impl Service {
    async fn with_tokens(tokens: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/mintmark.db", folder.path().display());
        let settings = format!(
            "database.url = \"{url}\"\nserver.public_url = \"{ISSUER}\"\n\
             keys.master_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n"
        );
        let settings = Settings::from_toml_layers(&[&settings]).expect("settings");
        let core = Core::open(&settings, Arc::new(SystemClock)).await.expect("a database");
        let clients = stock(&url, tokens).await;
        Self { core, clients, _folder: folder }
    }

    /// Asks the question [`ASKED`] times. Returns how long each answer took, in microseconds.
    async fn ask(&self, question: Question) -> Vec<f64> {
        let (services, caller) = (&self.core.services, Manager::command_line());
        let mut micros = Vec::with_capacity(ASKED);
        for number in 0..ASKED {
            // A stride coprime to all sizes here, so that clients with neighbouring rows are not asked about in that order.
            let client = number * 7_919 % self.clients.len();
            let client_id = &self.clients[client];
            let claims = claims(client_id, client, number % TOKENS_A_CLIENT);
            let page = Page::first(50);
            let started = Instant::now();
            match question {
                Question::IsItLive => {
                    let outcome = services
                        .tokens
                        .validity(services.ledger.confirm().await.expect("confirmed"), &claims)
                        .await
                        .expect("an answer");
                    assert!(matches!(outcome, Validity::Active(_)), "{outcome:?}");
                }
                Question::List => {
                    let page =
                        services.tokens.access_tokens(&caller, client_id, &page).await.expect("a page");
                    assert_eq!(page.items.len(), TOKENS_A_CLIENT);
                }
            }
            micros.push(started.elapsed().as_secs_f64() * 1e6);
        }
        micros
    }
}

fn median(mut micros: Vec<f64>) -> f64 {
    micros.sort_by(f64::total_cmp);
    micros[micros.len() / 2]
}

fn jti(client: usize, token: usize) -> String {
    // Spread like random ids: rows of one client are not next to each other.
    let spread = (client * TOKENS_A_CLIENT + token).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{spread:016x}{client:06}")
}

fn claims(client_id: &str, client: usize, token: usize) -> AccessTokenClaims {
    let now = SystemClock.now();
    let claims = serde_json::json!({
        "iss": ISSUER, "sub": client_id, "client_id": client_id, "aud": "x", "iat": now, "exp": now + 100_000,
        "jti": jti(client, token), "scope": "gst", "workspace_id": "platform", "products": ["gst"],
    });
    serde_json::from_value(claims).expect("claims")
}

async fn stock(url: &str, tokens: usize) -> Vec<String> {
    let storage = Storage::open(url, 2).await.expect("the same database");
    let now = SystemClock.now();
    let clients = tokens / TOKENS_A_CLIENT;
    let mut ids = Vec::with_capacity(clients);
    let mut tx = storage.begin().await.expect("a transaction");
    for number in 0..clients {
        let mut random = [0; 16];
        random[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let client = client(ids::client_id(random), now);
        tx.insert_client(&client, &format!("{number:08}")).await.expect("a client");
        for token in 0..TOKENS_A_CLIENT {
            let token = RecordedToken {
                jti: jti(number, token),
                client_id: client.client_id.clone(),
                workspace_id: client.workspace_id.as_str().into(),
                kid: "k".into(),
                generation: 1,
                scope: "gst".into(),
                products: "gst".into(),
                issued_at: now,
                expires_at: Some(now + 100_000),
                revoked_at: None,
                revoke_at: None,
                // Several tokens share a slot here; what is measured reads no status list.
                slot: Some(Slot { list: 1, idx: u32::try_from(number % 131_072).unwrap_or_default() }),
                last_introspected_at: None,
                issued_by: "client".into(),
            };
            tx.insert_recorded_token(&token).await.expect("a token");
        }
        ids.push(client.client_id);
        if number % 10_000 == 9_999 {
            tx.commit().await.expect("a commit");
            tx = storage.begin().await.expect("a transaction");
        }
    }
    // The list that the tokens refer to.
    let _ = tx.lease_slots(ListKind::Expiring, 1, [0; 16], now).await.expect("a list");
    tx.commit().await.expect("a commit");
    storage.close().await;
    ids
}

fn client(client_id: String, now: i64) -> ApiClient {
    ApiClient {
        client_id,
        workspace_id: "platform".to_owned(),
        label: "ERP".to_owned(),
        description: None,
        products: Vec::new(),
        permissions: Vec::new(),
        token_expiry: TokenExpiry::After { seconds: 100_000 },
        notification_emails: Vec::new(),
        allowed_ips: Vec::new(),
        signing_alg: None,
        expires_at: None,
        metadata: BTreeMap::new(),
        disabled_at: None,
        active_tokens: ActiveTokens::Many,
        generation: 1,
        slot: None,
        slots_suspended_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}
