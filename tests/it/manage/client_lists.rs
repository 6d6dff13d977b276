//! `GET /v1/api-clients`: the clients of all workspaces that the caller can access, filtered, sorted and counted; and the
//! members that every list has in addition to its items.

use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, Engine, TestApp, on_both_engines};

on_both_engines!(
    a_list_has_the_clients_of_all_accessible_workspaces,
    an_item_has_to_match_all_filters,
    a_list_is_sorted_and_filtered_by_last_use,
    pages_follow_any_order,
    a_link_names_the_next_page,
    every_list_is_counted_on_request,
    unknown_and_invalid_parameters_are_named,
    a_cursor_belongs_to_its_filters_and_order,
);

async fn get(admin: &Administrator<'_>, path: &str) -> Value {
    ok(&Reply::of(admin.get(path).await).await, 200)
}

/// The labels of a list, in order.
fn labels(page: &Value) -> String {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["label"].as_str().unwrap()).collect::<Vec<_>>().join(", ")
}

async fn listed(admin: &Administrator<'_>, query: &str) -> String {
    labels(&get(admin, &format!("/v1/api-clients?{query}")).await)
}

/// Products, the workspaces `acme` and `other`, and an administrator of the platform.
async fn furnished(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    for code in ["gst", "e-invoicing"] {
        admin.product(code, json!({})).await;
    }
    for id in ["acme", "other"] {
        admin.workspace(id, json!({})).await;
    }
    admin
}

async fn a_list_has_the_clients_of_all_accessible_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    admin.client("acme", json!({"label": "one", "products": ["gst"]})).await;
    let wanted = json!({"label": "two", "permissions": ["mintmark:read", "mintmark:manage"]});
    let (own, made) = admin.client("other", wanted).await;
    assert_eq!(listed(&admin, "").await, "two, one, bootstrap");
    let tenant = app.administrator_as(&own, "mintmark:read").await;
    let page = get(&tenant, "/v1/api-clients?count=true").await;
    assert_eq!((labels(&page).as_str(), &page["total"]), ("two", &json!(1)));
    // An item is the same as the record. The client has just been used: to get the token of `tenant`.
    let path = format!("/v1/api-clients/{}", own.client_id);
    assert_eq!(page["items"][0], get(&tenant, &path).await);
    assert_eq!(page["items"][0]["last_used_at"], "2026-09-21T14:13:20Z");
    assert_eq!(made["last_used_at"], Value::Null);
    app.stop().await;
}

async fn an_item_has_to_match_all_filters(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let more = json!({"label": "SAP one", "products": ["gst"], "metadata": {"env": "prod", "a.b c": "x=&y"}});
    admin.client("acme", more).await;
    let more = json!({"label": "sap two", "products": ["gst", "e-invoicing"], "metadata": {"env": "test"}});
    let (two, _) = admin.client("other", more).await;
    let more = json!({"label": "tally", "products": ["e-invoicing"], "status": "disabled"});
    let (tally, _) = admin.client("other", more).await;
    for (client, expires_at) in [(&two, "2026-10-01T00:00:00Z"), (&tally, "2026-11-01T00:00:00Z")] {
        let path = format!("/v1/api-clients/{}/secrets", client.client_id);
        admin.create(&path, &json!({"expires_at": expires_at})).await;
    }
    for (query, found) in [
        ("label=sAp", "sap two, SAP one"),
        ("product=e-invoicing", "tally, sap two"),
        ("status=active", "sap two, SAP one, bootstrap"),
        ("status=disabled", "tally"),
        ("metadata.env=prod", "SAP one"),
        ("metadata.env=prod&metadata.a.b%20c=x%3D%26y", "SAP one"),
        ("metadata.env=prod&metadata.none=x", ""),
        ("metadata[env]=prod", "SAP one"),
        ("metadata%5Benv%5D=prod&metadata.a.b%20c=x%3D%26y", "SAP one"),
        ("metadata.env=", ""),
        ("secret_expires_before=2026-10-01T00:00:00Z", ""),
        ("secret_expires_before=2026-10-01T00:00:01Z", "sap two"),
        ("secret_expires_before=2027-10-01T05:30:00%2B05:30", "tally, sap two"),
        (
            "label=sap&product=gst&status=active&metadata.env=test&secret_expires_before=2027-01-01T00:00:00Z",
            "sap two",
        ),
        ("label=sap&product=gst&status=disabled", ""),
    ] {
        assert_eq!(listed(&admin, query).await, found, "{query}");
    }
    // The list of a workspace takes the same filters.
    let path = "/v1/workspaces/other/api-clients?sort=label&metadata.env=test";
    assert_eq!(labels(&get(&admin, path).await), "sap two");
    assert_eq!(labels(&get(&admin, "/v1/workspaces/other/api-clients?sort=-label").await), "tally, sap two");
    // An expired secret does not count as about to expire.
    app.clock.advance(40 * 86_400);
    let admin = app.administrator_as(&admin.client, "mintmark:read").await;
    assert_eq!(listed(&admin, "secret_expires_before=2027-01-01T00:00:00Z").await, "tally");
    app.stop().await;
}

