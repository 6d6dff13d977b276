//! No secret leaks (`docs/keys.md`; `docs/conformance.md` O6): the program runs with the log level `trace`, gets secrets in
//! every place where a client may put one, and loses its database for a while. Its log, its metrics, its replies and its
//! database are searched for the secrets.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::expect::{FORM, GRANT, basic, fully_encoded, issued};
use crate::support::{Engine, Reply, TestDatabase, on_both_engines};

on_both_engines!(no_secret_leaks);

const MASTER_KEY: &str = "Y2FuYXJ5LW1hc3Rlci1rZXktb2YtMzItYnl0ZXMtLi4";

/// Looks like a secret. Requests put it wherever a client may put one, and no output may contain it.
const CANARY: &str = "mms_CanaryInTheCoalMine";

/// The program as an operator runs it.
struct Program {
    child: Child,
    base: String,
    log: Option<JoinHandle<String>>,
}

fn mintmark(database: &TestDatabase, format: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mintmark"));
    command
        .env_clear()
        .env("MINTMARK__SERVER__WORKERS", "1")
        .env("MINTMARK__DATABASE__URL", database.url())
        .env("MINTMARK__KEYS__MASTER_KEY", MASTER_KEY)
        .env("MINTMARK__LOG__FORMAT", format)
        .env("MINTMARK__LOG__LEVEL", "trace")
        .env("RUST_LOG", "trace");
    command
}

impl Program {
    fn serve(database: &TestDatabase, format: &str) -> Self {
        let mut serve = mintmark(database, format);
        serve.env("MINTMARK__SERVER__LISTEN", "127.0.0.1:0").arg("serve").stderr(Stdio::piped());
        let mut child = serve.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (started, listening) = mpsc::channel();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            while lines.read_line(&mut log).unwrap() > 0 {
                // The start line names the port that the system chose.
                if let Some((_, rest)) = log.split_once("listen").filter(|_| log.contains("serving")) {
                    let port = rest.split("127.0.0.1:").nth(1).unwrap();
                    let _ = started.send(port.chars().take_while(char::is_ascii_digit).collect::<String>());
                    break;
                }
            }
            lines.read_to_string(&mut log).unwrap();
            log
        });
        let port = listening.recv().expect("the program to say where it serves");
        Self { child, base: format!("http://127.0.0.1:{port}"), log: Some(log) }
    }

    /// Stops the program as a service manager does, and returns its log.
    fn stop(mut self) -> String {
        let stopped = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failed test must not leave the program running. After `stop` this fails, since the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The encodings in which `secret` could be written.
fn spellings(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    // In base64 there are three, since the encoding depends on where in the text the secret begins. The last characters are
    // left out, since they depend on what follows the secret.
    let inside = |before: &str| {
        let encoded = STANDARD.encode(format!("{before}{secret}"));
        let from = (before.len() * 4).div_ceil(3);
        encoded.trim_end_matches('=').get(from..encoded.len() - 4).unwrap().to_owned()
    };
    vec![secret.to_owned(), fully_encoded(secret), hex, inside(""), inside("a"), inside("ab")]
}

struct Secrets(Vec<String>);

impl Secrets {
    /// The first secret in `text`, in any encoding, and the text from there.
    fn shown_by<'a>(&self, text: &'a str) -> Option<(&str, &'a str)> {
        // Only ASCII letters are changed, so that positions stay the same.
        let lower = text.to_ascii_lowercase();
        self.0.iter().find_map(|secret| {
            let found =
                spellings(secret).iter().find_map(|spelling| lower.find(&spelling.to_ascii_lowercase()))?;
            Some((secret.as_str(), &text[found..]))
        })
    }

    #[track_caller]
    fn must_not_be_in(&self, place: &str, text: &str) {
        if let Some((secret, rest)) = self.shown_by(text) {
            panic!("{place} shows {secret}: {rest}");
        }
    }
}

#[test]
fn a_secret_is_found_in_every_encoding() {
    let secrets = Secrets(vec!["another".to_owned(), CANARY.to_owned()]);
    let hex: String = CANARY.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}"));
    for written in [
        format!("é {CANARY}."),
        CANARY.to_uppercase(),
        format!("secret={}&", fully_encoded(CANARY)),
        format!("X'{hex}'"),
        basic(CANARY),
        basic(format!("c:{CANARY}")),
        basic(format!("cl:{CANARY}!")),
        basic(format!("cl_:{CANARY}!!")),
    ] {
        assert_eq!(secrets.shown_by(&written).map(|(secret, _)| secret), Some(CANARY), "{written}");
    }
    assert_eq!(secrets.shown_by("mms_ and nothing else"), None);
}

