//! Usage and refusals in the console: the chart and its table, refused requests in plain words, the list of clients, the live
//! line with the last call or refusal of a client, and when an old secret can be deleted.

use reqwest::Method;
use serde_json::{Value, json};

use super::{client_of, create, furnish};
use crate::support::{Browser, Credentials, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    a_client_without_requests_has_no_chart,
    days_are_shown_in_a_chart_and_a_table,
    refusals_are_shown_with_the_next_step,
    refusals_are_shown_in_pages_of_25,
    text_from_requests_is_shown_as_text,
    the_list_counts_the_refusals_of_a_day,
    the_live_line_shows_the_last_call_or_refusal,
    an_old_secret_is_safe_to_retire_when_nothing_uses_it_any_more,
);

/// Settings with which a test chooses the source address of a request, by `X-Forwarded-For`.
const BEHIND_A_PROXY: &str = "server.trusted_proxies = [\"127.0.0.1\"]";

const LIST: &str = "/console/workspaces/acme/api-clients";

/// Sends a token request from this address. Returns the status of the reply.
async fn call(app: &TestApp, client: &Credentials, source: &str, form: &[(&str, &str)]) -> u16 {
    let mut all = vec![("grant_type", "client_credentials")];
    all.extend_from_slice(form);
    let request = app
        .request(Method::POST, "/oauth2/token")
        .basic_auth(&client.client_id, Some(&client.client_secret))
        .header("x-forwarded-for", source)
        .form(&all);
    request.send().await.unwrap().status().as_u16()
}

/// A client of `acme`, and the path of its pages.
async fn client(app: &TestApp, more: Value) -> (Credentials, String) {
    let admin = furnish(app).await;
    let mut members = json!({"label": "SAP", "products": ["gst"]});
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (client, _) = admin.client("acme", members).await;
    let path = format!("/console/api-clients/{}", client.client_id);
    (client, path)
}

/// The same client with a wrong secret.
fn mistaken(client: &Credentials) -> Credentials {
    let secret = mintmark::model::secret::PlainSecret::from_random(&[7; 32]);
    Credentials { client_secret: secret.expose().to_owned(), ..client.clone() }
}

/// Advances the clock by days, which ends sessions, polls for changes as a job would, and signs `root` in again.
async fn days_later(app: &TestApp, days: i64) -> Browser<'_> {
    app.clock.advance(days * 86_400);
    app.core.services.ledger.poll().await.unwrap();
    app.signed_in("root@example.com").await
}

/// What a client's page loads for its live line.
async fn live(browser: &Browser<'_>, client: &str) -> Value {
    let reply = browser.get(&format!("{client}/first-call")).await.must_be(200);
    serde_json::from_str(&reply.html).unwrap()
}

#[track_caller]
fn says_all(page: &Page, all: &[&str]) {
    for words in all {
        assert!(page.says(words), "{words}: {}", page.text());
    }
}

async fn a_client_without_requests_has_no_chart(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, path) = client(&app, json!({})).await;
    let browser = app.platform_admin().await;
    let page = browser.get(&format!("{path}/usage")).await.must_be(200);
    says_all(
        &page,
        &[
            "SAP got no token, and no request of it was refused",
            "No request of this client was refused",
            "It has not signed in yet",
        ],
    );
    assert!(!page.html.contains("chart"), "{}", page.html);
    assert!(page.link("How to call it").starts_with(&path));
    assert!(page.html.contains(&format!("href=\"{path}/usage\" aria-current=\"page\"")), "{}", page.html);
    browser.get(&format!("{path}/usage?after=x")).await.must_be(400);
}

