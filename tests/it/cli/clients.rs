//! `mintmark clients`, and that `--json` prints the same records as the management API.

use serde_json::{Value, json};

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    clients_are_created_changed_listed_and_deleted,
    many_clients_are_changed_by_one_command,
    secrets_are_added_and_deleted,
    json_output_equals_the_records_of_the_management_api
);

fn with_products(engine: Engine) -> Place {
    let place = Place::with_issuer(engine);
    for code in ["gst", "e-invoicing"] {
        place.run(&["products", "create", code, "--name", code]).must_succeed();
    }
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    place
}

async fn clients_are_created_changed_listed_and_deleted(engine: Engine) {
    let place = with_products(engine);
    let clients = |args: &[&str]| place.run(&[&["clients"], args].concat());
    let made = clients(
        &[
            &[
                "create",
                "acme",
                "--json",
                "--label",
                "SAP",
                "--products",
                "gst,e-invoicing",
                "--token-expiry",
                "never",
            ][..],
            &["--notification-emails", "a@acme.example,b@acme.example", "--allowed-ips", "203.0.113.0/24"],
            &[
                "--metadata",
                "owner=finance",
                "--metadata",
                "note=a=b",
                "--expires-at",
                "2099-01-31T00:00:00Z",
            ],
            &["--signing-alg", "ES256", "--description", "Nightly run"],
        ]
        .concat(),
    )
    .must_succeed();
    assert!(made.stderr.contains("Keep the secret"), "{made:?}");
    let made = made.json();
    assert!(text(&made, "client_secret").starts_with("mms_"));
    assert_eq!(made["products"], json!(["e-invoicing", "gst"]));
    assert_eq!(made["token_expiry"], json!({"mode": "never"}));
    assert_eq!(made["notification_emails"], json!(["a@acme.example", "b@acme.example"]));
    assert_eq!(made["allowed_ips"], json!(["203.0.113.0/24"]));
    assert_eq!(made["metadata"], json!({"note": "a=b", "owner": "finance"}));
    assert_eq!((text(&made, "expires_at"), text(&made, "signing_alg")), ("2099-01-31T00:00:00Z", "ES256"));
    assert_eq!(made["description"], "Nightly run");
    let id = text(&made, "client_id");

    let update = |args: &[&str]| clients(&[&["update", id, "--json"], args].concat()).must_succeed().json();
    let changed = update(&["--token-expiry", "600", "--remove-metadata", "note", "--metadata", "new=1"]);
    assert_eq!(changed["token_expiry"], json!({"mode": "after", "seconds": 600}));
    assert_eq!(changed["metadata"], json!({"new": "1", "owner": "finance"}));
    assert_eq!((text(&changed, "label"), text(&changed, "description")), ("SAP", "Nightly run"));
    assert_eq!(update(&["--description", ""])["description"], json!(null));
    // An empty value resets a field; tokens are then valid for an hour, the default of the settings.
    let changed =
        update(&["--allowed-ips", "", "--expires-at", "", "--signing-alg", "", "--token-expiry", ""]);
    assert_eq!((&changed["allowed_ips"], &changed["expires_at"]), (&json!([]), &json!(null)));
    assert_eq!(changed["token_expiry"], json!({"mode": "after", "seconds": 3600}));
    let status = |verb: &str| clients(&[verb, id, "--json"]).must_succeed().json()["status"].clone();
    assert_eq!(status("disable"), "disabled");

    let found = |args: &[&str]| {
        let list = clients(&[&["list", "acme", "--json"], args].concat()).must_succeed().json();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((found(&["--status", "disabled"]), found(&["--status", "active"])), (1, 0));
    assert_eq!((found(&["--label", "sa"]), found(&["--label", "oracle"])), (1, 0));
    assert_eq!((found(&["--product", "gst"]), found(&["--product", "payroll"])), (1, 0));
    assert_eq!(status("enable"), "active");
    let list = clients(&["list", "acme"]).must_succeed().stdout;
    assert!(list.lines().nth(1).unwrap().starts_with(&format!("{id}  SAP    active")), "{list}");

    clients(&["create", "acme", "--label", "", "--products", "nothing", "--token-expiry", "1"]).must_fail(
        2,
        &[
            "\n  --label is required",
            "\n  --products (value 1) ",
            "\n  --token-expiry (seconds) must be from 60",
        ],
    );
    clients(&["create", "nowhere", "--label", "x"])
        .must_fail(1, &["workspace not found", "mintmark workspaces list"]);
    clients(&["show", "cl_nothing"]).must_fail(1, &["API client not found"]);
    assert_eq!(clients(&["delete", id]).must_succeed().stdout, format!("API client {id} deleted\n"));
    clients(&["delete", id]).must_fail(1, &["API client not found"]);
}

async fn many_clients_are_changed_by_one_command(engine: Engine) {
    let place = with_products(engine);
    let clients = |args: &[&str]| place.run(&[&["clients"], args].concat());
    let many = |args: &[&str]| clients(&[&["update-many"], args].concat());
    let make = |label: &str, owner: &str| {
        let made = clients(&[
            "create",
            "acme",
            "--json",
            "--label",
            label,
            "--products",
            "gst,e-invoicing",
            "--metadata",
            owner,
        ]);
        text(&made.must_succeed().json(), "client_id").to_owned()
    };
    let ids = [make("SAP", "owner=finance"), make("Oracle", "owner=finance"), make("Odoo", "owner=sales")];
    let count = |args: &[&str]| clients(&[&["list", "--count"], args].concat()).must_succeed().stdout;
    assert_eq!((count(&[]), count(&["acme", "--metadata", "owner=finance"])), ("3\n".into(), "2\n".into()));

    let finance = ["--where-metadata", "owner=finance", "--products", "gst"];
    let said = many(&[&finance[..], &["--dry-run"]].concat()).must_succeed().stdout;
    assert!(said.ends_with("\n\n2 of 2 API clients would be changed\n"), "{said}");
    assert_eq!(count(&["--product", "e-invoicing"]), "3\n");
    let said = many(&finance).must_succeed().stdout;
    assert!(said.starts_with("client_id") && said.contains(&ids[0]) && said.contains(&ids[1]), "{said}");
    assert!(said.ends_with("\n\n2 of 2 API clients changed\n"), "{said}");
    assert_eq!(count(&["--product", "e-invoicing"]), "1\n");

    // The report keeps the order of the command. A client that already has the value is not changed.
    let report = many(&[&ids[2], &ids[0], "--products", "gst", "--json"]).must_succeed().json();
    let item = |id: &str| json!({"client_id": id, "revoked_tokens": 0});
    let expected =
        json!({"matched": 2, "changed": 1, "dry_run": false, "items": [item(&ids[2]), item(&ids[0])]});
    assert_eq!(report, expected);
    many(&["--where-product", "gst", "--where-status", "active", "--status", "disabled"]).must_succeed();
    assert_eq!(count(&["--status", "disabled"]), "3\n");
    for filter in [
        &["--where-label", "o"][..],
        &["--where-unused-since", "1s"],
        &["--where-secret-expires-before", "1d"],
    ] {
        many(&[filter, &["--label", "x", "--dry-run"]].concat()).must_succeed();
    }

    // If the change is invalid for one client, no client is changed. The error names the argument.
    many(&[&ids[0], &ids[1], "--products", "gst,payroll"])
        .must_fail(2, &["CLIENT_ID (value 1) names a client", "CLIENT_ID (value 2) names a client"]);
    many(&["--where-product", "GST", "--label", "x"]).must_fail(2, &["--where-product must be"]);
    many(&["--where-label", "a", "--label", ""]).must_fail(2, &["--where"]);
    many(&[&ids[0], "--where-label", "a", "--label", "x"]).must_fail(2, &["cannot be used with"]);
    many(&["--label", "x"]).must_fail(2, &["required"]);
    many(&["--where-secret-expires-before", "never", "--label", "x"]).must_fail(2, &["write a date"]);
    clients(&["list", "--secret-expires-before", "never"]).must_fail(2, &["write a date"]);
    place.run(&["tokens", "list", "--expires-before", "never"]).must_fail(2, &["write a date"]);
    assert_eq!(count(&["--label", "x"]), "0\n");
    clients(&["list", "--count", "--limit", "1"]).must_fail(2, &["cannot be used with"]);
}

async fn secrets_are_added_and_deleted(engine: Engine) {
    let place = with_products(engine);
    let clients = |args: &[&str]| place.run(&[&["clients"], args].concat());
    let made =
        clients(&["create", "acme", "--json", "--label", "SAP", "--products", "gst"]).must_succeed().json();
    let id = text(&made, "client_id");
    let live = || place.json(&["clients", "show", id, "--json"])["secrets"].as_array().unwrap().clone();

    let added =
        clients(&["add-secret", id, "--json", "--expires-at", "2099-01-01T00:00:00Z"]).must_succeed().json();
    let members: Vec<_> = added.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "client_secret",
        "created_at",
        "expires_at",
        "last_four",
        "last_used_at",
        "last_used_from",
        "secret_id",
        "used_last_24h",
    ];
    assert_eq!(members, expected);
    assert!(text(&added, "client_secret").ends_with(text(&added, "last_four")));
    assert_eq!(text(&added, "expires_at"), "2099-01-01T00:00:00Z");
    assert_eq!(live().len(), 2);

    let printed = clients(&["add-secret", id]).must_succeed();
    let secret = printed.stdout.lines().next().unwrap().strip_prefix("client_secret  ").unwrap();
    assert!(secret.starts_with("mms_") && printed.stderr.contains("Keep the secret"), "{printed:?}");
    let table = clients(&["show", id]).must_succeed().stdout;
    assert!(
        table.contains(&format!("\n{}  ", text(&added, "secret_id"))) && !table.contains("mms_"),
        "{table}"
    );

    clients(&["add-secret", id, "--expire-others-after-seconds", "0"]).must_succeed();
    let left = live();
    assert_eq!(left.len(), 1, "{left:?}");
    let last = text(&left[0], "secret_id");
    clients(&["delete-secret", id, last]).must_fail(1, &["last live secret", "--force"]);
    clients(&["delete-secret", id, text(&added, "secret_id")])
        .must_fail(1, &["client secret not found", "mintmark clients show"]);
    let deleted = clients(&["delete-secret", id, last, "--force", "--json"]).must_succeed().json();
    assert_eq!(deleted, json!({"client_id": id, "secret_id": last, "deleted": true}));
    assert_eq!(live(), [Value::Null; 0]);
    clients(&["add-secret", id, "--expire-others-after-seconds", "-1"])
        .must_fail(2, &["--expire-others-after must"]);
    // A client has at most five live secrets.
    for _ in 0..5 {
        clients(&["add-secret", id]).must_succeed();
    }
    clients(&["add-secret", id]).must_fail(1, &["5"]);
}

