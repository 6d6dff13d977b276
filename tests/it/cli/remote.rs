//! `--remote`: the same commands over the management API of a running server, from a machine without its database.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::process::{Place, Ran, Serving, client, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(commands_work_as_at_the_server);

/// A server, and another machine with a token for it.
struct Remote {
    server: Place,
    serving: Serving,
    /// The other machine.
    place: Place,
    token: String,
}

impl Remote {
    async fn start(engine: Engine) -> Self {
        let mut server = Place::new(engine);
        let serving = server.serve();
        server.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
        let made = server.json(&["bootstrap", "--json"]);
        let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
        let reply: Value = serving.token(id, secret, "mintmark:manage").await.json().await.unwrap();
        let token = text(&reply, "access_token").to_owned();
        // The settings are invalid, so that a command that reads them fails.
        let place = Place::new(Engine::Sqlite)
            .with("MINTMARK__SERVER__LISTEN", "nowhere")
            .with("MINTMARK_TOKEN", &token);
        Self { server, serving, place, token }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.place.run(&[args, &["--remote", &self.serving.base]].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).must_succeed().json()
    }

    /// Checks that a command prints the same on the other machine and at the server. Returns its JSON.
    fn same(&self, args: &[&str]) -> Value {
        let here = self.json(args);
        assert_eq!(here, self.server.json(&[args, &["--json"]].concat()), "{args:?}");
        assert_eq!(
            self.run(args).must_succeed().stdout,
            self.server.run(args).must_succeed().stdout,
            "{args:?}"
        );
        here
    }
}

