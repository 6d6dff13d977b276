//! What every command has in common: help, usage errors, exit codes, and output that nobody reads any more.

use std::process::Stdio;

use serde_json::{Value, json};

use super::process::Place;
use crate::support::Engine;

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new(Engine::Sqlite);
    for args in [&["--help"][..], &["-h"], &["clients", "create", "--help"], &["quickstart", "--help"]] {
        let ran = place.run(args).must_succeed();
        assert!(ran.stdout.contains("Usage: mintmark") && ran.stderr.is_empty(), "{ran:?}");
        assert!(ran.stdout.contains("Example"), "{ran:?}");
    }
    let version = place.run(&["--version"]).must_succeed().stdout;
    assert_eq!(version, format!("mintmark {}\n", env!("CARGO_PKG_VERSION")));
    assert!(!place.path("data").exists());
}

#[test]
fn unknown_commands_and_options_are_usage_errors() {
    let place = Place::new(Engine::Sqlite);
    for args in [
        &["srve"][..],
        &["serve", "--port", "80"],
        &["clients", "show"],
        &["clients", "create", "acme", "--token-expiry", "soon"],
        &["clients", "create", "acme", "--metadata", "pair"],
        &["clients", "list", "acme", "--status", "sleeping"],
        &["products", "create", "gst", "--name", "GST", "--max-token-lifetime", "1y"],
        &["workspaces", "update", "acme", "--all-products", "--products-allowed", "gst"],
        &["keys", "import", "key.pem"],
        &["backup"],
    ] {
        place.run(args).must_fail(2, &["error: "]);
    }
    let ran = place.run(&["clients"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert!(ran.stderr.contains("Usage: mintmark clients") && ran.stderr.contains("add-secret"), "{ran:?}");
    assert!(!place.path("data").exists());
}

#[test]
fn help_version_and_completion_are_commands() {
    let place = Place::new(Engine::Sqlite);
    let long = place.run(&["help", "clients", "create"]).must_succeed().stdout;
    assert_eq!(long, place.run(&["clients", "create", "--help"]).must_succeed().stdout);
    assert!(place.run(&["help", "keys"]).must_succeed().stdout.contains("rewrap"));
    place.run(&["help", "nothing"]).must_fail(2, &["nothing"]);
    let version = place.run(&["version"]).must_succeed().stdout;
    assert_eq!(version, place.run(&["--version"]).must_succeed().stdout);
    assert_eq!(place.json(&["version", "--json"])["version"], env!("CARGO_PKG_VERSION"));

    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completion", shell]).must_succeed().stdout;
        assert!(script.contains("add-secret") && script.contains("expire-others-after"), "{shell}");
    }
    place.write("complete.bash", place.run(&["completion", "bash"]).must_succeed().stdout);
    let mut shell = place.shell();
    let script = "bash -c '. ./complete.bash; COMP_WORDS=(mintmark clients add); COMP_CWORD=2; \
                  _mintmark mintmark add clients; echo \"${COMPREPLY[*]}\"'";
    let output = shell.args(["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "add-secret\n");
    place.run(&["completion", "tcl"]).must_fail(2, &["bash"]);
}

#[test]
fn with_json_an_error_is_a_problem_object() {
    let place = Place::with_issuer(Engine::Sqlite);
    let problem = |args: &[&str], code: i32| -> Value {
        let ran = place.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
        let problem: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{problem}");
        }
        problem
    };
    place.run(&["migrate"]).must_succeed();
    place.run(&["bootstrap"]).must_succeed();

    let usage = problem(&["clients", "create", "acme", "--token-expiry", "soon"], 2);
    assert!(usage["type"].as_str().unwrap().ends_with("/usage"), "{usage}");
    let detail = usage["detail"].as_str().unwrap();
    assert!(
        detail.contains("--token-expiry") && detail.contains("30d") && !detail.contains("Usage"),
        "{detail}"
    );
    problem(&["clients"], 2);
    problem(&["srve"], 2);
    let invalid = problem(&["products", "create", "GST", "--max-token-lifetime", "1"], 2);
    assert_eq!((&invalid["status"], &invalid["title"]), (&json!(422), &json!("Some fields are not valid")));
    // The code of the product is an argument, not an option.
    let options: Vec<&Value> = invalid["errors"].as_array().unwrap().iter().map(|e| &e["option"]).collect();
    assert_eq!(options, [&json!(null), &json!("--name"), &json!("--max-token-lifetime")]);
    let missing = problem(&["products", "show", "gst"], 1);
    assert_eq!(missing["status"], 404);
    let id = place.json(&["clients", "list", "platform", "--json"])["items"][0]["client_id"].clone();
    let secret = place.json(&["clients", "get", id.as_str().unwrap(), "--json"])["secrets"][0].clone();
    let last = ["clients", "delete-secret", id.as_str().unwrap(), secret["secret_id"].as_str().unwrap()];
    let conflict = problem(&last, 1);
    assert_eq!(conflict["status"], 409);
    assert!(conflict["detail"].as_str().unwrap().contains("--force"), "{conflict}");
    assert!(problem(&["keys", "import", "none.pem", "--alg", "ES256"], 2)["detail"].is_string());
    let failed = problem(&["backup", "/nowhere/file"], 1);
    assert!(failed["type"].as_str().unwrap().ends_with("/failed"), "{failed}");
    let place = place.with("MINTMARK__SERVER__LISTEN", "nowhere");
    let ran = place.run(&["products", "list", "--json"]);
    let settings: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &settings["problems"][0]["key"]), (2, &json!("server.listen")));
}

#[test]
fn values_that_are_not_set_are_printed_as_words() {
    let place = Place::with_issuer(Engine::Sqlite);
    let product = place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed().stdout;
    assert!(product.contains("(default)") && product.contains("(no limit)"), "{product}");
    let workspace = place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed().stdout;
    assert!(workspace.contains("products_allowed       (all)"), "{workspace}");
    let create = ["clients", "create", "acme", "--label", "ERP", "--products", "gst"];
    let client = place.run(&create).must_succeed().stdout;
    for line in
        ["token_expiry           1h\n", "allowed_ips            any\n", "expires_at             never\n"]
    {
        assert!(client.contains(line), "{line:?}: {client}");
    }
}

#[test]
fn a_closed_output_is_not_a_failure() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["migrate"]).must_succeed();
    let mut shell = place.shell();
    let program = env!("CARGO_BIN_EXE_mintmark");
    // `true` may end before the program writes. The shell prints the exit code of the program.
    let script = format!("exec 3>&1; {{ '{program}' check; echo $? >&3; }} | true");
    let output = shell.args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
