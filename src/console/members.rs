//! Turns the field errors of a service into problems of a form, each at the field in which the member is typed.

use super::form::Form;
use super::page::Problem;
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
    /// What to do if the field was left empty; an empty text if it may be left empty.
    pub(super) missing: &'static str,
}

/// A member that is typed in the field of the same name, which may be left empty.
pub(super) const fn field(member: &'static str, label: &'static str) -> Field {
    Field { member, id: member, label, missing: "" }
}

/// A member that is typed in the field of the same name, which must be filled in.
pub(super) const fn required(member: &'static str, label: &'static str, missing: &'static str) -> Field {
    Field { member, id: member, label, missing }
}

/// The problems of a form: the first of each field, in the order of `fields`, then those of members without a field. For a
/// required field that was left empty, the problem says what to enter, not which rule an empty text breaks.
pub(super) fn problems(errors: &[FieldError], fields: &[Field], form: &Form) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for FieldError { pointer, detail } in errors {
        let member = pointer.split('/').nth(1).unwrap_or_default();
        let Some(field) = fields.iter().find(|field| field.member == member) else {
            problems.push(Problem::general(format!("{} {detail}", pointer.trim_start_matches('/'))));
            continue;
        };
        if !problems.iter().any(|problem| problem.is_of(field.id)) {
            let is_missing = !field.missing.is_empty() && form.trimmed(field.id).is_empty();
            let text =
                if is_missing { field.missing.to_owned() } else { format!("{} {detail}", field.label) };
            problems.push(Problem::of(field.id, text));
        }
    }
    let place = |problem: &Problem| fields.iter().position(|field| problem.is_of(field.id));
    problems.sort_by_key(|problem| place(problem).unwrap_or(fields.len()));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_shows_its_first_problem_and_problems_are_in_the_order_of_the_fields() {
        let fields = [
            field("name", "Name"),
            Field { member: "roles", id: "role", label: "Role", missing: "" },
            required("url", "URL", "Enter the URL"),
        ];
        let errors = [
            FieldError::new("/other", "must be a number"),
            FieldError::new("/roles/0/workspace_id", "is not a workspace"),
            FieldError::new("/roles/1", "is listed twice"),
            FieldError::new("/url", "is not a URL"),
            FieldError::new("/name", "is required"),
        ];
        let assert_problems = |form: &Form, url: &str| {
            let expected = [
                Problem::of("name", "Name is required."),
                Problem::of("role", "Role is not a workspace."),
                Problem::of("url", url),
                Problem::general("Other must be a number."),
            ];
            assert_eq!(problems(&errors, &fields, form), expected);
        };
        assert_problems(&Form::from([("url", "ftp:")]), "URL is not a URL.");
        assert_problems(&Form::from([("url", " ")]), "Enter the URL.");
        assert_problems(&Form::default(), "Enter the URL.");
    }
}
