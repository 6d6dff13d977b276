//! What every command has in common: help, usage errors, exit codes, output that may be cut off.

use std::process::Stdio;

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
fn what_is_no_command_or_option_is_a_usage_error() {
    let place = Place::new(Engine::Sqlite);
    for args in [
        &["srve"][..],
        &["serve", "--port", "80"],
        &["clients", "show"],
        &["clients", "create", "acme", "--token-expiry", "soon"],
        &["clients", "create", "acme", "--metadata", "pair"],
        &["clients", "list", "acme", "--status", "sleeping"],
        &["products", "create", "gst", "--name", "GST", "--max-token-lifetime-seconds", "1h"],
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
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["migrate"]).must_succeed();
    let mut shell = place.shell();
    let program = env!("CARGO_BIN_EXE_mintmark");
    // The reader has ended before anything is written; the shell tells how the program ended.
    let script = format!("exec 3>&1; {{ '{program}' check; echo $? >&3; }} | true");
    let output = shell.args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
