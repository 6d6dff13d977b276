//! Records of operators and their roles.

use std::collections::BTreeMap;

use mintmark::model::operator::{Operator, OperatorStatus, Role};
use mintmark::model::reach::Reach;
use mintmark::storage::StorageError;

use super::{operator, staffed};
use crate::storage::samples::{NOW, change, page};
use crate::support::{Engine, on_both_engines, outcome_after};

on_both_engines!(
    an_operator_is_stored_with_all_members,
    an_address_is_unique_in_any_case,
    pages_are_in_the_order_of_the_ids,
    an_operator_is_changed_with_their_roles,
    an_operator_is_deleted_with_roles_and_setup_link,
    the_roles_in_a_workspace_are_deleted,
    administrators_who_can_sign_in_are_counted,
    changes_of_operators_take_turns,
    the_names_of_operators_are_found_within_reach,
    active_operators_are_found_by_role,
);

fn workspace_roles() -> Vec<Role> {
    vec![
        Role::WorkspaceAdmin("acme".to_owned()),
        Role::WorkspaceAdmin("other".to_owned()),
        Role::WorkspaceViewer("acme".to_owned()),
    ]
}

async fn an_operator_is_stored_with_all_members(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let second = Operator {
        status: OperatorStatus::Disabled,
        role_source: Some("oidc:corp".to_owned()),
        ..operator(2, &workspace_roles())
    };
    assert!(change!(storage, tx => tx.insert_operator(&second)));
    assert_eq!(storage.operator(&second.operator_id).await.unwrap(), Some(second.clone()));
    assert_eq!(storage.operator_by_email("op2@acme.example").await.unwrap(), Some(second.clone()));
    assert_eq!(storage.operator_by_email("Op2@Acme.example").await.unwrap(), None, "lower case is required");
    assert_eq!(storage.operator("none").await.unwrap(), None);
    let mut tx = storage.begin().await.unwrap();
    assert_eq!(tx.operator(&second.operator_id).await.unwrap(), Some(second.clone()));
    assert_eq!(tx.operator_by_email("op2@acme.example").await.unwrap(), Some(second));
    assert_eq!(tx.count_operators().await.unwrap(), 2);
    tx.rollback().await.unwrap();
}

async fn an_address_is_unique_in_any_case(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let same = Operator { email: "OP1@ACME.EXAMPLE".to_owned(), ..operator(2, &workspace_roles()) };
    assert!(!change!(storage, tx => tx.insert_operator(&same)));
    assert_eq!(storage.count_operators().await.unwrap(), 1);
    assert!(change!(storage, tx => tx.insert_operator(&operator(2, &workspace_roles()))));
    let mut tx = storage.begin().await.unwrap();
    let refused = tx.update_operator(&same).await;
    assert!(matches!(refused, Err(StorageError::Conflict(_))), "{refused:?}");
}

async fn pages_are_in_the_order_of_the_ids(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    for number in [3, 2, 4] {
        assert!(change!(storage, tx => tx.insert_operator(&operator(number, &workspace_roles()))));
    }
    let first = storage.operators(&page(3, None)).await.unwrap();
    assert_eq!(
        first.items,
        [
            operator(1, &[Role::PlatformAdmin]),
            operator(2, &workspace_roles()),
            operator(3, &workspace_roles())
        ]
    );
    let after = first.next_after.unwrap();
    let mut rest = page(3, Some(&after));
    rest.count = true;
    let last = storage.operators(&rest).await.unwrap();
    assert_eq!(
        (last.items, last.next_after, last.total),
        (vec![operator(4, &workspace_roles())], None, Some(4))
    );
}

async fn an_operator_is_changed_with_their_roles(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let changed = Operator {
        email: "new@acme.example".to_owned(),
        name: "New".to_owned(),
        status: OperatorStatus::Disabled,
        roles: workspace_roles(),
        updated_at: NOW + 50,
        version: 4,
        ..operator(1, &[])
    };
    assert!(change!(storage, tx => tx.update_operator(&changed)));
    assert!(!change!(storage, tx => tx.update_operator(&operator(2, &[]))));
    assert_eq!(storage.operator(&changed.operator_id).await.unwrap(), Some(changed));
}

async fn an_operator_is_deleted_with_roles_and_setup_link(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let id = operator(1, &[]).operator_id;
    change!(storage, tx => tx.put_setup_link(&id, b"link", NOW + 10, NOW));
    assert!(change!(storage, tx => tx.delete_operator(&id)));
    assert!(!change!(storage, tx => tx.delete_operator(&id)));
    assert_eq!(storage.setup_link(b"link", NOW).await.unwrap(), None);
    assert!(
        change!(storage, tx => tx.insert_operator(&operator(1, &workspace_roles()))),
        "nothing of the deleted operator is left"
    );
}

