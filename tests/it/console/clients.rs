//! The pages of a client: the test panel, settings, secrets, tokens, the danger zone, history.

use mintmark::kernel::Manager;
use mintmark::model::clock::Clock;
use mintmark::model::operator::Role;
use serde_json::json;

use super::{client_of, create, furnish};
use crate::support::{Browser, Credentials, Engine, Page, TestApp, on_both_engines};

on_both_engines!(
    the_test_panel_says_what_a_token_request_would_get,
    settings_that_changed_meanwhile_are_not_overwritten,
    disabling_counts_the_live_tokens_and_deleting_asks_for_the_label,
    tokens_are_listed_and_revoked,
    the_author_of_a_token_is_named,
    each_state_is_shown_with_its_reason,
    an_unknown_client_is_not_found,
    a_refused_token_request_is_shown_with_its_reason,
    in_the_same_second_as_a_call_only_a_refusal_after_authentication_is_shown,
    what_is_said_of_tokens_that_never_expire_is_true_for_the_client,
    an_unreadable_overlap_and_a_sixth_secret_are_refused_at_the_field,
    the_list_is_sorted_only_by_columns_that_it_shows,
);

async fn the_test_panel_says_what_a_token_request_would_get(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    let (client, secret) = (client_of(&shown), shown.by_id("secret"));
    let form = browser.get(&client).await.must_be(200).form("/test");
    let events = app.database.number("SELECT COUNT(*) FROM audit_events").await;
    let other_end = if secret.ends_with('x') { 'y' } else { 'x' };
    for (typed, says) in [
        (secret.clone(), "A token request would succeed"),
        (format!("{secret} "), "white space"),
        (secret[..50].to_owned(), "something was added: a secret has 53 characters."),
        ("hunter2".to_owned(), "The client has no such secret"),
        (format!("{}{other_end}", &secret[..52]), "wrong character"),
        (String::new(), "The client has no such secret"),
    ] {
        let sent = browser.send(&form.clone().with("secret", &typed)).await;
        let page = browser.get(sent.location().trim_end_matches("#test")).await.must_be(200);
        assert!(page.says(says), "{typed}: {}", page.text());
        assert!(typed.is_empty() || !page.html.contains(&typed), "the secret is not shown again");
        assert!(page.says("This client may call from any address"), "{}", page.text());
        assert!(page.says("Never used"), "no use is recorded: {}", page.text());
    }
    assert_eq!(app.database.number("SELECT COUNT(*) FROM audit_events").await, events);
    let path = format!("/v1/api-clients/{}", client.rsplit('/').next().unwrap());
    let expiry = json!({"token_expiry": {"mode": "after", "seconds": 7200}});
    assert_eq!(admin.patch(&path, &expiry).await.status(), 200);
    let sent = browser.send(&form.with("secret", &secret)).await;
    let page = browser.get(sent.location().trim_end_matches("#test")).await.must_be(200);
    assert!(page.says("is valid for 2 hours"), "{}", page.text());
    let limited = json!({"allowed_ips": ["10.0.0.0/8"], "expires_at": mintmark::model::clock::to_rfc3339(Clock::now(&*app.clock) + 60)});
    assert_eq!(admin.patch(&path, &limited).await.status(), 200);
    let form = browser.get(&client).await.must_be(200).form("/test").with("secret", &secret);
    let test = async || {
        let sent = browser.send(&form).await;
        browser.get(sent.location().trim_end_matches("#test")).await.must_be(200)
    };
    let page = test().await;
    assert!(page.says("A token request from an allowed address would succeed"), "{}", page.text());
    app.clock.advance(61);
    let page = test().await;
    assert!(page.says("A token ends with the client at the latest"), "{}", page.text());
    assert!(!app.database.session().await.everything().await.contains(&secret));
}

