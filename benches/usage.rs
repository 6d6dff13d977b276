//! What it costs to store the usage counts of many clients on SQLite: the processor time of a flush after each of 10,000
//! clients got a token, and the memory that the process needs before and after.
//!
//! `cargo bench --bench usage` prints the time and the memory, and what it costs to store the last uses of as many secrets.
//! Processor time is compared with that of as many signatures, because only a ratio can be compared across machines. A client
//! that gets a thousand tokens between two flushes costs as much as one that gets a single token. The first flush inserts the
//! rows of each client and records that its secret was used for the first time; later ones update the row of the hour.
#![expect(clippy::expect_used, reason = "a benchmark that fails should stop with the reason")]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "the middle of a list that is not empty, and shares of times"
)]

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App as ActixApp, http::StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mintmark::app::App;
use mintmark::clients::ClientChange;
use mintmark::config::Settings;
use mintmark::kernel::Manager;
use mintmark::model::clock::SystemClock;
use mintmark::model::key::{Alg, UseFor};
use mintmark::model::member::Member;
use mintmark::routes::Doors;
use mintmark::signing::handle::{SigningHandle, TokenTyp};
use mintmark::signing::key::NewKey;
use tokio::runtime::Builder;

const CLIENTS: usize = 10_000;
/// How often all clients get a token, and their counts are stored.
const FLUSHES: usize = 15;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = format!(
        "database.url = \"sqlite://{}/mintmark.db\"\nkeys.master_key = \"{}\"\nlog.level = \"error\"\n",
        folder.path().display(),
        "5aa5".repeat(16)
    );
    let settings = Settings::from_toml_layers(&[&own]).expect("settings");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = App::build(settings, Arc::new(SystemClock)).await.expect("an app");
        let clients = make_clients(&app).await;
        let usage = &app.core().services.usage;
        let service = app.clone();
        let actix =
            init_service(ActixApp::new().configure(move |config| service.configure(config, Doors::All)))
                .await;
        let (mut millis, mut last_uses) = (Vec::new(), Vec::new());
        let before = resident_mb();
        for _ in 0..FLUSHES {
            for authorization in &clients {
                let request = TestRequest::post()
                    .uri("/oauth2/token")
                    .peer_addr((Ipv4Addr::LOCALHOST, 1).into())
                    .insert_header((header::AUTHORIZATION, authorization.as_str()))
                    .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
                    .set_payload("grant_type=client_credentials");
                let reply = call_service(&actix, request.to_request()).await;
                assert_eq!(reply.status(), StatusCode::OK);
            }
            let started = cpu_millis();
            usage.flush().await.expect("stored");
            millis.push(cpu_millis() - started);
            let started = cpu_millis();
            app.core().services.write_last_used().await.expect("stored");
            last_uses.push(cpu_millis() - started);
        }
        let signatures = signing_millis();
        let first = millis.remove(0);
        let later = median(millis);
        println!("{CLIENTS} clients, each with a token since the last flush; processor time:");
        println!(
            "first flush            {first:>8.1} ms, {:.3} of the time of as many ES256 signatures",
            first / signatures
        );
        println!(
            "later flush            {later:>8.1} ms, {:.3} of the time of as many ES256 signatures",
            later / signatures
        );
        let last_uses = median(last_uses);
        println!(
            "times of last use      {last_uses:>8.1} ms, {:.3} (written every minute)",
            last_uses / signatures
        );
        println!("resident memory before the first token {before:.1} MB, at the end {:.1} MB", resident_mb());
    });
}

/// Makes the clients. Returns the `Authorization` header of each.
async fn make_clients(app: &App) -> Vec<String> {
    let (services, caller) = (&app.core().services, Manager::command_line());
    services.tenants.bootstrap(&caller).await.expect("a platform");
    let text = |text: &str| Member::Value(text.to_owned());
    let product = mintmark::tenants::ProductChange { name: text("GST"), ..Default::default() };
    services.tenants.create_product(&caller, &text("gst"), &product, None).await.expect("a product");
    let wanted = ClientChange {
        label: text("ERP"),
        products: Member::Value(vec!["gst".to_owned()]),
        ..ClientChange::default()
    };
    let mut made = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let created =
            services.clients.create_client(&caller, "platform", &wanted, None).await.expect("a client");
        let (client_id, secret) = (created.record.client.client_id, created.secret);
        made.push(format!("Basic {}", STANDARD.encode(format!("{client_id}:{}", secret.expose()))));
    }
    made
}

/// The processor time of as many signatures as there are clients.
fn signing_millis() -> f64 {
    let pair = NewKey::generate(Alg::ES256).expect("a key").into_pair();
    let handle = SigningHandle::new(pair, UseFor::Expiring);
    let started = cpu_millis();
    for _ in 0..CLIENTS {
        handle.sign_jwt(TokenTyp::AccessToken, &[b'x'; 300]).expect("a signature");
    }
    cpu_millis() - started
}

fn median(mut millis: Vec<f64>) -> f64 {
    millis.sort_by(f64::total_cmp);
    millis[millis.len() / 2]
}

/// The processor time of all threads of this process.
fn cpu_millis() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("the threads");
    let nanos: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e6
}

fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kilobytes") / 1024.0
}
