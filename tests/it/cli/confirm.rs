//! Commands that delete or revoke ask for confirmation at a terminal only. The tests get one from util-linux's `script`.

use std::io::Write as _;
use std::process::Stdio;

use super::process::{Place, text};
use crate::support::Engine;

/// Runs a command at a terminal at which `answer` is typed. Returns the exit code and the output.
fn at_a_terminal(place: &Place, command: &str, answer: &str) -> (i32, String) {
    let line = format!("'{}' {command}", env!("CARGO_BIN_EXE_mintmark"));
    let mut shell = place.shell();
    // `-e` returns the exit code of the command.
    shell.args(["-c", "exec script -qec \"$0\" /dev/null", &line]).env("SHELL", "/bin/sh");
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_person_is_asked_to_confirm_and_a_script_is_not() {
    let place = Place::with_issuer(Engine::Sqlite);
    place.run(&["products", "create", "gst", "--name", "GST"]).must_succeed();
    place.run(&["workspaces", "create", "acme", "--name", "Acme"]).must_succeed();
    let client = || {
        let made =
            place.json(&["clients", "create", "acme", "--label", "ERP 7", "--products", "gst", "--json"]);
        text(&made, "client_id").to_owned()
    };
    let id = client();
    let exists = |id: &str| place.run(&["clients", "get", id]).code == 0;

    for answer in ["n\n", "\n", "yesterday\n"] {
        let (code, said) = at_a_terminal(&place, &format!("clients delete {id}"), answer);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("Delete the API client \"ERP 7\" of the workspace acme"), "{said}");
        assert!(said.contains("cannot be undone. [y/N]") && said.contains("nothing was changed"), "{said}");
        assert!(exists(&id));
    }
    let kid = text(&place.json(&["keys", "list", "--json"])["items"][0], "kid").to_owned();
    for command in [
        "products delete gst".to_owned(),
        "workspaces delete acme".to_owned(),
        format!("clients add-secret {id} --revoke-tokens"),
        format!("clients delete-secret {id} x --force"),
        format!("tokens revoke {id} x"),
        format!("tokens revoke-all {id}"),
        format!("keys delete {kid} --revoke-tokens"),
        format!("keys revoke {kid}"),
        "restore".to_owned(),
    ] {
        let (code, said) = at_a_terminal(&place, &command, "n\n");
        assert!(code == 1 && said.contains("[y/N]") && said.contains("nothing was changed"), "{said}");
    }
    let (code, said) = at_a_terminal(&place, &format!("clients delete {id}"), "y\n");
    assert!(code == 0 && said.contains("deleted") && !exists(&id), "{said}");

    let id = client();
    let (code, said) = at_a_terminal(&place, &format!("clients delete --yes {id}"), "");
    assert!(code == 0 && !said.contains("[y/N]") && !exists(&id), "{said}");
    let id = client();
    let ran = place.run(&["clients", "delete", &id]).must_succeed();
    assert_eq!(ran.stderr, "");
    // Changes that can be undone need no confirmation.
    let id = client();
    let (code, said) = at_a_terminal(&place, &format!("clients disable {id}"), "");
    assert!(code == 0 && said.contains("disabled"), "{said}");
}