async fn json_output_equals_the_records_of_the_management_api(engine: Engine) {
    let place = with_products(engine);
    let serving = place.serve();
    let client = ["--label", "SAP", "--products", "gst", "--metadata", "a=b", "--token-expiry", "never"];
    let made = place.json(&[&["clients", "create", "acme", "--json"], &client[..]].concat());
    let manager = place.json(&["bootstrap", "--json"]);
    let reply =
        serving.token(text(&manager, "client_id"), text(&manager, "client_secret"), "mintmark:read").await;
    let token: Value = reply.json().await.unwrap();
    let token = text(&token, "access_token");
    let id = text(&made, "client_id");
    for (args, path) in [
        (vec!["products", "show", "gst"], "/v1/products/gst".to_owned()),
        (vec!["workspaces", "show", "acme"], "/v1/workspaces/acme".to_owned()),
        (vec!["clients", "show", id], format!("/v1/api-clients/{id}")),
    ] {
        let printed = place.json(&[args, vec!["--json"]].concat());
        assert_eq!(printed, serving.managed(token, &path).await, "{path}");
    }
    for (args, path) in [
        (vec!["products", "list"], "/v1/products"),
        (vec!["workspaces", "list"], "/v1/workspaces"),
        (vec!["clients", "list", "acme"], "/v1/workspaces/acme/api-clients"),
        (vec!["keys", "list"], "/v1/signing-keys"),
    ] {
        let printed = place.json(&[args, vec!["--json"]].concat());
        assert_eq!(printed["items"], serving.managed(token, path).await["items"], "{path}");
    }
    assert_eq!(serving.stop().code, 0);
}
