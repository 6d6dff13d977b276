//! A running Mintmark for a test: the real app with its own port and database, and a clock that the test moves. Tests call it
//! over HTTP.

use std::net::TcpListener;
use std::sync::Arc;

use mintmark::app::{App, Core, Ending, Listeners};
use mintmark::config::Settings;
use mintmark::delivery::Worker;
use mintmark::kernel::Manager;
use mintmark::model::clock::ManualClock;
use mintmark::outbound::{Resolver, SystemResolver};
use mintmark::telemetry::metrics::Metrics;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::contract::CONTRACT;
use super::{Engine, TestDatabase};

/// 2026-09-21T14:13:20Z, the time on the clock of a new [`TestApp`].
pub(crate) const START: i64 = 1_790_000_000;

/// Settings with which `/v1` and the console are not at the URL of the app.
pub(crate) const MANAGEMENT_APART: &str =
    "server.management_listen = \"127.0.0.1:0\"\nserver.management_url = \"https://management.example\"";

/// A client id and its secret.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// The app, served until this value is dropped or stopped. The drop fails the test if the app sent a reply that `openapi.yaml`
/// does not name for that path and method.
pub(crate) struct TestApp {
    pub(crate) base: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: Client,
    pub(crate) core: Core,
    pub(crate) database: Arc<TestDatabase>,
    /// Sends mails and webhooks when a test runs it. The app does not run it unless a test sets `delivery.worker` to `"on"`.
    pub(crate) worker: Arc<Worker>,
    metrics: Arc<Metrics>,
    issuer_path: String,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl TestApp {
    /// Starts an app with the settings that all tests have (`own` in [`Self::start_with_all`]).
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, "").await
    }

    /// Starts an app with these TOML settings over those that all tests have. `{base}` and `{port}` in them become the URL and
    /// the port of the app.
    pub(crate) async fn start_with(engine: Engine, settings: &str) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self::start_on(Arc::new(TestDatabase::new(engine)), clock, settings).await
    }

    /// Starts an app with these settings. `names` resolves host names for it.
    pub(crate) async fn start_resolving(engine: Engine, settings: &str, names: Arc<dyn Resolver>) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self::start_with_all(Arc::new(TestDatabase::new(engine)), clock, settings, names).await
    }

    /// A second app on the same database and clock: another replica.
    pub(crate) async fn replica(&self, settings: &str) -> Self {
        Self::start_on(Arc::clone(&self.database), Arc::clone(&self.clock), settings).await
    }

    /// Starts an app on a database and a clock that the test made.
    pub(crate) async fn start_on(
        database: Arc<TestDatabase>,
        clock: Arc<ManualClock>,
        settings: &str,
    ) -> Self {
        Self::start_with_all(database, clock, settings, Arc::new(SystemResolver)).await
    }

    async fn start_with_all(
        database: Arc<TestDatabase>,
        clock: Arc<ManualClock>,
        settings: &str,
        names: Arc<dyn Resolver>,
    ) -> Self {
        // Only plain HTTP is used here, but the client needs a TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let public = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", public.local_addr().unwrap());
        let own = format!(
            "server.public_url = {base:?}\nserver.workers = 1\nserver.drain_seconds = 0\ndelivery.worker = \"off\"\ndatabase.url = {:?}\n\
             keys.master_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n",
            database.url()
        );
        let port = public.local_addr().unwrap().port().to_string();
        let settings = settings.replace("{base}", &base).replace("{port}", &port);
        let settings = Settings::from_toml_layers(&[&own, &settings]).unwrap();
        let management = settings.server.management_listen.map(|address| TcpListener::bind(address).unwrap());
        let issuer_path = settings.server.public_url.path().to_owned();
        let app = App::build_with(settings, clock.clone(), names).await.unwrap();
        let (core, metrics) = (app.core().clone(), Arc::clone(app.metrics()));
        let worker = Arc::clone(app.worker());
        let (shutdown, stopped) = oneshot::channel();
        #[expect(
            clippy::disallowed_methods,
            reason = "the test is the caller that decides when the app stops"
        )]
        let server = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
                Ending::Drained
            };
            app.run(Listeners { public, management }, stopped).await.unwrap();
        });
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self {
            base,
            clock,
            http,
            core,
            database,
            worker,
            metrics,
            issuer_path,
            shutdown: Some(shutdown),
            server: Some(server),
        }
    }

    /// Stops the app gracefully and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.shutdown.take());
        self.server.take().unwrap().await.unwrap();
    }

    /// Begins to stop the app. The returned future waits for its end.
    pub(crate) fn begin_stop(mut self) -> impl Future<Output = ()> {
        drop(self.shutdown.take());
        async move { self.server.take().unwrap().await.unwrap() }
    }

    /// The metrics of the app, in the text format of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        self.metrics.encode()
    }

    /// A request to a path of the app.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A GET of a path.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Makes the first management client, which has every permission. Every further call fails: it has no secret to return.
    pub(crate) async fn bootstrap(&self) -> Credentials {
        let made = self.core.services.tenants.bootstrap(&Manager::command_line()).await.unwrap();
        Credentials {
            client_id: made.client_id,
            client_secret: made
                .client_secret
                .expect("the first bootstrap shows the secret")
                .expose()
                .to_owned(),
        }
    }

    /// Sends a token request with HTTP Basic authentication and these form parameters in addition to `grant_type`.
    pub(crate) async fn token(&self, client: &Credentials, form: &[(&str, &str)]) -> Response {
        let mut all = vec![("grant_type", "client_credentials")];
        all.extend_from_slice(form);
        self.request(Method::POST, "/oauth2/token")
            .basic_auth(&client.client_id, Some(&client.client_secret))
            .form(&all)
            .send()
            .await
            .unwrap()
    }

    /// The access token of a successful token request.
    pub(crate) async fn access_token(&self, client: &Credentials, form: &[(&str, &str)]) -> String {
        let response = self.token(client, form).await;
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// A caller that may use the whole management API: bootstraps, and gets a token for the new client.
    pub(crate) async fn administrator(&self) -> Administrator<'_> {
        let client = self.bootstrap().await;
        self.administrator_as(&client, "mintmark:manage").await
    }

    /// A caller with a token of that scope for `client`. When this returns, the audit event of the first use of the client's
    /// secret is stored. Otherwise a job would store it later, maybe in the middle of a slow test.
    pub(crate) async fn administrator_as(&self, client: &Credentials, scope: &str) -> Administrator<'_> {
        let token = self.access_token(client, &[("scope", scope)]).await;
        self.core.services.usage.flush().await.unwrap();
        Administrator { app: self, token, client: client.clone() }
    }
}

