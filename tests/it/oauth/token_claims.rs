//! The claims of a token (RFC 9068, RFC 8707, `docs/tokens.md`; `docs/conformance.md` T17, S1, S2, J1, J3, A1): their exact
//! values, and that scope, products and audience always describe the same set.

use reqwest::Method;
use serde_json::{Value, json};

use super::expect::{GRANT, Token, issued, refused, reply_as};
use super::verifying::{accepted, verifier};
use crate::support::{Administrator, Credentials, Engine, START, TestApp, on_both_engines};

on_both_engines!(
    a_token_has_exactly_the_documented_claims,
    iat_is_never_ahead_of_the_clock,
    audiences_are_sorted_and_without_repetition,
    the_default_audience_is_a_setting,
    permissions_are_only_in_the_scope_and_need_a_token_without_products,
    a_scope_restricts_the_token_or_is_refused_as_a_whole,
    resources_select_the_scope_or_must_agree_with_it,
    a_token_is_signed_with_the_algorithm_of_its_client,
    a_new_token_has_neither_a_removed_product_nor_an_old_audience,
);

/// Products with every kind of audience, and a client that has all of them and `mintmark:read`.
async fn client_of_all(admin: &Administrator<'_>) -> Credentials {
    admin.product("e-invoicing", json!({})).await;
    admin.product("gst", json!({"audience": "https://gst.example/a"})).await;
    admin.product("gst-filing", json!({"audience": "https://gst.example/a"})).await;
    admin.product("upper", json!({"audience": "https://gst.example/B"})).await;
    let default = format!("{}/products", admin.app.base);
    admin.product("same-as-default", json!({"audience": default})).await;
    let products = ["upper", "gst", "same-as-default", "e-invoicing", "gst-filing"];
    admin.client("platform", json!({"products": products, "permissions": ["mintmark:read"]})).await.0
}

async fn token(app: &TestApp, client: &Credentials, form: &str) -> Token {
    issued(&reply_as(app, client, format!("{GRANT}{form}")).await)
}

async fn a_token_has_exactly_the_documented_claims(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    admin.product("e-invoicing", json!({})).await;
    admin.workspace("acme-in", json!({})).await;
    let (client, _) = admin.client("acme-in", json!({"products": ["gst", "e-invoicing"]})).await;
    app.clock.advance(12_345);
    let token = token(&app, &client, "").await;

    let key = app.get("/.well-known/jwks.json").await.json::<Value>().await.unwrap()["keys"][0].clone();
    assert_eq!(token.header, json!({"alg": "ES256", "kid": key["kid"], "typ": "at+jwt"}));
    let now = START + 12_345;
    // The first status list of the service.
    let list = format!("{}/oauth2/status-lists/1", app.base);
    let expected = json!({
        "iss": app.base,
        "sub": client.client_id,
        "client_id": client.client_id,
        "aud": format!("{}/products", app.base),
        "iat": now,
        "exp": now + 3600,
        "jti": token.claims["jti"],
        "scope": "e-invoicing gst",
        "workspace_id": "acme-in",
        "products": ["e-invoicing", "gst"],
        "status": {"status_list": {"idx": token.claims["status"]["status_list"]["idx"], "uri": list}},
    });
    assert_eq!(token.claims, expected);
    // A status list has 131,072 slots.
    assert!(token.claims["status"]["status_list"]["idx"].as_u64().unwrap() < 131_072, "{}", token.claims);
    let reply = json!({
        "access_token": token.text, "token_type": "Bearer", "expires_in": 3600, "scope": "e-invoicing gst",
    });
    assert_eq!(token.reply, reply);
    accepted(&app, &token).await;
    app.stop().await;
}

async fn iat_is_never_ahead_of_the_clock(engine: Engine) {
    let app = TestApp::start(engine).await;
    let client = app.bootstrap().await;
    for millis in [0, 1, 499, 499] {
        app.clock.advance_millis(millis);
        let token = token(&app, &client, "").await;
        assert_eq!(token.claims["iat"], START);
        assert_eq!(token.claims["exp"], START + 3600);
        accepted(&app, &token).await;
    }
    app.clock.advance_millis(1);
    assert_eq!(token(&app, &client, "").await.claims["iat"], START + 1);
    app.stop().await;
}