async fn settings_that_changed_meanwhile_are_not_overwritten(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let client = client_of(&create(&browser, "SAP").await);
    let id = client.rsplit('/').next().unwrap().to_owned();
    let form = browser.get(&format!("{client}/change")).await.must_be(200).form("/change");
    let same = browser.submit(&form).await.must_be(200);
    assert!(same.says("nothing was changed"), "{}", same.text());
    let changed = form
        .clone()
        .with("label", "SAP 2")
        .and("product", "gst")
        .with("allowed_ips", "10.0.0.1\n10.1.0.0/16");
    let saved = browser.submit(&changed).await.must_be(200);
    assert!(saved.says("Your changes are saved") && saved.says("10.0.0.1, 10.1.0.0/16"), "{}", saved.text());
    // This form was loaded before that change.
    let late = browser.send(&form.with("label", "SAP 3")).await.must_be(422);
    assert!(late.says("Somebody else changed this client"), "{}", late.text());
    // A change of the label leaves everything else as it was.
    let path = format!("/v1/api-clients/{id}");
    admin
        .patch(
            &path,
            &json!({"metadata": {"owner": "finance"}, "token_expiry": {"mode": "after", "seconds": 3601}}),
        )
        .await;
    let form = browser.get(&format!("{client}/change")).await.must_be(200).form("/change");
    assert_eq!(form.value("metadata"), "owner=finance");
    browser.submit(&form.with("label", "SAP 4")).await.must_be(200);
    let record: serde_json::Value = admin.get(&path).await.json().await.unwrap();
    assert_eq!(record["metadata"]["owner"], "finance");
    assert_eq!(record["token_expiry"]["seconds"], 3601);
    assert_eq!(record["products"], json!(["e-invoicing", "gst"]));
    // Each line of the metadata field is one pair.
    let form = browser.get(&format!("{client}/change")).await.form("/change");
    let bad = browser.send(&form.clone().with("metadata", "owner")).await.must_be(422);
    assert!(bad.by_id("metadata-error").contains("name=value"), "{}", bad.text());
    browser.submit(&form.with("metadata", " cost = a=b \n")).await.must_be(200);
    let record: serde_json::Value = admin.get(&path).await.json().await.unwrap();
    assert_eq!(record["metadata"], json!({"cost": "a=b"}));
}

async fn disabling_counts_the_live_tokens_and_deleting_asks_for_the_label(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let (client, _) = admin
        .client("acme", json!({"label": "Tally", "products": ["gst"], "token_expiry": {"mode": "never"}}))
        .await;
    let home = format!("/console/api-clients/{}", client.client_id);
    let confirm = browser.get(&format!("{home}/disable")).await.must_be(200);
    assert!(
        confirm.says("which are not recorded, are refused. They are accepted again"),
        "{}",
        confirm.text()
    );
    for _ in 0..3 {
        app.access_token(&client, &[]).await;
    }
    let settings = browser.get(&format!("{home}/edit")).await.must_be(200);
    assert!(settings.says("3 live tokens, 3 of them never-expiring"), "{}", settings.text());
    let confirm = browser.get(&format!("{home}/disable")).await.must_be(200);
    let words = "3 live tokens, 3 of them never-expiring, and all short-lived tokens, which are not recorded, are refused. They are accepted again";
    assert!(confirm.says(words), "{}", confirm.text());
    let disabled = browser.submit(&confirm.form("/disable")).await.must_be(200);
    assert!(disabled.says("none of its tokens is accepted until it is enabled"), "{}", disabled.text());
    assert_eq!(app.token(&client, &[]).await.status(), 401);
    let confirm = browser.get(&format!("{home}/disable")).await.must_be(200);
    browser.submit(&confirm.form("/enable")).await.must_be(200);
    app.access_token(&client, &[]).await;
    let delete = browser.get(&format!("{home}/delete")).await.must_be(200);
    let refused = browser.send(&delete.form("/delete").with("label", "tally")).await.must_be(422);
    assert!(refused.by_id("label-error").contains("Type the label exactly as it is: “Tally”."));
    let list = browser.submit(&refused.form("/delete").with("label", "Tally")).await.must_be(200);
    assert!(list.says("The API client is deleted") && list.says("No API clients yet"), "{}", list.text());
    browser.get(&home).await.must_be(404);
}

async fn tokens_are_listed_and_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let (client, _) = admin
        .client("acme", json!({"label": "Tally", "products": ["gst"], "token_expiry": {"mode": "never"}}))
        .await;
    let home = format!("/console/api-clients/{}", client.client_id);
    assert!(browser.get(&format!("{home}/tokens")).await.says("No recorded tokens"));
    app.access_token(&client, &[]).await;
    let list = browser.get(&format!("{home}/tokens")).await.must_be(200);
    assert!(list.says("by the client itself") && list.says("Valid"), "{}", list.text());
    let at = list.html.find("/revoke\"").unwrap();
    let start = list.html[..at].rfind('"').unwrap();
    let confirm = browser.get(&list.html[start + 1..at + 7]).await.must_be(200);
    let list = browser.submit(&confirm.form("/revoke")).await.must_be(200);
    assert!(list.says("The token is revoked") && list.says("Revoked just now"), "{}", list.text());
    app.access_token(&client, &[]).await;
    let confirm = browser.get(&list.link("Revoke all tokens")).await.must_be(200);
    assert!(confirm.says("1 live token, which never expires"), "{}", confirm.text());
    let list = browser.submit(&confirm.form("/revoke-all")).await.must_be(200);
    assert!(list.says("All tokens of this client are revoked") && !list.says("Valid"), "{}", list.text());
    browser.get(&format!("{home}/tokens/AAAAAAAAAAAAAAAAAAAAAA/revoke")).await.must_be(404);
}

