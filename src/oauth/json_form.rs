//! Reads a request whose parameters are the members of a JSON object, because ERPs without a form encoder send such
//! requests. No RFC requires this. The reader is as strict as [`super::form`]: it refuses a body that could be read in two
//! ways.

use std::borrow::Cow;

use serde_json::Value;

use super::error::OAuthError;
use crate::http::json::{self, JsonError};

/// To how many levels a body may be nested.
const DEPTH: usize = 8;

/// The rules for a member that an endpoint knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The error if the value has another type.
    pub must_be: &'static str,
    /// Whether an array of strings is accepted too: one parameter for each string.
    pub repeats: bool,
}

impl Member {
    /// A member that has to be a string.
    pub const fn string(must_be: &'static str) -> Self {
        Self { must_be, repeats: false }
    }
}

/// Calls `take` for each member of a body that `known` has rules for. `null` counts as an empty value, and so as absent.
///
/// # Errors
/// `invalid_request` for a body that is not a JSON object, names a member twice or is nested too deep, and for a known member
/// of another type or with a NUL character; the error of `take`.
pub(super) fn each(
    body: &[u8],
    known: impl Fn(&str) -> Option<Member>,
    mut take: impl FnMut(&str, Cow<'_, str>) -> Result<(), OAuthError>,
) -> Result<(), OAuthError> {
    let body = json::parse(body).map_err(|error| {
        OAuthError::InvalidRequest(match error {
            JsonError::NotUtf8 => "the body is not in UTF-8: send it in UTF-8",
            JsonError::Twice(..) => "the body names a member twice: send each once",
            JsonError::NotJson(..) => {
                "the body is not valid JSON: send an object, or a form as application/x-www-form-urlencoded"
            }
        })
    })?;
    if json::depth(&body) > DEPTH {
        return Err(OAuthError::InvalidRequest("the body is nested deeper than 8 levels"));
    }
    let Value::Object(members) = body else {
        return Err(OAuthError::InvalidRequest(
            "the body must be a JSON object with the parameters as members",
        ));
    };
    for (name, value) in members {
        let Some(member) = known(&name) else { continue };
        let wrong = OAuthError::InvalidRequest(member.must_be);
        match value {
            Value::Null => take(&name, Cow::Borrowed(""))?,
            Value::String(value) => take(&name, text(value)?)?,
            Value::Array(items) if member.repeats => {
                for item in items {
                    let Value::String(item) = item else { return Err(wrong) };
                    take(&name, text(item)?)?;
                }
            }
            _ => return Err(wrong),
        }
    }
    Ok(())
}

fn text(value: String) -> Result<Cow<'static, str>, OAuthError> {
    if value.contains('\0') {
        return Err(OAuthError::InvalidRequest("a value has a NUL character: send it without"));
    }
    Ok(Cow::Owned(value))
}

#[cfg(test)]
mod tests {
    // A name that begins with a number like `t19` checks that row of docs/conformance.md.
    use super::*;

    fn read(body: &str) -> Result<Vec<(String, String)>, OAuthError> {
        let known = |name: &str| match name {
            "one" => Some(Member::string("one must be a string")),
            "many" => Some(Member { must_be: "many must be strings", repeats: true }),
            _ => None,
        };
        let mut taken = Vec::new();
        each(body.as_bytes(), known, |name, value| {
            taken.push((name.to_owned(), value.into_owned()));
            Ok(())
        })?;
        Ok(taken)
    }

    #[test]
    fn t19_known_members_are_parameters_and_others_are_ignored() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (body, expected) in [
            ("{}", vec![]),
            (r#" {"one":"a b+c%20"} "#, vec![pair("one", "a b+c%20")]),
            (r#"{"one":null,"many":["x","y"]}"#, vec![pair("many", "x"), pair("many", "y"), pair("one", "")]),
            (r#"{"many":"x","other":5,"more":{"one":[1]}}"#, vec![pair("many", "x")]),
            (r#"{"many":[]}"#, vec![]),
            // 8 levels.
            (r#"{"x":{"x":{"x":{"x":{"x":{"x":{"x":{"x":1}}}}}}}}"#, vec![]),
        ] {
            let mut taken = read(body).unwrap();
            taken.sort();
            assert_eq!(taken, expected, "{body}");
        }
    }

    #[test]
    fn t20_json_that_is_malformed_ambiguous_too_deep_or_of_another_type_is_refused() {
        for bad in [
            "",
            " ",
            "null",
            "[]",
            "\"one\"",
            "grant_type=client_credentials",
            "{",
            r#"{"one":"a"} {}"#,
            r#"{"one":"a","one":"a"}"#,
            r#"{"x":{"y":1,"y":2}}"#,
            r#"{"one":5}"#,
            r#"{"one":true}"#,
            r#"{"one":["a"]}"#,
            r#"{"one":{}}"#,
            r#"{"many":{}}"#,
            r#"{"many":[null]}"#,
            r#"{"many":[["x"]]}"#,
            r#"{"one":"a\u0000"}"#,
            // 9 levels.
            r#"{"x":{"x":{"x":{"x":{"x":{"x":{"x":{"x":{"x":1}}}}}}}}}"#,
        ] {
            assert!(matches!(read(bad), Err(OAuthError::InvalidRequest(_))), "{bad}");
        }
        assert_eq!(read(r#"{"one":5}"#), Err(OAuthError::InvalidRequest("one must be a string")));
    }
}