async fn counts_are_the_same(at: &Remote, id: &str, secret: &str) {
    // From now on `clients show` would differ: the server has the last use of the secret in memory, and has not written it yet.
    assert_eq!(at.serving.token(id, secret, "").await.status(), 200);
    assert_eq!(at.serving.token(id, "mms_cut", "").await.status(), 401);
    let usage = at.same(&["clients", "usage", id]);
    let today = usage["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&today["issued"], &today["refused"]), (&json!(1), &json!({"secret_of_wrong_length": 1})));
    assert_eq!(usage["seen_from"][0]["network"], "127.0.0.0/24");
    // The days of both times are included.
    let two_days = at.same(&["clients", "usage", id, "--since", "2d", "--until", "1d"]);
    assert_eq!(two_days["items"].as_array().unwrap().len(), 2);
    for args in [&["clients", "failures", id][..], &["clients", "failures"]] {
        let failures = at.same(args);
        assert_eq!(failures["items"].as_array().unwrap().len(), 1);
        assert_eq!(failures["items"][0]["reason"], "secret_of_wrong_length");
        let table = at.run(args).must_succeed().stdout;
        assert!(table.starts_with("at ") && table.contains("a secret has 53 characters"), "{table}");
    }
    let nobody = format!("cl_{}", "0".repeat(22));
    for verb in ["usage", "failures"] {
        at.run(&["clients", verb, &nobody]).must_fail(1, &["API client not found", "mintmark clients list"]);
    }
}

async fn commands_work_as_at_the_server(engine: Engine) {
    let at = Remote::start(engine).await;
    at.json(&["products", "create", "gst", "--name", "GST", "--max-token-lifetime", "30d"]);
    at.json(&["products", "update", "gst", "--max-token-lifetime", ""]);
    assert_eq!(at.same(&["products", "show", "gst"])["max_token_lifetime_seconds"], json!(null));
    at.json(&["workspaces", "create", "acme", "--name", "Acme", "--products-allowed", "gst"]);
    at.json(&["workspaces", "update", "acme", "--all-products"]);
    assert_eq!(at.same(&["workspaces", "get", "acme"])["products_allowed"], json!(null));
    assert_eq!(at.json(&["workspaces", "suspend", "acme"])["status"], "suspended");
    assert_eq!(at.json(&["workspaces", "resume", "acme"])["status"], "active");

    let wanted =
        ["--label", "ERP", "--products", "gst", "--token-expiry", "never", "--expires-at", "2099-01-31"];
    let made = at.run(&[&["clients", "create", "acme", "--json"], &wanted[..]].concat()).must_succeed();
    assert!(made.stderr.contains("Keep the secret"), "{made:?}");
    let made = made.json();
    let id = text(&made, "client_id");
    assert_eq!(text(&made, "expires_at"), "2099-01-31T00:00:00Z");
    let changed = at.json(&["clients", "update", id, "--metadata", "a=b", "--expires-at", "never"]);
    assert_eq!((&changed["metadata"], &changed["expires_at"]), (&json!({"a": "b"}), &json!(null)));
    assert_eq!(at.json(&["clients", "disable", id])["status"], "disabled");
    assert_eq!(at.json(&["clients", "enable", id])["status"], "active");
    at.same(&["clients", "show", id]);
    assert_eq!(at.same(&["clients", "list", "acme", "--label", "er"])["items"].as_array().unwrap().len(), 1);
    // Not `same`: the server has the last use of this test's own secret in memory, which a command at the server cannot see.
    let found =
        |args: &[&str]| at.json(&[&["clients", "list"], args].concat())["items"].as_array().unwrap().len();
    assert_eq!((found(&[]), found(&["platform"]), found(&["--sort", "-label", "--limit", "1"])), (2, 1, 1));
    assert_eq!((found(&["--metadata", "a=b"]), found(&["--metadata", "a=c"])), (1, 0));
    let secret = at.json(&["clients", "add-secret", id, "--expire-others-after", "1h"]);
    assert_eq!(
        (found(&["--secret-expires-before", "2h"]), found(&["--secret-expires-before", "1m"])),
        (1, 0)
    );
    assert_eq!((found(&["acme", "--unused-since", "1d"]), found(&["acme", "--product", "gst"])), (1, 1));
    let secret_id = text(&secret, "secret_id");
    let deleted = at.json(&["clients", "delete-secret", id, secret_id, "--force"]);
    assert_eq!(deleted, json!({"client_id": id, "secret_id": secret_id, "deleted": true}));

    counts_are_the_same(&at, id, text(&made, "client_secret")).await;
    let token = at.json(&["tokens", "create", id, "--token-expiry", "1d"]);
    let jti = text(&token, "jti");
    assert_eq!(token["expires_in"], 86_400);
    at.same(&["tokens", "show", id, jti]);
    // The token that the client requested, and this one.
    assert_eq!(at.same(&["tokens", "list", id])["items"].as_array().unwrap().len(), 2);
    let tokens =
        |args: &[&str]| at.same(&[&["tokens", "list"], args].concat())["items"].as_array().unwrap().len();
    assert_eq!(
        (tokens(&[]), tokens(&["--never-expires", "true"]), tokens(&[id, "--expires-before", "2d"])),
        (2, 1, 1)
    );
    assert_eq!(at.json(&["tokens", "revoke", id, jti])["revoked"], true);
    assert_eq!((tokens(&["--status", "revoked"]), tokens(&[]), tokens(&["--status", "all"])), (1, 1, 2));
    let all = at.run(&["tokens", "revoke-all", id]).must_succeed().stdout;
    assert_eq!(all, format!("all tokens of the API client {id} revoked, 1 of them recorded\n"));
    assert_eq!(at.json(&["tokens", "revoke-all", id]), json!({"client_id": id, "revoked_tokens": 0}));
    assert!(text(&at.json(&["tokens", "show", id, jti]), "revoked_at").starts_with("20"));

    for list in ["workspaces", "products", "clients", "tokens", "keys"] {
        let items = at.json(&[list, "list"])["items"].as_array().unwrap().len();
        assert_eq!(at.same(&[list, "list", "--count"]), json!({"total": items}), "{list}");
    }
    let many = ["clients", "update-many", "--where-label", "er", "--metadata", "a=c"];
    let found = json!({"matched": 1, "changed": 1, "items": [{"client_id": id, "revoked_tokens": 0}]});
    let report = |dry_run: bool| {
        let mut report = found.clone();
        report["dry_run"] = dry_run.into();
        report
    };
    assert_eq!(at.same(&[&many[..], &["--dry-run"]].concat()), report(true));
    assert_eq!(at.json(&many), report(false));
    assert_eq!(at.json(&["clients", "show", id])["metadata"], json!({"a": "c"}));

    let key = at.json(&["keys", "create", "--use-for", "never_expiring"]);
    assert_eq!((text(&key, "alg"), text(&key, "phase")), ("ES256", "pending"));
    at.run(&["keys", "delete", text(&key, "kid")]).must_succeed();
    let key = at.json(&["keys", "create", "--alg", "EdDSA"]);
    let kid = text(&key, "kid");
    at.same(&["keys", "show", kid]);
    at.same(&["keys", "list"]);
    at.run(&["keys", "delete", kid]).must_fail(1, &["signs tokens", "--revoke-tokens"]);

    let hook = at.json(&["webhooks", "create", "acme", "--url", "https://hooks.example/in"]);
    let hook = text(&hook, "webhook_id");
    at.json(&["webhooks", "update", hook, "--events", "client.*"]);
    assert_eq!(at.same(&["webhooks", "show", hook])["events"], json!(["client.*"]));
    assert_eq!(at.same(&["webhooks", "list", "acme"])["items"].as_array().unwrap().len(), 1);
    assert!(text(&at.json(&["webhooks", "replace-secrets", hook]), "signing_secret").starts_with("whsec_"));
    assert_eq!(at.json(&["webhooks", "delete", hook])["deleted"], true);
    assert_eq!(at.json(&["clients", "delete", id]), json!({"client_id": id, "deleted": true}));
    at.run(&["clients", "get", id]).must_fail(1, &["API client not found", "mintmark clients list"]);
    at.run(&["workspaces", "delete", "acme"]).must_succeed();
    at.run(&["products", "delete", "gst"]).must_succeed();
    let events = at.same(&["audit", "list", "--since", "1h"]);
    assert!(text(&events["items"][0], "actor").starts_with("client:cl_"), "{events}");
    // This command is the last, since it also revokes the token of this test, a stateless one that the key may have signed.
    let revoked = at.run(&["keys", "revoke", kid]).must_succeed().stdout;
    assert_eq!(revoked, format!("signing key {kid} deleted, and 0 recorded tokens revoked\n"));
    assert!(!at.place.path("data").exists());
    assert_eq!(at.serving.stop().code, 0);
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_complete() {
    let at = Remote::start(Engine::Sqlite).await;
    let http = client();
    // A page has at most 200 items.
    for n in 0..205 {
        let body = json!({"product": format!("p{n:03}"), "name": "P"}).to_string();
        let request = http.post(format!("{}/v1/products", at.serving.base)).bearer_auth(&at.token);
        let reply = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(reply.status(), 201);
    }
    let list = at.same(&["products", "list"]);
    assert_eq!(list["items"].as_array().unwrap().len(), 205);
    assert_eq!(at.run(&["products", "list"]).must_succeed().stdout.lines().count(), 206);
    let events = at.same(&["audit", "list", "--action", "product.created", "--limit", "203"]);
    assert_eq!(events["items"].as_array().unwrap().len(), 203);
    assert_eq!(at.serving.stop().code, 0);
}

#[tokio::test]
async fn errors_of_remote_commands_say_what_is_wrong() {
    let mut at = Remote::start(Engine::Sqlite).await;
    at.run(&["clients", "create", "nowhere", "--label", "x"])
        .must_fail(1, &["mintmark: workspace not found", "mintmark workspaces list"]);
    let wrong = ["products", "create", "GST", "--max-token-lifetime", "1"];
    at.run(&wrong).must_fail(
        2,
        &[
            "mintmark: invalid:\n",
            "\n  PRODUCT must",
            "\n  --name is required",
            "\n  --max-token-lifetime must",
        ],
    );
    let refused = at.run(&[&wrong[..], &["--json"]].concat());
    let problem: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!((refused.code, problem["status"].as_i64(), refused.stdout.as_str()), (2, Some(422), ""));
    assert!(problem["request_id"].is_string(), "{problem}");
    let errors = problem["errors"].as_array().unwrap();
    let cap = errors.iter().find(|error| error["pointer"] == "/max_token_lifetime_seconds").unwrap();
    assert_eq!(cap["option"], "--max-token-lifetime");
    at.run(&["keys", "create", "--alg", "HS256"]).must_fail(2, &["--alg must"]);
    // An id is one segment of the path, whatever characters it has.
    for id in ["a/b", "a?b", "..", ".", "%2e%2e"] {
        at.run(&["workspaces", "show", id]).must_fail(1, &["mintmark: "]);
    }
    at.run(&["keys", "rewrap", "--new-master-key-file", "k"]).must_fail(2, &["without --remote"]);
    at.run(&["audit", "new-key"]).must_fail(2, &["mintmark audit new-key", "without --remote"]);
    at.run(&["migrate"]).must_fail(2, &["--remote"]);
    let base = at.serving.base.clone();
    let elsewhere = format!("{base}/nowhere");
    at.place.run(&["products", "list", "--remote", &elsewhere]).must_fail(1, &["mintmark: "]);
    for url in ["tokens.example.com", "http://tokens.example.com", "https://a:b@tokens.example.com"] {
        at.place.run(&["products", "list", "--remote", url]).must_fail(2, &["https URL of the server"]);
    }
    at.place.run(&["products", "list", "--token-file", "t"]).must_fail(2, &["--remote"]);

    at.place.set("MINTMARK_TOKEN", "");
    at.run(&["products", "list"]).must_fail(2, &["MINTMARK_TOKEN", "--token-file", "scope=mintmark:manage"]);
    at.run(&["products", "list", "--token-file", "none"]).must_fail(2, &["--token-file none"]);
    at.place.write("token", format!("{}\n", at.token));
    at.run(&["products", "list", "--token-file", "token"]).must_succeed();
    at.place.set("MINTMARK_TOKEN", "eyJ.a.b");
    at.run(&["products", "list"]).must_fail(1, &["mintmark: ", "scope=mintmark:manage"]);
    at.place.set("MINTMARK_TOKEN", &at.token);
    assert_eq!(at.serving.stop().code, 0);
    at.place.run(&["products", "list", "--remote", &base]).must_fail(1, &[&base, "refused"]);
}

/// A server that closes the connection of the first request without a reply, and replies 404 to later ones. Returns its URL,
/// and the request line and `Idempotency-Key` of each request.
fn server_that_drops_the_first_request() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let key = head.iter().find(|line| line.starts_with("idempotency-key"));
            if sender.send(format!("{first} {}", key.map_or("", |key| key))).is_err() {
                return;
            }
            if number > 0 {
                let problem = r#"{"title": "Not found", "detail": "there is nothing", "status": 404}"#;
                let length = problem.len();
                write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: {length}\r\n\r\n{problem}")
                    .unwrap();
            }
        }
    });
    (url, requests)
}

