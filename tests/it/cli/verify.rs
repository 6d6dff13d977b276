//! `mintmark tokens verify`: with the database, or with `--remote` from the keys and status lists that a server publishes.

use serde_json::json;

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(a_token_is_valid_until_it_is_revoked);

async fn a_token_is_valid_until_it_is_revoked(engine: Engine) {
    let mut place = Place::new(engine);
    let serving = place.serve();
    place.set("MINTMARK__SERVER__PUBLIC_URL", &serving.base);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let client = ["--label", "ERP", "--products", "gst", "--token-expiry", "never", "--json"];
    let made = place.json(&[&["clients", "create", "acme"], &client[..]].concat());
    let id = text(&made, "client_id");
    let token = place.json(&["tokens", "create", id, "--json"]);
    let (token, jti) = (text(&token, "access_token"), text(&token, "jti"));
    place.write("token.txt", format!("{token}\n"));

    // With `--remote` the command needs no settings, no database and no access token of the caller.
    let outside = Place::new(Engine::Sqlite);
    outside.write("token.txt", token);
    let from_outside = |args: &[&str]| {
        outside.run(&[&["tokens", "verify", "token.txt", "--remote", &serving.base], args].concat())
    };
    let from_inside = |args: &[&str]| place.run(&[&["tokens", "verify", "token.txt"], args].concat());
    for verify in [&from_inside as &dyn Fn(&[&str]) -> super::process::Ran, &from_outside] {
        let printed = verify(&["--product", "gst"]).must_succeed().stdout;
        assert!(printed.starts_with("the token is valid\n\nclient_id     cl_"), "{printed}");
        assert!(printed.contains("expires_at    never\n"), "{printed}");
        let document = verify(&["--json"]).must_succeed().json();
        assert_eq!((&document["active"], &document["expires_at"]), (&json!(true), &json!(null)));
        assert_eq!(text(&document["claims"], "jti"), jti);
        verify(&["--product", "payroll"]).must_fail(1, &["payroll"]);
        verify(&["--audience", "https://elsewhere.example"]).must_fail(1, &["audience"]);
    }
    assert!(!outside.path("data").exists());
    let by_input = place.run_with_input(&["tokens", "verify"], token.as_bytes()).must_succeed();
    assert!(by_input.stdout.contains(jti));

    let cut = &token[..token.len() - 20];
    place.run_with_input(&["tokens", "verify"], cut.as_bytes()).must_fail(1, &["mintmark: the token"]);
    for no_token in [cut, "no token at all"] {
        outside
            .run_with_input(&["tokens", "verify", "--remote", &serving.base], no_token.as_bytes())
            .must_fail(1, &["mintmark: the token"]);
    }
    place.run_with_input(&["tokens", "verify"], b" \n").must_fail(2, &["no token"]);
    place.run(&["tokens", "verify", "none.txt"]).must_fail(2, &["none.txt"]);

    place.run(&["tokens", "revoke", id, jti]).must_succeed();
    from_inside(&[]).must_fail(1, &["the token is not valid: it was revoked"]);
    let refused = from_inside(&["--json"]);
    let problem: serde_json::Value = serde_json::from_str(refused.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((refused.code, text(&problem, "reason"), &problem["status"]), (1, "revoked", &json!(401)));
    assert!(text(&problem, "type").ends_with("/invalid-token"), "{problem}");

    let base = serving.base.clone();
    assert_eq!(serving.stop().code, 0);
    outside
        .run(&["tokens", "verify", "token.txt", "--remote", &base])
        .must_fail(1, &["the issuer's keys are not available"]);
}
