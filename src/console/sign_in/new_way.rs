//! The problems of a form that sets up a way to sign in, each at its field.

use super::super::page::Problem;
use crate::model::field_errors::FieldError;

/// The problems of empty fields. `code` is `None` if the form does not ask for one.
pub(in crate::console) fn missing(password: &str, code: Option<&str>) -> Vec<Problem> {
    let mut missing = Vec::new();
    if password.is_empty() {
        missing.push(Problem::of("password", "Choose a password"));
    }
    if code.is_some_and(str::is_empty) {
        missing.push(Problem::of("code", "Enter the six digits that the app shows"));
    }
    missing
}

/// The rules that a way in breaks, at the fields of its form.
pub(in crate::console) fn problems(errors: &[FieldError]) -> Vec<Problem> {
    let problem = |error: &FieldError| {
        let field = error.pointer.trim_start_matches('/');
        let (field, name) = match field {
            "password" => ("password", "The password"),
            "code" => ("code", "The code"),
            _ => ("name", "The name"),
        };
        Problem::of(field, format!("{name} {}", error.detail))
    };
    errors.iter().map(problem).collect()
}