async fn days_are_shown_in_a_chart_and_a_table(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let (erp, path) = client(&app, json!({})).await;
    app.platform_admin().await;
    for _ in 0..3 {
        assert_eq!(call(&app, &erp, "203.0.113.7", &[]).await, 200);
    }
    assert_eq!(call(&app, &erp, "203.0.113.7", &[("scope", "other")]).await, 400);
    days_later(&app, 2).await;
    assert_eq!(call(&app, &erp, "2001:db8:1:2::3", &[]).await, 200);
    for _ in 0..2 {
        assert_eq!(call(&app, &mistaken(&erp), "198.51.100.9", &[]).await, 401);
    }
    let browser = app.signed_in("root@example.com").await;
    let page = browser.get(&format!("{path}/usage")).await.must_be(200);
    // The title of the chart, and its 30 days, two of them with requests.
    assert_eq!(page.by_id("chart-title"), "The last 30 days, a bar for each: 4 tokens, 3 refusals.");
    assert!(page.html.contains("role=\"img\" aria-labelledby=\"chart-title\""), "{}", page.html);
    assert_eq!(page.html.matches("class=\"chart-day\"").count(), 30);
    for day in [
        "21 Sep 2026: 3 tokens, 1 refusal",
        "23 Sep 2026: 1 token, 2 refusals",
        "22 Sep 2026: 0 tokens, 0 refusals",
    ] {
        assert!(page.html.contains(&format!("<g><title>{day}</title>")), "{day}: {}", page.html);
    }
    assert_eq!(page.html.matches("fill=\"url(#refused-pattern)\"").count(), 2);
    // The table beside it has only the days with requests, the newest first, and the total.
    let table = page.inside("table");
    assert_eq!(
        table,
        "Days with requests, the newest first: 4 tokens, 3 refusals Day Tokens Refused 23 Sep 2026 wrong secret 2 1 2 \
         21 Sep 2026 scope not granted 1 3 1 Total 4 3"
    );
    // The requests from 198.51.100.9 were refused, so its network is not listed.
    says_all(&page, &["Networks it was seen from", "2001:db8:1::/48 just now 203.0.113.0/24 2 days ago"]);
    assert!(!page.says("198.51.100.0/24"), "{}", page.text());
    // Days that are more than 30 days ago are no longer in the chart; the refused requests are still shown.
    let browser = days_later(&app, 31).await;
    let page = browser.get(&format!("{path}/usage")).await.must_be(200);
    says_all(&page, &["Nothing in the last 30 days", "The secret is not one of this client's"]);
}

