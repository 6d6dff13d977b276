//! The `openssl` command, and private keys that it generates during a test, as an operator imports them.

use std::process::Command;

/// A new RSA key of 2048 bits as PKCS#8 PEM.
pub(crate) fn rsa_private_key() -> String {
    openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
}

/// The standard output of `openssl`.
pub(crate) fn openssl(arguments: &[&str]) -> String {
    let output =
        Command::new("openssl").args(arguments).output().expect("these tests need the openssl command");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