async fn audiences_are_sorted_and_without_repetition(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_of_all(&admin).await;
    let default = format!("{}/products", app.base);
    let (a, b) = ("https://gst.example/a", "https://gst.example/B");
    for (scope, audience) in [
        ("e-invoicing", json!(default)),
        ("gst", json!(a)),
        ("gst gst-filing", json!(a)),
        ("e-invoicing same-as-default", json!(default)),
        // Sorted by bytes: upper case comes first, and http before https.
        ("gst upper", json!([b, a])),
        ("gst e-invoicing upper", json!([default, b, a])),
        ("mintmark:read", json!(app.base)),
        ("mintmark:read e-invoicing gst", json!([app.base, default, a])),
    ] {
        let token = token(&app, &client, &format!("&scope={}", scope.replace(' ', "+"))).await;
        assert_eq!(token.claims["aud"], audience, "{scope}");
        accepted(&app, &token).await;
    }
    assert_eq!(token(&app, &client, "").await.claims["aud"], json!([app.base, default, b, a]));
    app.stop().await;
}

async fn the_default_audience_is_a_setting(engine: Engine) {
    let app = TestApp::start_with(engine, "tokens.default_audience = \"https://api.example.com\"").await;
    let admin = app.administrator().await;
    admin.product("e-invoicing", json!({})).await;
    admin.product("gst", json!({"audience": "https://gst.example"})).await;
    let (client, _) = admin.client("platform", json!({"products": ["gst", "e-invoicing"]})).await;
    let token = token(&app, &client, "").await;
    assert_eq!(token.claims["aud"], json!(["https://api.example.com", "https://gst.example"]));
    accepted(&app, &token).await;
    app.stop().await;
}

async fn permissions_are_only_in_the_scope_and_need_a_token_without_products(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_of_all(&admin).await;
    let only = token(&app, &client, "&scope=mintmark:read").await;
    assert_eq!(only.claims["products"], json!([]));
    assert_eq!(only.claims["scope"], "mintmark:read");
    let both = token(&app, &client, "&scope=mintmark:read+gst").await;
    assert_eq!(both.claims["products"], json!(["gst"]));
    assert_eq!(both.claims["scope"], "gst mintmark:read");
    // The management API accepts only a token without other audiences.
    let status = async |token: &Token| {
        app.request(Method::GET, "/v1/products").bearer_auth(&token.text).send().await.unwrap().status()
    };
    assert_eq!(status(&only).await, 200);
    assert_eq!(status(&both).await, 401);
    assert_eq!(status(&token(&app, &client, "&scope=gst").await).await, 401);
    app.stop().await;
}

async fn a_scope_restricts_the_token_or_is_refused_as_a_whole(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    for product in ["a", "b", "c"] {
        admin.product(product, json!({})).await;
    }
    let (client, _) = admin.client("platform", json!({"products": ["b", "a"]})).await;
    for (scope, granted) in [
        ("", json!(["a", "b"])),
        ("a", json!(["a"])),
        ("b", json!(["b"])),
        ("b a", json!(["a", "b"])),
        ("b b", json!(["b"])),
    ] {
        let token = token(&app, &client, &format!("&scope={}", scope.replace(' ', "+"))).await;
        assert_eq!(token.claims["products"], granted, "{scope}");
        let words: Vec<&str> =
            granted.as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(token.claims["scope"], words.join(" "));
        assert_eq!(token.reply["scope"], words.join(" "));
    }
    // A request is refused as a whole if its scope names a product or a permission that the client does not have, or anything
    // unknown.
    for scope in ["c", "a c", "A", "a b c d", "mintmark:read", "a mintmark:manage", "openid", "a-b"] {
        let body = format!("{GRANT}&scope={}", scope.replace(' ', "+"));
        refused(&reply_as(&app, &client, body).await, 400, "invalid_scope");
    }
    app.stop().await;
}

