//! Operators: records and roles, ways in, setup links, sessions, states.

mod links;
mod people;
mod sessions;
mod states;
mod ways;

use mintmark::model::operator::{Operator, OperatorStatus, Role};
use mintmark::storage::Storage;

use crate::storage::samples::{NOW, change, workspace};
use crate::support::{Engine, TestDatabase};

/// An operator with an id that ends in `number`.
pub(super) fn operator(number: u32, roles: &[Role]) -> Operator {
    Operator {
        operator_id: format!("01990000-0000-7000-8000-{number:012}"),
        email: format!("Op{number}@Acme.example"),
        name: format!("Operator {number} ✓"),
        status: OperatorStatus::Active,
        roles: roles.to_vec(),
        role_source: None,
        sign_in: Vec::new(),
        last_sign_in_at: None,
        created_at: NOW,
        updated_at: NOW + 1,
        version: 3,
    }
}

/// The workspaces `platform`, `acme` and `other`, and a platform administrator, who has the number 1.
async fn staffed(engine: Engine) -> (TestDatabase, Storage) {
    let database = TestDatabase::new(engine);
    let storage = database.open().await;
    for id in ["platform", "acme", "other"] {
        assert!(change!(storage, tx => tx.insert_workspace(&workspace(id))));
    }
    assert!(change!(storage, tx => tx.insert_operator(&operator(1, &[Role::PlatformAdmin]))));
    (database, storage)
}
