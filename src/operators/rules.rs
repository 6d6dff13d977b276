//! Rules about all operators together, and about who may change whom.

use super::Operators;
use crate::kernel::{Caller, Error};
use crate::model::field_errors::FieldErrors;
use crate::model::operator::{Operator, Role};
use crate::model::reach::Reach;
use crate::storage::Tx;

impl Operators {
    /// Whether a platform administrator who can sign in is left after a change. `after` is `None` for a deletion. `true` for
    /// every change that takes no such administrator away.
    pub(super) async fn leaves_an_admin(
        &self,
        tx: &mut Tx,
        before: &Operator,
        after: Option<&Operator>,
    ) -> Result<bool, Error> {
        let required = self.kernel.policy.second_factor_required;
        let counts = |operator: &Operator| {
            operator.is_platform_admin() && operator.is_active() && operator.has_way_in(required)
        };
        if !counts(before) || after.is_some_and(counts) {
            return Ok(true);
        }
        Ok(tx.count_other_admins(&before.operator_id, required).await? > 0)
    }

    /// Refuses a change after which no platform administrator could sign in. `after` is `None` for a deletion.
    pub(super) async fn must_leave_an_admin(
        &self,
        tx: &mut Tx,
        before: &Operator,
        after: Option<&Operator>,
    ) -> Result<(), Error> {
        if self.leaves_an_admin(tx, before, after).await? {
            return Ok(());
        }
        Err(Error::Conflict(
            "this is the last platform administrator who is active and can sign in: let another one set up a way to sign in \
             first"
                .to_owned(),
        ))
    }
}

/// Refuses a caller that lacks a permission which one of `roles` carries: through an operator with these roles, the caller
/// could use it.
pub(super) fn must_not_step_up<'a>(
    caller: &Caller,
    roles: impl IntoIterator<Item = &'a Role>,
) -> Result<(), Error> {
    let mut permissions = Vec::new();
    for permission in roles.into_iter().flat_map(Role::permissions) {
        if !permissions.contains(permission) {
            permissions.push(*permission);
        }
    }
    caller.must_hold_all(
        &permissions,
        "a role of the operator carries a permission that your token does not carry, and this would let you use it",
    )
}

/// Adds an error for each role in a workspace that does not exist. Workspaces that exist cannot be deleted before the
/// transaction ends. `known` are the roles that the operator has already; they are not checked again.
pub(super) async fn check_workspaces(
    tx: &mut Tx,
    listed: &[Role],
    known: &[Role],
    errors: &mut FieldErrors,
) -> Result<(), Error> {
    // Locked in the order of ids, as everywhere, so that transactions never wait for each other's rows.
    let mut places: Vec<(&str, usize)> = listed
        .iter()
        .enumerate()
        .filter(|(_, role)| !known.contains(role))
        .filter_map(|(index, role)| Some((role.workspace_id()?, index)))
        .collect();
    places.sort_unstable();
    for (workspace_id, index) in places {
        let pointer = format!("/roles/{index}/workspace_id");
        if !errors.has(&pointer) && tx.share_workspace(&Reach::Platform, workspace_id).await?.is_none() {
            errors.add(pointer, "is not a workspace: create it first");
        }
    }
    Ok(())
}