async fn resources_select_the_scope_or_must_agree_with_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    let client = client_of_all(&admin).await;
    let (base, default) = (app.base.clone(), format!("{}/products", app.base));
    let (a, b) = ("https://gst.example/a", "https://gst.example/B");
    let form = |scope: &str, resources: &[&str]| {
        let mut form = form_urlencoded::Serializer::new(String::from("&"));
        form.append_pair("scope", scope);
        for resource in resources {
            form.append_pair("resource", resource);
        }
        form.finish()
    };
    for (scope, resources, granted, audience) in [
        // Without a scope, the resources select it.
        ("", vec![a], "gst gst-filing", json!(a)),
        ("", vec![&*default], "e-invoicing same-as-default", json!(default)),
        ("", vec![b, a], "gst gst-filing upper", json!([b, a])),
        ("", vec![a, a], "gst gst-filing", json!(a)),
        ("", vec![&*base], "mintmark:read", json!(base)),
        // With both, the two must agree.
        ("gst", vec![a], "gst", json!(a)),
        ("gst upper", vec![a, b], "gst upper", json!([b, a])),
        ("mintmark:read", vec![&*base], "mintmark:read", json!(base)),
    ] {
        let token = token(&app, &client, &form(scope, &resources)).await;
        assert_eq!(
            (&token.claims["scope"], &token.claims["aud"]),
            (&json!(granted), &audience),
            "{resources:?}"
        );
        accepted(&app, &token).await;
    }
    for (scope, resources) in [
        ("gst", vec![b]),
        ("gst upper", vec![a]),
        ("gst", vec![a, b]),
        ("gst", vec![a, "https://nowhere.example"]),
        ("", vec!["https://nowhere.example"]),
        ("", vec![a, "https://nowhere.example"]),
        // Resources are compared byte by byte, and must be absolute URIs.
        ("", vec!["https://gst.example/a/"]),
        ("", vec!["https://GST.example/a"]),
        ("", vec!["https://gst.example:443/a"]),
        ("", vec!["https://gst.example/a#"]),
        ("", vec!["https://gst.example/a#x"]),
        ("", vec!["https://gst.example/%61"]),
        ("", vec!["/a"]),
        ("", vec!["gst"]),
        ("", vec![" "]),
        ("", vec!["\u{1F511}"]),
    ] {
        let body = format!("{GRANT}{}", form(scope, &resources));
        refused(&reply_as(&app, &client, body).await, 400, "invalid_target");
    }
    app.stop().await;
}

async fn a_token_is_signed_with_the_algorithm_of_its_client(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("gst", json!({})).await;
    let mut kids = std::collections::HashMap::new();
    for alg in ["EdDSA", "RS256", "PS256"] {
        for use_for in ["expiring", "never_expiring"] {
            let mut key = json!({"alg": alg, "use_for": use_for});
            if alg != "EdDSA" {
                key["private_key_pem"] = crate::support::rsa_private_key().into();
            }
            let made = admin.create("/v1/signing-keys", &key).await;
            assert_eq!(made["phase"], "active", "{made}");
            kids.insert((alg, use_for), made["kid"].as_str().unwrap().to_owned());
        }
    }
    for alg in ["EdDSA", "RS256", "PS256"] {
        let workspace = "platform";
        let (client, _) = admin.client(workspace, json!({"products": ["gst"], "signing_alg": alg})).await;
        let never = json!({"products": ["gst"], "signing_alg": alg, "token_expiry": {"mode": "never"}});
        let (never_expiring, _) = admin.client(workspace, never).await;
        for (client, use_for) in [(client, "expiring"), (never_expiring, "never_expiring")] {
            let token = token(&app, &client, "").await;
            let kid = &kids[&(alg, use_for)];
            assert_eq!(token.header, json!({"alg": alg, "kid": kid, "typ": "at+jwt"}));
            accepted(&app, &token).await;
        }
    }
    // The algorithm of clients without `signing_alg` is unchanged.
    let (client, _) = admin.client("platform", json!({"products": ["gst"]})).await;
    assert_eq!(token(&app, &client, "").await.header["alg"], "ES256");
    app.stop().await;
}

async fn a_new_token_has_neither_a_removed_product_nor_an_old_audience(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.administrator().await;
    admin.product("a", json!({})).await;
    admin.product("b", json!({})).await;
    let (client, _) = admin.client("platform", json!({"products": ["a", "b"]})).await;
    assert_eq!(token(&app, &client, "").await.claims["products"], json!(["a", "b"]));
    let path = format!("/v1/api-clients/{}", client.client_id);
    assert_eq!(admin.patch(&path, &json!({"products": ["b"]})).await.status(), 200);
    assert_eq!(token(&app, &client, "").await.claims["products"], json!(["b"]));
    refused(&reply_as(&app, &client, format!("{GRANT}&scope=a")).await, 400, "invalid_scope");
    // The next token has the new audience of its product.
    let moved = admin.patch("/v1/products/b", &json!({"audience": "https://b.example"})).await;
    assert_eq!(moved.status(), 200);
    let token = token(&app, &client, "").await;
    assert_eq!(token.claims["aud"], "https://b.example");
    let checked = verifier(&app, &app.base, "https://b.example", false);
    checked.verify(&token.text).await.unwrap().require_product("a").unwrap_err();
    app.stop().await;
}