async fn refusals_are_shown_with_the_next_step(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    let (erp, path) = client(&app, json!({"allowed_ips": ["203.0.113.0/24"]})).await;
    let browser = app.platform_admin().await;
    let wrong = mistaken(&erp);
    assert_eq!(call(&app, &wrong, "203.0.113.7", &[]).await, 401);
    app.clock.advance(60);
    assert_eq!(call(&app, &erp, "198.51.100.9", &[]).await, 401);
    let page = browser.get(&format!("{path}/usage")).await.must_be(200);
    let stored = app.database.session().await.everything().await;
    says_all(
        &page,
        &[
            "just now 21 Sep 2026, 14:14 UTC The request came from an address that is not among the allowed addresses \
             (allowed_ips) of the client. If the address is right, add it or its network there. Change the client from 198.51.100.9 to /oauth2/token",
            "1 minute ago 21 Sep 2026, 14:13 UTC The secret is not one of this client's; it may have been deleted. Compare its \
             last four characters with those of the client's secrets.",
            &format!("with the secret mms_…{} id", &wrong.client_secret[49..]),
            &format!("with the secret mms_…{} id", &erp.client_secret[49..]),
        ],
    );
    assert!(!page.html.contains(&erp.client_secret) && !page.html.contains(&wrong.client_secret));
    let id = page.html.split("id <span class=\"mono\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(!id.is_empty() && stored.contains(id), "{id}");
    browser.get(&page.link("Change the client")).await.must_be(200);
    browser.get(&page.link("Go to the secrets")).await.must_be(200);
    // A viewer gets only links to pages that they may open.
    let role = mintmark::model::operator::Role::WorkspaceViewer("acme".to_owned());
    let viewer = app.operator("eve@acme.example", vec![role]).await;
    let page = viewer.get(&format!("{path}/usage")).await.must_be(200);
    assert!(page.says("Go to the secrets") && !page.says("Change the client"), "{}", page.text());
}

async fn refusals_are_shown_in_pages_of_25(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (erp, path) = client(&app, json!({})).await;
    let browser = app.platform_admin().await;
    for _ in 0..27 {
        assert_eq!(app.token(&erp, &[("scope", "other")]).await.status(), 400);
        app.clock.advance(1);
    }
    let rows = |page: &Page| page.html.matches("data-label=\"Why\"").count();
    let first = browser.get(&format!("{path}/usage")).await.must_be(200);
    assert_eq!(rows(&first), 25);
    let second = browser.get(first.link("Next page").split('#').next().unwrap()).await.must_be(200);
    assert_eq!(rows(&second), 2);
    assert_eq!(second.link("First page"), format!("{path}/usage#refusals"));
}

async fn text_from_requests_is_shown_as_text(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (erp, path) = client(&app, json!({})).await;
    let browser = app.platform_admin().await;
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}";
    let sent = [
        vec![("scope", hostile)],
        vec![("grant_type", hostile)],
        vec![(hostile, hostile), (hostile, hostile)],
        vec![("resource", "javascript:alert(1)")],
    ];
    for form in &sent {
        app.clock.advance(1);
        let reply = app
            .request(Method::POST, "/oauth2/token")
            .basic_auth(&erp.client_id, Some(&erp.client_secret))
            .header("x-request-id", "<script>alert(1)</script>")
            .header("user-agent", "<script>alert(1)</script>")
            .form(form)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 400, "{form:?}");
    }
    browser.get(&format!("{path}/usage")).await.must_be(200);
    // The same if the database has hostile text in these columns.
    for column in ["detail", "source_ip", "request_id"] {
        let update = format!("UPDATE failures SET {column} = '{}'", hostile.replace('\'', "''"));
        app.database.session().await.execute(&update).await;
    }
    for part in ["", "/usage", "/watch"] {
        let page = browser.get(&format!("{path}{part}")).await.must_be(200);
        assert!(!page.html.contains("<script>") && !page.html.contains("<img"), "{part}: {}", page.html);
        assert!(page.says("alert(1)") && page.says("{{ 7*7 }}"), "{part}: {}", page.text());
    }
    let reply = browser.get(&format!("{path}/first-call")).await.must_be(200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(live(&browser, &path).await["text"].as_str().unwrap().contains(hostile));
}

async fn the_list_counts_the_refusals_of_a_day(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (erp, path) = client(&app, json!({})).await;
    let browser = app.platform_admin().await;
    let cell = |page: &Page| {
        let cell = page.html.split("data-label=\"Refused in 24 h\">").nth(1).unwrap();
        cell.split("</td>").next().unwrap().to_owned()
    };
    assert!(cell(&browser.get(LIST).await.must_be(200)).contains(">0<"));
    for _ in 0..2 {
        assert_eq!(app.token(&mistaken(&erp), &[]).await.status(), 401);
    }
    app.core.services.usage.flush().await.unwrap();
    let shown = cell(&browser.get(LIST).await.must_be(200));
    assert!(
        shown.contains(&format!("href=\"{path}/usage#refusals\"><span class=\"badge bad\">2<")),
        "{shown}"
    );
    let browser = days_later(&app, 2).await;
    assert!(cell(&browser.get(LIST).await.must_be(200)).contains(">0<"));
}

