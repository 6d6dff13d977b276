//! A full disk, imitated with `RLIMIT_FSIZE`: the kernel refuses every write to a file, SQLite rolls back, and the service
//! works again without a restart as soon as writes succeed.

use std::process::Command;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::process::{Place, Serving, client, text};
use crate::support::Engine;

impl Serving {
    /// Lets the process write to files, or makes its writes fail as on a full disk.
    fn may_write(&self, may: bool) {
        let limit = if may { "--fsize=unlimited:unlimited" } else { "--fsize=0:unlimited" };
        let pid = self.running.pid().to_string();
        assert!(Command::new("prlimit").args(["--pid", &pid, limit]).status().unwrap().success());
    }
}

#[tokio::test]
async fn a_service_recovers_from_a_full_disk() {
    let place = Place::with_issuer(Engine::Sqlite);
    let admin = place.json(&["bootstrap", "--json"]);
    let serving = place.serve_without_file_signal();
    let token =
        serving.token(text(&admin, "client_id"), text(&admin, "client_secret"), "mintmark:manage").await;
    let token: Value = token.json().await.unwrap();
    let token = text(&token, "access_token");
    let create = async |code: &str| -> Response {
        let request = client().post(format!("{}/v1/products", serving.base)).bearer_auth(token);
        request.json(&json!({"product": code, "name": code})).send().await.unwrap()
    };
    assert_eq!(create("before").await.status(), StatusCode::CREATED);
    for round in 0..3 {
        serving.may_write(false);
        for _ in 0..3 {
            assert_eq!(create("full").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        let ready = serving.get("/readyz").await;
        assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(ready.text().await.unwrap().contains("accepts no writes"));
        serving.may_write(true);
        assert_eq!(create(&format!("p{round}")).await.status(), StatusCode::CREATED);
        assert_eq!(serving.get("/readyz").await.status(), StatusCode::OK);
    }
    serving.stop().must_succeed();
    // `before`, `p0`, `p1` and `p2`.
    let products = place.json(&["products", "list", "--json"]);
    assert_eq!(products.as_array().or(products["items"].as_array()).unwrap().len(), 4, "{products}");
}
