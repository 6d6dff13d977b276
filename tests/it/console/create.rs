//! The way to a token: *Settings* → *Integration* → *API Clients* → *Create API Client* → secret → *Generate Access Token*.

use mintmark::model::operator::Role;
use serde_json::json;

use super::{NEW, client_of, create, furnish, new_client_form};
use crate::support::{Browser, Credentials, Engine, MANAGEMENT_APART, TestApp, on_both_engines};

on_both_engines!(
    a_client_is_created_and_gets_a_token,
    a_summary_is_shown_before_anything_is_created,
    choosing_tally_selects_pasting_a_token_also_without_scripts,
    errors_are_shown_at_the_top_and_at_their_fields,
    what_is_not_allowed_is_greyed_out_with_the_reason,
    the_list_is_searched_filtered_sorted_and_shown_in_pages,
    without_a_session_every_page_leads_to_sign_in,
    a_client_is_created_below_the_path_of_the_public_url,
    an_outage_gets_a_page_that_says_so,
);

async fn a_client_is_created_and_gets_a_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;

    // With one workspace besides the built-in one, the start page leads to the clients of that workspace.
    let list = browser.open("/console").await.must_be(200);
    assert_eq!(list.path, "/console/workspaces/acme/api-clients");
    assert!(list.says("Settings Integration") && list.says("No API clients yet"), "{}", list.text());
    let form_page = browser.get(&list.link("Create API Client")).await.must_be(200);
    for word in [
        "Label",
        "Products",
        "E-Invoicing",
        "GST",
        "Expiration",
        "1 hour",
        "1 day",
        "30 days",
        "90 days",
        "1 year",
        "Custom",
        "Never Expires",
        "Notification email",
        "Which ERP is it for?",
        "How will it get tokens?",
        "Advanced",
    ] {
        assert!(form_page.says(word), "{word}: {}", form_page.text());
    }
    assert!(form_page.says("1 Jan 2200"), "the `exp` of tokens that never expire: {}", form_page.text());
    let form = form_page
        .form("/api-clients/new")
        .with("label", "SAP S/4HANA production")
        .with("product", "e-invoicing")
        .and("product", "gst")
        .with("expiration", "never")
        .with("emails", "finance-it@acme.example")
        .with("allowed_ips", "127.0.0.0/8")
        .with("erp", "sap");
    let draft = browser.submit(&form).await.must_be(200);
    assert!(draft.path.starts_with("/console/drafts/"), "{}", draft.path);
    assert!(
        draft.says("This client may open E-Invoicing and GST from 127.0.0.0/8; its tokens are valid until you revoke them."),
        "{}",
        draft.text()
    );
    assert!(draft.says("At most 20: if the client requests more, the oldest is revoked"), "{}", draft.text());

    let shown = browser.submit(&draft.form("/drafts/")).await.must_be(200);
    assert!(shown.path.starts_with("/console/reveals/"), "{}", shown.path);
    let client = Credentials { client_id: shown.by_id("client-id"), client_secret: shown.by_id("secret") };
    assert_eq!(shown.by_id("token-url"), format!("{}/oauth2/token", app.base));
    assert!(shown.says("Waiting for the first call") && shown.says("OA2C_CONFIG"), "{}", shown.text());
    let curl = shown.by_id("guide-curl");
    assert!(curl.contains(&format!("-u '{}:{}'", client.client_id, client.client_secret)), "{curl}");

    // *Test it now* checks all that a token request checks, except the source address, and signs and records nothing.
    let tested = browser.get(&shown.link("Test it now").replace("#test", "")).await.must_be(200);
    assert!(tested.says("A token request from an allowed address would succeed"), "{}", tested.text());
    assert!(
        tested.says("Not tested from here: this client may call only from 127.0.0.0/8."),
        "{}",
        tested.text()
    );
    assert!(tested.says("Waiting for the first call"), "{}", tested.text());
    // The secret works, and the page shows the call.
    let token = app.access_token(&client, &[]).await;
    let length: usize = announced_length(&shown.text());
    assert!(token.len().abs_diff(length) <= 8, "{} and {length}", token.len());
    let live = browser.get(&format!("/console/api-clients/{}/first-call", client.client_id)).await;
    assert!(live.html.contains("SAP S/4HANA production called at 14:13"), "{}", live.html);

    // After *I have stored it*, the overview leads to generating a token.
    let overview = browser.submit(&shown.form("/stored")).await.must_be(200);
    assert!(overview.says("erased here"), "{}", overview.text());
    let generate = browser.get(&overview.link("Generate Access Token")).await.must_be(200);
    let token_page = browser.submit(&generate.form("/tokens/new")).await.must_be(200);
    let token = token_page.by_id("token");
    assert!(token_page.says(&format!("{} characters", token.len())), "{}", token_page.text());
    assert!(token_page.says("It never expires") && token_page.says("never_expires"), "{}", token_page.text());
    let claims = app.core.services.issuer.verify_own(&token);
    assert!(claims.is_err(), "it is for the products, not for the management API");
    assert_eq!(app.token(&client, &[]).await.status(), 200);
    let introspected = app
        .request(reqwest::Method::POST, "/oauth2/introspect")
        .basic_auth(&client.client_id, Some(&client.client_secret))
        .form(&[("token", &token)])
        .send()
        .await
        .unwrap();
    let introspected: serde_json::Value = introspected.json().await.unwrap();
    assert_eq!(introspected["active"], true, "{introspected}");
    let tokens = browser.submit(&token_page.form("/stored")).await.must_be(200);
    assert!(tokens.says("by root") && tokens.says("Never expires"), "{}", tokens.text());
    let history =
        browser.get(&format!("/console/api-clients/{}/history", client.client_id)).await.must_be(200);
    assert!(
        history.says("root (you)")
            && history.says("generated an access token for the API client SAP S/4HANA production"),
        "{}",
        history.text()
    );
}

