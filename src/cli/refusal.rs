//! A problem (RFC 9457) as the command line shows it: with options in place of JSON members. The problem comes from the
//! services on this machine, or from a server (`--remote`) in the same form.

use serde_json::{Value, json};

use crate::config::SettingsError;
use crate::kernel::{self, Problem, ProblemKind};

/// Members whose option is not just `--` and their name: positional arguments, members that a command sets by itself, members
/// whose option is in the singular, and those with a unit.
const OTHER_NAMES: [(&str, &str); 9] = [
    ("email", "the email address"),
    ("roles", "--role"),
    ("workspace_id", "WORKSPACE_ID"),
    ("product", "PRODUCT"),
    ("private_key_pem", "FILE"),
    ("status", "the status"),
    ("replace_grace_seconds", "--replace-grace"),
    ("expire_others_after_seconds", "--expire-others-after"),
    ("max_token_lifetime_seconds", "--max-token-lifetime"),
];

#[derive(Debug)]
pub(super) struct Refusal {
    document: Value,
    /// The message for people, if it is not the one derived from the document.
    text: Option<String>,
}

impl Refusal {
    /// A problem of a kind. `text` names options, not JSON members.
    pub(super) fn of_kind(kind: ProblemKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { document: Problem::new(kind, text.clone()).to_json(), text: Some(text) }
    }

    /// Settings that are not valid, all problems with them in the member `problems`.
    pub(super) fn of_settings(error: &SettingsError) -> Self {
        Self::of_kind(ProblemKind::Settings, error.to_string()).with("problems", json!(error.problems))
    }

    /// A problem in the form of the management API.
    pub(super) fn from_problem(mut document: Value) -> Self {
        name_options(&mut document);
        Self { document, text: None }
    }

