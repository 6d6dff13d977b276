//! The statements themselves: each must be understood by both engines.

use crate::support::{Engine, TestDatabase, on_both_engines};

on_both_engines!(every_statement_prepares);

async fn every_statement_prepares(engine: Engine) {
    let database = TestDatabase::new(engine);
    let refused = database.open().await.refused_statements().await.unwrap();
    assert!(refused.is_empty(), "{engine:?} refuses:\n{}", refused.join("\n"));
}
