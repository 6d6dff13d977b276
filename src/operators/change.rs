//! What a request to create or change an operator sets, and the rules for each member.

use serde_json::Value;

use crate::kernel::Fields;
use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;
use crate::model::operator::{Operator, OperatorStatus, Role};
use crate::model::workspace::PLATFORM;
use crate::model::{ids, text};

/// The most roles of an operator.
const ROLES_MAX: usize = 200;

/// What a request sets of an operator. `null` means the default, if the member has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorChange {
    /// The address they sign in with; an operator must have one, and no other may have it.
    pub email: Member<String>,
    /// Display name; an operator must have one.
    pub name: Member<String>,
    /// `active` (default) or `disabled`.
    pub status: Member<String>,
    /// What they may do; an operator must have at least one role.
    pub roles: Member<Vec<Role>>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl OperatorChange {
    /// Reads the body of a request to create an operator.
    pub(crate) fn read_new(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, |fields| Self {
            email: fields.string("email"),
            name: fields.string("name"),
            status: Member::Absent,
            roles: roles(fields),
            parse_errors: FieldErrors::default(),
        });
        change.with(parse_errors)
    }

    /// Reads the body of a request to change an operator.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, |fields| Self {
            email: fields.string("email"),
            name: fields.string("name"),
            status: fields.string("status"),
            roles: roles(fields),
            parse_errors: FieldErrors::default(),
        });
        change.with(parse_errors)
    }

    /// Adds what could not be read. If that is one of the roles, all roles are left out: without that role,
    /// errors about the roles after it would point to wrong places.
    fn with(self, parse_errors: FieldErrors) -> Self {
        let roles = if parse_errors.has("/roles") { Member::Absent } else { self.roles };
        Self { roles, parse_errors, ..self }
    }

    /// Applies the change. Members that break a rule are added to `errors`; the caller then stores nothing. Whether workspaces
    /// exist is for the caller to check.
    pub(super) fn apply(&self, operator: &mut Operator, errors: &mut FieldErrors) {
        match &self.email {
            Member::Absent => {}
            Member::Null => errors.add("/email", "is required"),
            Member::Value(email) => match text::check_address(email.trim()) {
                Ok(()) => email.trim().clone_into(&mut operator.email),
                Err(why) => errors.add("/email", why),
            },
        }
        text::apply_name("/name", &self.name, &mut operator.name, errors);
        match self.status.value() {
            None if self.status.is_absent() => {}
            None => operator.status = OperatorStatus::Active,
            Some(status) => match status.parse() {
                Ok(status) => operator.status = status,
                Err(()) => errors.add("/status", "must be active or disabled"),
            },
        }
        match &self.roles {
            Member::Absent => {}
            Member::Null => errors.add("/roles", "is required"),
            Member::Value(roles) if roles.is_empty() => {
                errors.add(
                    "/roles",
                    "must have at least 1 role: to take all of them away, set status to disabled",
                );
            }
            Member::Value(roles) if roles.len() > ROLES_MAX => {
                errors.add("/roles", format!("must have at most {ROLES_MAX} roles; it has {}", roles.len()));
            }
            Member::Value(roles) => {
                for (index, role) in roles.iter().enumerate() {
                    let pointer = format!("/roles/{index}/workspace_id");
                    if roles.iter().take(index).any(|earlier| earlier == role) {
                        errors.add(format!("/roles/{index}"), "is listed twice: list it once");
                    } else if role.workspace_id() == Some(PLATFORM) {
                        errors.add(pointer, "must not be platform: give the role platform_admin");
                    } else if role.workspace_id().is_some_and(|id| !ids::is_workspace_id(id)) {
                        errors.add(pointer, "is not a workspace: create it first");
                    }
                }
                operator.roles.clone_from(roles);
                operator.roles.sort();
            }
        }
    }

    /// Whether a change does nothing but disable the operator, which only takes permissions away.
    pub(super) fn only_disables(before: &Operator, after: &Operator) -> bool {
        after.status == OperatorStatus::Disabled
            && Operator { status: after.status, ..before.clone() } == *after
    }
}

fn roles(fields: &mut Fields<'_>) -> Member<Vec<Role>> {
    fields.objects("roles", |_, fields| {
        let (name, workspace_id) = (fields.string("role"), fields.string("workspace_id"));
        let Member::Value(name) = name else {
            fields.refuse("role", "is required");
            return None;
        };
        let Some(role) = Role::of(&name, workspace_id.value().map_or("", String::as_str)) else {
            fields.refuse("role", "must be platform_admin, workspace_admin or workspace_viewer");
            return None;
        };
        match (role.workspace_id(), workspace_id.value()) {
            (None, Some(_)) => {
                fields
                    .refuse("workspace_id", "must be left out: a platform_admin administers every workspace");
                None
            }
            (Some(_), None) => {
                fields.refuse("workspace_id", format!("is required for {name}"));
                None
            }
            _ => Some(role),
        }
    })
}
