//! A request to create or change a workspace, and the rules for its members.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kernel::Fields;
use crate::model::clock::UnixSeconds;
use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;
use crate::model::workspace::Workspace;
use crate::model::{description, text};

/// A request to create or change a workspace. `null` sets the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceChange {
    /// Display name; a workspace must have one.
    pub name: Member<String>,
    /// Free text about the workspace; default none.
    pub description: Member<String>,
    /// `active` (default) or `suspended`.
    pub status: Member<String>,
    /// Whether its clients may have never-expiring tokens; default yes.
    pub never_expires_allowed: Member<bool>,
    /// The products its clients may be granted; default all.
    pub products_allowed: Member<Vec<String>>,
    /// Members that could not be read; reported together with the rules that the others break.
    pub parse_errors: FieldErrors,
}

impl WorkspaceChange {
    /// Reads the body of a request to create a workspace: the id that it asks for, and the other members.
    pub(crate) fn read_new(body: &Value) -> (Member<String>, Self) {
        let ((id, change), parse_errors) =
            Fields::read(body, |fields| (fields.string("workspace_id"), Self::members(fields)));
        (id, Self { parse_errors, ..change })
    }

    /// Reads the body of a request to change a workspace.
    pub(crate) fn read(body: &Value) -> Self {
        let (change, parse_errors) = Fields::read(body, Self::members);
        Self { parse_errors, ..change }
    }

    fn members(fields: &mut Fields<'_>) -> Self {
        Self {
            name: fields.string("name"),
            description: fields.string("description"),
            status: fields.string("status"),
            never_expires_allowed: fields.boolean("never_expires_allowed"),
            products_allowed: fields.strings("products_allowed"),
            parse_errors: FieldErrors::default(),
        }
    }

    /// Applies the change. Members that break a rule are added to `errors`; the caller then stores nothing. `products` are
    /// the codes of the existing products.
    pub(super) fn apply(
        &self,
        workspace: &mut Workspace,
        products: &BTreeSet<String>,
        now: UnixSeconds,
        errors: &mut FieldErrors,
    ) {
        text::apply_name("/name", &self.name, &mut workspace.name, errors);
        description::apply(&self.description, &mut workspace.description, errors);
        match self.status.value().map(String::as_str) {
            None if self.status.is_absent() => {}
            None | Some("active") => workspace.suspended_at = None,
            Some("suspended") => workspace.suspended_at = workspace.suspended_at.or(Some(now)),
            Some(_) => errors.add("/status", "must be active or suspended"),
        }
        match self.never_expires_allowed {
            Member::Absent => {}
            Member::Null => workspace.never_expires_allowed = true,
            Member::Value(allowed) => workspace.never_expires_allowed = allowed,
        }
        match &self.products_allowed {
            Member::Absent => {}
            Member::Null => workspace.products_allowed = None,
            Member::Value(codes) => {
                let known: BTreeSet<String> =
                    workspace.products_allowed.take().into_iter().flatten().collect();
                let mut allowed = BTreeSet::new();
                for (index, code) in codes.iter().enumerate() {
                    let pointer = format!("/products_allowed/{index}");
                    // A code that is already listed is accepted, even if its product has been deleted since.
                    if !products.contains(code) && !known.contains(code) {
                        errors.add(pointer, "is not a product: create it first");
                    } else if !allowed.insert(code.clone()) {
                        errors.add(pointer, "is listed twice: list it once");
                    }
                }
                workspace.products_allowed = Some(allowed.into_iter().collect());
            }
        }
    }

    /// Whether the request changes more of `workspace` than its name.
    pub(super) fn changes_more_than_the_name(&self, workspace: &Workspace) -> bool {
        let description = match &self.description {
            Member::Absent => false,
            Member::Null => workspace.description.is_some(),
            Member::Value(text) => text != workspace.description.as_deref().unwrap_or_default(),
        };
        let status = match &self.status {
            Member::Absent => false,
            Member::Null => workspace.suspended_at.is_some(),
            Member::Value(status) => status != workspace.status(),
        };
        let never_expires = match self.never_expires_allowed {
            Member::Absent => false,
            Member::Null => !workspace.never_expires_allowed,
            Member::Value(allowed) => allowed != workspace.never_expires_allowed,
        };
        let products = match &self.products_allowed {
            Member::Absent => false,
            Member::Null => workspace.products_allowed.is_some(),
            Member::Value(codes) => {
                let mut codes = codes.clone();
                codes.sort_unstable();
                workspace.products_allowed.as_ref() != Some(&codes)
            }
        };
        description || status || never_expires || products
    }
}
