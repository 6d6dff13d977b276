//! `src/routes.rs` registers exactly the paths in `openapi.yaml`, each with exactly the methods that it has there. Pages of the
//! console are left out.

use std::collections::BTreeSet;

use mintmark::config::Settings;
use reqwest::Method;

use crate::support::{CONTRACT, Engine, Operation, Reply, TestApp, counted};

/// The methods that are tried on every path.
const TRIED: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];

#[test]
fn the_registered_paths_are_those_in_openapi_yaml() {
    let mut registered = registered(include_str!("../../../src/routes.rs"));
    // Pages are for people, so `openapi.yaml` does not have them. The tests in `console` do.
    registered.retain(|path| !path.starts_with("/console"));
    let documented = CONTRACT.paths().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(registered, documented);
}

#[tokio::test]
async fn every_path_has_exactly_the_methods_in_openapi_yaml() {
    let app = TestApp::start(Engine::Sqlite).await;
    // With the first client there is a status list, so the path of a list is not 404.
    app.bootstrap().await;
    for path in CONTRACT.paths() {
        let allowed = methods_of(path);
        let sample = sample(CONTRACT.of_path(path).next().unwrap());
        for method in TRIED {
            // The request has no token, because which methods a path has is public.
            let reply = Reply::to(app.request(Method::from_bytes(method.as_bytes()).unwrap(), &sample)).await;
            if allowed.contains(method) || CONTRACT.takes_any_method(path) {
                assert!(!matches!(reply.status, 404 | 405), "{method} {path}: {reply:?}");
                continue;
            }
            assert_eq!(reply.status, 405, "{method} {path}: {reply:?}");
            let said: BTreeSet<&str> = reply.header("allow").unwrap().split(", ").collect();
            assert_eq!(said, allowed, "{method} {path}");
        }
    }
    // Each request reached the route of its path in `openapi.yaml`, not another one whose pattern also matches.
    let metrics = app.metrics();
    let answered: BTreeSet<&str> = counted(&metrics).map(|reply| reply.route).collect();
    assert_eq!(answered, CONTRACT.paths());
    app.stop().await;
}

/// An issuer whose path begins like one of these routes would hide that route.
#[test]
fn an_issuer_with_the_path_of_a_route_is_refused() {
    for path in CONTRACT.paths() {
        let first = path.split('/').nth(1).unwrap();
        for path in [first.to_owned(), format!("{first}/tenant")] {
            let layer = format!("server.public_url = \"https://tokens.example.com/{path}\"");
            let error = Settings::from_toml_layers(&[&layer]).unwrap_err().to_string();
            assert!(error.contains("server.public_url") && error.contains(&format!("/{first}")), "{error}");
        }
    }
}

/// The methods that `openapi.yaml` has for a path. Every path with GET also has HEAD.
fn methods_of(path: &str) -> BTreeSet<&str> {
    let mut methods: BTreeSet<&str> =
        CONTRACT.of_path(path).map(|operation| operation.method.as_str()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    methods
}

/// The path with the values that `openapi.yaml` gives as examples.
fn sample(operation: &Operation) -> String {
    operation.path_with(|name| {
        let parameter = operation.parameters.iter().find(|parameter| parameter["name"] == name);
        let parameter = parameter.unwrap_or_else(|| panic!("{} has no parameter {name}", operation.id));
        let example = parameter.get("example").or(parameter["schema"].pointer("/enum/0")).unwrap();
        example.as_str().map_or_else(|| example.to_string(), str::to_owned)
    })
}

/// The paths written in `src/routes.rs`: the literals of `at("…")`, `form("…")` and `web::resource("…")`, each after the
/// literal of `web::scope("…")` in the same function. The prefix of an issuer with a path is not a literal.
fn registered(source: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut scope = "";
    for line in source.lines().map(str::trim) {
        if line.starts_with("fn ") {
            // The pages of sign-in are within the scope of the console.
            scope = if line.starts_with("fn sign_in_pages") { "/console" } else { "" };
        }
        if let Some(prefix) = literal_after(line, "web::scope(") {
            scope = prefix;
        }
        for call in ["at(", "form(", "web::resource("] {
            if let Some(path) = literal_after(line, call) {
                paths.insert(format!("{scope}{path}"));
            }
        }
    }
    paths
}

fn literal_after<'a>(line: &'a str, call: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{call}\""))?;
    rest.split_once('"').map(|(literal, _)| literal)
}
