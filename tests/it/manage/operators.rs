//! `/v1/operators`.

use mintmark::operators::Source;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Reply, broken, ok, problem};
use crate::support::{Administrator, Credentials, Engine, TestApp, on_both_engines};

on_both_engines!(
    an_operator_is_created_changed_and_deleted,
    all_bad_fields_are_reported_in_one_reply_and_taken_addresses_are_refused,
    operators_are_listed_and_found_by_address,
    a_lost_reply_is_repeated_with_its_link,
    a_new_setup_link_replaces_the_old_one_and_disabling_ends_it,
    a_caller_needs_the_permissions_of_the_roles_that_it_gives,
    every_route_is_for_the_platform_alone,
    the_cookie_of_the_console_gives_no_access,
    the_last_administrator_cannot_be_disabled_demoted_or_deleted,
);

const ALL: &str = "mintmark:manage mintmark:introspect";
const NOBODY: &str = "01990000-0000-7000-8000-000000000009";

fn ann() -> Value {
    let roles = json!([{"role": "workspace_admin", "workspace_id": "acme"}]);
    json!({"email": "Ann@acme.example", "name": " Ann ", "roles": roles})
}

fn with(email: &str, roles: Value) -> Value {
    let mut body = json!({"email": email, "name": "Name"});
    body["roles"] = roles;
    body
}

/// An administrator with all permissions, and the workspace `acme`.
async fn administrator(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.workspace("acme", json!({})).await;
    app.administrator_as(&admin.client, ALL).await
}

async fn an_operator_is_created_changed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let made = Reply::of(admin.post("/v1/operators", &ann()).await).await;
    let mut created = ok(&made, 201);
    let id = created["operator_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/operators/{id}");
    assert_eq!((made.header("location"), made.header("etag")), (path.as_str(), "\"v1\""));
    assert_eq!(made.header("cache-control"), "no-store");
    let members = created.as_object_mut().unwrap();
    let link = members.remove("setup_link").unwrap();
    let token = link.as_str().unwrap().strip_prefix(&format!("{}/console/setup/", app.base)).unwrap();
    assert_eq!(token.len(), 43, "{link}");
    assert_eq!(members.remove("setup_link_expires_at").unwrap(), "2026-09-22T14:13:20Z");
    let mut expected = json!({
        "operator_id": id, "email": "Ann@acme.example", "name": "Ann", "status": "active",
        "roles": [{"role": "workspace_admin", "workspace_id": "acme"}], "role_source": null, "sign_in": [],
        "last_sign_in_at": null, "created_at": "2026-09-21T14:13:20Z", "updated_at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(created, expected);
    let read = Reply::of(admin.get(&path).await).await;
    assert_eq!((ok(&read, 200), read.header("etag")), (expected.clone(), "\"v1\""));
    app.clock.advance(60);
    let change = json!({
        "email": "ann2@acme.example", "name": "Ann 2", "status": "disabled",
        "roles": [{"role": "workspace_viewer", "workspace_id": "acme"}, {"role": "platform_admin"}]
    });
    let stale = admin.request(Method::PATCH, &path).header("if-match", "\"v2\"").json(&change);
    problem(&Reply::to(stale).await, 412, "precondition-failed");
    let matching = admin.request(Method::PATCH, &path).header("if-match", "\"v1\"").json(&change);
    let changed = Reply::to(matching).await;
    expected["email"] = "ann2@acme.example".into();
    expected["name"] = "Ann 2".into();
    expected["status"] = "disabled".into();
    expected["roles"] =
        json!([{"role": "platform_admin"}, {"role": "workspace_viewer", "workspace_id": "acme"}]);
    expected["updated_at"] = "2026-09-21T14:14:20Z".into();
    assert_eq!((ok(&changed, 200), changed.header("etag")), (expected, "\"v2\""));
    let same = Reply::of(admin.patch(&path, &change).await).await;
    assert_eq!(same.header("etag"), "\"v2\"", "nothing was changed");
    let again = ok(&Reply::of(admin.patch(&path, &json!({"status": null})).await).await, 200);
    assert_eq!(again["status"], "active");
    let gone = Reply::of(admin.delete(&path).await).await;
    assert_eq!((gone.status, gone.text()), (204, ""));
    for method in [Method::GET, Method::DELETE] {
        problem(&Reply::to(admin.request(method, &path)).await, 404, "not-found");
    }
    let events = ok(&Reply::of(admin.get("/v1/audit-events").await).await, 200);
    let actions: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions[..5],
        [
            "operator.deleted",
            "operator.updated",
            "operator.updated",
            "operator.setup_link_created",
            "operator.created"
        ]
    );
    assert!(!events.to_string().contains(token));
    app.stop().await;
}