async fn the_author_of_a_token_is_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let root = app.platform_admin().await;
    let ann = app.operator("ann@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let (client, _) = admin.client("acme", json!({"label": "Tally", "products": ["gst"]})).await;
    admin.create(&format!("/v1/api-clients/{}/access-tokens", client.client_id), &json!({})).await;
    let list = format!("/console/api-clients/{}/tokens", client.client_id);
    let says = async |reader: &Browser<'_>, words: &str| {
        let page = reader.get(&list).await.must_be(200);
        assert!(page.says(words), "{words}: {}", page.text());
    };
    says(&root, "by API client bootstrap").await;
    says(&ann, "by another API client").await;
    let operators = &app.core.services.operators;
    let operator = operators.operator_by_email(&Manager::command_line(), "root@example.com").await.unwrap();
    let operator = format!("operator:{}", operator.operator_id);
    for (author, to_root, to_ann) in [
        ("client", "by the client itself", "by the client itself"),
        ("cli", "by the command line", "by the command line"),
        ("cli:jo", "by jo at the command line", "by jo at the command line"),
        (&operator, "by root", "by another operator"),
    ] {
        let change = format!("UPDATE access_tokens SET issued_by = '{author}'");
        app.database.session().await.execute(&change).await;
        says(&root, to_root).await;
        says(&ann, to_ann).await;
    }
}

async fn each_state_is_shown_with_its_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let more = json!({"label": "A", "products": ["gst"], "expires_at": "2026-10-01T00:00:00Z"});
    let (client, _) = admin.client("acme", more).await;
    let home = format!("/console/api-clients/{}", client.client_id);
    let list = "/console/workspaces/acme/api-clients";
    assert!(browser.get(list).await.says("Ends soon in 9 days"), "{}", browser.get(list).await.text());
    app.access_token(&Credentials { ..client.clone() }, &[]).await;
    assert!(browser.get(&home).await.says("called at 14:13"));
    admin.patch("/v1/workspaces/acme", &json!({"status": "suspended"})).await;
    assert!(browser.get(&home).await.says("Suspended its workspace has been suspended since 21 Sep 2026"));
    admin.patch("/v1/workspaces/acme", &json!({"status": "active"})).await;
    let secrets = browser.get(&format!("{home}/secrets")).await.must_be(200);
    let link = secrets.link(&format!("Delete the secret ending in {}", &client.client_secret[49..]));
    let confirm = browser.get(&link).await.must_be(200);
    assert!(confirm.says("It is the only one"), "{}", confirm.text());
    let secrets = browser.submit(&confirm.form("/delete")).await.must_be(200);
    assert!(secrets.says("No live secret"), "{}", secrets.text());
    app.clock.advance(10 * 86_400);
    let browser = app.signed_in("root@example.com").await;
    assert!(browser.get(&home).await.says("Ended on 1 Oct 2026"), "{}", browser.get(&home).await.text());
}

async fn an_unknown_client_is_not_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    for id in ["cl_0000000000000000000000", "nothing", "%00"] {
        for part in [
            "",
            "/secrets",
            "/tokens",
            "/history",
            "/edit",
            "/change",
            "/delete",
            "/first-call",
            "/watch",
            "/usage",
        ] {
            let path = format!("/console/api-clients/{id}{part}");
            let page = browser.get(&path).await;
            assert!(page.status == 404, "{path}: {}", page.status);
        }
    }
}

async fn a_refused_token_request_is_shown_with_its_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let shown = create(&browser, "SAP").await;
    let secret = shown.by_id("secret");
    let client = Credentials { client_id: shown.by_id("client-id"), client_secret: format!("{secret} ") };
    assert_eq!(app.token(&client, &[]).await.status(), 401);
    let path = format!("/v1/api-clients/{}/access-tokens", client.client_id);
    assert_eq!(
        admin.post(&path, &json!({})).await.status(),
        201,
        "a generated token is not a call of the client"
    );
    let waiting = browser.get(&shown.path).await.must_be(200);
    assert!(waiting.says("Refused at 14:13 from 127.0.0.1"), "{}", waiting.text());
    let live = browser.get(&format!("{}/first-call", client_of(&shown))).await.must_be(200);
    assert!(live.html.contains("white space") && live.html.contains("\"done\":false"), "{}", live.html);
    let list = browser.get("/console/workspaces/acme/api-clients").await.must_be(200);
    assert!(
        list.says("Refused in 24 h") && list.html.contains("<span class=\"badge bad\">1</span>"),
        "{}",
        list.html
    );
    app.clock.advance(60);
    app.access_token(&Credentials { client_secret: secret, ..client }, &[]).await;
    let live = browser.get(&format!("{}/first-call", client_of(&shown))).await.must_be(200);
    assert!(live.html.contains("SAP called at 14:14 from 127.0.0.1"), "{}", live.html);
}

