//! The rules of an API client: for its own members, for members that only later versions support, and the limits that come from
//! its workspace, its products, the signing keys and the caller.

use serde_json::{Value, json};

use super::api_clients::{CLIENTS, furnished, kind_and_pointers, read};
use crate::support::{Engine, TestApp, on_both_engines};

/// A body in which every member is invalid.
fn all_wrong() -> Value {
    json!({
        "label": "", "products": ["gst", "nope", "gst", 1], "permissions": ["mintmark:read", "mintmark:root"],
        "token_expiry": {"mode": "after", "seconds": 59}, "notification_emails": ["a@acme.example", "a b@acme.example"],
        "allowed_ips": ["10.0.0.0/33"], "signing_alg": "HS256", "expires_at": "yesterday", "status": "paused",
        "metadata": {"a/b": "x\ny", "m~n": 1, "": "x"}, "active_tokens": "few", "replace_grace_seconds": -1,
        "daily_token_limit": 0, "require_dpop": "yes", "auth_method": "none", "client_id": "cl_x"
    })
}

async fn all_bad_fields_are_reported_in_one_reply(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let many = |count: usize, item: fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>();
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    let cases = [
        (
            all_wrong(),
            vec![
                "/active_tokens",
                "/allowed_ips/0",
                "/auth_method",
                "/client_id",
                "/daily_token_limit",
                "/expires_at",
                "/label",
                "/metadata/",
                "/metadata/a~1b",
                "/metadata/m~0n",
                "/notification_emails/1",
                "/permissions/1",
                "/products/1",
                "/products/2",
                "/products/3",
                "/replace_grace_seconds",
                "/require_dpop",
                "/signing_alg",
                "/status",
                "/token_expiry/seconds",
            ],
        ),
        (json!({}), vec!["/label", "/products"]),
        (json!({"label": null, "products": []}), vec!["/label", "/products"]),
        (json!({"label": "x".repeat(201), "products": ["gst"]}), vec!["/label"]),
        (json!({"label": "a\u{202e}b", "products": ["gst"]}), vec!["/label"]),
        (json!({"label": "a\r\nBcc: x", "products": ["gst"]}), vec!["/label"]),
        (json!({"label": "L", "products": ["gst", "nope", "gst"]}), vec!["/products/1", "/products/2"]),
        (json!({"label": "L", "products": ["gst\u{0}"]}), vec!["/products/0"]),
        (json!({"label": "L", "products": "gst"}), vec!["/products"]),
        (json!({"label": "L", "permissions": ["mintmark:read", "mintmark:read"]}), vec!["/permissions/1"]),
        (
            json!({"label": "L", "products": ["gst"], "token_expiry": {"mode": "after", "seconds": 31_536_001}}),
            vec!["/token_expiry/seconds"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "token_expiry": {"mode": "after"}}),
            vec!["/token_expiry/seconds"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "token_expiry": {"mode": "after", "seconds": 60.5}}),
            vec!["/token_expiry/seconds"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "token_expiry": {"mode": "never", "seconds": 60}}),
            vec!["/token_expiry/seconds"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "token_expiry": {"seconds": 60, "x": 1}}),
            vec!["/token_expiry/mode", "/token_expiry/x"],
        ),
        (json!({"label": "L", "products": ["gst"], "token_expiry": "never"}), vec!["/token_expiry"]),
        (
            json!({"label": "L", "products": ["gst"], "notification_emails": many(21, |n| format!("a{n}@b.example"))}),
            vec!["/notification_emails"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "notification_emails": ["a@b.example\r\nBcc: x@y.example"]}),
            vec!["/notification_emails/0"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "notification_emails": ["a@b.example", "=?utf-8?q?x?=@b.example",
            "a@b.example"]}),
            vec!["/notification_emails/1", "/notification_emails/2"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "allowed_ips": many(101, |n| format!("10.0.0.{n}"))}),
            vec!["/allowed_ips"],
        ),
        (json!({"label": "L", "products": ["gst"], "metadata": pairs}), vec!["/metadata"]),
        (json!({"label": "L", "products": ["gst"], "metadata": {"k": "v".repeat(501)}}), vec!["/metadata/k"]),
        (
            json!({"label": "L", "products": ["gst"], "metadata": {"k".repeat(65): "v"}}),
            vec!["/metadata/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"],
        ),
        (
            json!({"label": "L", "products": ["gst"], "expires_at": "2026-09-21T14:13:20Z"}),
            vec!["/expires_at"],
        ),
        (json!([]), vec![""]),
    ];
    for (wanted, pointers) in cases {
        let (status, problem) = read(admin.post(CLIENTS, &wanted).await).await;
        assert_eq!(status, 422, "{wanted}: {problem}");
        assert_eq!(kind_and_pointers(&problem), ("validation", pointers), "{wanted}: {problem}");
    }
    assert_eq!(read(admin.get(CLIENTS).await).await.1["items"], json!([]));
}

