//! `/v1/…/api-clients`: the record, its changes, its lists, and the callers that cannot access it.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Administrator, Engine, TestApp, on_both_engines};

pub(super) const CLIENTS: &str = "/v1/workspaces/acme-in/api-clients";

/// Two products, a workspace, and an administrator of the platform.
pub(super) async fn furnished(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("e-invoicing", json!({})).await;
    admin.workspace("acme-in", json!({})).await;
    admin
}

pub(super) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// The last part of a problem's `type`, and the pointers of its errors.
pub(super) fn kind_and_pointers(problem: &Value) -> (&str, Vec<&str>) {
    let kind = problem["type"].as_str().unwrap().rsplit('/').next().unwrap();
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    (kind, pointers)
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// The example `never` of `openapi.yaml`, with the address of this test in `allowed_ips`.
async fn the_example_in_openapi_yaml_creates_a_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let wanted = json!({
        "label": "SAP S/4HANA production", "products": ["gst", "e-invoicing"], "token_expiry": {"mode": "never"},
        "notification_emails": ["finance-it@acme.example"], "allowed_ips": ["203.0.113.0/24", "127.0.0.1"],
        "active_tokens": "many", "daily_token_limit": null, "auth_method": "client_secret"
    });
    let response = admin.post(CLIENTS, &wanted).await;
    assert_eq!((response.status().as_u16(), header(&response, "cache-control")), (201, "no-store"));
    let (location, etag) = (header(&response, "location").to_owned(), header(&response, "etag").to_owned());
    let (_, made) = read(response).await;
    let id = made["client_id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/api-clients/{id}"));
    assert!(id.starts_with("cl_") && id.len() == 25, "{id}");
    let secret = made["client_secret"].as_str().unwrap();
    let secrets = json!([{
        "secret_id": made["secrets"][0]["secret_id"], "last_four": &secret[secret.len() - 4..],
        "created_at": "2026-09-21T14:13:20Z", "expires_at": null, "last_used_at": null, "last_used_from": null, "used_last_24h": 0
    }]);
    let expected = json!({
        "client_id": id, "client_secret": secret, "workspace_id": "acme-in", "label": "SAP S/4HANA production",
        "description": null, "status": "active", "products": ["e-invoicing", "gst"], "permissions": [], "token_expiry": {"mode": "never"},
        "notification_emails": ["finance-it@acme.example"], "allowed_ips": ["203.0.113.0/24", "127.0.0.1/32"],
        "active_tokens": "many", "replace_grace_seconds": 0, "daily_token_limit": null,
        "auth_method": "client_secret", "require_dpop": false, "signing_alg": null, "expires_at": null,
        "metadata": {}, "generation": 1, "secrets": secrets, "last_used_at": null,
        "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(made, expected);

    // The record is the same without the secret.
    let response = admin.get(&location).await;
    assert_eq!(header(&response, "etag"), etag);
    let (status, record) = read(response).await;
    let mut without = expected;
    without.as_object_mut().unwrap().remove("client_secret");
    assert_eq!((status, &record), (200, &without));
    let request = admin.request(Method::GET, &location).header("if-none-match", &etag);
    assert_eq!(request.send().await.unwrap().status(), 304);
    // A new client gets tokens immediately.
    let (credentials, _) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    app.access_token(&credentials, &[]).await;
}

/// `null` (RFC 7396), explicit defaults and members that are left out give the same record.
async fn null_and_explicit_defaults_count_as_left_out(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let bare = json!({"products": ["gst"]});
    let nulls = json!({
        "products": ["gst"], "permissions": null, "token_expiry": null, "notification_emails": null,
        "allowed_ips": null, "active_tokens": null, "replace_grace_seconds": null, "daily_token_limit": null,
        "auth_method": null, "expires_at": null, "signing_alg": null, "require_dpop": null, "metadata": null,
        "status": null, "description": null, "jwks": null, "jwks_uri": null, "tls_client_auth_san_dns": null
    });
    let defaults = json!({
        "products": ["gst"], "permissions": [], "token_expiry": {"mode": "after", "seconds": 3600},
        "notification_emails": [], "allowed_ips": [], "active_tokens": "many", "replace_grace_seconds": 0,
        "daily_token_limit": null, "auth_method": "client_secret", "expires_at": null, "signing_alg": null,
        "require_dpop": false, "metadata": {}, "status": "active", "description": null
    });
    let mut records = Vec::new();
    for wanted in [bare, nulls.clone(), defaults.clone()] {
        let (_, mut made) = admin.client("acme-in", wanted).await;
        for own in ["client_id", "client_secret", "secrets"] {
            assert!(made.as_object_mut().unwrap().remove(own).is_some());
        }
        records.push(made);
    }
    assert!(records.iter().all(|record| *record == records[0]), "{records:#?}");
    for (member, default) in defaults.as_object().unwrap() {
        assert_eq!(records[0][member], *default, "{member}");
    }

    // `null` resets every member that has a default.
    let (_, made) = admin
        .client(
            "acme-in",
            json!({
                "products": ["gst"], "permissions": ["mintmark:read"], "token_expiry": {"mode": "never"},
                "notification_emails": ["a@acme.example"], "allowed_ips": ["::1"], "status": "disabled",
                "expires_at": "2030-01-01T00:00:00Z", "signing_alg": "ES256", "metadata": {"owner": "x"}
            }),
        )
        .await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    let (status, mut cleared) = read(admin.patch(&path, &nulls).await).await;
    assert_eq!(status, 200, "{cleared}");
    assert_eq!(cleared["generation"], 2, "a permission was removed");
    assert_eq!(cleared["revoked_tokens"], 0, "no recorded token had the permission");
    for member in ["client_id", "secrets", "generation", "revoked_tokens"] {
        cleared.as_object_mut().unwrap().remove(member);
    }
    records[0].as_object_mut().unwrap().remove("generation");
    assert_eq!(cleared, records[0]);
}

async fn a_patch_merges_and_obeys_if_match(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (_, made) =
        admin.client("acme-in", json!({"products": ["gst"], "metadata": {"owner": "a", "cost": "1"}})).await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    let first = header(&admin.get(&path).await, "etag").to_owned();
    app.clock.advance(10);

    let same = json!({"label": "ERP", "products": ["gst"], "metadata": {"owner": "a", "none": null}, "expires_at": null});
    let response = admin.patch(&path, &same).await;
    assert_eq!(header(&response, "etag"), first);
    assert_eq!(read(response).await.1["updated_at"], made["updated_at"]);

    let change = json!({"metadata": {"owner": null, "team": "b"}, "token_expiry": {"mode": "after", "seconds": 900},
        "expires_at": "2027-01-01T05:30:00.75+05:30", "allowed_ips": ["::ffff:192.0.2.1", "2001:DB8::1/32", "192.0.2.1"]});
    let conditional = |tag: &str| {
        let request =
            admin.request(Method::PATCH, &path).header("content-type", "application/merge-patch+json");
        request.header("if-match", tag.to_owned()).body(change.to_string()).send()
    };
    let response = conditional(&first).await.unwrap();
    let second = header(&response, "etag").to_owned();
    let (status, record) = read(response).await;
    assert_eq!(status, 200, "{record}");
    assert_eq!(record["metadata"], json!({"cost": "1", "team": "b"}));
    assert_eq!(record["token_expiry"], change["token_expiry"]);
    assert_eq!(record["expires_at"], "2027-01-01T00:00:00Z");
    assert_eq!(record["allowed_ips"], json!(["192.0.2.1/32", "2001:db8::/32"]));
    assert_eq!((&record["generation"], &record["updated_at"]), (&json!(1), &json!("2026-09-21T14:13:30Z")));
    assert_ne!(first, second);
    assert_eq!(conditional(&first).await.unwrap().status(), 412);
    assert_eq!(conditional(&second).await.unwrap().status(), 200);
    let stale = admin.request(Method::DELETE, &path).header("if-match", &first).send().await.unwrap();
    assert_eq!(stale.status(), 412);
    assert_eq!(admin.patch(&path, &json!({"label": null, "products": null})).await.status(), 422);
    let typed = admin
        .request(Method::PATCH, &path)
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(typed.status(), 415);
    assert!(!header(&typed, "accept-patch").is_empty());
}

async fn a_restriction_takes_effect_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (client, made) = admin.client("acme-in", json!({"products": ["gst", "e-invoicing"]})).await;
    let path = format!("/v1/api-clients/{}", client.client_id);
    let gst = [("scope", "gst")];
    app.access_token(&client, &gst).await;
    for (change, status, error) in [
        (json!({"status": "disabled"}), 401, "invalid_client"),
        (json!({"status": "active"}), 200, ""),
        (json!({"allowed_ips": ["203.0.113.0/24"]}), 401, "invalid_client"),
        (json!({"allowed_ips": []}), 200, ""),
        (json!({"products": ["e-invoicing"]}), 400, "invalid_scope"),
        (json!({"products": ["gst"]}), 200, ""),
    ] {
        assert_eq!(admin.patch(&path, &change).await.status(), 200);
        let (got, body) = read(app.token(&client, &gst).await).await;
        assert_eq!((got, body["error"].as_str().unwrap_or_default()), (status, error), "{change}: {body}");
    }
    let record = read(admin.get(&path).await).await.1;
    assert_eq!(
        (&record["generation"], &made["generation"]),
        (&json!(3), &json!(1)),
        "each of two changes removed a product"
    );
    let end = json!({"expires_at": "2026-09-21T14:14:20Z"});
    assert_eq!(admin.patch(&path, &end).await.status(), 200);
    app.access_token(&client, &gst).await;
    app.clock.advance(60);
    assert_eq!(app.token(&client, &gst).await.status(), 401);
    // A past `expires_at` may be sent again or changed.
    assert_eq!(admin.patch(&path, &end).await.status(), 200);
    assert_eq!(admin.patch(&path, &json!({"expires_at": null})).await.status(), 200);
    app.access_token(&client, &gst).await;

    assert_eq!(admin.delete(&path).await.status(), 204);
    assert_eq!(app.token(&client, &gst).await.status(), 401);
    for response in [admin.get(&path).await, admin.patch(&path, &json!({})).await, admin.delete(&path).await]
    {
        assert_eq!(read(response).await.0, 404);
    }
}

