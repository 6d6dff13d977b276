//! `GET /v1/access-tokens`: the recorded tokens of every client within the reach of the caller.

use serde_json::{Value, json};

use super::{Reply, ok, problem};
use crate::support::{Administrator, Engine, TestApp, on_both_engines};

on_both_engines!(
    tokens_of_all_clients_are_listed,
    an_item_has_to_match_all_filters,
    unknown_and_invalid_parameters_are_named,
);

async fn get(admin: &Administrator<'_>, query: &str) -> Value {
    ok(&Reply::of(admin.get(&format!("/v1/access-tokens?{query}")).await).await, 200)
}

fn jtis(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["jti"].as_str().unwrap()).collect()
}

async fn found(admin: &Administrator<'_>, query: &str) -> Vec<String> {
    let mut found: Vec<String> = jtis(&get(admin, query).await).into_iter().map(str::to_owned).collect();
    found.sort_unstable();
    found
}

/// A client of a workspace whose tokens never expire, and the path of its tokens.
async fn client(admin: &Administrator<'_>, workspace: &str) -> (String, String) {
    let more = json!({"products": ["gst"], "token_expiry": {"mode": "never"}});
    let (client, _) = admin.client(workspace, more).await;
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    (client.client_id, path)
}

async fn furnished(app: &TestApp) -> Administrator<'_> {
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    for id in ["acme", "other"] {
        admin.workspace(id, json!({})).await;
    }
    admin
}

async fn token(admin: &Administrator<'_>, path: &str, wanted: Value) -> String {
    admin.create(path, &wanted).await["jti"].as_str().unwrap().to_owned()
}

async fn tokens_of_all_clients_are_listed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let mut of_client = Vec::new();
    for workspace in ["acme", "other", "acme"] {
        let (id, path) = client(&admin, workspace).await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            app.clock.advance(1);
            tokens.push(token(&admin, &path, json!({})).await);
        }
        tokens.reverse();
        of_client.push((id, workspace, tokens));
    }
    of_client.sort_by(|one, other| other.0.cmp(&one.0));
    let all: Vec<&String> = of_client.iter().flat_map(|(.., tokens)| tokens).collect();
    assert_eq!(jtis(&get(&admin, "").await), all, "by descending client id, the newest of each client first");
    let mut seen = Vec::new();
    let mut query = "limit=4".to_owned();
    loop {
        let page = get(&admin, &query).await;
        seen.extend(jtis(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=4&cursor={cursor}");
    }
    assert!(seen.iter().eq(all));
    // An item is the same as the record of the token.
    let (id, _, tokens) = &of_client[0];
    let path = format!("/v1/api-clients/{id}/access-tokens/{}", tokens[0]);
    let alone = ok(&Reply::of(admin.get(&path).await).await, 200);
    assert_eq!(get(&admin, "limit=1").await["items"][0], alone);
    assert_eq!(alone["client_id"], id.as_str());

    let (own, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let tenant = app.administrator_as(&own, "mintmark:read").await;
    let theirs: Vec<&String> =
        of_client.iter().filter(|(_, workspace, _)| *workspace == "acme").flat_map(|(.., t)| t).collect();
    let page = get(&tenant, "count=true").await;
    assert_eq!((jtis(&page), &page["total"]), (theirs.iter().map(|t| t.as_str()).collect(), &json!(6)));
    let (elsewhere, ..) = of_client.iter().find(|(_, workspace, _)| *workspace == "other").unwrap();
    assert_eq!(get(&tenant, &format!("client_id={elsewhere}")).await["items"], json!([]));
    app.stop().await;
}

async fn an_item_has_to_match_all_filters(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    let (id, path) = client(&admin, "acme").await;
    let (_, other) = client(&admin, "other").await;
    let never = token(&admin, &path, json!({})).await;
    let hour = json!({"token_expiry": {"mode": "after", "seconds": 3600}});
    let hour = token(&admin, &path, hour).await;
    let minute = json!({"token_expiry": {"mode": "after", "seconds": 60}});
    let minute = token(&admin, &other, minute).await;
    let revoked = token(&admin, &other, json!({})).await;
    assert_eq!(admin.delete(&format!("{other}/{revoked}")).await.status(), 204);
    let check = async |query: &str, expected: &[&String]| {
        let mut expected: Vec<String> = expected.iter().map(|jti| (*jti).clone()).collect();
        expected.sort_unstable();
        assert_eq!(found(&admin, query).await, expected, "{query}");
    };
    check("", &[&never, &hour, &minute]).await;
    check("status=live", &[&never, &hour, &minute]).await;
    check("status=revoked", &[&revoked]).await;
    check("status=all", &[&never, &hour, &minute, &revoked]).await;
    check(&format!("client_id={id}"), &[&never, &hour]).await;
    check("never_expires=true", &[&never]).await;
    check("never_expires=true&status=all", &[&never, &revoked]).await;
    check("never_expires=false", &[&hour, &minute]).await;
    check("expires_before=2026-09-21T14:14:20Z", &[]).await;
    check("expires_before=2026-09-21T14:14:21Z", &[&minute]).await;
    check("expires_before=2030-01-01T00:00:00Z&never_expires=true", &[]).await;
    check(&format!("expires_before=2030-01-01T00:00:00Z&client_id={id}"), &[&hour]).await;
    app.clock.advance(60);
    check("", &[&never, &hour]).await;
    // The tokens of a disabled client count as live, because they are valid again when the client is enabled.
    let client = format!("/v1/api-clients/{id}");
    assert_eq!(admin.patch(&client, &json!({"status": "disabled"})).await.status(), 200);
    check("", &[&never, &hour]).await;
    assert_eq!(admin.delete(&client).await.status(), 204);
    check("", &[]).await;
    check("status=all", &[&minute, &revoked]).await;
    app.stop().await;
}

async fn unknown_and_invalid_parameters_are_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnished(&app).await;
    for (query, named) in [
        ("status=dead", "status must be live, revoked or all"),
        ("never_expires=1", "never_expires must be true or false"),
        ("expires_before=tomorrow", "expires_before must be an RFC 3339 instant"),
        ("client_id=acme", "client_id must be the id of an API client"),
        ("jti=x", "`jti` is not a parameter of this request"),
    ] {
        let reply = Reply::of(admin.get(&format!("/v1/access-tokens?{query}")).await).await;
        let problem = problem(&reply, 400, "invalid-parameter");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{query}: {problem}");
    }
    app.stop().await;
}