async fn a_list_is_sorted_and_filtered_by_last_use(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let mut clients = Vec::new();
    for label in ["first", "second", "third", "never"] {
        clients.push(admin.client("acme", json!({"label": label, "products": ["gst"]})).await.0);
    }
    for client in [&clients[1], &clients[0], &clients[2]] {
        app.clock.advance(10);
        app.access_token(client, &[]).await;
    }
    // The uses are only in memory so far, but the list shows them.
    assert_eq!(listed(&admin, "sort=last_used_at").await, "never, bootstrap, second, first, third");
    assert_eq!(listed(&admin, "sort=-last_used_at").await, "third, first, second, bootstrap, never");
    assert_eq!(listed(&admin, "unused_since=2026-09-21T14:13:40Z").await, "never, second, bootstrap");
    // A token that an administrator generates counts as a use too. The time of the last use stays when the secret of the client
    // is deleted: the first new secret makes the old one expire at once, and the second deletes it.
    let second = format!("/v1/api-clients/{}", clients[1].client_id);
    app.clock.advance(10);
    admin.create(&format!("{second}/access-tokens"), &json!({})).await;
    admin.create(&format!("{second}/secrets"), &json!({"expire_others_after_seconds": 0})).await;
    app.clock.advance(1);
    admin.create(&format!("{second}/secrets"), &json!({})).await;
    assert_eq!(get(&admin, &second).await["last_used_at"], "2026-09-21T14:14:00Z");
    assert_eq!(listed(&admin, "unused_since=2026-09-21T14:13:40Z").await, "never, bootstrap");
    assert_eq!(listed(&admin, "sort=-last_used_at&limit=1").await, "second");
    app.stop().await;
}

async fn pages_follow_any_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    for (label, expires_at) in [
        ("b", Value::Null),
        ("A", json!("2027-01-01T00:00:00Z")),
        ("a", json!("2027-01-01T00:00:00Z")),
        ("C", json!("2026-12-01T00:00:00Z")),
        ("c", Value::Null),
    ] {
        let more = json!({"label": label, "products": ["gst"], "expires_at": expires_at});
        admin.client("acme", more).await;
    }
    for (sort, ascending) in [
        ("label", "A, a, b, C, c"),
        ("created_at", "b, A, a, C, c"),
        ("expires_at", "C, A, a, b, c"),
        ("last_used_at", "b, A, a, C, c"),
    ] {
        let mut reversed: Vec<&str> = ascending.split(", ").collect();
        reversed.reverse();
        for (sort, expected) in
            [(sort.to_owned(), ascending.to_owned()), (format!("-{sort}"), reversed.join(", "))]
        {
            for limit in [1, 2, 5] {
                let mut seen = Vec::new();
                let mut next = format!("/v1/api-clients?product=gst&sort={sort}&limit={limit}");
                let first = next.clone();
                loop {
                    let page = get(&admin, &next).await;
                    seen.push(labels(&page));
                    match page["next_cursor"].as_str() {
                        Some(cursor) => next = format!("{first}&cursor={cursor}"),
                        None => break,
                    }
                }
                assert_eq!(seen.join(", "), expected, "{sort}, {limit} a page");
                assert_eq!(seen.len(), 5_usize.div_ceil(limit), "{sort}, {limit} a page");
            }
        }
    }
    app.stop().await;
}