async fn the_roles_in_a_workspace_are_deleted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    assert!(change!(storage, tx => tx.insert_operator(&operator(2, &workspace_roles()))));
    change!(storage, tx => tx.delete_roles_in_workspace("acme", NOW + 9));
    let left = Operator {
        updated_at: NOW + 9,
        version: 4,
        ..operator(2, &[Role::WorkspaceAdmin("other".to_owned())])
    };
    assert_eq!(storage.operator(&left.operator_id).await.unwrap(), Some(left));
    let admin = operator(1, &[Role::PlatformAdmin]);
    assert_eq!(storage.operator(&admin.operator_id).await.unwrap(), Some(admin));
}

async fn administrators_who_can_sign_in_are_counted(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let (first, second) = (operator(1, &[]).operator_id, operator(2, &[]).operator_id);
    assert!(change!(storage, tx => tx.insert_operator(&operator(2, &[Role::PlatformAdmin]))));
    let others_of = async |id: &str| {
        let mut tx = storage.begin().await.unwrap();
        let mut found = Vec::new();
        for needs_second_factor in [true, false] {
            found.push(tx.count_other_admins(id, needs_second_factor).await.unwrap());
        }
        tx.rollback().await.unwrap();
        found
    };
    assert_eq!(others_of(&first).await, [0, 0], "no way in");
    change!(storage, tx => tx.set_password(&second, Some("$argon2id$"), NOW));
    assert_eq!(others_of(&first).await, [0, 1], "a password without a second factor");
    change!(storage, tx => tx.set_totp(&second, Some((b"sealed", 1)), NOW));
    assert_eq!(others_of(&first).await, [1, 1]);
    assert_eq!(others_of(&second).await, [0, 0], "an operator does not count as another administrator");
    let disabled = Operator { status: OperatorStatus::Disabled, ..operator(2, &[Role::PlatformAdmin]) };
    assert!(change!(storage, tx => tx.update_operator(&disabled)));
    assert_eq!(others_of(&first).await, [0, 0], "disabled");
    assert!(change!(storage, tx => tx.update_operator(&operator(2, &workspace_roles()))));
    assert_eq!(others_of(&first).await, [0, 0], "an administrator of a workspace");
}

async fn changes_of_operators_take_turns(engine: Engine) {
    let (database, storage) = staffed(engine).await;
    let other = database.open().await;
    let mut first = storage.begin().await.unwrap();
    first.take_turn_of_operators().await.unwrap();
    let second = async {
        let mut tx = other.begin().await.unwrap();
        tx.take_turn_of_operators().await.unwrap();
        tx.count_operators().await.unwrap()
    };
    let seen = outcome_after(&database, second, async {
        assert!(first.insert_operator(&operator(2, &workspace_roles())).await.unwrap());
        first.commit().await.unwrap();
    });
    assert_eq!(seen.await, 2);
}

async fn the_names_of_operators_are_found_within_reach(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let (root, ann) = (operator(1, &[Role::PlatformAdmin]), operator(2, &workspace_roles()));
    assert!(change!(storage, tx => tx.insert_operator(&ann)));
    let wanted = [root.operator_id.as_str(), &ann.operator_id, "none"];
    let name = |operator: &Operator| (operator.operator_id.clone(), operator.name.clone());
    let named = async |reach: Reach| storage.operator_names(&reach, &wanted).await.unwrap();
    assert_eq!(named(Reach::Platform).await, BTreeMap::from([name(&root), name(&ann)]));
    assert_eq!(named(Reach::Workspace("acme".to_owned())).await, BTreeMap::from([name(&ann)]));
    assert_eq!(named(Reach::Workspace("third".to_owned())).await, BTreeMap::new());
    assert_eq!(storage.operator_names(&Reach::Platform, &[]).await.unwrap(), BTreeMap::new());
}

async fn active_operators_are_found_by_role(engine: Engine) {
    let (_database, storage) = staffed(engine).await;
    let roles = |workspace: &str| [Role::WorkspaceAdmin(workspace.to_owned())];
    let disabled = Operator { status: OperatorStatus::Disabled, ..operator(3, &roles("acme")) };
    for one in [operator(2, &roles("acme")), disabled, operator(4, &roles("other"))] {
        assert!(change!(storage, tx => tx.insert_operator(&one)));
    }
    let mut tx = storage.begin().await.unwrap();
    let found = tx.active_operators_with("workspace_admin", Some("acme")).await.unwrap();
    assert_eq!(found, [operator(2, &roles("acme"))]);
    assert_eq!(tx.active_operators_with("workspace_admin", None).await.unwrap().len(), 2);
    assert_eq!(tx.active_operators_with("workspace_viewer", Some("acme")).await.unwrap(), []);
    tx.rollback().await.unwrap();
}
