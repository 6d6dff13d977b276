//! Counts of tokens and refused requests: by day, of several processes, after a stop and an outage, and when they are deleted.

use std::sync::Arc;

use mintmark::jobs;
use mintmark::kernel::{Caller, Manager, Reader};
use mintmark::model::audit::Actor;
use mintmark::model::reach::Reach;
use mintmark::model::scope::Permission;
use serde_json::{Value, json};

use super::{client, failures, pass, read, stocked, today, unknown_secret, usage, with_secret};
use crate::support::{Engine, Reply, TestApp, on_both_engines};

on_both_engines!(
    each_token_and_each_refusal_counts,
    days_without_a_request_are_listed_too,
    a_bad_period_is_refused,
    counts_of_two_processes_add_up,
    a_stop_loses_no_counts,
    an_outage_loses_no_counts,
    counts_are_deleted_after_their_time_and_with_the_client,
    clients_of_another_workspace_are_not_found,
);

const DAY: i64 = 86_400;

async fn each_token_and_each_refusal_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let (stateless, recorded) =
        (client(&admin, json!({})).await, client(&admin, json!({"token_expiry": {"mode": "never"}})).await);
    for erp in [&stateless, &recorded] {
        assert_eq!(
            today(&admin, erp).await,
            json!({"day": "2026-09-21", "issued": 0, "reused": 0, "refused": {}})
        );
        let token = app.access_token(erp, &[]).await;
        app.access_token(erp, &[("scope", "gst")]).await;
        // An introspection is not in the counts of the day. It is only a use of the secret.
        let introspect = app.request(reqwest::Method::POST, "/oauth2/introspect");
        let introspect = introspect.basic_auth(&erp.client_id, Some(&erp.client_secret));
        assert_eq!(introspect.form(&[("token", &token)]).send().await.unwrap().status(), 200);
        // A token that an administrator generates counts too.
        admin.create(&format!("/v1/api-clients/{}/access-tokens", erp.client_id), &json!({})).await;
        assert_eq!(app.token(erp, &[("scope", "other")]).await.status(), 400);
        for _ in 0..2 {
            assert_eq!(app.token(&with_secret(erp, &unknown_secret()), &[]).await.status(), 401);
        }
        assert_eq!(
            today(&admin, erp).await,
            json!({"day": "2026-09-21", "issued": 3, "reused": 0,
                "refused": {"scope_not_granted": 1, "wrong_secret": 2}})
        );
        // Reading the counts again does not count anything twice.
        assert_eq!(today(&admin, erp).await["issued"], 3);
        // The secret was right in four requests: two tokens, the introspection, and the refused scope.
        let secrets = read(&admin, &format!("/v1/api-clients/{}/secrets", erp.client_id)).await;
        assert_eq!(secrets["items"][0]["used_last_24h"], 4, "{secrets}");
    }
    app.stop().await;
}

async fn days_without_a_request_are_listed_too(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let (erp, manager) = (client(&admin, json!({})).await, admin.client.clone());
    // Requests on three days: the first is one second before its day ends, at 2026-09-21T23:59:59Z.
    for passed in [35_199, 1, 2 * DAY] {
        pass(&app, passed).await;
        app.access_token(&erp, &[]).await;
    }
    // The first token of the administrator has expired.
    let admin = app.administrator_as(&manager, "mintmark:read").await;
    let days = |body: &Value| -> Vec<(String, i64)> {
        let day = |day: &Value| (day["day"].as_str().unwrap().to_owned(), day["issued"].as_i64().unwrap());
        body["items"].as_array().unwrap().iter().map(day).collect()
    };
    // Without a period, the last 30 days are listed.
    let all = days(&usage(&admin, &erp).await);
    assert_eq!(all.len(), 30);
    assert_eq!(all[0], ("2026-08-26".to_owned(), 0));
    let last = [("2026-09-21", 1), ("2026-09-22", 1), ("2026-09-23", 0), ("2026-09-24", 1)];
    assert_eq!(all[26..], last.map(|(day, issued)| (day.to_owned(), issued)));
    let path = format!("/v1/api-clients/{}/usage", erp.client_id);
    for (query, first, count) in [
        ("since=2026-09-21T12:00:00Z&until=2026-09-22T00:00:00Z", "2026-09-21", 2),
        ("since=2026-09-22T00:00:00%2B05:30", "2026-09-21", 4),
        ("until=2026-09-21T00:00:00Z", "2026-08-23", 30),
        ("since=2026-09-24T00:00:00Z&until=2099-01-01T00:00:00Z", "2026-09-24", 1),
        // Counts are kept for 400 days. Earlier days are not listed.
        ("since=1970-01-01T00:00:00Z", "2025-08-20", 401),
    ] {
        let found = days(&read(&admin, &format!("{path}?{query}")).await);
        assert_eq!((found[0].0.as_str(), found.len()), (first, count), "{query}");
    }
    let none = read(&admin, &format!("{path}?until=1999-01-01T00:00:00Z")).await;
    assert_eq!(none["items"], json!([]));
    app.stop().await;
}

