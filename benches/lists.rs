//! How long the server takes for a page of a list of API clients when the workspace has 100,000 of them: the console's list,
//! and `/v1/api-clients`.
//!
//! `cargo bench --bench lists` measures on SQLite; with `-- postgres://…`, the URL of an empty database, on PostgreSQL. The
//! time is that of the whole request without the network. The goal is 50 ms for the console's pages; nothing checks it.
#![expect(clippy::expect_used, reason = "a benchmark that fails should stop with the reason")]
#![expect(clippy::indexing_slicing, reason = "a place in a list of known length")]
#![expect(clippy::disallowed_methods, reason = "time is what is measured here")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::App as ActixApp;
use actix_web::dev::Service;
use actix_web::http::{StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mintmark::app::App;
use mintmark::config::Settings;
use mintmark::kernel::Manager;
use mintmark::model::client::{ActiveTokens, ApiClient};
use mintmark::model::clock::SystemClock;
use mintmark::model::expiry::TokenExpiry;
use mintmark::model::ids;
use mintmark::model::member::Member;
use mintmark::model::operator::{Operator, OperatorStatus, Role, StoredSession, Way};
use mintmark::model::secret::ClientSecret;
use mintmark::routes::Doors;
use mintmark::storage::Storage;
use mintmark::tenants::{ProductChange, WorkspaceChange};
use ring::digest::{SHA256, digest};
use tokio::runtime::Builder;

const CLIENTS: usize = 100_000;
/// How often each page is requested. The median counts, since the first request fills caches.
const ROUNDS: usize = 11;
/// The cookie of the session that [`session`] makes.
const COOKIE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const CONSOLE: &str = "/console/workspaces/acme/api-clients";
const API: &str = "/v1/api-clients";
const IN_ACME: &str = "/v1/workspaces/acme/api-clients";

/// The pages to measure: path, query, and whether to measure the last page of the list instead of the first.
const PAGES: [(&str, &str, bool); 32] = [
    (CONSOLE, "", false),
    (CONSOLE, "", true),
    (CONSOLE, "label=Plant+99", false),
    (CONSOLE, "label=no+such", false),
    (CONSOLE, "product=gst", false),
    (CONSOLE, "product=rare", false),
    (CONSOLE, "status=disabled", false),
    (CONSOLE, "sort=label", false),
    (CONSOLE, "sort=-label", false),
    (CONSOLE, "sort=label&label=Plant+99", false),
    (CONSOLE, "sort=-last_token", false),
    (CONSOLE, "sort=last_token", false),
    (CONSOLE, "sort=ends", false),
    (CONSOLE, "sort=-ends", false),
    (API, "", false),
    (API, "count=true", false),
    (API, "label=plant+99", false),
    (API, "label=no+such", false),
    (API, "product=rare", false),
    (API, "status=disabled", false),
    (API, "sort=label", false),
    (API, "sort=-label", false),
    (API, "sort=last_used_at", false),
    (API, "sort=-last_used_at", false),
    (API, "sort=expires_at", false),
    (IN_ACME, "", false),
    (IN_ACME, "label=no+such&count=true", false),
    (IN_ACME, "sort=-expires_at&label=no+such", false),
    (IN_ACME, "sort=last_used_at&label=no+such", false),
    (IN_ACME, "sort=last_used_at&product=rare", false),
    (IN_ACME, "sort=label&status=disabled", false),
    (IN_ACME, "unused_since=2020-01-01T00:00:00Z", false),
];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let given = std::env::args().skip(1).find(|argument| argument.starts_with("postgres://"));
    let url = given.unwrap_or_else(|| format!("sqlite://{}/mintmark.db", folder.path().display()));
    let own = format!(
        "database.url = \"{url}\"\nkeys.master_key = \"{}\"\nlog.level = \"error\"\n",
        "5aa5".repeat(16)
    );
    let settings = Settings::from_toml_layers(&[&own]).expect("settings");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = App::build(settings, Arc::new(SystemClock)).await.expect("an app");
        stock(&app, &url).await;
        let made = app
            .core()
            .services
            .tenants
            .bootstrap(&mintmark::kernel::Manager::command_line())
            .await
            .expect("an administrator");
        let secret = made.client_secret.expect("a new one");
        let basic = STANDARD.encode(format!("{}:{}", made.client_id, secret.expose()));
        let served = app.clone();
        let service =
            init_service(ActixApp::new().configure(move |config| served.configure(config, Doors::All))).await;
        let token = TestRequest::post()
            .uri("/oauth2/token")
            .peer_addr((Ipv4Addr::LOCALHOST, 1).into())
            .insert_header((header::AUTHORIZATION, format!("Basic {basic}")))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload("grant_type=client_credentials");
        let reply = read_body(call_service(&service, token.to_request()).await).await;
        let reply: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
        let token = reply.get("access_token").and_then(|token| token.as_str()).expect("a token");
        println!("{CLIENTS} API clients in one workspace; server time of a page, median of {ROUNDS}:");
        for (path, query, last) in PAGES {
            let mut path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
            if last {
                path = last_page(&service, &path).await;
            }
            let mut millis = Vec::new();
            for _ in 0..ROUNDS {
                let started = Instant::now();
                page(&service, &path, token).await;
                millis.push(started.elapsed().as_secs_f64() * 1e3);
            }
            millis.sort_by(f64::total_cmp);
            let shown = if last { "the last page" } else { query };
            let list = path.split('?').next().unwrap_or_default();
            println!("{list:<40} {shown:<40} {:>8.1} ms", millis[ROUNDS / 2]);
        }
        app.core().services.close().await;
    });
}

