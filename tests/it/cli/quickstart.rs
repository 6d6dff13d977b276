//! `mintmark quickstart`: the whole demo, and that the commands it prints work.

use std::net::TcpListener;

use serde_json::Value;

use super::process::{Place, Ran, Running, client, text};
use crate::support::{Engine, on_both_engines};

on_both_engines!(
    an_empty_folder_is_enough_for_a_verified_token,
    a_second_run_replaces_the_secret,
    every_printed_command_works_as_printed,
    the_output_says_what_to_do_without_a_running_server_and_with_a_disabled_operator,
);

/// Starts the demo and waits for its whole output.
fn started(place: &Place) -> (Running, String) {
    let mut running = place.start(&["quickstart"]);
    running.stdout.wait_for("Serving until Ctrl-C.");
    let printed = running.stdout.text();
    (running, printed)
}

/// The word after `name` on the line that begins with it.
fn value_of<'a>(text: &'a str, name: &str) -> &'a str {
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().next().unwrap()
}

/// The URL at which the demo says that it serves.
fn base(text: &str) -> String {
    let (_, rest) = text.split_once(" at ").unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

/// The status of a token request.
async fn status(base: &str, id: &str, secret: &str) -> u16 {
    let request = client().post(format!("{base}/oauth2/token"));
    let request = request.basic_auth(id, Some(secret)).form(&[("grant_type", "client_credentials")]);
    request.send().await.unwrap().status().as_u16()
}

async fn an_empty_folder_is_enough_for_a_verified_token(engine: Engine) {
    let place = Place::new(engine);
    let (running, text) = started(&place);
    // With a host name, since a passkey cannot be bound to an IP address.
    let console = format!("{}/console/setup/", base(&text).replace("127.0.0.1", "localhost"));
    for part in [
        "\n1. ",
        "\n2. ",
        "\n3. ",
        "\n4. ",
        "\n5. ",
        &console,
        "demo@example.com for a passkey or a password",
        "verified: client cl_",
        "products e-invoicing and gst",
        "expires in 3600",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    assert_eq!(
        status(&base(&text), value_of(&text, "client_id"), value_of(&text, "client_secret")).await,
        200
    );
    running.signal("INT");
    let ran: Ran = running.wait();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("NEW MASTER KEY"), "{ran:?}");
    assert!(!ran.stderr.contains("mms_"), "{ran:?}");
}

async fn a_second_run_replaces_the_secret(engine: Engine) {
    let place = Place::new(engine);
    let first = place.json(&["quickstart", "--once", "--json"]);
    let id = text(&first, "client_id");
    let members = first.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    let expected = [
        "access_token",
        "claims",
        "client_id",
        "client_secret",
        "console",
        "issuer",
        "jwks_uri",
        "token_endpoint",
    ];
    assert_eq!(members, [&expected[..], &["workspace_id"]].concat());
    assert_eq!(text(&first["claims"], "sub"), id);

    let link = text(&first, "console");
    assert!(
        link.contains("/console/setup/") && link.ends_with(&format!("?next=/console/api-clients/{id}")),
        "{link}"
    );
    let place = place.with("MINTMARK__SERVER__PUBLIC_URL", "");
    let (running, again) = started(&place);
    // The link of an earlier run is replaced as long as nobody has used it.
    assert!(again.contains("/console/setup/") && !again.contains(link), "{again}");
    assert_eq!(value_of(&again, "client_id"), id);
    assert!(again.contains("(new: the one before no longer works)"), "{again}");
    let base = base(&again);
    assert_eq!(status(&base, id, value_of(&again, "client_secret")).await, 200);
    assert_eq!(status(&base, id, text(&first, "client_secret")).await, 401);
    let place = place.with("MINTMARK__SERVER__PUBLIC_URL", &base);
    let clients = place.json(&["clients", "list", "demo", "--json"]);
    assert_eq!(clients["items"].as_array().unwrap().len(), 1);
    let operators = place.json(&["operators", "list", "--json"]);
    assert_eq!(operators["items"].as_array().unwrap().len(), 1);
    assert_eq!(clients["items"][0]["secrets"].as_array().unwrap().len(), 1);
    running.signal("TERM");
    assert_eq!(running.wait().code, 0);

    // A further run restores what was changed since: the products of the demo client, its status and that of its workspace.
    place.run(&["clients", "update", id, "--products", "gst"]).must_succeed();
    place.run(&["clients", "disable", id]).must_succeed();
    place.run(&["workspaces", "suspend", "demo"]).must_succeed();
    let place = place.with("MINTMARK__SERVER__PUBLIC_URL", "");
    let third = place.json(&["quickstart", "--once", "--json"]);
    assert_eq!(third["claims"]["products"], first["claims"]["products"]);
}

async fn every_printed_command_works_as_printed(engine: Engine) {
    let mut place = Place::new(engine);
    for run in ["the first run", "a run with a management client"] {
        place.set("MINTMARK__SERVER__PUBLIC_URL", "");
        let (running, printed) = started(&place);
        // The commands run in a shell with the same settings and the port that the system chose.
        place.set("MINTMARK__SERVER__PUBLIC_URL", &base(&printed));
        let commands: Vec<&str> = printed
            .lines()
            .filter_map(|line| line.strip_prefix("     "))
            .filter(|line| ["curl ", "ADMIN=", "TOKEN="].iter().any(|begin| line.starts_with(begin)))
            .collect();
        assert_eq!(commands.len(), 5, "{printed}");
        let script = commands.iter().fold("set -e\n".to_owned(), |script, command| {
            // curl prints no line feed after a reply.
            script + command + if command.starts_with("curl ") { "; echo\n" } else { "\n" }
        });
        let output = place.shell().args(["-c", &script]).output().unwrap();
        let answers = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{run}: {answers}{}", String::from_utf8_lossy(&output.stderr));
        let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [token, keys, client] = &answers[..] else { panic!("{run}: {answers:?}") };
        assert_eq!(text(token, "scope"), "e-invoicing gst", "{run}");
        assert!(keys["keys"].as_array().is_some_and(|keys| !keys.is_empty()), "{run}");
        assert!(text(client, "client_secret").starts_with("mms_"), "{run}: {client}");
        assert_eq!(text(client, "workspace_id"), "demo");
        running.signal("INT");
        assert_eq!(running.wait().code, 0);
    }
}

#[test]
fn an_issuer_that_others_can_reach_is_refused_before_anything_is_made() {
    let place = Place::new(Engine::Sqlite).with("MINTMARK__SERVER__PUBLIC_URL", "https://tokens.example.com");
    place.run(&["quickstart"]).must_fail(2, &["https://tokens.example.com", "mintmark bootstrap"]);
    let place = Place::new(Engine::Sqlite).with("MINTMARK__SERVER__PUBLIC_URL", "https://localhost:8443");
    place.run(&["quickstart"]).must_fail(2, &["plain http"]);
    assert!(!place.path("data").exists());
}

#[test]
fn a_port_in_use_is_reported_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new(Engine::Sqlite).with("MINTMARK__SERVER__LISTEN", &address);
    place.run(&["quickstart"]).must_fail(1, &[&address, "MINTMARK__SERVER__LISTEN=127.0.0.1:"]);
    assert!(!place.path("data").exists());
}

async fn the_output_says_what_to_do_without_a_running_server_and_with_a_disabled_operator(engine: Engine) {
    let mut place = Place::new(engine);
    let first = place.run(&["quickstart", "--once"]).must_succeed();
    assert!(first.stdout.contains("start it with `") && first.stdout.contains(" serve`"), "{first:?}");
    assert!(!first.stdout.contains("in another terminal"), "{first:?}");
    place.set("MINTMARK__SERVER__PUBLIC_URL", &base(&first.stdout));
    place.run(&["operators", "update", "demo@example.com", "--status", "disabled"]).must_succeed();
    place.set("MINTMARK__SERVER__PUBLIC_URL", "");
    let second = place.run(&["quickstart", "--once"]);
    let enable = " operators update demo@example.com --status active`";
    assert!(
        second.stdout.contains("demo@example.com is disabled") && second.stdout.contains(enable),
        "{second:?}"
    );
}