async fn a_bad_period_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let path = format!("/v1/api-clients/{}/usage", client(&admin, json!({})).await.client_id);
    for (query, says) in [
        ("since=yesterday", "since must be an RFC 3339 instant"),
        ("until=2026-13-01T00:00:00Z", "until must be an RFC 3339 instant"),
        ("since=2026-09-22T00:00:00Z&until=2026-09-21T00:00:00Z", "since must not be after until"),
        ("days=7", "`days` is not a parameter"),
    ] {
        let reply = Reply::of(admin.get(&format!("{path}?{query}")).await).await;
        assert!(reply.status == 400 && reply.text().contains(says), "{query}: {reply:?}");
    }
    app.stop().await;
}

async fn counts_of_two_processes_add_up(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.replica("").await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    other.core.services.ledger.poll().await.unwrap();
    for round in 1..=3 {
        for process in [&app, &other, &other] {
            process.access_token(&erp, &[]).await;
            assert_eq!(process.token(&erp, &[("scope", "other")]).await.status(), 400);
        }
        // Both processes store their counts at the same time.
        let (one, two) = tokio::join!(app.core.services.usage.flush(), other.core.services.usage.flush());
        one.and(two).unwrap();
        let seen = today(&admin, &erp).await;
        assert_eq!(
            (&seen["issued"], &seen["refused"]["scope_not_granted"]),
            (&json!(3 * round), &json!(3 * round))
        );
    }
    assert_eq!(failures(&admin, &erp).await.len(), 9);
    other.stop().await;
    app.stop().await;
}

async fn a_stop_loses_no_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    for _ in 0..5 {
        app.access_token(&erp, &[]).await;
    }
    assert_eq!(app.token(&with_secret(&erp, "mms_cut"), &[]).await.status(), 401);
    let (database, clock, manager) =
        (Arc::clone(&app.database), Arc::clone(&app.clock), admin.client.clone());
    app.stop().await;
    let app = TestApp::start_on(database, clock, "").await;
    // The new app has another port, so another issuer, and the administrator needs another token.
    let admin = app.administrator_as(&manager, "mintmark:read").await;
    let seen = today(&admin, &erp).await;
    assert_eq!((&seen["issued"], &seen["refused"]), (&json!(5), &json!({"secret_of_wrong_length": 1})));
    assert_eq!(failures(&admin, &erp).await.len(), 1);
    let secrets = read(&admin, &format!("/v1/api-clients/{}/secrets", erp.client_id)).await;
    let secret = &secrets["items"][0];
    assert_eq!((&secret["used_last_24h"], &secret["last_used_from"]), (&json!(5), &json!("127.0.0.1")));
    app.stop().await;
}

async fn an_outage_loses_no_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    app.access_token(&erp, &[]).await;
    app.database.execute("ALTER TABLE failures RENAME TO failures_away").await;
    for _ in 0..3 {
        app.access_token(&erp, &[]).await;
        assert_eq!(app.token(&erp, &[("scope", "other")]).await.status(), 400);
        app.core.services.usage.flush().await.unwrap_err();
    }
    // Counts that are stored can be read during the outage.
    assert_eq!(today(&admin, &erp).await["reused"], 0);
    app.database.execute("ALTER TABLE failures_away RENAME TO failures").await;
    app.core.services.usage.flush().await.unwrap();
    let seen = today(&admin, &erp).await;
    assert_eq!((&seen["issued"], &seen["refused"]), (&json!(4), &json!({"scope_not_granted": 3})));
    assert_eq!(failures(&admin, &erp).await.len(), 3);
    app.stop().await;
}