async fn the_live_line_shows_the_last_call_or_refusal(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    let path = client_of(&shown);
    let erp = Credentials { client_id: shown.by_id("client-id"), client_secret: shown.by_id("secret") };
    let waits = format!("data-live=\"{path}/first-call\"");
    let refreshes = "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>";
    for page in [&shown, &browser.get(&path).await] {
        assert!(page.html.contains(&waits) && page.says("Waiting for the first call"), "{}", page.html);
        // These pages do not reload themselves: what is being typed or copied would be lost.
        assert!(!page.html.contains("http-equiv"), "{}", page.html);
    }
    let watch = browser.get(&shown.link("Watch for the next call")).await.must_be(200);
    assert!(watch.html.contains(refreshes) && watch.html.contains(&waits), "{}", watch.html);

    assert_eq!(call(&app, &mistaken(&erp), "203.0.113.9", &[]).await, 401);
    let line = live(&browser, &path).await;
    let text = line["text"].as_str().unwrap();
    let start = "Refused at 14:13 from 203.0.113.9 (just now). The secret is not one of this client's;";
    assert!(text.starts_with(start), "{text}");
    assert_eq!((&line["tone"], &line["done"]), (&json!("bad"), &json!(false)));
    let watch = browser.get(&watch.path).await.must_be(200);
    assert!(watch.html.contains(refreshes) && watch.says(text), "{}", watch.html);

    app.clock.advance(60);
    assert_eq!(call(&app, &erp, "203.0.113.7", &[]).await, 200);
    let text = "SAP called at 14:14 from 203.0.113.7 (just now)";
    assert_eq!(live(&browser, &path).await, json!({"text": text, "tone": "ok", "done": true}));
    for page in [&browser.get(&path).await, &browser.get(&watch.path).await, &browser.get(&shown.path).await]
    {
        assert!(page.says(text) && !page.html.contains("http-equiv"), "{}", page.html);
        assert!(!page.html.contains(&waits), "{}", page.html);
    }
    // A later refusal is shown in place of the call.
    app.clock.advance(60);
    assert_eq!(call(&app, &erp, "203.0.113.7", &[("scope", "other")]).await, 400);
    let line = live(&browser, &path).await;
    assert!(line["text"].as_str().unwrap().starts_with("Refused at 14:15 from 203.0.113.7"), "{line}");
}

async fn an_old_secret_is_safe_to_retire_when_nothing_uses_it_any_more(engine: Engine) {
    let app = TestApp::start_with(engine, BEHIND_A_PROXY).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let first = create(&browser, "SAP").await;
    let path = client_of(&first);
    let form = browser.get(&format!("{path}/secrets/new")).await.must_be(200).form("/secrets/new");
    let second = browser.submit(&form).await.must_be(200);
    let [old, new] = [&first, &second].map(|shown| Credentials {
        client_id: first.by_id("client-id"),
        client_secret: shown.by_id("secret"),
    });
    for _ in 0..3 {
        assert_eq!(call(&app, &old, "203.0.113.7", &[]).await, 200);
    }
    let secrets = format!("{path}/secrets");
    let page = browser.get(&secrets).await.must_be(200);
    says_all(
        &page,
        &[
            "The new secret is not used yet; the old secret was last used just now from 203.0.113.7. Wait",
            "just now from 203.0.113.7 3 times Never",
            "Never Not used Never",
        ],
    );
    app.clock.advance(120);
    assert_eq!(call(&app, &new, "203.0.113.8", &[]).await, 200);
    app.core.services.usage.flush().await.unwrap();
    let page = browser.get(&secrets).await.must_be(200);
    says_all(
        &page,
        &[
            "The new secret was last used just now from 203.0.113.8; the old secret was last used 2 minutes ago from \
           203.0.113.7. Wait until the last use of the old secret is an hour ago.",
        ],
    );
    app.clock.advance(3 * 3_600);
    app.core.services.ledger.poll().await.unwrap();
    assert_eq!(call(&app, &new, "203.0.113.8", &[]).await, 200);
    app.clock.advance(120);
    let browser = app.signed_in("root@example.com").await;
    let page = browser.get(&secrets).await.must_be(200);
    says_all(
        &page,
        &[
            "The new secret was first used 3 hours ago and last used 2 minutes ago from 203.0.113.8; the old secret was \
             last used 3 hours ago from 203.0.113.7: safe to delete.",
            "2 minutes ago from 203.0.113.8 2 times Never",
        ],
    );
    // If something uses the old secret again, the page says so.
    assert_eq!(call(&app, &old, "203.0.113.7", &[]).await, 200);
    let page = browser.get(&secrets).await.must_be(200);
    says_all(
        &page,
        &["but the old secret was last used just now from 203.0.113.7. Something still uses it."],
    );
}