async fn all_bad_fields_are_reported_in_one_reply_and_taken_addresses_are_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let path = {
        let created = admin.create("/v1/operators", &ann()).await;
        format!("/v1/operators/{}", created["operator_id"].as_str().unwrap())
    };
    let role = |role: Value| with("b@acme.example", json!([role]));
    for (body, pointers) in [
        (json!({}), &["/email", "/name", "/roles"][..]),
        (json!([]), &[""]),
        (
            json!({"email": "a b", "name": "\u{200b}", "roles": [], "x": 1}),
            &["/email", "/name", "/roles", "/x"],
        ),
        (json!({"email": null, "name": null, "roles": null}), &["/email", "/name", "/roles"]),
        (with("b@acme.example", json!("platform_admin")), &["/roles"]),
        (role(json!("platform_admin")), &["/roles/0"]),
        (role(json!({})), &["/roles/0/role"]),
        (role(json!({"role": "admin"})), &["/roles/0/role"]),
        (role(json!({"role": "workspace_admin"})), &["/roles/0/workspace_id"]),
        (role(json!({"role": "platform_admin", "workspace_id": "acme"})), &["/roles/0/workspace_id"]),
        (role(json!({"role": "workspace_admin", "workspace_id": "none"})), &["/roles/0/workspace_id"]),
        (role(json!({"role": "workspace_admin", "workspace_id": "a b"})), &["/roles/0/workspace_id"]),
        (role(json!({"role": "workspace_admin", "workspace_id": "platform"})), &["/roles/0/workspace_id"]),
        (role(json!({"role": "workspace_admin", "workspace_id": "acme", "x": 1})), &["/roles/0/x"]),
        (
            with("b@acme.example", json!([{"role": "platform_admin"}, {"role": "platform_admin"}])),
            &["/roles/1"],
        ),
        (
            json!({"email": "b@acme.example", "name": "B", "roles": [{"role": "platform_admin"}], "status": "active"}),
            &["/status"],
        ),
    ] {
        broken(&Reply::of(admin.post("/v1/operators", &body).await).await, pointers);
    }
    for (change, pointers) in [
        (json!({"status": "suspended"}), &["/status"][..]),
        (json!({"email": null, "name": null, "roles": []}), &["/email", "/name", "/roles"]),
        (json!({"operator_id": NOBODY, "sign_in": []}), &["/operator_id", "/sign_in"]),
        (json!({"roles": [{"role": "workspace_admin", "workspace_id": "none"}]}), &["/roles/0/workspace_id"]),
    ] {
        broken(&Reply::of(admin.patch(&path, &change).await).await, pointers);
    }
    broken(&Reply::of(admin.post(&format!("{path}/setup-link"), &json!({"x": 1})).await).await, &["/x"]);
    for email in ["ann@acme.example", "ANN@ACME.EXAMPLE"] {
        let taken = with(email, json!([{"role": "platform_admin"}]));
        problem(&Reply::of(admin.post("/v1/operators", &taken).await).await, 409, "conflict");
    }
    admin.create("/v1/operators", &with("c@acme.example", json!([{"role": "platform_admin"}]))).await;
    problem(&Reply::of(admin.patch(&path, &json!({"email": "C@acme.example"})).await).await, 409, "conflict");
    let own_case = ok(&Reply::of(admin.patch(&path, &json!({"email": "ANN@acme.example"})).await).await, 200);
    assert_eq!(own_case["email"], "ANN@acme.example");
    for id in ["x", "0", NOBODY, "01990000-0000-7000-8000-00000000000%00"] {
        problem(&Reply::of(admin.get(&format!("/v1/operators/{id}")).await).await, 404, "not-found");
    }
    app.stop().await;
}