async fn in_the_same_second_as_a_call_only_a_refusal_after_authentication_is_shown(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let (client, _) = admin.client("acme", json!({"label": "SAP", "products": ["gst"]})).await;
    let address = format!("/console/api-clients/{}/first-call", client.client_id);
    let ask = async |form: &[(&str, &str)]| {
        let request = app.request(reqwest::Method::POST, "/oauth2/token").form(form);
        let sent = request.basic_auth(&client.client_id, Some(&client.client_secret)).send().await;
        sent.unwrap().status()
    };
    app.access_token(&client, &[]).await;
    // This request is refused before the client authenticates, so it is no use of the secret.
    assert_eq!(ask(&[("scope", "gst")]).await, 400);
    let line = browser.get(&address).await.must_be(200);
    assert!(line.html.contains("SAP called at 14:13"), "{}", line.html);
    // This one is refused after the client has authenticated, so the last use of the secret may be this request.
    assert_eq!(ask(&[("grant_type", "client_credentials"), ("scope", "tax")]).await, 400);
    let line = browser.get(&address).await.must_be(200);
    assert!(line.html.contains("Refused at 14:13"), "{}", line.html);
}

async fn what_is_said_of_tokens_that_never_expire_is_true_for_the_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let (client, _) = admin.client("acme", json!({"label": "SAP", "products": ["gst"]})).await;
    let hint = |page: &Page| {
        let text = page.text();
        let start = text.find("Never Expires").unwrap();
        text[start..].split("Notification email").next().unwrap().to_owned()
    };
    let new = hint(&browser.get(super::NEW).await.must_be(200));
    assert!(
        new.ends_with("If the client requests more than 20, the oldest is revoked, unless you choose otherwise under Active tokens. "),
        "{new}"
    );
    // A change of the expiration leaves Active tokens as they are.
    let change = format!("/console/api-clients/{}/change", client.client_id);
    let page = browser.get(&change).await.must_be(200);
    let known = hint(&page);
    assert!(known.contains("choose under Active tokens") && !known.contains("than 20"), "{known}");
    browser.submit(&page.form("/change").with("expiration", "never")).await.must_be(200);
    let path = format!("/v1/api-clients/{}", client.client_id);
    let record: serde_json::Value = admin.get(&path).await.json().await.unwrap();
    assert_eq!(
        (&record["token_expiry"]["mode"], &record["active_tokens"]),
        (&json!("never"), &json!("many"))
    );
}

async fn an_unreadable_overlap_and_a_sixth_secret_are_refused_at_the_field(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let here = client_of(&create(&browser, "SAP").await);
    let page = browser.get(&format!("{here}/secrets/new")).await.must_be(200);
    let form = page.form("/secrets/new");
    for unreadable in ["soon", "1 hour", "9999999999999999999"] {
        let again = browser.send(&form.clone().with("overlap", unreadable)).await.must_be(422);
        let said = again.by_id("overlap-error");
        assert!(said.ends_with("Select how long the other secrets stay valid."), "{unreadable}: {said}");
    }
    assert_eq!(
        app.database.number("SELECT COUNT(*) FROM client_secrets").await,
        2,
        "one of them is of the client that `bootstrap` made"
    );
    for _ in 1..5 {
        let page = browser.get(&format!("{here}/secrets/new")).await.must_be(200);
        browser.submit(&page.form("/secrets/new")).await.must_be(200);
    }
    let full = browser.send(&form.with("overlap", "")).await.must_be(422);
    assert!(full.by_id("overlap-error").contains("has 5 live secrets"), "{}", full.text());
}

async fn the_list_is_sorted_only_by_columns_that_it_shows(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    admin.client("acme", json!({"label": "SAP", "products": ["gst"]})).await;
    let list = browser.get("/console/workspaces/acme/api-clients?sort=label").await.must_be(200);
    let sorted: Vec<&str> = list.html.split("api-clients?sort=").skip(1).collect();
    let names = sorted.iter().map(|rest| rest.split('"').next().unwrap()).collect::<Vec<_>>();
    // The list has no column for the end of a client, by which the management API can sort too.
    assert_eq!(names, ["-label", "-last_token"]);
}