/// Requests with the canary in every place that takes a secret or might be taken for one.
fn requests_with_canaries(http: &Client, base: &str, client_id: &str, manager: &str) -> Vec<RequestBuilder> {
    let token = || http.post(format!("{base}/oauth2/token")).header("content-type", FORM);
    let presented = |path: &str| http.post(format!("{base}/oauth2/{path}")).header("content-type", FORM);
    let management =
        |method: Method, path: &str| http.request(method, format!("{base}{path}")).bearer_auth(manager);
    let mut requests = vec![
        token().header("authorization", basic(format!("{client_id}:{CANARY}"))).body(GRANT),
        // The secret in the place of the client id, which is logged.
        token().header("authorization", basic(format!("{CANARY}:{client_id}"))).body(GRANT),
        token().header("authorization", basic(format!("{CANARY}:"))).body(GRANT),
        token().body(format!("{GRANT}&client_id={CANARY}&client_secret={client_id}")),
        token().body(format!("{GRANT}&client_id={CANARY}")),
        token().header("authorization", format!("Basic {CANARY}")).body(GRANT),
        token().header("authorization", format!("Bearer {CANARY}")).body(GRANT),
        token().header("authorization", format!("{CANARY} x")).body(GRANT),
        token().header("proxy-authorization", CANARY).body(GRANT),
        token().body(format!("{GRANT}&client_id={client_id}&client_secret={CANARY}")),
        token().body(format!("{GRANT}&client_id={client_id}&client_secret={}", fully_encoded(CANARY))),
        token().body(format!("{GRANT}&client_assertion={CANARY}&client_assertion_type={CANARY}")),
        token().body(format!("{GRANT}&client_secret={CANARY}&client_secret={CANARY}")),
        token().body(format!("grant_type=password&username=u&password={CANARY}")),
        token().body(format!("{GRANT}&scope={CANARY}&resource={CANARY}&refresh_token={CANARY}&{CANARY}=%zz")),
        token().body(CANARY),
        token().header("content-encoding", CANARY).body(GRANT),
        http.post(format!("{base}/oauth2/token")).header("content-type", CANARY).body(CANARY),
        http.post(format!("{base}/oauth2/token")).json(&json!({"client_secret": CANARY})),
        http.post(format!("{base}/oauth2/token?client_secret={CANARY}"))
            .header("content-type", FORM)
            .body(GRANT),
        http.get(format!("{base}/oauth2/token?access_token={CANARY}#{CANARY}")),
        http.get(format!("{base}/{CANARY}/oauth2/token")),
        presented("introspect").body(format!("token={CANARY}&token_type_hint={CANARY}")),
        presented("introspect").body(format!("token={CANARY}&client_id={CANARY}&client_secret={CANARY}")),
        presented("introspect").header("authorization", format!("Bearer {CANARY}")).body("token=x"),
        presented("revoke").body(format!("token={CANARY}&client_id={client_id}&client_secret={CANARY}")),
        presented("revoke").body(format!("token={manager}&token={manager}&{CANARY}=%zz")),
        http.get(format!("{base}/oauth2/introspect?token={CANARY}&token={manager}")),
        http.get(format!("{base}/oauth2/verify?product={CANARY}&{CANARY}={CANARY}")).bearer_auth(manager),
        http.get(format!("{base}/oauth2/verify?product={CANARY}")).bearer_auth(manager),
        http.get(format!("{base}/oauth2/verify?access_token={CANARY}")).bearer_auth(CANARY),
        http.get(format!("{base}/v1/products?{CANARY}={CANARY}")).bearer_auth(CANARY),
        http.get(format!("{base}/.well-known/jwks.json?token={CANARY}")).header("if-none-match", CANARY),
        http.request(Method::from_bytes(CANARY.as_bytes()).unwrap(), format!("{base}/healthz")),
        management(Method::POST, "/v1/products").json(&json!({"product": CANARY, "client_secret": CANARY})),
        management(Method::POST, "/v1/products").json(&json!({"product": "gst", "name": [CANARY]})),
        management(Method::POST, "/v1/products").header("content-type", "application/json").body(CANARY),
        management(Method::POST, "/v1/products").header("content-type", "text/plain").body(CANARY),
        management(Method::POST, "/v1/signing-keys")
            .json(&json!({"alg": "RS256", "private_key_pem": CANARY})),
        management(Method::PATCH, "/v1/workspaces/platform").header("if-match", CANARY).json(&json!({})),
        management(Method::GET, &format!("/v1/products?cursor={CANARY}")),
        management(Method::GET, &format!("/v1/api-clients/{CANARY}")),
    ];
    for header in [
        "cookie",
        "x-api-key",
        "x-clear-client-secret",
        "x-auth-token",
        "user-agent",
        "referer",
        "origin",
        "host",
        "x-request-id",
        "x-forwarded-for",
        "forwarded",
        "traceparent",
        "dpop",
        "idempotency-key",
        "accept",
    ] {
        requests.push(token().header(header, CANARY).body(GRANT));
        requests.push(management(Method::GET, "/v1/products").header(header, CANARY));
    }
    requests
}