#[test]
fn a_change_is_retried_only_with_an_idempotency_key() {
    let place = Place::new(Engine::Sqlite).with("MINTMARK_TOKEN", "eyJ.a.b");
    let id = format!("cl_{}", "0".repeat(22));
    for (args, is_retried) in [
        (&["tokens", "revoke-all", &id][..], false),
        (&["clients", "disable", &id], false),
        (&["clients", "update-many", "--where-status", "active", "--status", "disabled"], false),
        (&["webhooks", "resend", &id, &id], false),
        (&["clients", "add-secret", &id], true),
        (&["clients", "show", &id], true),
    ] {
        let (url, requests) = server_that_drops_the_first_request();
        let says = if is_retried { "there is nothing" } else { "It is not known whether the server did it" };
        place.run(&[args, &["--remote", &url]].concat()).must_fail(1, &[says]);
        let requests: Vec<String> = requests.try_iter().collect();
        assert_eq!(requests.len(), if is_retried { 2 } else { 1 }, "{requests:?}");
        assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
        let has_key = is_retried && requests[0].starts_with("POST");
        assert_eq!(requests[0].contains("idempotency-key"), has_key, "{requests:?}");
    }
}

#[test]
fn an_untrusted_certificate_is_refused() {
    let server = Place::new(Engine::Sqlite)
        .with("MINTMARK__SERVER__PUBLIC_URL", "https://tokens.example.com")
        .with("MINTMARK__SERVER__TLS__CERT_FILE", "cert.pem")
        .with("MINTMARK__SERVER__TLS__KEY_FILE", "key.pem");
    server.write("cert.pem", include_str!("tls/cert.pem"));
    server.write("key.pem", include_str!("tls/key.pem"));
    let serving = server.serve();
    let place = Place::new(Engine::Sqlite).with("MINTMARK_TOKEN", "eyJ.a.b");
    let url = format!("https://{}", serving.address());
    place.run(&["products", "list", "--remote", &url]).must_fail(1, &[&url, "certificate"]);
    assert_eq!(serving.stop().code, 0);
}