/// The length of a token that the page announces: “About N …”.
fn announced_length(text: &str) -> usize {
    let after = text.split("About ").nth(1).unwrap();
    after.split(' ').next().unwrap().parse().unwrap()
}

async fn a_summary_is_shown_before_anything_is_created(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.operator("ann@acme.example", vec![Role::WorkspaceAdmin("acme".to_owned())]).await;
    let draft = browser.submit(&new_client_form(&browser, "Oracle").await).await.must_be(200);
    assert!(draft.says("This client may open E-Invoicing from any address; its tokens expire after 1 hour."));
    let list = browser.get("/console/workspaces/acme/api-clients").await;
    assert!(list.says("No API clients yet"), "{}", list.text());
    // *Change* leads back to the filled-in form, and the changed form leads to the same summary.
    let again = browser.get(&draft.link("Change")).await.must_be(200);
    let form = again.form("/api-clients/new");
    assert_eq!((form.value("label"), form.value("product")), ("Oracle", "e-invoicing"));
    let changed = browser
        .submit(&form.with("expiration", "custom").with("custom_value", "45").with("custom_unit", "minutes"))
        .await;
    assert_eq!(changed.path, draft.path);
    assert!(changed.says("its tokens expire after 45 minutes"), "{}", changed.text());
    // After an hour the draft is gone.
    app.clock.advance(3600);
    let browser = app.signed_in("ann@acme.example").await;
    browser.get(&draft.path).await.must_be(404);
}

async fn choosing_tally_selects_pasting_a_token_also_without_scripts(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "Pune").await;
    assert_eq!((form.value("how"), form.value("erp_shown")), ("itself", "other"));
    let draft = browser.submit(&form.with("erp", "tally")).await.must_be(200);
    assert!(draft.says("I paste one token"), "{}", draft.text());
    // This form was shown with Tally selected, so another choice in it is deliberate and is kept.
    let again = browser.get(&draft.link("Change")).await.must_be(200).form("/api-clients/new");
    assert_eq!((again.value("how"), again.value("erp_shown")), ("paste", "tally"));
    let draft = browser.submit(&again.with("how", "itself")).await.must_be(200);
    assert!(draft.says("It asks by itself"), "{}", draft.text());
    // With scripts, the page itself selects pasting for Tally. Its form has no `erp_shown`, and what was chosen is kept.
    let scripted = new_client_form(&browser, "Goa").await.with("erp", "tally").with("erp_shown", "");
    let draft = browser.submit(&scripted).await.must_be(200);
    assert!(draft.says("It asks by itself"), "{}", draft.text());
}

