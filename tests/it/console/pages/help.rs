//! The page for integrators: it has the URLs of this deployment, and quotes errors as the service words them.

use std::fs;
use std::path::Path;

use mintmark::model::operator::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines!(
    the_page_has_the_urls_of_this_service,
    errors_are_quoted_as_the_service_words_them,
    every_fault_of_a_secret_is_on_the_page
);

async fn the_page_has_the_urls_of_this_service(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.administrator().await.workspace("acme", json!({})).await;
    let eve = app.operator("eve@acme.example", vec![Role::WorkspaceViewer("acme".to_owned())]).await;
    let page = eve.get("/console/help").await.must_be(200);
    let issuer = &app.base;
    for at in ["/oauth2/token", "/.well-known/jwks.json", "/oauth2/introspect", "/oauth2/verify", "/docs"] {
        assert!(page.says(&format!("{issuer}{at}")), "{at}: {}", page.text());
    }
    assert!(!page.html.contains("tokens.example.com"));
    for id in [
        "token-curl",
        "token-powershell",
        "token-abap",
        "token-oracle",
        "token-power-query",
        "token-python",
        "token-java",
    ] {
        assert!(page.by_id(id).contains(&format!("{issuer}/oauth2/token")), "{id}");
    }
    for id in ["verify-curl", "introspect-curl", "verify-python", "verify-java"] {
        assert!(page.by_id(id).contains(issuer), "{id}");
    }
}

async fn errors_are_quoted_as_the_service_words_them(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, admin) = (app.platform_admin().await, app.administrator().await);
    admin.product("gst", json!({})).await;
    admin.workspace("acme", json!({})).await;
    let (client, _) = admin.client("acme", json!({"products": ["gst"]})).await;
    let (never, _) =
        admin.client("acme", json!({"products": ["gst"], "token_expiry": {"mode": "never"}})).await;
    assert_eq!(admin.patch("/v1/products/gst", &json!({"never_expires_allowed": false})).await.status(), 200);
    let page = root.get("/console/help").await.must_be(200);
    let text = page.text();
    let grant = ("grant_type", "client_credentials");
    let (id, secret) = (client.client_id.as_str(), client.client_secret.as_str());
    let ends_otherwise = if secret.ends_with('A') { 'B' } else { 'A' };
    let mistyped = format!("{}{ends_otherwise}", &secret[..secret.len() - 1]);
    let with_space = format!("{secret} ");
    let own = [("client_id", id), ("client_secret", secret)];
    let said = async |path: &str, form: &[(&str, &str)]| {
        let reply = app.request(Method::POST, path).form(form).send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = reply.json().await.unwrap();
        let part = |name: &str| body[name].as_str().unwrap().to_owned();
        (status, part("error"), part("error_description"))
    };
    let token = "/oauth2/token";
    let with = |more: &[(&'static str, &'static str)]| [&own[..], &[grant], more].concat();
    let mut replies = vec![
        said(token, &[grant, ("client_id", id), ("client_secret", "wrong")]).await,
        said(token, &[grant, ("client_id", id), ("client_secret", &with_space)]).await,
        said(token, &[grant, ("client_id", id), ("client_secret", &secret[..40])]).await,
        said(token, &[grant, ("client_id", id), ("client_secret", &mistyped)]).await,
        said(token, &own).await,
        said(token, &[("grant_type", "password"), own[0], own[1]]).await,
        said(token, &with(&[("resource", "https://other.example")])).await,
        said(token, &[grant, ("client_id", &never.client_id), ("client_secret", &never.client_secret)]).await,
    ];
    let get = app.request(Method::GET, token).send().await.unwrap();
    let body: Value = get.json().await.unwrap();
    replies.push((
        405,
        body["error"].as_str().unwrap().to_owned(),
        body["error_description"].as_str().unwrap().to_owned(),
    ));
    for (status, code, description) in replies {
        assert!(
            text.contains(&format!("{status} {code} {description}")),
            "{status} {code} {description}: {text}"
        );
    }
    // Of these two errors, the page has the part that is always the same.
    let (status, code, scope) = said(token, &with(&[("scope", "tax")])).await;
    assert!(scope.ends_with("leave scope out to get all that is granted"), "{scope}");
    assert!(text.contains(&format!("{status} {code} leave scope out to get all that is granted")), "{text}");
    let (status, code, place) = said("/token", &with(&[])).await;
    assert!(place.starts_with("the token endpoint is"), "{place}");
    assert!(text.contains(&format!("{status} {code} the token endpoint is")), "{text}");

    let challenge = async |header: Option<&str>, query: &str| {
        let mut request = app.request(Method::GET, &format!("/oauth2/verify{query}"));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.headers()["www-authenticate"].to_str().unwrap().to_owned())
    };
    let valid = app.access_token(&client, &[]).await;
    let (cut, bearer) = (format!("Bearer {}", &valid[..200]), format!("Bearer {valid}"));
    for (header, query, status, words) in [
        (None, "", 401, "Bearer"),
        (
            Some(valid.as_str()),
            "",
            401,
            "the Authorization header lacks the word Bearer before the token: send Authorization: Bearer TOKEN",
        ),
        (Some(cut.as_str()), "", 401, "it may have been cut when pasted"),
        (Some(bearer.as_str()), "?product=tax", 403, "insufficient_scope"),
    ] {
        let reply = challenge(header, query).await;
        assert_eq!(reply.0, status, "{reply:?}");
        assert!(reply.1.contains(words) && text.contains(words), "{words}: {reply:?}");
    }
    admin.patch(&format!("/v1/api-clients/{id}"), &json!({"status": "disabled"})).await;
    let (status, words) = challenge(Some(&bearer), "").await;
    assert!(status == 401 && words.contains("the token is not valid: get a new one"), "{words}");
    assert!(text.contains("the token is not valid: get a new one"));
}

/// The page has all texts for malformed credentials.
async fn every_fault_of_a_secret_is_on_the_page(engine: Engine) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oauth/authenticate/refused.rs");
    let source = fs::read_to_string(source).unwrap();
    let faults = source.split("fn fault(").nth(1).unwrap().split("\n}").next().unwrap();
    let faults: Vec<&str> = faults.split('"').skip(1).step_by(2).collect();
    assert!(faults.len() >= 6, "only {faults:?} are read");
    let app = TestApp::start(engine).await;
    let text = app.platform_admin().await.get("/console/help").await.must_be(200).text();
    for fault in faults {
        assert!(text.contains(fault), "{fault}: {text}");
    }
}