async fn the_list_of_a_workspace_is_filtered_and_paged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    admin.workspace("other", json!({})).await;
    admin.client("other", json!({"label": "SAP elsewhere", "products": ["gst"]})).await;
    for (label, product, status) in [
        ("SAP one", "gst", "active"),
        ("sap two", "e-invoicing", "disabled"),
        ("Oracle", "gst", "disabled"),
        ("SAP three", "gst", "active"),
    ] {
        app.clock.advance(1);
        admin.client("acme-in", json!({"label": label, "products": [product], "status": status})).await;
    }
    let labels = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    };
    for (query, found) in [
        ("", vec!["SAP three", "Oracle", "sap two", "SAP one"]),
        ("?label=SAP", vec!["SAP three", "sap two", "SAP one"]),
        ("?product=gst&status=active", vec!["SAP three", "SAP one"]),
        ("?label=a&status=disabled&product=gst", vec!["Oracle"]),
        ("?label=%25", vec![]),
        ("?product=nope", vec![]),
    ] {
        let (status, page) = read(admin.get(&format!("{CLIENTS}{query}")).await).await;
        assert_eq!(
            (status, labels(&page), &page["next_cursor"]),
            (200, to_owned(&found), &Value::Null),
            "{query}"
        );
    }
    let (_, page) = read(admin.get(&format!("{CLIENTS}?label=sap&limit=2")).await).await;
    assert_eq!(labels(&page), ["SAP three", "sap two"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let (_, rest) = read(admin.get(&format!("{CLIENTS}?label=sap&limit=2&cursor={cursor}")).await).await;
    assert_eq!((labels(&rest), &rest["next_cursor"]), (vec!["SAP one".to_owned()], &Value::Null));
    // An item is the same as the record.
    let path = format!("/v1/api-clients/{}", rest["items"][0]["client_id"].as_str().unwrap());
    assert_eq!(rest["items"][0], read(admin.get(&path).await).await.1);
    for bad in [
        format!("?label=oracle&limit=2&cursor={cursor}"),
        format!("?cursor={cursor}x"),
        "?status=paused".to_owned(),
        "?product=A%20B".to_owned(),
        "?label=".to_owned(),
        "?label=%00".to_owned(),
        "?limit=0".to_owned(),
        "?owner=me".to_owned(),
    ] {
        assert_eq!(admin.get(&format!("{CLIENTS}{bad}")).await.status(), 400, "{bad}");
    }
}

fn to_owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// A manager of another workspace gets 404 for every method on the paths of clients and secrets, as for an unknown id.
async fn objects_of_another_workspace_are_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    admin.workspace("rival", json!({})).await;
    let (rival, _) = admin.client("rival", json!({"permissions": ["mintmark:manage"]})).await;
    let rival = app.administrator_as(&rival, "mintmark:manage").await;
    let (_, of_acme) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    let of_platform = read(admin.get(&format!("/v1/api-clients/{}", admin.client.client_id)).await).await.1;
    for record in [&of_acme, &of_platform] {
        let client = format!("/v1/api-clients/{}", record["client_id"].as_str().unwrap());
        let secret = format!("{client}/secrets/{}", record["secrets"][0]["secret_id"].as_str().unwrap());
        let workspace = format!("/v1/workspaces/{}/api-clients", record["workspace_id"].as_str().unwrap());
        let (nobody, nothing) = ("/v1/api-clients/cl_0000000000000000000000", "/v1/api-clients/%00");
        for (method, path) in [
            (Method::GET, workspace.clone()),
            (Method::POST, workspace),
            (Method::GET, client.clone()),
            (Method::PATCH, client.clone()),
            (Method::DELETE, client.clone()),
            (Method::GET, format!("{client}/secrets")),
            (Method::POST, format!("{client}/secrets")),
            (Method::GET, secret.clone()),
            (Method::DELETE, secret.clone()),
            (Method::DELETE, format!("{secret}?force=true")),
            (Method::GET, nobody.to_owned()),
            (Method::DELETE, nothing.to_owned()),
        ] {
            let wanted = json!({"label": "Mine now", "products": ["gst"]});
            let mut request = rival.request(method.clone(), &path);
            if path.ends_with("api-clients") && method == Method::POST || method == Method::PATCH {
                request = request.json(&wanted);
            }
            let (status, problem) = read(request.send().await.unwrap()).await;
            assert_eq!(
                (status, kind_and_pointers(&problem).0),
                (404, "not-found"),
                "{method} {path}: {problem}"
            );
        }
        assert_eq!(read(admin.get(&client).await).await.1["label"], record["label"]);
    }
    // `mintmark:read` does not allow changes.
    let reader = app.administrator_as(&admin.client, "mintmark:read").await;
    let client = format!("/v1/api-clients/{}", of_acme["client_id"].as_str().unwrap());
    assert_eq!(reader.get(&client).await.status(), 200);
    for response in [
        reader.patch(&client, &json!({"label": "R"})).await,
        reader.delete(&client).await,
        reader.post(&format!("{client}/secrets"), &json!({})).await,
        reader.post(CLIENTS, &json!({"label": "L", "products": ["gst"]})).await,
    ] {
        assert_eq!(response.status(), 403);
    }
}