async fn values_that_are_not_supported_yet_are_refused_and_not_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (_, made) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    for (member, value) in [
        ("daily_token_limit", json!(1000)),
        ("require_dpop", json!(true)),
        ("auth_method", json!("private_key_jwt")),
        ("auth_method", json!("tls_client_auth")),
        ("auth_method", json!("self_signed_tls_client_auth")),
        ("jwks", json!({"keys": []})),
        ("jwks_uri", json!("https://acme.example/jwks")),
        ("tls_client_auth_subject_dn", json!("CN=erp")),
    ] {
        let pointer = format!("/{member}");
        let wanted = json!({"label": "L", "products": ["gst"], member: value});
        for response in
            [admin.post(CLIENTS, &wanted).await, admin.patch(&path, &json!({member: value})).await]
        {
            let (status, problem) = read(response).await;
            assert_eq!(status, 422, "{member}: {problem}");
            assert_eq!(
                kind_and_pointers(&problem),
                ("not-supported-yet", vec![pointer.as_str()]),
                "{problem}"
            );
        }
    }
    // Such members are reported together with other errors.
    let wanted =
        json!({"label": "", "products": ["nope"], "daily_token_limit": 3, "require_dpop": true, "jwks": {}});
    let (status, problem) = read(admin.post(CLIENTS, &wanted).await).await;
    let pointers = vec!["/daily_token_limit", "/jwks", "/label", "/products/0", "/require_dpop"];
    assert_eq!((status, kind_and_pointers(&problem)), (422, ("validation", pointers)), "{problem}");
    assert_eq!(read(admin.get(&path).await).await.1["updated_at"], made["updated_at"]);
}

