//! What the parts of a token cost, in time and allocations: `cargo bench --bench micro`. The bare operation stands
//! beside ours each time; the difference is what we add.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says so")]

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App as ActixApp, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divan::{AllocProfiler, Bencher, black_box};
use mintmark::app::App;
use mintmark::config::Settings;
use mintmark::keys::key::NewKey;
use mintmark::keys::signing::{SigningHandle, TokenTyp};
use mintmark::model::clock::SystemClock;
use mintmark::model::key::{Alg, UseFor};
use mintmark::routes::Doors;
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
    let keys = service.app.core().ring.key_set();
    let token = service.token();
    let now = service.app.core().registry.clock().now();
    bencher.bench_local(|| checks.verify(black_box(&token), &keys, now).unwrap());
}

#[divan::bench]
fn check_client_secret(bencher: Bencher<'_, '_>) {
    let service = Service::new();
    let registry = &service.app.core().registry;
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    bencher.bench_local(|| {
        let checked =
            registry.authenticate_secret(black_box(&service.client_id), &service.client_secret, source);
        service.runtime.block_on(checked).unwrap().unwrap()
    });
}

/// What actix alone makes of such a request: routing, the body read, a reply of that size.
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

/// The whole use case behind the socket: telemetry, authentication, grant, claims, signature, reply.
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

fn bare_key(random: &SystemRandom) -> EcdsaKeyPair {
    let alg = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, random).unwrap();
    EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), random).unwrap()
}

/// The app over a database of its own, with one client.
struct Service {
    runtime: Runtime,
    app: App,
    issuer: String,
    client_id: String,
    client_secret: String,
    _folder: TempDir,
}

impl Service {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = format!(
            "database.url = \"sqlite://{}/mintmark.db\"\nkeys.master_key = \"{}\"\n",
            folder.path().display(),
            "5aa5".repeat(16)
        );
        let settings = Settings::from_toml_layers(&[&own]).unwrap();
        let issuer = settings.server.public_url.as_str().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(App::build(settings, Arc::new(SystemClock))).unwrap();
        let made = runtime.block_on(app.core().registry.bootstrap()).unwrap();
        let client_secret = made.client_secret.unwrap().expose().to_owned();
        Self { runtime, app, issuer, client_id: made.client_id, client_secret, _folder: folder }
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