    /// Adds a member to the document, or replaces it.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(members) = self.document.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a sentence about what to do.
    pub(super) fn advise(mut self, advice: &str) -> Self {
        let detail = format!("{}. {advice}", self.member("detail").trim_end_matches('.'));
        self.text = Some(format!("{}. {advice}", self.text().trim_end_matches('.')));
        self.with("detail", detail.into())
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// Whether the input is invalid. Then the exit code is 2 instead of 1.
    pub(super) fn is_usage(&self) -> bool {
        matches!(self.document.get("status").and_then(Value::as_i64), Some(400 | 422))
    }

    /// The message for people.
    pub(super) fn text(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let errors = self.document.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let sentence = |error: &Value| {
            let of = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
            let ((name, part), detail) = (named(of("pointer")), of("detail"));
            // Most details continue the name ("--label is required"). One that is a sentence by itself follows a colon.
            let is_sentence =
                ["the ", "there ", "this ", "tokens "].iter().any(|start| detail.starts_with(start));
            let colon = if is_sentence { ":" } else { "" };
            format!("{name}{part}{colon} {detail}")
        };
        let what =
            if self.member("type").ends_with("not-supported-yet") { "not supported yet" } else { "invalid" };
        match errors {
            [] => not_found(self.member("detail")).unwrap_or_else(|| uncapitalised(self.member("detail"))),
            [one] => format!("{what}: {}", sentence(one)),
            several => several.iter().fold(format!("{what}:"), |text, one| text + "\n  " + &sentence(one)),
        }
    }

    fn member(&self, name: &str) -> &str {
        self.document.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl From<kernel::Error> for Refusal {
    fn from(error: kernel::Error) -> Self {
        use kernel::Error as E;
        // On this machine the cause is shown; callers of a server do not see it.
        let cause = match &error {
            E::Stale | E::Storage(_) | E::SharedTransaction(_) | E::Crypto(_) => Some(error.to_string()),
            _ => None,
        };
        let mut problem = Problem::from(error);
        if let Some(cause) = cause {
            problem.detail.clone_from(&cause);
            return Self { document: problem.to_json(), text: Some(cause) };
        }
        Self::from_problem(problem.to_json())
    }
}

/// Puts options in place of query parameters, and adds to each error the option it is about.
fn name_options(document: &mut Value) {
    let Some(members) = document.as_object_mut() else { return };
    if let Some(Value::String(detail)) = members.get_mut("detail") {
        *detail = in_options(detail);
    }
    for error in members.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(error) = error.as_object_mut() else { continue };
        if let Some(Value::String(detail)) = error.get_mut("detail") {
            *detail = in_options(detail);
        }
        let (name, _) = named(error.get("pointer").and_then(Value::as_str).unwrap_or_default());
        if name.starts_with("--") {
            error.insert("option".to_owned(), name.into());
        }
    }
}

/// The option of a JSON pointer, and which part of its value is meant.
fn named(pointer: &str) -> (String, String) {
    let mut tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    let Some(mut member) = tokens.next() else { return ("the record".to_owned(), String::new()) };
    let mut prefix = "--";
    // A change of many API clients: which ones, and what is changed.
    match (member.as_str(), tokens.clone().next()) {
        ("ids", _) => "CLIENT_ID".clone_into(&mut member),
        // No option has this name: there is one for each member.
        ("filter", None) => return ("the filter (--where-…)".to_owned(), String::new()),
        ("filter", Some(of_filter)) => {
            (prefix, member) = ("--where-", of_filter);
            tokens.next();
        }
        ("patch", Some(of_patch)) => {
            member = of_patch;
            tokens.next();
        }
        _ => {}
    }
    let name = match OTHER_NAMES.iter().find(|(known, _)| prefix == "--" && *known == member) {
        Some((_, name)) => (*name).to_owned(),
        None if member == "CLIENT_ID" => member.clone(),
        None => format!("{prefix}{}", member.replace('_', "-")),
    };
    let part = match tokens.next() {
        None => String::new(),
        // The mode has no option of its own: `--token-expiry` takes a duration or `never`.
        Some(part) if member == "token_expiry" && part == "mode" => String::new(),
        Some(part) if member == "token_expiry" => format!(" ({part})"),
        Some(part) => match part.parse::<usize>() {
            Ok(index) => format!(" (value {})", index.saturating_add(1)),
            Err(_) => format!(" {part}"),
        },
    };
    (name, part)
}

/// The message about a record that was not found: it names the command that lists the existing ones.
fn not_found(detail: &str) -> Option<String> {
    let what = detail.strip_prefix("There is no such ")?.strip_suffix(" that you can access")?;
    let command = match what {
        "workspace" => "mintmark workspaces list",
        "product" => "mintmark products list",
        "API client" => "mintmark clients list",
        "access token" => "mintmark tokens list CLIENT_ID",
        "client secret" => "mintmark clients show CLIENT_ID",
        "signing key" => "mintmark keys list",
        "operator" => "mintmark operators list",
        "webhook" => "mintmark webhooks list WORKSPACE_ID",
        _ => return Some(format!("{what} not found")),
    };
    Some(format!("{what} not found. List them with `{command}`"))
}

/// The texts of errors name requests and members of the management API. This puts options and commands in their place.
fn in_options(text: &str) -> String {
    let text = [
        ("?force=true", "--force"),
        ("?revoke_tokens=true", "--revoke-tokens"),
        ("\"expire_others_after_seconds\": 0", "--expire-others-after 0"),
        ("GET /v1/products", "`mintmark products list`"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (there, here)| text.replace(there, here));
    let text = create_keys(&text);
    if !text.contains("/patch/") {
        return text;
    }
    // The error of a change of many API clients names members by pointers like `/patch/label`.
    let words = text.split(' ').map(|word| {
        if word.starts_with("/patch/") {
            let (name, part) = named(word);
            name + &part
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Puts commands in place of requests that create a signing key, with options for the members of their bodies.
fn create_keys(text: &str) -> String {
    let Some((before, after)) = text.split_once("POST /v1/signing-keys") else { return text.to_owned() };
    let (body, after) = match after.strip_prefix(" {").and_then(|after| after.split_once('}')) {
        Some((body, after)) => (body, after),
        None => ("", after),
    };
    let member = |name: &str| {
        let (_, value) = body.split_once(&format!("\"{name}\":"))?;
        value.split('"').nth(1)
    };
    let verb = if body.contains("private_key_pem") { "import FILE" } else { "create" };
    let alg = member("alg").map(|alg| format!(" --alg {alg}")).unwrap_or_default();
    let class = member("use_for").map(|class| format!(" --use-for {class}")).unwrap_or_default();
    format!("{before}`mintmark keys {verb}{alg}{class}`{}", create_keys(after))
}

/// A sentence in the form that follows `mintmark: `.
fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Error as E;
    use crate::model::field_errors::FieldError;

    fn said(error: E) -> (String, bool) {
        let refusal = Refusal::from(error);
        (refusal.text(), refusal.is_usage())
    }

    #[test]
    fn messages_name_options_and_commands_instead_of_members_and_requests() {
        let one = |pointer: &str| E::Invalid(vec![FieldError::new(pointer, "must be from 60 to 31536000")]);
        for (pointer, name) in [
            ("/token_expiry/seconds", "--token-expiry (seconds)"),
            ("/token_expiry/mode", "--token-expiry"),
            ("/label", "--label"),
            ("/products/0", "--products (value 1)"),
            ("/metadata/a~1b", "--metadata a/b"),
            ("/workspace_id", "WORKSPACE_ID"),
            ("/max_token_lifetime_seconds", "--max-token-lifetime"),
            ("", "the record"),
            ("/filter", "the filter (--where-…)"),
            ("/filter/product", "--where-product"),
            ("/products_allowed", "--products-allowed"),
        ] {
            let expected = (format!("invalid: {name} must be from 60 to 31536000"), true);
            assert_eq!(said(one(pointer)), expected);
        }
        let two = vec![FieldError::new("/name", "is required"), FieldError::new("/alg", "is unknown")];
        assert_eq!(said(E::Invalid(two.clone())).0, "invalid:\n  --name is required\n  --alg is unknown");
        assert_eq!(said(E::NotSupportedYet(vec![two[0].clone()])).0, "not supported yet: --name is required");
        let text = said(E::invalid("/signing_alg", "there is no active key")).0;
        assert_eq!(text, "invalid: --signing-alg: there is no active key");
        let (text, usage) = said(E::Conflict("repeat with ?force=true".to_owned()));
        assert_eq!((text.as_str(), usage), ("repeat with --force", false));
        assert_eq!(said(E::Conflict("API client".to_owned())).0, "API client");
        for (there, here) in [
            ("see GET /v1/products", "see `mintmark products list`"),
            (r#"with "expire_others_after_seconds": 0 to"#, "with --expire-others-after 0 to"),
            (
                "a change: /patch/label is long; /patch/products/0 is unknown",
                "a change: --label is long; --products (value 1) is unknown",
            ),
            ("a POST /v1/signing-keys; b", "a `mintmark keys create`; b"),
            (
                r#"POST /v1/signing-keys {"alg": "ES256"}; POST /v1/signing-keys"#,
                "`mintmark keys create --alg ES256`; `mintmark keys create`",
            ),
            (
                r#"POST /v1/signing-keys {"alg": "ES256", "use_for": "expiring"}, b"#,
                "`mintmark keys create --alg ES256 --use-for expiring`, b",
            ),
            (
                r#"POST /v1/signing-keys {"alg":"RS256","use_for":"expiring","private_key_pem":…}"#,
                "`mintmark keys import FILE --alg RS256 --use-for expiring`",
            ),
        ] {
            assert_eq!(in_options(there), here);
        }
    }

    #[test]
    fn the_message_about_a_missing_record_names_the_command_that_lists_the_existing_ones() {
        let expected = ("product not found. List them with `mintmark products list`".to_owned(), false);
        assert_eq!(said(E::NotFound("product")), expected);
    }

    #[test]
    fn the_document_names_the_option_and_the_cause_and_advice_is_appended() {
        let refusal = Refusal::from(E::invalid("/allowed_ips/1", "repeat with ?force=true"));
        assert_eq!(
            refusal.document()["errors"],
            json!([{"pointer": "/allowed_ips/1", "detail": "repeat with --force", "option": "--allowed-ips"}])
        );
        let refusal = Refusal::from(E::Crypto("no random numbers".to_owned()));
        assert_eq!(refusal.document()["detail"], "no random numbers");
        assert_eq!((refusal.text().as_str(), refusal.is_usage()), ("no random numbers", false));
        let advised = Refusal::from(E::Changed).advise("Do it.");
        assert!(advised.text().starts_with("the resource") && advised.text().ends_with(". Do it."));
    }
}
