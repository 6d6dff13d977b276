//! How long other clients wait while a product is removed from a client that has 266,000 recorded tokens, which revokes all
//! these tokens. The others are clients of the same workspace and of another one: they get recorded tokens, get stateless
//! tokens, or are changed.
//!
//! `cargo bench --bench others` measures on SQLite; with `-- postgres://…`, the URL of an empty database, on PostgreSQL. All
//! kinds of work run side by side, each with one request at a time and a short pause after it: first without the change, and
//! then while the product is removed.
#![expect(clippy::expect_used, reason = "a benchmark that fails should stop with the reason")]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "quantiles of a list that is not empty"
)]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured here, and work side by side")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mintmark::app::Core;
use mintmark::clients::ClientChange;
use mintmark::config::Settings;
use mintmark::issuance::TokenRequest;
use mintmark::jobs;
use mintmark::kernel::{Manager, Precondition};
use mintmark::model::clock::SystemClock;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::member::{Member, WordOrNumber};
use mintmark::model::slot_lease::ListKind;
use mintmark::model::token::RecordedToken;
use mintmark::services::Services;
use mintmark::storage::Storage;
use mintmark::tenants::{ProductChange, WorkspaceChange};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

const TOKENS: usize = 266_000;
/// How long the others work before the product is removed, for comparison.
const ALONE: Duration = Duration::from_secs(5);

/// An API client and its secret.
#[derive(Clone)]
struct Client {
    client_id: String,
    secret: String,
}

/// What another client does, or what is done to it.
#[derive(Clone, Copy)]
enum Work {
    Stateless,
    Recorded,
    Change,
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let given = std::env::args().skip(1).find(|argument| argument.starts_with("postgres://"));
    let url = given.unwrap_or_else(|| format!("sqlite://{}/mintmark.db", folder.path().display()));
    let own = format!("database.url = \"{url}\"\nkeys.master_key = \"{}\"\n", "5aa5".repeat(16));
    let settings = Settings::from_toml_layers(&[&own]).expect("settings");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let core = Core::open(&settings, Arc::new(SystemClock)).await.expect("a database");
        let services = Arc::clone(&core.services);
        let loaded = stock(&services, &url).await;
        let (_recording, stop) = watch::channel(false);
        spawn_local(jobs::record_tokens(Arc::clone(&services), stop));
        let mut others = Vec::new();
        for (name, workspace, work) in [
            ("another workspace: stateless token", "other", Work::Stateless),
            ("another workspace: recorded token", "other", Work::Recorded),
            ("another workspace: change of a client", "other", Work::Change),
            ("same workspace: stateless token", "acme", Work::Stateless),
            ("same workspace: recorded token", "acme", Work::Recorded),
            ("same workspace: change of a client", "acme", Work::Change),
        ] {
            others.push((name, work, client(&services, workspace, work).await));
        }
        let mut alone =
            Box::pin(side_by_side(&services, &others, async { tokio::time::sleep(ALONE).await })).await;
        let removal = async {
            let change = ClientChange {
                products: Member::Value(vec!["e-invoicing".to_owned()]),
                ..ClientChange::default()
            };
            let started = Instant::now();
            let changed = services
                .clients
                .change_client(&Manager::command_line(), &loaded, &Precondition::None, &change)
                .await
                .expect("the product is removed");
            assert_eq!(changed.revoked_tokens, Some(TOKENS));
            started.elapsed()
        };
        let (took, mut meanwhile) = Box::pin(timed(&services, &others, removal)).await;
        println!(
            "a product is removed from a client with {TOKENS} recorded tokens: {:.1} s",
            took.as_secs_f64()
        );
        println!(
            "{:<40} {:>10} {:>10} {:>10} {:>10}",
            "others, in milliseconds", "p50 alone", "p50", "p99", "max"
        );
        for (number, (name, ..)) in others.iter().enumerate() {
            let (alone, meanwhile) = (&mut alone[number], &mut meanwhile[number]);
            alone.sort_by(f64::total_cmp);
            meanwhile.sort_by(f64::total_cmp);
            println!(
                "{name:<40} {:>10.2} {:>10.2} {:>10.2} {:>10.2}",
                quantile(alone, 0.5),
                quantile(meanwhile, 0.5),
                quantile(meanwhile, 0.99),
                quantile(meanwhile, 1.0)
            );
        }
        services.close().await;
    });
}

/// The value that this share of the sorted values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