impl Drop for TestApp {
    /// A reply is counted before it is sent, so every reply that the test has seen is compared with the contract here. The
    /// replies of the HTTP layer to a malformed request head are not counted, and not in the contract.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            CONTRACT.must_name_all(&self.metrics(), &self.issuer_path);
        }
    }
}

/// A caller of the management API.
pub(crate) struct Administrator<'a> {
    pub(crate) app: &'a TestApp,
    pub(crate) token: String,
    pub(crate) client: Credentials,
}

impl Administrator<'_> {
    /// A request with the caller's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).bearer_auth(&self.token)
    }

    /// A GET.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// A POST of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// A PATCH with a JSON Merge Patch.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Response {
        let request =
            self.request(Method::PATCH, path).header("content-type", "application/merge-patch+json");
        request.body(body.to_string()).send().await.unwrap()
    }

    /// A DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// Sends a POST that must succeed, and returns the record that it made.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Value {
        let response = self.post(path, body).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 201, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a product. `more` has its members other than the code and the name.
    pub(crate) async fn product(&self, code: &str, more: Value) -> Value {
        self.create("/v1/products", &merged(json!({"product": code, "name": code}), more)).await
    }

    /// Makes a workspace. `more` has its members other than the id and the name.
    pub(crate) async fn workspace(&self, id: &str, more: Value) -> Value {
        self.create("/v1/workspaces", &merged(json!({"workspace_id": id, "name": id}), more)).await
    }

    /// Makes an API client in a workspace. `more` has its members other than the label.
    pub(crate) async fn client(&self, workspace: &str, more: Value) -> (Credentials, Value) {
        let path = format!("/v1/workspaces/{workspace}/api-clients");
        let made = self.create(&path, &merged(json!({"label": "ERP"}), more)).await;
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        (Credentials { client_id: text("client_id"), client_secret: text("client_secret") }, made)
    }
}

fn merged(mut base: Value, more: Value) -> Value {
    if let Value::Object(more) = more {
        base.as_object_mut().unwrap().extend(more);
    }
    base
}