async fn counts_are_deleted_after_their_time_and_with_the_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let (erp, other) = (client(&admin, json!({})).await, client(&admin, json!({})).await);
    for erp in [&erp, &other] {
        app.access_token(erp, &[]).await;
        assert_eq!(app.token(erp, &[("scope", "other")]).await.status(), 400);
    }
    app.core.services.usage.flush().await.unwrap();
    let rows = async |table: &str| {
        let of = if table.starts_with("secret") {
            format!(
                "secret_id IN (SELECT secret_id FROM client_secrets WHERE client_id IN ('{}', '{}'))",
                erp.client_id, other.client_id
            )
        } else {
            format!("client_id IN ('{}', '{}')", erp.client_id, other.client_id)
        };
        app.database.number(&format!("SELECT COUNT(*) FROM {table} WHERE {of}")).await
    };
    let tables = [
        // For each client, one row for its token and one for its refused request.
        ("client_usage_hours", 4),
        ("secret_usage_hours", 2),
        ("secret_sources", 2),
        ("client_networks", 2),
        ("failures", 2),
    ];
    for (table, count) in tables {
        assert_eq!(rows(table).await, count, "{table}");
    }
    assert_eq!(admin.delete(&format!("/v1/api-clients/{}", other.client_id)).await.status(), 204);
    for (table, count) in tables {
        assert_eq!(rows(table).await, count / 2, "{table}");
    }
    // The requests were in the hour that ends at 15:00. Its counts are kept for 48 hours more and then added to those of its
    // day, which are kept until 400 days after that day.
    for (passed, hours, days) in [(2 * DAY, 2, 0), (3_600, 0, 2), (398 * DAY, 0, 2), (DAY, 0, 0)] {
        pass(&app, passed).await;
        jobs::housekeeping_once(&app.core.services).await;
        assert_eq!(
            (
                rows("client_usage_hours").await,
                rows("secret_usage_hours").await,
                rows("client_usage_days").await
            ),
            (hours, hours / 2, days),
            "{passed}"
        );
    }
    // Failures are limited by their number, not by their age.
    assert_eq!(rows("failures").await, 1);
    app.stop().await;
}

async fn clients_of_another_workspace_are_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = stocked(&app).await;
    let erp = client(&admin, json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (own, _) = admin.client("acme", json!({"permissions": ["mintmark:read"]})).await;
    let caller = app.administrator_as(&own, "mintmark:read").await;
    for noun in ["usage", "failures"] {
        let path = |id: &str| format!("/v1/api-clients/{id}/{noun}");
        assert_eq!(caller.get(&path(&own.client_id)).await.status(), 200);
        let nobody = format!("cl_{}", "0".repeat(22));
        let [foreign, unknown, malformed] = [erp.client_id.as_str(), &nobody, "x"]
            .map(|id| async { Reply::of(caller.get(&path(id)).await).await });
        let (foreign, unknown, malformed) = (foreign.await, unknown.await, malformed.await);
        let detail = |reply: &Reply| (reply.status, reply.json()["detail"].clone());
        assert_eq!(foreign.status, 404);
        assert_eq!(detail(&foreign), detail(&unknown));
        assert_eq!(detail(&foreign), detail(&malformed));
        assert_eq!(app.get(&path(&own.client_id)).await.status(), 401);
    }
    let reply = Reply::of(caller.get("/v1/failures").await).await;
    assert!(
        reply.status == 403 && reply.text().contains("Only API clients of the workspace `platform`"),
        "{reply:?}"
    );
    // From a list of clients, those of another workspace are left out.
    let reader = Reader::try_from(Caller {
        reach: Reach::Workspace("acme".to_owned()),
        permissions: vec![Permission::Read],
        actor: Actor::command_line(),
        client_id: None,
    });
    let platform = Manager::command_line();
    for erp in [&erp, &own] {
        assert_eq!(app.token(erp, &[("scope", "other")]).await.status(), 400);
    }
    let services = &app.core.services;
    services.usage.flush().await.unwrap();
    let ids = [erp.client_id.as_str(), own.client_id.as_str(), "x"];
    let all = services.usage.refusals_in_24_hours(&platform, &ids).await.unwrap();
    assert_eq!((all.len(), all[&erp.client_id], all[&own.client_id]), (2, 1, 1));
    let seen = services.usage.refusals_in_24_hours(&reader.unwrap(), &ids).await.unwrap();
    assert_eq!((seen.len(), seen[&own.client_id]), (1, 1));
    // Refusals are counted by the hour, so one counts for up to 25 hours.
    pass(&app, 26 * 3_600).await;
    assert!(services.usage.refusals_in_24_hours(&platform, &ids).await.unwrap().is_empty());
    app.stop().await;
}