/// The target of a `Link` to the next page.
fn next_of(reply: &Reply) -> Option<String> {
    let link = reply.header("link");
    (!link.is_empty()).then(|| {
        let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        target.unwrap_or_else(|| panic!("{link}")).to_owned()
    })
}

async fn a_link_names_the_next_page(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    let admin = furnished(&app).await;
    for number in 0..5 {
        let more = json!({"label": format!("a&b {number}"), "products": ["gst"], "metadata": {"k ü": "v"}});
        admin.client("acme", more).await;
    }
    for prefix in ["", "/tenant"] {
        let mut next = Some(format!(
            "{prefix}/v1/api-clients?label=A%26b%20&sort=label&metadata.k%20%C3%BC=v&limit=2&count=true"
        ));
        let mut seen = Vec::new();
        while let Some(path) = next {
            assert!(path.starts_with(&format!("{prefix}/v1/api-clients?")), "{path}");
            let reply = Reply::of(admin.get(&path).await).await;
            let page = ok(&reply, 200);
            assert_eq!(page["total"], 5);
            seen.push(labels(&page));
            next = next_of(&reply);
            assert_eq!(next.is_some(), page["next_cursor"].is_string());
        }
        assert_eq!(seen, ["a&b 0, a&b 1", "a&b 2, a&b 3", "a&b 4"]);
    }
    app.stop().await;
}

async fn every_list_is_counted_on_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (tenant, _) =
        admin.client("acme", json!({"permissions": ["mintmark:read", "mintmark:manage"]})).await;
    let (erp, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let client = format!("/v1/api-clients/{}", erp.client_id);
    for more in ["secrets", "access-tokens", "access-tokens", "access-tokens"] {
        admin.create(&format!("{client}/{more}"), &json!({})).await;
    }
    let tenant = app.administrator_as(&tenant, "mintmark:read").await;
    let own = json!({"products_allowed": ["gst"]});
    assert_eq!(admin.patch("/v1/workspaces/acme", &own).await.status(), 200);
    for (path, of_platform, of_tenant) in [
        ("/v1/products".to_owned(), 2, Some(1)),
        ("/v1/workspaces".to_owned(), 3, Some(1)),
        ("/v1/workspaces/acme/api-clients".to_owned(), 2, Some(2)),
        ("/v1/api-clients".to_owned(), 3, Some(2)),
        (format!("{client}/secrets"), 2, Some(2)),
        (format!("{client}/access-tokens"), 3, Some(3)),
        ("/v1/access-tokens".to_owned(), 3, Some(3)),
        // A caller of a workspace may not list the keys.
        ("/v1/signing-keys".to_owned(), 2, None),
        // Two products, three workspaces, three clients, a secret, three tokens, two keys, a change, two first uses. In
        // `acme`: the workspace, two clients, the secret, the tokens, the change, a first use.
        ("/v1/audit-events".to_owned(), 17, Some(9)),
    ] {
        for (caller, total) in [(&admin, Some(of_platform)), (&tenant, of_tenant)] {
            let Some(total) = total else { continue };
            let reply = Reply::of(caller.get(&format!("{path}?limit=1&count=true")).await).await;
            let page = ok(&reply, 200);
            assert_eq!(page["total"], total, "{path}");
            assert_eq!(next_of(&reply).is_some(), total > 1, "{path}");
            let cursor = page["next_cursor"].as_str();
            if let Some(cursor) = cursor {
                // The cursor works with and without `count`, and `total` counts the items of all pages.
                let next = get(caller, &format!("{path}?cursor={cursor}")).await;
                assert_eq!(next["items"].as_array().unwrap().len(), total - 1, "{path}");
                assert_eq!(next.get("total"), None, "{path}");
                let next = get(caller, &format!("{path}?cursor={cursor}&count=true")).await;
                assert_eq!(next["total"], total, "{path}");
            }
        }
        problem(&Reply::of(admin.get(&format!("{path}?count=1")).await).await, 400, "invalid-parameter");
    }
    app.stop().await;
}