async fn a_creation_sent_again_gives_the_same_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let send = || {
        let request = admin.request(Method::POST, CLIENTS).header("idempotency-key", "once");
        request.json(&json!({"label": "L", "products": ["gst"]})).send()
    };
    let (first, again) = (send().await.unwrap(), send().await.unwrap());
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(header(&again, "location"), header(&first, "location"));
    let (first, again) = (read(first).await, read(again).await);
    assert_eq!((first.0, &first), (201, &again));
    assert_eq!(read(admin.get(CLIENTS).await).await.1["items"].as_array().unwrap().len(), 1);
}

/// Concurrent changes of clients, their secrets, their workspace and their products do not deadlock.
async fn concurrent_changes_all_succeed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        let (client, _) = admin.client("acme-in", json!({"products": ["gst"]})).await;
        paths.push(format!("/v1/api-clients/{}", client.client_id));
    }
    let change = |method: &Method, path: &str, body: Value| {
        let request = admin.request(method.clone(), path).json(&body);
        async { request.send().await.unwrap().status().as_u16() }
    };
    let (post, patch) = (Method::POST, Method::PATCH);
    for round in 0..4 {
        let mut crowd = Vec::new();
        for path in &paths {
            let products =
                if round % 2 == 0 { json!(["gst", "e-invoicing"]) } else { json!(["e-invoicing"]) };
            crowd.push(change(&patch, path, json!({"products": products, "label": format!("R{round}")})));
            crowd.push(change(&patch, path, json!({"products": ["gst"], "token_expiry": {"mode": "never"}})));
            crowd.push(change(&post, &format!("{path}/secrets"), json!({"expire_others_after_seconds": 0})));
        }
        crowd.push(change(&post, CLIENTS, json!({"label": "New", "products": ["e-invoicing", "gst"]})));
        crowd.push(change(&patch, "/v1/workspaces/acme-in", json!({"name": format!("N{round}")})));
        crowd.push(change(&patch, "/v1/products/gst", json!({"name": format!("N{round}")})));
        crowd.push(change(&patch, "/v1/products/e-invoicing", json!({"name": format!("N{round}")})));
        let answers = futures_util::future::join_all(crowd).await;
        assert!(answers.iter().all(|status| matches!(status, 200 | 201)), "{answers:?}");
    }
}

on_both_engines!(
    concurrent_changes_all_succeed,
    the_example_in_openapi_yaml_creates_a_client,
    null_and_explicit_defaults_count_as_left_out,
    a_patch_merges_and_obeys_if_match,
    a_restriction_takes_effect_at_once,
    the_list_of_a_workspace_is_filtered_and_paged,
    objects_of_another_workspace_are_not_found,
    a_creation_sent_again_gives_the_same_secret,
);