type Others = Vec<(&'static str, Work, Client)>;

async fn side_by_side(
    services: &Arc<Services>,
    others: &Others,
    work: impl Future<Output = ()>,
) -> Vec<Vec<f64>> {
    timed(services, others, work).await.1
}

/// Runs `work` while the others work. Returns its result, and for each of the others how long each step took, in
/// milliseconds.
async fn timed<T>(
    services: &Arc<Services>,
    others: &Others,
    work: impl Future<Output = T>,
) -> (T, Vec<Vec<f64>>) {
    let over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = others
        .iter()
        .map(|(_, work, client)| {
            let (services, over, client, work) =
                (Arc::clone(services), Arc::clone(&over), client.clone(), *work);
            spawn_local(async move {
                let mut millis = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    step(&services, work, &client, millis.len()).await;
                    millis.push(started.elapsed().as_secs_f64() * 1e3);
                    // A pause, so that the requests are spread out, as those of many clients are.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                millis
            })
        })
        .collect();
    let done = work.await;
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("the task did not panic"));
    }
    (done, all)
}

async fn step(services: &Services, work: Work, client: &Client, number: usize) {
    match work {
        Work::Stateless | Work::Recorded => {
            let checked = services.clients.authenticate_secret(&client.client_id, &client.secret, None).await;
            let (credentials, proof) = checked.expect("an answer").expect("a right secret");
            let request = TokenRequest { scope: "gst", resources: &[], source: None };
            services.issuer.issue(&credentials, &proof, request).await.expect("a token");
        }
        Work::Change => {
            let change =
                ClientChange { label: Member::Value(format!("ERP {number}")), ..ClientChange::default() };
            let caller = Manager::command_line();
            let changed =
                services.clients.change_client(&caller, &client.client_id, &Precondition::None, &change);
            changed.await.expect("a change");
        }
    }
}

async fn client(services: &Services, workspace: &str, work: Work) -> Client {
    let change = ClientChange {
        label: Member::Value("ERP".to_owned()),
        products: Member::Value(vec!["gst".to_owned(), "e-invoicing".to_owned()]),
        token_expiry: match work {
            Work::Recorded => Member::Value(TokenExpiry::Never {}),
            Work::Stateless | Work::Change => Member::Absent,
        },
        active_tokens: Member::Value(WordOrNumber::Word("many".to_owned())),
        ..ClientChange::default()
    };
    let caller = Manager::command_line();
    let made = services.clients.create_client(&caller, workspace, &change, None).await.expect("a client");
    Client { client_id: made.record.client.client_id, secret: made.secret.expose().to_owned() }
}

/// Makes products, workspaces, and the client with many tokens. Returns its id.
async fn stock(services: &Services, url: &str) -> String {
    let caller = Manager::command_line();
    let text = |text: &str| Member::Value(text.to_owned());
    for code in ["gst", "e-invoicing"] {
        let product = ProductChange { name: text(code), ..ProductChange::default() };
        services.tenants.create_product(&caller, &text(code), &product, None).await.expect("a product");
    }
    for id in ["acme", "other"] {
        let workspace = WorkspaceChange { name: text(id), ..WorkspaceChange::default() };
        services.tenants.create_workspace(&caller, &text(id), &workspace, None).await.expect("a workspace");
    }
    let loaded = client(services, "acme", Work::Recorded).await;
    let storage = Storage::open(url, 2).await.expect("the same database");
    let now = services.clock().now();
    let mut number = 0;
    while number < TOKENS {
        let mut tx = storage.begin().await.expect("a transaction");
        let slots = tx.lease_slots(ListKind::Expiring, 10_000, [7; 16], now).await.expect("slots");
        for slot in slots.take(TOKENS - number) {
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let token = RecordedToken {
                jti: format!("{spread:016x}{number:06}"),
                client_id: loaded.client_id.clone(),
                workspace_id: "acme".into(),
                kid: "k".into(),
                generation: 1,
                scope: "e-invoicing gst".into(),
                products: "e-invoicing gst".into(),
                issued_at: now,
                expires_at: Some(now + 10_000_000),
                revoked_at: None,
                revoke_at: None,
                slot: Some(slot),
                last_introspected_at: None,
                issued_by: "client".into(),
            };
            tx.insert_recorded_token(&token).await.expect("a token");
            number += 1;
        }
        tx.commit().await.expect("a commit");
    }
    storage.close().await;
    loaded.client_id
}