async fn no_secret_leaks(engine: Engine) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for format in ["text", "json"] {
        let database = TestDatabase::new(engine);
        let made = mintmark(&database, format).args(["bootstrap", "--json"]).output().unwrap();
        let said = String::from_utf8(made.stderr).unwrap();
        assert!(made.status.success(), "{said}");
        let first: Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (client_id, client_secret) = (text(&first["client_id"]), text(&first["client_secret"]));
        let mut secrets = Secrets(vec![CANARY.to_owned(), MASTER_KEY.to_owned(), client_secret.clone()]);

        let program = Program::serve(&database, format);
        let (http, base) = (Client::new(), program.base.clone());
        let token = http.post(format!("{base}/oauth2/token")).basic_auth(&client_id, Some(&client_secret));
        let token = token.header("content-type", FORM).body(format!("{GRANT}&scope=mintmark:manage"));
        let manager = issued(&Reply::to(token).await).text;
        let manage =
            |method: Method, path: &str| http.request(method, format!("{base}{path}")).bearer_auth(&manager);

        // First, secrets are used as intended.
        let product = json!({"product": "gst", "name": "GST"});
        assert_eq!(Reply::to(manage(Method::POST, "/v1/products").json(&product)).await.status, 201);
        let wanted = json!({
            "label": "ERP", "products": ["gst"], "token_expiry": {"mode": "never"},
            "notification_emails": ["erp@example.com"],
        });
        let create = manage(Method::POST, "/v1/workspaces/platform/api-clients").json(&wanted);
        let made = Reply::to(create.header("idempotency-key", "one")).await;
        assert_eq!(made.status, 201, "{made:?}");
        let (erp, erp_secret) = (text(&made.json()["client_id"]), text(&made.json()["client_secret"]));
        let another = manage(Method::POST, &format!("/v1/api-clients/{erp}/secrets")).json(&json!({}));
        let another = Reply::to(another.header("idempotency-key", "two")).await;
        assert_eq!(another.status, 201, "{another:?}");
        let never_expiring = http.post(format!("{base}/oauth2/token")).header("content-type", FORM);
        let never_expiring =
            never_expiring.body(format!("{GRANT}&client_id={erp}&client_secret={erp_secret}"));
        let never_expiring = issued(&Reply::to(never_expiring).await).text;
        let pem = crate::support::rsa_private_key();
        let key = json!({"alg": "RS256", "private_key_pem": pem});
        let key = Reply::to(manage(Method::POST, "/v1/signing-keys").json(&key)).await;
        assert_eq!(key.status, 201, "{key:?}");
        secrets.must_not_be_in("the reply to an import", &key.text());
        // The secret part of a token is its signature; each long line of a private key is secret.
        let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
        secrets.0.extend([
            erp_secret,
            text(&another.json()["client_secret"]),
            signature(&manager),
            signature(&never_expiring),
        ]);
        secrets.0.extend(pem.lines().filter(|line| line.len() > 60).map(str::to_owned));

        for path in ["introspect", "revoke"] {
            let ask = http.post(format!("{base}/oauth2/{path}")).basic_auth(&client_id, Some(&client_secret));
            let reply = Reply::to(ask.form(&[("token", &never_expiring)])).await;
            // The first client may introspect the token of another client, but not revoke it.
            assert_eq!(reply.status, if path == "introspect" { 200 } else { 400 }, "{reply:?}");
            secrets.must_not_be_in("a reply", &reply.text());
        }
        for request in requests_with_canaries(&http, &base, &client_id, &manager) {
            let reply = Reply::to(request).await;
            let whole = format!("{:?} {}", reply.headers, reply.text());
            secrets.must_not_be_in("a reply", &whole);
            assert!(reply.status < 500, "{reply:?}");
        }
        let metrics = Reply::to(http.get(format!("{base}/metrics"))).await.text();
        assert!(metrics.contains("mintmark_tokens_total{outcome=\"invalid_client\"}"));
        secrets.must_not_be_in("/metrics", &metrics);
        // Errors of the database might contain secrets, so the requests are repeated while it does not answer.
        database.go_away().await;
        for request in requests_with_canaries(&http, &base, &erp, &manager) {
            secrets.must_not_be_in("a reply", &Reply::to(request).await.text());
        }
        database.come_back().await;
        let after = manage(Method::GET, "/v1/products");
        assert_eq!(Reply::to(after).await.status, 200);
        let log = program.stop();
        assert!(log.lines().count() > 100 && log.contains("client authentication failed"), "{log}");
        secrets.must_not_be_in("the log", &format!("{said}{log}"));
        secrets.must_not_be_in("the database", &database.session().await.everything().await);
    }
}