/// `active_tokens` and `replace_grace_seconds` are two members. One that is left out does not change, except that the grace
/// period becomes 0 when `active_tokens` is no longer `replace`.
async fn active_tokens_and_its_grace_period_are_changed_separately(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (_, made) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    for (change, mode, grace) in [
        (json!({"active_tokens": "replace"}), "replace", 0),
        (json!({"replace_grace_seconds": 60}), "replace", 60),
        (json!({"label": "R"}), "replace", 60),
        (json!({"active_tokens": "replace"}), "replace", 60),
        (json!({"replace_grace_seconds": null}), "replace", 0),
        (json!({"active_tokens": "many"}), "many", 0),
        (json!({"active_tokens": "replace", "replace_grace_seconds": 86_400}), "replace", 86_400),
        (json!({"active_tokens": "many", "replace_grace_seconds": 0}), "many", 0),
        (json!({"active_tokens": "replace", "replace_grace_seconds": 5}), "replace", 5),
        (json!({"active_tokens": null}), "many", 0),
    ]
    .map(|(change, mode, grace)| (change, json!(mode), grace))
    .into_iter()
    .chain([
        (json!({"active_tokens": 1}), json!(1), 0),
        (json!({"active_tokens": 1000, "replace_grace_seconds": 0}), json!(1000), 0),
        (json!({"active_tokens": 2e1}), json!(20), 0),
        (json!({"label": "S"}), json!(20), 0),
        (json!({"active_tokens": "replace", "replace_grace_seconds": 7}), json!("replace"), 7),
        (json!({"active_tokens": 3}), json!(3), 0),
        (json!({"active_tokens": 4, "replace_grace_seconds": null}), json!(4), 0),
    ]) {
        let (status, record) = read(admin.patch(&path, &change).await).await;
        assert_eq!(status, 200, "{record}");
        assert_eq!(
            (&record["active_tokens"], &record["replace_grace_seconds"]),
            (&mode, &json!(grace)),
            "{change}"
        );
    }
    for (broken, pointer) in [
        (json!({"active_tokens": true}), "/active_tokens"),
        (json!({"active_tokens": 0}), "/active_tokens"),
        (json!({"active_tokens": 1001}), "/active_tokens"),
        (json!({"active_tokens": -3}), "/active_tokens"),
        (json!({"active_tokens": 1.5}), "/active_tokens"),
        (json!({"active_tokens": "20"}), "/active_tokens"),
        (json!({"active_tokens": "Many"}), "/active_tokens"),
        (json!({"active_tokens": 5, "replace_grace_seconds": 60}), "/replace_grace_seconds"),
        (json!({"replace_grace_seconds": 60}), "/replace_grace_seconds"),
        (json!({"active_tokens": "many", "replace_grace_seconds": 1}), "/replace_grace_seconds"),
        (json!({"active_tokens": "replace", "replace_grace_seconds": 86_401}), "/replace_grace_seconds"),
    ] {
        let (status, problem) = read(admin.patch(&path, &broken).await).await;
        assert_eq!(
            (status, kind_and_pointers(&problem)),
            (422, ("validation", vec![pointer])),
            "{broken}: {problem}"
        );
    }
}

async fn lifetimes_stay_within_the_caps_of_workspace_and_products(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    admin.product("short", json!({"max_token_lifetime_seconds": 600})).await;
    admin.product("finite", json!({"never_expires_allowed": false})).await;
    admin.workspace("strict", json!({"never_expires_allowed": false, "products_allowed": ["gst"]})).await;
    let never = json!({"mode": "never"});
    let after = |seconds: i64| json!({"mode": "after", "seconds": seconds});
    let strict = "/v1/workspaces/strict/api-clients";
    for (path, wanted, pointers) in [
        (
            CLIENTS,
            json!({"products": ["gst", "short"], "token_expiry": after(601)}),
            vec!["/token_expiry/seconds"],
        ),
        // Without `token_expiry`, the default of an hour is above the cap of `short`, so the error is about that product.
        (CLIENTS, json!({"products": ["gst", "short"]}), vec!["/products/1"]),
        (CLIENTS, json!({"products": ["finite"], "token_expiry": never}), vec!["/token_expiry/mode"]),
        (CLIENTS, json!({"products": ["short"], "token_expiry": never}), vec!["/token_expiry/mode"]),
        (strict, json!({"products": ["gst"], "token_expiry": never}), vec!["/token_expiry/mode"]),
        (strict, json!({"products": ["gst", "short"], "token_expiry": after(60)}), vec!["/products/1"]),
    ] {
        let mut wanted = wanted;
        wanted["label"] = json!("L");
        let (status, problem) = read(admin.post(path, &wanted).await).await;
        assert_eq!(
            (status, kind_and_pointers(&problem)),
            (422, ("validation", pointers)),
            "{wanted}: {problem}"
        );
    }
    let (_, made) = admin.client("acme-in", json!({"products": ["short"], "token_expiry": after(600)})).await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());

    // A cap that was lowered later is checked only if `token_expiry` changes or the product is new to the client.
    let lowered = admin.patch("/v1/products/short", &json!({"max_token_lifetime_seconds": 300})).await;
    assert_eq!(lowered.status(), 200);
    let (status, renamed) =
        read(admin.patch(&path, &json!({"label": "R", "products": ["short"]})).await).await;
    assert_eq!((status, &renamed["token_expiry"]), (200, &after(600)), "{renamed}");
    let (status, problem) = read(admin.patch(&path, &json!({"token_expiry": after(400)})).await).await;
    assert_eq!((status, kind_and_pointers(&problem).1), (422, vec!["/token_expiry/seconds"]));
    let grown = json!({"products": ["gst", "short"]});
    assert_eq!(admin.patch(&path, &grown).await.status(), 200, "the new product has no cap");
    let (status, problem) = read(admin.patch(&path, &json!({"token_expiry": never})).await).await;
    assert_eq!((status, kind_and_pointers(&problem).1), (422, vec!["/token_expiry/mode"]));
}