/// The body of a page.
async fn page<S, B>(service: &S, path: &str, token: &str) -> String
where
    S: Service<actix_http::Request, Response = actix_web::dev::ServiceResponse<B>, Error = actix_web::Error>,
    B: actix_web::body::MessageBody,
{
    let request = TestRequest::get().uri(path).peer_addr((Ipv4Addr::LOCALHOST, 1).into());
    let request = if path.starts_with("/v1") {
        request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")))
    } else {
        request.insert_header((header::COOKIE, format!("mintmark={COOKIE}")))
    };
    let reply = call_service(service, request.to_request()).await;
    let status = reply.status();
    let body = read_body(reply).await;
    let body = String::from_utf8(body.to_vec()).expect("text");
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// The address of the last page of a list in the console. Starts at `path` and follows the link to the next page until a page
/// has no such link.
async fn last_page<S, B>(service: &S, path: &str) -> String
where
    S: Service<actix_http::Request, Response = actix_web::dev::ServiceResponse<B>, Error = actix_web::Error>,
    B: actix_web::body::MessageBody,
{
    let mut path = path.to_owned();
    let mut pages = 1;
    loop {
        let body = page(service, &path, "").await;
        let next = body.split("href=\"").find_map(|rest| {
            let href = rest.split('"').next()?;
            href.contains("after=").then(|| href.replace("&#38;", "&").replace("&amp;", "&"))
        });
        match next {
            Some(next) => path = next,
            None => break,
        }
        pages += 1;
    }
    assert_eq!(pages, CLIENTS / 50, "pages of 50");
    path
}

async fn stock(app: &App, url: &str) {
    let services = &app.core().services;
    let caller = Manager::command_line();
    let text = |text: &str| Member::Value(text.to_owned());
    for code in ["gst", "e-invoicing", "rare"] {
        let product = ProductChange { name: text(code), ..ProductChange::default() };
        services.tenants.create_product(&caller, &text(code), &product, None).await.expect("a product");
    }
    let acme = WorkspaceChange { name: text("Acme"), ..WorkspaceChange::default() };
    services.tenants.create_workspace(&caller, &text("acme"), &acme, None).await.expect("a workspace");
    let storage = Storage::open(url, 2).await.expect("the same database");
    let now = services.clock().now();
    let mut tx = storage.begin().await.expect("a transaction");
    assert!(tx.insert_operator(&operator(now)).await.expect("an operator"));
    tx.insert_session(&session(now)).await.expect("a session");
    for number in 0..CLIENTS {
        let client = client(number, now);
        tx.insert_client(&client, &format!("{number:08}")).await.expect("a client");
        let secret = ClientSecret {
            secret_id: format!("s{number:08}"),
            client_id: client.client_id.clone(),
            mac: vec![0; 32],
            last_four: "x7Qa".to_owned(),
            created_at: now,
            expires_at: None,
            first_used_at: None,
            last_used_at: None,
            last_used_from: None,
            used_last_24h: 0,
        };
        tx.insert_secret(&secret).await.expect("a secret");
        // One in four never got a token.
        if number % 4 > 0 {
            let at = now - i64::try_from(number.wrapping_mul(7_919) % 1_000_000).unwrap_or_default();
            tx.touch_client(&client.client_id, at).await.expect("a use");
        }
        if number % 5_000 == 4_999 {
            tx.commit().await.expect("a commit");
            tx = storage.begin().await.expect("a transaction");
        }
    }
    tx.commit().await.expect("a commit");
    storage.close().await;
}

fn client(number: usize, now: i64) -> ApiClient {
    let mut random = [0; 16];
    random[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let mut products = vec!["gst".to_owned()];
    if number.is_multiple_of(2) {
        products.push("e-invoicing".to_owned());
    }
    if number.is_multiple_of(10_000) {
        products.push("rare".to_owned());
    }
    ApiClient {
        client_id: ids::client_id(random),
        workspace_id: "acme".to_owned(),
        label: format!("Plant {} ERP {number}", number.wrapping_mul(7_919) % CLIENTS),
        description: None,
        products,
        permissions: Vec::new(),
        token_expiry: TokenExpiry::After { seconds: 3_600 },
        notification_emails: Vec::new(),
        allowed_ips: Vec::new(),
        signing_alg: None,
        // One in a hundred expires.
        expires_at: (number.is_multiple_of(100))
            .then(|| now + 86_400 + i64::try_from(number).unwrap_or_default()),
        metadata: BTreeMap::new(),
        // One in ten thousand is disabled.
        disabled_at: (number % 10_000 == 1).then_some(now),
        active_tokens: ActiveTokens::Many,
        generation: 1,
        slot: None,
        slots_suspended_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

fn operator(now: i64) -> Operator {
    Operator {
        operator_id: "0190a0a0-0000-7000-8000-000000000001".to_owned(),
        email: "admin@example.com".to_owned(),
        name: "Admin".to_owned(),
        status: OperatorStatus::Active,
        roles: vec![Role::PlatformAdmin],
        role_source: None,
        sign_in: Vec::new(),
        last_sign_in_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

fn session(now: i64) -> StoredSession {
    StoredSession {
        session_hash: digest(&SHA256, COOKIE.as_bytes()).as_ref().to_vec(),
        session_id: "0190a0a0-0000-7000-8000-000000000002".to_owned(),
        operator_id: operator(now).operator_id,
        way: Way::Passkey,
        created_at: now,
        last_used_at: now,
        ends_at: now + 40_000,
        authenticated_at: now,
        source_ip: None,
        user_agent: None,
    }
}
