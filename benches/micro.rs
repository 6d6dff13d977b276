//! What the parts of issuing a token cost, in time and allocations: `cargo bench --bench micro`. For most parts the bare
//! operation is measured too; the difference is what Mintmark adds.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails should stop with the reason")]

use std::cell::{Cell, OnceCell};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App as ActixApp, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divan::{AllocProfiler, Bencher, black_box};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use mintmark::app::App;
use mintmark::config::Settings;
use mintmark::model::clock::SystemClock;
use mintmark::model::key::{Alg, UseFor};
use mintmark::model::slot_lease::{Lease, ListKind};
use mintmark::model::status::{Mark, SLOTS_PER_LIST, Slot};
use mintmark::routes::Doors;
use mintmark::signing::handle::{SigningHandle, TokenTyp};
use mintmark::signing::key::NewKey;
use mintmark::storage::Storage;
use mintmark_verifier::Verifier;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const CLAIMS: &[u8] = br#"{"iss":"http://127.0.0.1:8080","sub":"cl_0000000000000000000000","client_id":"cl_0000000000000000000000","aud":"http://127.0.0.1:8080/products","iat":1790000000,"exp":1790003600,"jti":"AAAAAAAAAAAAAAAAAAAAAA","scope":"e-invoicing gst","workspace_id":"acme-in","products":["e-invoicing","gst"]}"#;

#[divan::bench]
fn sign_es256_bare_ring(bencher: Bencher<'_, '_>) {
    let random = SystemRandom::new();
    let key = bare_key(&random);
    bencher.bench_local(|| key.sign(&random, black_box(CLAIMS)).unwrap());
}

#[divan::bench(args = [Alg::ES256, Alg::EdDSA])]
fn sign_jwt(bencher: Bencher<'_, '_>, alg: Alg) {
    let handle = SigningHandle::new(NewKey::generate(alg).unwrap().into_pair(), UseFor::Expiring);
    bencher.bench_local(|| handle.sign_jwt(TokenTyp::AccessToken, black_box(CLAIMS)).unwrap());
}

#[divan::bench]
fn verify_es256_bare_ring(bencher: Bencher<'_, '_>) {
    let random = SystemRandom::new();
    let key = bare_key(&random);
    let signature = key.sign(&random, CLAIMS).unwrap();
    let public =
        signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
    bencher.bench_local(|| public.verify(black_box(CLAIMS), signature.as_ref()).unwrap());
}

#[divan::bench]
fn verify_token(bencher: Bencher<'_, '_>) {
    let service = Service::new();
    let issuer = service.issuer.clone();
    let checks = Verifier::builder(&issuer, &issuer).checks().unwrap();
    let keys = service.app.core().services.ring.key_set();
    let token = service.token();
    let now = service.app.core().services.clock().now();
    bencher.bench_local(|| checks.verify(black_box(&token), &keys, now).unwrap());
}

#[divan::bench]
fn check_client_secret(bencher: Bencher<'_, '_>) {
    let service = Service::new();
    let services = &service.app.core().services;
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    bencher.bench_local(|| {
        let checked = services.clients.authenticate_secret(
            black_box(&service.client_id),
            &service.client_secret,
            source,
        );
        service.runtime.block_on(checked).unwrap().unwrap()
    });
}

/// The request of `request_token` with actix alone: routing, reading the body, and a reply of the same size.
#[divan::bench]
fn request_bare_actix(bencher: Bencher<'_, '_>) {
    let service = Service::new();
    let reply: Rc<OnceCell<String>> = Rc::default();
    reply.set("x".repeat(900)).unwrap();
    let handler = move |_body: web::Bytes| {
        let reply = Rc::clone(&reply);
        async move {
            HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .body(reply.get().unwrap().clone())
        }
    };
    let app = ActixApp::new().route("/oauth2/token", web::post().to(handler));
    let app = service.runtime.block_on(init_service(app));
    bencher
        .with_inputs(|| service.request().to_request())
        .bench_local_values(|request| service.runtime.block_on(call_service(&app, request)));
}

/// Everything except the socket: telemetry, authentication, grant, claims, signature, reply.
#[divan::bench]
fn request_token(bencher: Bencher<'_, '_>) {
    let service = Service::new();
    let telemetry = service.app.telemetry().unwrap();
    let app = service.app.clone();
    let app = ActixApp::new().configure(move |config| app.configure(config, Doors::All)).wrap(telemetry);
    let app = service.runtime.block_on(init_service(app));
    bencher.with_inputs(|| service.request().to_request()).bench_local_values(|request| {
        let response = service.runtime.block_on(call_service(&app, request));
        assert_eq!(response.status(), 200);
        response
    });
}

/// How many statuses of a list are not 0: few, more than is usual, and so many that the list hardly compresses.
const MARKED: [u32; 3] = [100, 10_000, 65_536];