async fn a_signing_algorithm_needs_its_keys(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let wanted = |alg: &str| json!({"label": "L", "products": ["gst"], "signing_alg": alg, "token_expiry": {"mode": "never"}});
    assert_eq!(admin.post(CLIENTS, &wanted("ES256")).await.status(), 201);
    let (status, problem) = read(admin.post(CLIENTS, &wanted("EdDSA")).await).await;
    assert_eq!((status, kind_and_pointers(&problem).1), (422, vec!["/signing_alg"]), "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("POST /v1/signing-keys"), "{problem}");

    let (_, made) = admin.client("acme-in", json!({"products": ["gst"]})).await;
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    let change = json!({"signing_alg": "EdDSA"});
    assert_eq!(admin.patch(&path, &change).await.status(), 422);
    admin.create("/v1/signing-keys", &json!({"alg": "EdDSA"})).await;
    assert_eq!(admin.patch(&path, &change).await.status(), 200);
    // Tokens that never expire are signed with other keys: those with `use_for` `never_expiring`.
    let (status, problem) = read(admin.patch(&path, &json!({"token_expiry": {"mode": "never"}})).await).await;
    assert_eq!((status, kind_and_pointers(&problem).1), (422, vec!["/signing_alg"]), "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("never_expiring"), "{problem}");
    admin.create("/v1/signing-keys", &json!({"alg": "EdDSA", "use_for": "never_expiring"})).await;
    assert_eq!(admin.patch(&path, &json!({"token_expiry": {"mode": "never"}})).await.status(), 200);
}

async fn a_caller_cannot_grant_a_permission_it_does_not_have(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let manager = json!({"permissions": ["mintmark:manage"]});
    let (credentials, _) = admin.client("acme-in", manager.clone()).await;
    let manager_of_acme = app.administrator_as(&credentials, "mintmark:manage").await;
    for (caller, permission, status) in [
        (&manager_of_acme, "mintmark:manage", 201),
        (&manager_of_acme, "mintmark:read", 201),
        (&manager_of_acme, "mintmark:introspect", 403),
        // The caller's client has this permission, but the scope of the caller's token does not.
        (&admin, "mintmark:introspect", 403),
    ] {
        let wanted = json!({"label": "L", "permissions": [permission]});
        let (got, body) = read(caller.post(CLIENTS, &wanted).await).await;
        assert_eq!(got, status, "{permission}: {body}");
    }
    let all = "mintmark:introspect mintmark:manage";
    let full = app.administrator_as(&admin.client, all).await;
    let (_, made) =
        full.client("acme-in", json!({"permissions": ["mintmark:introspect", "mintmark:read"]})).await;
    // A caller without a permission may keep it in the client or remove it, but cannot grant it again.
    let path = format!("/v1/api-clients/{}", made["client_id"].as_str().unwrap());
    let same = json!({"label": "R", "permissions": ["mintmark:read", "mintmark:introspect"]});
    assert_eq!(manager_of_acme.patch(&path, &same).await.status(), 200);
    let less = json!({"permissions": ["mintmark:read"]});
    assert_eq!(manager_of_acme.patch(&path, &less).await.status(), 200);
    assert_eq!(manager_of_acme.patch(&path, &same).await.status(), 403);
}

on_both_engines!(
    all_bad_fields_are_reported_in_one_reply,
    values_that_are_not_supported_yet_are_refused_and_not_ignored,
    active_tokens_and_its_grace_period_are_changed_separately,
    lifetimes_stay_within_the_caps_of_workspace_and_products,
    a_signing_algorithm_needs_its_keys,
    a_caller_cannot_grant_a_permission_it_does_not_have,
);
