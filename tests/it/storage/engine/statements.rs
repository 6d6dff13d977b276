//! Both engines accept each SQL statement, and each method of the storage is called by a test.

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

/// Every file below a folder of this repository, as one text.
fn text_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&text_of(&path));
        } else {
            writeln!(text, "{}", fs::read_to_string(path).unwrap()).unwrap();
        }
    }
    text
}

/// SQLite binds a missing argument as NULL without an error, so a method that no test calls is unchecked.
#[test]
fn every_method_is_called_by_a_test_of_the_storage() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let calls: String = text_of(&repository.join("tests/it/storage")).split_whitespace().collect();
    let mut receiver = "";
    let mut missing = Vec::new();
    for line in text_of(&repository.join("src/storage")).lines() {
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