async fn errors_are_shown_at_the_top_and_at_their_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = browser.get(NEW).await.form("/api-clients/new");
    let bad = form
        .with("label", "  ")
        .with("emails", "ok@acme.example\nfinance")
        .with("allowed_ips", "10.0.0.300")
        .with("expiration", "custom")
        .with("custom_value", "soon")
        .with("description", "kept as typed");
    let page = browser.send(&bad).await.must_be(422);
    assert!(page.title().starts_with("Error: Create API Client"), "{}", page.title());
    let summary = page.html.split("error-summary").nth(1).unwrap().split("</ul>").next().unwrap();
    let mut before = 0;
    for (field, words) in [
        ("label", "Enter a label"),
        ("products", "Select at least one product"),
        ("custom_value", "Enter how long tokens are valid"),
        ("emails", "Notification email “finance” must be an email address"),
        ("allowed_ips", "Allowed addresses “10.0.0.300” must"),
    ] {
        let at = summary.find(words).unwrap_or_default();
        assert!(at > before, "in the order of the fields, {field}: {summary}");
        before = at;
        assert!(
            summary.contains(&format!("href=\"#{field}\"")) && summary.contains(words),
            "{field}: {summary}"
        );
        assert!(page.by_id(&format!("{field}-error")).contains(words), "{field}");
        assert!(page.html.contains(&format!(" id=\"{field}\"")), "{field}");
    }
    // If an address is too long, the error says which part of it is.
    for (address, words) in [
        (
            format!("{}@acme.example", "a".repeat(65)),
            "must have at most 64 characters before the @; it has 65.",
        ),
        (
            format!("{0}@{1}.{1}.{1}.example", "a".repeat(64), "b".repeat(63)),
            "must have at most 254 characters; it has 264.",
        ),
        (
            format!("a@{}.example", "b".repeat(64)),
            "must have at most 63 characters in each part of its domain; one has 64.",
        ),
    ] {
        let page = browser.send(&bad.clone().with("emails", &address)).await.must_be(422);
        assert!(page.by_id("emails-error").ends_with(words), "{}", page.by_id("emails-error"));
    }
    // What was typed is kept, and the corrected form is accepted.
    let again = page.form("/api-clients/new");
    assert_eq!(again.value("description"), "kept as typed");
    assert_eq!(again.value("emails"), "ok@acme.example\nfinance");
    let good = again
        .with("label", "Fixed")
        .with("product", "gst")
        .with("emails", "ok@acme.example")
        .with("allowed_ips", "")
        .with("custom_value", "2")
        .with("custom_unit", "hours");
    let draft = browser.submit(&good).await.must_be(200);
    assert!(draft.says("its tokens expire after 2 hours"), "{}", draft.text());
}

async fn what_is_not_allowed_is_greyed_out_with_the_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    admin
        .workspace(
            "strict",
            json!({"name": "Strict", "never_expires_allowed": false, "products_allowed": ["gst"]}),
        )
        .await;
    let browser = app.platform_admin().await;
    let page = browser.get("/console/workspaces/strict/api-clients/new").await.must_be(200);
    assert!(page.says("The workspace Strict does not allow it."), "{}", page.text());
    let never = page.html.split("id=\"expiration-never\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(never.contains("disabled"), "{never}");
    let product = |code: &str| {
        let input = page.html.split(&format!("name=\"product\" value=\"{code}\"")).nth(1).unwrap();
        input.split('>').next().unwrap().to_owned()
    };
    assert!(product("e-invoicing").contains("disabled") && !product("gst").contains("disabled"));
    assert!(page.says("E-Invoicing e-invoicing · not allowed in this workspace"), "{}", page.text());
    // A product without tokens that never expire says so, and a form that asks for them is refused.
    let page = browser.get(NEW).await.must_be(200);
    assert!(
        page.says("short · no tokens that never expire · tokens for at most 10 minutes"),
        "{}",
        page.text()
    );
    let form =
        page.form("/api-clients/new").with("label", "x").with("product", "short").with("expiration", "never");
    let refused = browser.send(&form).await.must_be(422);
    assert!(refused.by_id("expiration-error").contains("does not allow tokens that never expire"));
    // A viewer cannot open this form.
    let viewer = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let page = viewer.get(NEW).await.must_be(403);
    assert!(page.says("You can look, but not change"), "{}", page.text());
}

