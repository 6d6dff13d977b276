//! Keys for tests: made by the `openssl` command at test time and thrown away.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The standard output of `openssl ARGUMENTS`, given `input`.
pub(super) fn openssl(arguments: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need the openssl command");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(super) const GENERATE_EC: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
pub(super) const GENERATE_ED: &str = "genpkey -algorithm ED25519";
pub(super) static RSA: LazyLock<String> =
    LazyLock::new(|| openssl("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048", ""));
