//! The form of an operator: what is typed, and the change it asks for.

use std::collections::BTreeSet;

use super::form::Form;
use super::members::{self, Field, field, required};
use super::page::Problem;
use super::session::SignedIn;
use super::stop::Stop;
use crate::kernel::Reader;
use crate::model::field_errors::FieldError;
use crate::model::member::Member;
use crate::model::operator::{Operator, Role};
use crate::model::page::Page;
use crate::model::workspace::{PLATFORM, Workspace};
use crate::operators::OperatorChange;

/// How many workspaces the form lists. For a role in another workspace, its id is typed.
const LISTED_MAX: u32 = 100;

const FIELDS: [Field; 4] = [
    required("name", "Name", "Enter the name of the operator"),
    required("email", "Email address", "Enter the email address of the operator"),
    field("status", "Status"),
    field("roles", "Roles"),
];

/// A workspace, and the roles of the operator in it.
pub(super) struct Place {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_admin: bool,
    pub(super) is_viewer: bool,
}

/// The workspaces of the form, and whether there are more than it lists.
pub(super) struct Places {
    pub(super) listed: Vec<Place>,
    pub(super) has_more: bool,
}

/// The change that a form asks for. Roles that a sign-in provider sets are left as they are.
pub(super) fn change(form: &Form, before: Option<&Operator>) -> OperatorChange {
    let is_set_here = before.is_none_or(|operator| operator.role_source.is_none());
    let before = before.map(|operator| operator.roles.as_slice()).unwrap_or_default();
    OperatorChange {
        email: Member::Value(form.trimmed("email").to_owned()),
        name: Member::Value(form.trimmed("name").to_owned()),
        roles: if is_set_here { Member::Value(changed_roles(form, before)) } else { Member::Absent },
        ..OperatorChange::default()
    }
}

/// The roles after the change. The form has one role for each workspace. An operator who was both administrator and viewer of
/// a workspace, and stays administrator, stays viewer too.
fn changed_roles(form: &Form, before: &[Role]) -> Vec<Role> {
    let mut roles = roles(form);
    let is_left = |role: &&Role| match role {
        Role::WorkspaceViewer(id) => {
            let admin = Role::WorkspaceAdmin(id.clone());
            before.contains(&admin) && roles.contains(&admin) && !roles.contains(role)
        }
        _ => false,
    };
    let left: Vec<Role> = before.iter().filter(is_left).cloned().collect();
    roles.extend(left);
    roles
}

/// The roles that a form names. Values that name no role are left out.
fn roles(form: &Form) -> Vec<Role> {
    let mut roles = BTreeSet::new();
    if form.has("platform_admin") {
        roles.insert(Role::PlatformAdmin);
    }
    let chosen = form.all("role").filter_map(|value| value.split_once(':'));
    roles.extend(chosen.filter_map(|(role, workspace_id)| Role::of(role, workspace_id)));
    roles.extend(form.entries("more_admin").into_iter().map(Role::WorkspaceAdmin));
    roles.extend(form.entries("more_viewer").into_iter().map(Role::WorkspaceViewer));
    roles.into_iter().collect()
}

/// The field errors of the service as problems at the fields of the form.
pub(super) fn problems_of(errors: &[FieldError], form: &Form) -> Vec<Problem> {
    let mut problems = members::problems(errors, &FIELDS, form);
    if roles(form).is_empty() {
        let text = if form.has("version") {
            "Select at least one role. To take all of them away, disable the operator."
        } else {
            "Select at least one role."
        };
        for problem in problems.iter_mut().filter(|problem| problem.is_of("roles")) {
            text.clone_into(&mut problem.text);
        }
    }
    problems
}

/// The form as it is filled for an operator.
pub(super) fn form_of(operator: &Operator) -> Form {
    let version = operator.version.to_string();
    let mut form =
        Form::from([("version", version.as_str()), ("email", &operator.email), ("name", &operator.name)]);
    for role in &operator.roles {
        match role.workspace_id() {
            None => form.push("platform_admin", "yes"),
            Some(id) => form.push("role", format!("{}:{id}", role.as_str())),
        }
    }
    form
}

/// The workspaces of the form: the first [`LISTED_MAX`] without that of the platform, and those in which the form has a role.
pub(super) async fn places(signed_in: &SignedIn, reader: &Reader, typed: &Form) -> Result<Places, Stop> {
    let found = signed_in.door.services.tenants.workspaces(reader, &Page::first(LISTED_MAX)).await?;
    let roles = roles(typed);
    let place = |id: String, name: String| Place {
        is_admin: roles.contains(&Role::WorkspaceAdmin(id.clone())),
        is_viewer: roles.contains(&Role::WorkspaceViewer(id.clone())),
        id,
        name,
    };
    let mut left: BTreeSet<&str> = roles.iter().filter_map(Role::workspace_id).collect();
    let mut listed = Vec::new();
    for Workspace { workspace_id, name, .. } in found.items {
        left.remove(workspace_id.as_str());
        if workspace_id != PLATFORM {
            listed.push(place(workspace_id, name));
        }
    }
    listed.extend(left.into_iter().map(|id| place(id.to_owned(), id.to_owned())));
    Ok(Places { listed, has_more: found.next_after.is_some() })
}

/// A role in words.
pub(super) fn role_words(role: &Role) -> String {
    match role {
        Role::PlatformAdmin => "Platform administrator".to_owned(),
        Role::WorkspaceAdmin(id) => format!("Administrator of {id}"),
        Role::WorkspaceViewer(id) => format!("Viewer of {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_choices_and_from_typed_ids() {
        let mut form = Form::from([("role", "workspace_admin:acme"), ("role", ""), ("role", "root:acme")]);
        form.push("role", "workspace_viewer:other");
        form.push("more_admin", "third, fourth");
        form.push("more_viewer", "fifth");
        let admin = |id: &str| Role::WorkspaceAdmin(id.to_owned());
        let viewer = |id: &str| Role::WorkspaceViewer(id.to_owned());
        assert_eq!(
            roles(&form),
            [admin("acme"), admin("fourth"), admin("third"), viewer("fifth"), viewer("other")]
        );
        form.push("platform_admin", "yes");
        assert_eq!(roles(&form).first(), Some(&Role::PlatformAdmin));
    }
}
