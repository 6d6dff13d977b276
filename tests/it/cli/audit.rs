//! `mintmark audit list`.

use super::process::{Place, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(events_are_listed_and_filtered);

async fn events_are_listed_and_filtered(engine: Engine) {
    let place = Place::with_issuer(engine);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let made = place.json(&["clients", "create", "acme", "--label", "ERP", "--products", "gst", "--json"]);
    let id = text(&made, "client_id");
    let actions = |args: &[&str]| -> Vec<String> {
        let list = place.json(&[&["audit", "list", "--json"], args].concat());
        list["items"].as_array().unwrap().iter().map(|event| text(event, "action").to_owned()).collect()
    };
    assert_eq!(actions(&["--limit", "3"]), ["client.created", "workspace.created", "product.created"]);
    assert_eq!(actions(&["--client", id]), ["client.created"]);
    assert_eq!(actions(&["--workspace", "acme", "--action", "workspace.created"]), ["workspace.created"]);
    assert!(actions(&["--since", "1h"]).len() > 3);
    assert_eq!(actions(&["--until", "2026-01-01"]), [""; 0]);
    assert_eq!(actions(&["--since", "2099-01-01T00:00:00Z"]), [""; 0]);
    assert_eq!(actions(&["--workspace", "nowhere"]), [""; 0]);

    let table = place.run(&["audit", "list", "--client", id]).must_succeed().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("at ") && lines[1].contains("cli    client.created"), "{table}");
    place.run(&["audit", "list", "--action", "nothing"]).must_fail(2, &["client.created"]);
    place.run(&["audit", "list", "--since", "yesterday"]).must_fail(2, &["2026-11-23", "7d"]);
    place.run(&["audit", "list", "--limit", "0"]).must_fail(2, &["--limit"]);
}