async fn operators_are_listed_and_found_by_address(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    for email in ["a@acme.example", "b@acme.example", "c@acme.example"] {
        admin.create("/v1/operators", &with(email, json!([{"role": "platform_admin"}]))).await;
    }
    let list =
        async |query: &str| ok(&Reply::of(admin.get(&format!("/v1/operators{query}")).await).await, 200);
    let emails = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["email"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = list("?limit=2&count=true").await;
    assert_eq!(
        (emails(&first), &first["total"]),
        (vec!["a@acme.example".into(), "b@acme.example".into()], &json!(3))
    );
    let rest = list(&format!("?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((emails(&rest), &rest["next_cursor"]), (vec!["c@acme.example".into()], &Value::Null));
    assert_eq!(emails(&list("?email=B%40Acme.example").await), ["b@acme.example"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let other_list = format!("/v1/operators?email=b%40acme.example&cursor={cursor}");
    problem(&Reply::of(admin.get(&other_list).await).await, 400, "invalid-parameter");
    let none = list("?email=none%40acme.example&count=true").await;
    assert_eq!((emails(&none).len(), &none["total"]), (0, &json!(0)));
    assert!(!first.to_string().contains("setup_link"));
    app.stop().await;
}

async fn a_lost_reply_is_repeated_with_its_link(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let send = async |path: &str, body: &Value| {
        Reply::to(admin.request(Method::POST, path).header("idempotency-key", "k").json(body)).await
    };
    let first = send("/v1/operators", &ann()).await;
    let created = ok(&first, 201);
    let again = send("/v1/operators", &ann()).await;
    assert_eq!(ok(&again, 201), created);
    assert_eq!(again.header("idempotency-replayed"), "true");
    problem(&send("/v1/operators", &with("b@acme.example", json!([]))).await, 422, "idempotency-key-reused");
    let path = format!("/v1/operators/{}/setup-link", created["operator_id"].as_str().unwrap());
    let link = ok(&send(&path, &json!({})).await, 201);
    assert_ne!(link["setup_link"], created["setup_link"]);
    assert_eq!(ok(&send(&path, &json!({})).await, 201), link);
    app.stop().await;
}

async fn a_new_setup_link_replaces_the_old_one_and_disabling_ends_it(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let admin = administrator(&app).await;
    let created = admin.create("/v1/operators", &ann()).await;
    let path = format!("/v1/operators/{}", created["operator_id"].as_str().unwrap());
    let made =
        Reply::of(admin.request(Method::POST, &format!("{path}/setup-link")).send().await.unwrap()).await;
    let link = ok(&made, 201);
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(link["expires_at"], "2026-09-22T14:13:20Z");
    let url = link["setup_link"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/tenant/console/setup/", app.base)), "{url}");
    let operators = &app.core.services.operators;
    let token = |link: &Value| link.as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    assert!(operators.setup(&token(&created["setup_link"])).await.unwrap().is_none());
    assert!(operators.setup(&token(&link["setup_link"])).await.unwrap().is_some());
    admin.patch(&path, &json!({"status": "disabled"})).await;
    assert!(operators.setup(&token(&link["setup_link"])).await.unwrap().is_none());
    problem(&Reply::of(admin.post(&format!("{path}/setup-link"), &json!({})).await).await, 409, "conflict");
    let nobody = format!("/v1/operators/{NOBODY}/setup-link");
    problem(&Reply::of(admin.post(&nobody, &json!({})).await).await, 404, "not-found");
    app.stop().await;
}

async fn a_caller_needs_the_permissions_of_the_roles_that_it_gives(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    // A token that may manage but not introspect.
    let narrow = app.administrator_as(&admin.client, "mintmark:manage").await;
    let role = |role: &str| match role {
        "platform_admin" => json!([{"role": role}]),
        _ => json!([{"role": role, "workspace_id": "acme"}]),
    };
    for (number, (name, allowed)) in
        [("platform_admin", false), ("workspace_admin", false), ("workspace_viewer", true)]
            .into_iter()
            .enumerate()
    {
        let body = with(&format!("{number}@acme.example"), role(name));
        let reply = Reply::of(narrow.post("/v1/operators", &body).await).await;
        let path = if allowed {
            format!("/v1/operators/{}", ok(&reply, 201)["operator_id"].as_str().unwrap())
        } else {
            let refused = problem(&reply, 403, "forbidden");
            assert!(refused["detail"].as_str().unwrap().contains(ALL), "{refused}");
            let created = admin.create("/v1/operators", &body).await;
            format!("/v1/operators/{}", created["operator_id"].as_str().unwrap())
        };
        // Except to disable an operator, the token needs the permissions of the operator's roles before and after the change.
        for (change, may) in [
            (json!({"name": "Renamed"}), allowed),
            (json!({"email": format!("{number}2@acme.example")}), allowed),
            (json!({"roles": role("workspace_viewer"), "name": "B"}), allowed),
            (json!({"roles": role("workspace_admin")}), false),
            (json!({"roles": role("platform_admin")}), false),
            (json!({"status": "disabled"}), true),
            (json!({"status": "active"}), allowed),
        ] {
            let reply = Reply::of(narrow.patch(&path, &change).await).await;
            // A request to set the roles that the operator already has changes nothing, so it needs no further permission.
            let unchanged = name == "platform_admin" && change["roles"] == role("platform_admin")
                || name == "workspace_admin" && change["roles"] == role("workspace_admin");
            assert_eq!(reply.status, if may || unchanged { 200 } else { 403 }, "{name}: {change}");
        }
        admin.patch(&path, &json!({"status": "active"})).await;
        let link = Reply::of(narrow.post(&format!("{path}/setup-link"), &json!({})).await).await;
        assert_eq!(link.status, if allowed { 201 } else { 403 }, "{name}");
        // Deleting an operator only removes access, so it needs no further permission.
        assert_eq!(narrow.delete(&path).await.status(), 204, "{name}");
    }
    app.stop().await;
}

/// Every route of operators, with a valid body if it takes one.
fn routes(id: &str) -> Vec<(Method, String, Option<Value>)> {
    let one = format!("/v1/operators/{id}");
    vec![
        (Method::GET, "/v1/operators".to_owned(), None),
        (Method::GET, "/v1/operators?email=ann%40acme.example".to_owned(), None),
        (
            Method::POST,
            "/v1/operators".to_owned(),
            Some(with("x@acme.example", json!([{"role": "platform_admin"}]))),
        ),
        (Method::GET, one.clone(), None),
        (Method::PATCH, one.clone(), Some(json!({"name": "Other"}))),
        (Method::POST, format!("{one}/setup-link"), Some(json!({}))),
        (Method::DELETE, one, None),
    ]
}

async fn every_route_is_for_the_platform_alone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    admin.workspace("other", json!({})).await;
    let all = json!({"permissions": ["mintmark:introspect", "mintmark:manage", "mintmark:read"]});
    let (own, _) = admin.client("acme", all.clone()).await;
    let (foreign, _) = admin.client("other", all.clone()).await;
    let created = admin.create("/v1/operators", &ann()).await;
    let known = created["operator_id"].as_str().unwrap();
    let token_of = async |client: &Credentials, scope: &str| app.administrator_as(client, scope).await.token;
    let callers = [
        ("workspace, manage", Some(token_of(&own, ALL).await), 403),
        ("workspace, read", Some(token_of(&own, "mintmark:read").await), 403),
        ("another workspace", Some(token_of(&foreign, ALL).await), 403),
        ("platform, introspect", Some(token_of(&admin.client, "mintmark:introspect").await), 403),
        ("none", None, 401),
    ];
    for id in [known, NOBODY] {
        for (method, path, body) in routes(id) {
            for (who, token, status) in &callers {
                let mut request = app.request(method.clone(), &path);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if let Some(body) = &body {
                    request = request.json(body);
                }
                let reply = Reply::to(request).await;
                // The status does not depend on whether there is such an operator, and the reply does not name one.
                assert_eq!(reply.status, *status, "{who}: {method} {path}: {}", reply.text());
                assert!(!reply.text().contains("Ann"), "{who}: {method} {path}: {}", reply.text());
            }
        }
    }
    // A caller of the platform with `mintmark:read` can read operators, but not change them.
    let reader = token_of(&admin.client, "mintmark:read").await;
    for (method, path, body) in routes(known) {
        let mut request = app.request(method.clone(), &path).bearer_auth(&reader);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let expected = if method == Method::GET { 200 } else { 403 };
        assert_eq!(Reply::to(request).await.status, expected, "{method} {path}");
    }
    for (method, path, body) in routes(known) {
        let mut request = admin.request(method.clone(), &path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        assert!(Reply::to(request).await.status < 300, "{method} {path}");
    }
    // A workspace sees no events of operators in the audit trail.
    let own = app.administrator_as(&own, "mintmark:read").await;
    let events = ok(&Reply::of(own.get("/v1/audit-events?limit=200").await).await, 200);
    assert!(!events.to_string().contains("operator."), "{events}");
    app.stop().await;
}

async fn the_cookie_of_the_console_gives_no_access(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let created =
        admin.create("/v1/operators", &with("a@acme.example", json!([{"role": "platform_admin"}]))).await;
    let cookie = session(&app, &created).await;
    for name in ["mintmark", "__Host-mintmark"] {
        let header = format!("theme=dark; {name}={cookie}");
        let request = app.request(Method::GET, "/v1/operators").header("cookie", &header);
        let refused = problem(&Reply::to(request).await, 401, "unauthorized");
        assert!(refused["detail"].as_str().unwrap().contains("console"), "{refused}");
        // With a token too it would not be clear who acts: the token and the session may belong to different callers.
        let both = admin.request(Method::GET, "/v1/operators").header("cookie", &header);
        problem(&Reply::to(both).await, 400, "invalid-parameter");
    }
    let other = admin.request(Method::GET, "/v1/operators").header("cookie", "theme=dark; xmintmark=1");
    ok(&Reply::to(other).await, 200);
    app.stop().await;
}

async fn the_last_administrator_cannot_be_disabled_demoted_or_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = administrator(&app).await;
    let created =
        admin.create("/v1/operators", &with("a@acme.example", json!([{"role": "platform_admin"}]))).await;
    // Only administrators who can sign in count, so this one uses the setup link and signs in.
    session(&app, &created).await;
    let path = format!("/v1/operators/{}", created["operator_id"].as_str().unwrap());
    let viewer = json!({"roles": [{"role": "workspace_viewer", "workspace_id": "acme"}]});
    for change in [json!({"status": "disabled"}), viewer] {
        let refused = problem(&Reply::of(admin.patch(&path, &change).await).await, 409, "conflict");
        assert!(refused["detail"].as_str().unwrap().contains("last platform administrator"), "{refused}");
    }
    problem(&Reply::of(admin.delete(&path).await).await, 409, "conflict");
    let read = ok(&Reply::of(admin.get(&path).await).await, 200);
    assert_eq!(
        (&read["sign_in"], &read["last_sign_in_at"]),
        (&json!(["passkey"]), &json!("2026-09-21T14:13:20Z"))
    );
    app.stop().await;
}

/// Signs in an operator that was just created, and returns the cookie of the session.
async fn session(app: &TestApp, created: &Value) -> String {
    let operators = &app.core.services.operators;
    let signed_in = app.use_setup_link(created).await;
    let source = Source::default();
    operators.start_session(&signed_in, &source).await.unwrap().unwrap().cookie.to_string()
}