/// The minimum for a changed list: zlib over its bits, and a signature over the JWT.
#[divan::bench(args = MARKED, sample_size = 1, sample_count = 200)]
fn status_list_bare_zlib_and_ring(bencher: Bencher<'_, '_>, marked: u32) {
    let list = ChangingList::new(marked);
    let bits = list.service.block_on(list.storage.status_list(list.number)).unwrap().unwrap().bits;
    let jwt = list.get();
    let signed = jwt.iter().rposition(|byte| *byte == b'.').unwrap();
    let random = SystemRandom::new();
    let key = bare_key(&random);
    bencher.bench_local(|| {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(black_box(&bits)).unwrap();
        (zlib.finish().unwrap(), key.sign(&random, jwt.get(..signed).unwrap()).unwrap())
    });
}

/// The whole work for a changed list: read it from the database, compress it, sign it, and make the reply with and
/// without gzip.
#[divan::bench(args = MARKED, sample_size = 1, sample_count = 200)]
fn status_list_after_a_change(bencher: Bencher<'_, '_>, marked: u32) {
    let list = ChangingList::new(marked);
    bencher.with_inputs(|| list.change()).bench_local_values(|()| list.get());
}

/// A request for a list that has not changed.
#[divan::bench]
fn status_list_from_memory(bencher: Bencher<'_, '_>) {
    let list = ChangingList::new(100);
    list.change();
    bencher.bench_local(|| list.get());
}

/// A status list that another process writes to.
struct ChangingList {
    service: Service,
    storage: Storage,
    number: i64,
    suspended: Cell<bool>,
}

impl ChangingList {
    fn new(marked: u32) -> Self {
        let service = Service::new();
        let storage = service.block_on(Storage::open(&service.database, 2)).unwrap();
        let number = service.block_on(async {
            let mut tx = storage.begin().await.unwrap();
            let seed = [7; 16];
            let slots: Vec<Slot> =
                tx.lease_slots(ListKind::Expiring, SLOTS_PER_LIST, seed, 0).await.unwrap().collect();
            // Marks slots in the order of their lease, which is random. One in four is suspended, the others are revoked.
            let slots: Vec<Slot> = slots.into_iter().take(marked as usize).collect();
            let (suspended, revoked) = slots.split_at(slots.len() / 4);
            tx.mark_slots(revoked, Mark::Revoke).await.unwrap();
            tx.mark_slots(suspended, Mark::Suspend).await.unwrap();
            tx.commit().await.unwrap();
            slots.first().unwrap().list
        });
        let list = Self { service, storage, number, suspended: Cell::new(true) };
        list.change();
        list
    }

    /// Changes one status; when this returns, the service knows of the change.
    fn change(&self) {
        self.service.block_on(async {
            let mark =
                if self.suspended.replace(!self.suspended.get()) { Mark::Resume } else { Mark::Suspend };
            // The first slot of the lease in `new`, which was suspended there.
            let slot = Lease::new(self.number, [7; 16], 0, 1).next().unwrap();
            let mut tx = self.storage.begin().await.unwrap();
            tx.mark_slots(&[slot], mark).await.unwrap();
            tx.commit().await.unwrap();
            self.service.app.core().services.ledger.poll().await.unwrap();
        });
    }

    fn get(&self) -> Arc<[u8]> {
        let list = self.service.block_on(self.service.app.core().services.status_lists.get(self.number));
        Arc::clone(&list.unwrap().unwrap().jwt)
    }
}

fn bare_key(random: &SystemRandom) -> EcdsaKeyPair {
    let alg = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, random).unwrap();
    EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), random).unwrap()
}

/// The app with its own database and one client.
struct Service {
    runtime: Runtime,
    app: App,
    database: String,
    issuer: String,
    client_id: String,
    client_secret: String,
    _folder: TempDir,
}

impl Service {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/mintmark.db", folder.path().display());
        let own = format!("database.url = {database:?}\nkeys.master_key = \"{}\"\n", "5aa5".repeat(16));
        let settings = Settings::from_toml_layers(&[&own]).unwrap();
        let issuer = settings.server.public_url.as_str().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(App::build(settings, Arc::new(SystemClock))).unwrap();
        let made = runtime
            .block_on(app.core().services.tenants.bootstrap(&mintmark::kernel::Manager::command_line()))
            .unwrap();
        let client_secret = made.client_secret.unwrap().expose().to_owned();
        Self { runtime, app, database, issuer, client_id: made.client_id, client_secret, _folder: folder }
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn request(&self) -> TestRequest {
        let basic = STANDARD.encode(format!("{}:{}", self.client_id, self.client_secret));
        TestRequest::post()
            .uri("/oauth2/token")
            .peer_addr((Ipv4Addr::LOCALHOST, 1).into())
            .insert_header((header::AUTHORIZATION, format!("Basic {basic}")))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload("grant_type=client_credentials")
    }

    /// A token for the service itself.
    fn token(&self) -> String {
        let telemetry = self.app.telemetry().unwrap();
        let app = self.app.clone();
        let app = ActixApp::new().configure(move |config| app.configure(config, Doors::All)).wrap(telemetry);
        self.runtime.block_on(async {
            let app = init_service(app).await;
            let response = call_service(&app, self.request().to_request()).await;
            let body: serde_json::Value = actix_web::test::read_body_json(response).await;
            body.get("access_token").and_then(|token| token.as_str()).unwrap().to_owned()
        })
    }
}
