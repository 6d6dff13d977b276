//! The services that run.py describes, plain HTTP, and the comparison of verdicts with the expected ones.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;

use serde::Deserialize;
use serde_json::Value;

/// What run.py says about the services that it started.
#[derive(Debug, Deserialize)]
pub struct World {
    /// Cell of matrix.py, such as `ES256 far` → its client.
    pub cells: BTreeMap<String, Cell>,
    /// Library → cell → verdict.
    expected: BTreeMap<String, BTreeMap<String, String>>,
}

/// The client of a cell of matrix.py: `alg` and `kind` are those of its tokens.
#[derive(Debug, Deserialize)]
pub struct Cell {
    pub client_id: String,
    pub client_secret: String,
    pub alg: String,
    pub kind: String,
    pub issuer: String,
    pub audience: String,
    pub scope: String,
}

impl World {
    pub fn read() -> Self {
        let path = std::env::var("MINTMARK_WORLD").expect("run this by `scripts/test interop`");
        serde_json::from_str(&read_to_string(path).unwrap()).unwrap()
    }

    /// Compares the verdict of a library on a token with the expected one, and records it for the table of matrix.py.
    pub fn judge(&self, library: &str, cell: &str, done: Result<Value, String>) {
        let verdict = match done {
            Ok(claims) => {
                self.cells[cell].check_claims(&claims);
                "accepts".to_owned()
            }
            Err(why) => format!("refuses: {why}"),
        };
        let path = std::env::var("MINTMARK_VERDICTS").unwrap();
        let mut verdicts = OpenOptions::new().append(true).create(true).open(path).unwrap();
        verdicts.write_all(format!("{library}\t{cell}\t{verdict}\n").as_bytes()).unwrap();
        let expected = &self.expected[library][cell];
        let (word, because) = expected.split_once(": ").unwrap_or((expected, ""));
        assert!(
            verdict.starts_with(word) && verdict.contains(because),
            "{cell}: {verdict}, expected {expected}"
        );
    }
}

impl Cell {
    /// RFC 8414 metadata of the issuer.
    pub fn metadata(&self) -> Value {
        get(&format!("{}/.well-known/oauth-authorization-server", self.issuer))
    }

    /// Checks that the claims are those of a token of this client.
    pub fn check_claims(&self, claims: &Value) {
        assert_eq!(claims["client_id"], self.client_id);
        assert_eq!(claims["products"], serde_json::json!(["gst"]));
        assert_eq!(claims.get("exp").is_some(), self.kind != "omit");
        assert_eq!(claims.get("never_expires").is_some(), self.kind != "normal");
    }
}

/// The JSON at a URL.
pub fn get(url: &str) -> Value {
    reqwest::blocking::get(url).unwrap().error_for_status().unwrap().json().unwrap()
}
