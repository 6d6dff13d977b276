//! The statements and the methods that run them: each statement is understood by both engines, each method is called.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(every_statement_prepares);

async fn every_statement_prepares(engine: Engine) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    let refused = storage.refused_statements().await.unwrap();
    assert!(refused.is_empty(), "{engine:?} refuses:\n{}", refused.join("\n"));
}

/// Every file of a folder of this repository, as one text.
fn text_of(folder: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        writeln!(text, "{}", fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
    }
    text
}

/// SQLite binds a forgotten argument as NULL without a word, so a method nobody calls here is a method nobody checked.
#[test]
fn every_method_is_called_here() {
    let calls: String = text_of("tests/it/storage").split_whitespace().collect();
    let mut receiver = "";
    let mut missing = Vec::new();
    for line in text_of("src/storage").lines() {
        match line {
            "impl Storage {" => receiver = "storage",
            "impl Tx {" => receiver = "tx",
            "}" => receiver = "",
            _ => {}
        }
        let Some(method) = line.strip_prefix("    pub ").and_then(|rest| rest.split_once("fn ")) else {
            continue;
        };
        let name = method.1.split(['(', '<']).next().unwrap();
        let called = [format!("{receiver}.{name}("), format!("Storage::{name}(")];
        if !receiver.is_empty() && !called.iter().any(|call| calls.contains(call)) {
            missing.push(format!("{receiver}.{name}"));
        }
    }
    assert!(missing.is_empty(), "no test of tests/it/storage calls {}", missing.join(", "));
}