async fn unknown_and_invalid_parameters_are_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    for (query, named) in [
        ("sort=name", "sort must be label, created_at, last_used_at or expires_at"),
        ("sort=--label", "sort must be"),
        ("sort=", "sort must be"),
        ("sort=label&sort=label", "The parameter `sort` was sent twice: send it once"),
        ("status=gone", "status must be active or disabled"),
        ("product=GST", "product must be the code of a product: 1 to 64 characters of a-z, 0-9"),
        ("label=", "label must be 1 to 200 characters"),
        ("secret_expires_before=soon", "secret_expires_before must be an RFC 3339 instant"),
        ("unused_since=1", "unused_since must be an RFC 3339 instant"),
        ("metadata=x", "`metadata` is not a parameter of this request; the parameters are"),
        ("metadata.a=1&metadata.a=1", "The parameter `metadata.a` was sent twice: send it once"),
        ("metadata.=1", "metadata.KEY must have a KEY of 1 to 64 characters"),
        ("metadata[]=1", "metadata.KEY must have a KEY of 1 to 64 characters"),
        ("metadata[a=1", "is not a parameter"),
        ("metadata[a]=1&metadata.a=1", "are the same"),
        ("workspace=acme", "metadata.KEY"),
        ("count=yes", "count must be true or false"),
        ("cursor=x", "cursor is damaged, or belongs to another list"),
    ] {
        let reply = Reply::of(admin.get(&format!("/v1/api-clients?{query}")).await).await;
        let problem = problem(&reply, 400, "invalid-parameter");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{query}: {problem}");
    }
    app.stop().await;
}

async fn a_cursor_belongs_to_its_filters_and_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let mut reader = None;
    for number in 0..3 {
        let more =
            json!({"label": format!("c{number}"), "permissions": ["mintmark:read"], "metadata": {"a": "b"}});
        reader = Some(admin.client("platform", more).await.0);
    }
    let query = "label=c&metadata.a=b&sort=label";
    let cursor = get(&admin, &format!("/v1/api-clients?{query}&limit=1")).await["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    // Another page size, a count and another order of parameters do not change the list.
    let same = format!("count=true&sort=label&limit=2&cursor={cursor}&metadata.a=b&label=c");
    assert_eq!(listed(&admin, &same).await, "c1, c2");
    let other = app.administrator_as(&reader.unwrap(), "mintmark:read").await;
    for (caller, path) in [
        (&admin, format!("/v1/api-clients?label=c&metadata.a=b&sort=-label&cursor={cursor}")),
        (&admin, format!("/v1/api-clients?label=c&metadata.a=b&cursor={cursor}")),
        (&admin, format!("/v1/api-clients?label=c&sort=label&cursor={cursor}")),
        (&admin, format!("/v1/api-clients?label=c&metadata.a=c&sort=label&cursor={cursor}")),
        (&admin, format!("/v1/api-clients?label=C&metadata.a=b&sort=label&cursor={cursor}")),
        (&admin, format!("/v1/workspaces/platform/api-clients?{query}&cursor={cursor}")),
        (&other, format!("/v1/api-clients?{query}&cursor={cursor}")),
    ] {
        problem(&Reply::of(caller.get(&path).await).await, 400, "invalid-parameter");
    }
    app.stop().await;
}
