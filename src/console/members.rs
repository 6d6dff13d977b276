//! The rules of the services as problems of the fields in which their members are typed.

use super::page::Problem;
use super::stop::sentence;
use crate::model::field_errors::FieldError;

/// A member of a record, and the field that it is typed in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The first part of the JSON pointer.
    pub(super) member: &'static str,
    /// The `id` of the field.
    pub(super) id: &'static str,
    /// The label of the field.
    pub(super) label: &'static str,
}

/// A member that is typed in the field of the same name.
pub(super) const fn field(member: &'static str, label: &'static str) -> Field {
    Field { member, id: member, label }
}

/// The problems, of each field the first.
pub(super) fn problems(errors: &[FieldError], fields: &[Field]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for FieldError { pointer, detail } in errors {
        let member = pointer.split('/').nth(1).unwrap_or_default();
        let Some(field) = fields.iter().find(|field| field.member == member) else {
            problems
                .push(Problem::general(sentence(&format!("{} {detail}", pointer.trim_start_matches('/')))));
            continue;
        };
        if !problems.iter().any(|problem| problem.is_of(field.id)) {
            problems.push(Problem::of(field.id, sentence(&format!("{} {detail}", field.label))));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_said_once_beside_its_field() {
        let fields = [field("name", "Name"), Field { member: "roles", id: "role", label: "Role" }];
        let errors = [
            FieldError::new("/name", "is required"),
            FieldError::new("/roles/0/workspace_id", "is not a workspace"),
            FieldError::new("/roles/1", "is listed twice"),
            FieldError::new("/other", "must be a number"),
        ];
        let expected = [
            Problem::of("name", "Name is required."),
            Problem::of("role", "Role is not a workspace."),
            Problem::general("Other must be a number."),
        ];
        assert_eq!(problems(&errors, &fields), expected);
    }
}