async fn the_list_is_searched_filtered_sorted_and_shown_in_pages(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = furnish(&app).await;
    let browser = app.platform_admin().await;
    let list = "/console/workspaces/acme/api-clients";
    for number in 0..52 {
        let product = if number % 2 == 0 { "gst" } else { "e-invoicing" };
        admin.client("acme", json!({"label": format!("ERP {number:02}"), "products": [product]})).await;
    }
    let first = browser.get(&format!("{list}?sort=label")).await.must_be(200);
    assert!(first.says("ERP 00") && first.says("ERP 49") && !first.says("ERP 50"), "{}", first.text());
    assert!(first.html.contains("aria-sort=\"ascending\""));
    let second = browser.get(&first.link("Next page")).await.must_be(200);
    assert!(second.says("ERP 50") && second.says("ERP 51") && !second.says("ERP 49"), "{}", second.text());
    assert!(second.says("First page"));
    // The cursor of one order is refused in another.
    let after = first.link("Next page").replace("sort=label", "sort=-label");
    browser.get(&after).await.must_be(400);
    let found = browser.get(&format!("{list}?label=erp+51&product=e-invoicing")).await.must_be(200);
    assert!(found.says("ERP 51") && !found.says("ERP 50"), "{}", found.text());
    let none = browser.get(&format!("{list}?label=nothing")).await.must_be(200);
    assert!(none.says("No API client matches"), "{}", none.text());
    let disabled = browser.get(&format!("{list}?status=disabled")).await.must_be(200);
    assert!(disabled.says("No API client matches"));
    assert!(first.says("Never used waiting for the first call"), "{}", first.text());
}

async fn without_a_session_every_page_leads_to_sign_in(engine: Engine) {
    let apart = TestApp::start_with(engine, MANAGEMENT_APART).await;
    assert_eq!(apart.get("/").await.headers()["location"], "/docs");
    let app = TestApp::start(engine).await;
    assert_eq!(app.get("/").await.headers()["location"], "/console");
    // Without a session, a page redirects to the sign-in page and names the page to return to.
    let browser = Browser::new(&app);
    let page = browser.get("/console/workspaces/acme/api-clients?label=a").await;
    assert_eq!(
        page.location(),
        "/console/sign-in?next=%2Fconsole%2Fworkspaces%2Facme%2Fapi-clients%3Flabel%3Da"
    );
    assert_eq!(browser.get("/console").await.location(), "/console/sign-in");
    furnish(&app).await;
    let shown = create(&app.platform_admin().await, "SAP").await;
    assert_eq!(browser.get(&client_of(&shown)).await.status, 303);
}

async fn a_client_is_created_below_the_path_of_the_public_url(engine: Engine) {
    let app = TestApp::start_with(engine, "server.public_url = \"{base}/tenant\"").await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    for start in ["/console", "/tenant/console", "/tenant/console/"] {
        let list = browser.open(start).await.must_be(200);
        assert_eq!(list.path, "/tenant/console/workspaces/acme/api-clients");
        assert!(!list.html.contains("\"/console"), "every link is below the path: {}", list.html);
    }
    let page = browser.get("/tenant/console/workspaces/acme/api-clients/new").await.must_be(200);
    let draft =
        browser.submit(&page.form("/new").with("label", "SAP").with("product", "gst")).await.must_be(200);
    let shown = browser.submit(&draft.form("/drafts/")).await.must_be(200);
    assert!(shown.path.starts_with("/tenant/console/reveals/"), "{}", shown.path);
    assert_eq!(shown.by_id("token-url"), format!("{}/tenant/oauth2/token", app.base));
}

async fn an_outage_gets_a_page_that_says_so(engine: Engine) {
    let app = TestApp::start(engine).await;
    furnish(&app).await;
    let browser = app.platform_admin().await;
    let form = new_client_form(&browser, "SAP").await;
    app.database.go_away().await;
    let page = browser.get("/console/workspaces/acme/api-clients").await.must_be(503);
    assert!(
        page.says("not available right now") && page.says("look at what is there now"),
        "{}",
        page.text()
    );
    assert!(!page.header("retry-after").is_empty());
    browser.send(&form).await.must_be(503);
    app.database.come_back().await;
    browser.submit(&form).await.must_be(200);
}
