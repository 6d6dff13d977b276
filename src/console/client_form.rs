//! The form of an API client: what is typed, the change it asks for, and the problems beside its fields.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::page::Problem;
use crate::clients::ClientChange;
use crate::model::client::{ActiveTokens, ApiClient};
use crate::model::clock::{UnixSeconds, to_rfc3339};
use crate::model::expiry::TokenExpiry;
use crate::model::field_errors::FieldError;

/// The lifetimes that are offered, in seconds.
pub(super) const PRESETS: [(i64, &str); 5] = [
    (3600, "1 hour"),
    (86_400, "1 day"),
    (30 * 86_400, "30 days"),
    (90 * 86_400, "90 days"),
    (31_536_000, "1 year"),
];

/// The units of a custom lifetime, with their seconds.
pub(super) const UNITS: [(&str, i64); 4] =
    [("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86_400)];

/// The kinds of ERP, with their names. The kind decides which instructions are shown first.
pub(super) const KINDS: [(&str, &str); 5] = [
    ("sap", "SAP"),
    ("oracle", "Oracle"),
    ("tally", "Tally"),
    ("dynamics", "Microsoft Dynamics or Power BI"),
    ("other", "Other, or I do not know"),
];

/// The fields that are not kept in a draft: they belong to the page that was sent, not to the client.
pub(super) const NOT_IN_DRAFT: [&str; 3] = ["csrf", "nonce", "erp_shown"];

const HOW_MANY: &str = "Enter how many tokens may be active, from 1 to 1000";
const GRACE: &str = "Enter for how many seconds the old token stays valid, from 0 to 86400";

/// The form, with *I paste one token* selected if a person has just selected Tally. In a browser with scripts the page selects
/// it; without scripts the server does so here. Only a page without scripts sends the field `erp_shown`: the ERP that was
/// selected when the page was shown.
pub(super) fn with_the_usual_way(form: Form) -> Form {
    let shown = form.one("erp_shown");
    if shown.is_empty() || shown == "tally" || form.one("erp") != "tally" || form.one("how") != "itself" {
        return form;
    }
    let mut usual = form.without(&["how"]);
    usual.push("how", "paste");
    usual
}

/// The change that a form asks for. Problems that the service cannot find are added to `problems`, such as text where a number
/// is needed.
pub(super) fn change(form: &Form, before: Option<&ApiClient>, problems: &mut Vec<Problem>) -> ClientChange {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    let text_or_null = |name: &str| match form.trimmed(name) {
        "" => Value::Null,
        text => Value::from(text),
    };
    set("label", form.trimmed("label").into());
    set(
        "description",
        form.text("description", before.and_then(|client| client.description.as_deref())).into(),
    );
    set("products", form.all("product").collect());
    set("permissions", form.all("permission").collect());
    match expiry(form) {
        Ok(expiry) => set("token_expiry", expiry),
        Err(problem) => problems.push(problem),
    }
    set("notification_emails", form.entries("emails").into());
    set("allowed_ips", form.entries("allowed_ips").into());
    set("signing_alg", text_or_null("signing_alg"));
    match form.trimmed("expires_at") {
        "" => set("expires_at", Value::Null),
        // People type a day. An instant is passed on as it is.
        day if day.len() == 10 => set("expires_at", format!("{day}T00:00:00Z").into()),
        instant => set("expires_at", instant.into()),
    }
    match (form.one("active_tokens"), form.trimmed("active_max").parse::<i64>()) {
        ("many" | "replace", _) => set("active_tokens", form.one("active_tokens").into()),
        ("number", Ok(max)) => set("active_tokens", max.into()),
        ("number", Err(_)) => {
            problems.push(Problem::of("active_max", HOW_MANY));
        }
        _ => set("active_tokens", Value::Null),
    }
    match (form.one("active_tokens"), form.trimmed("grace")) {
        ("replace", "") => set("replace_grace_seconds", 0.into()),
        ("replace", text) => match text.parse::<i64>() {
            Ok(seconds) => set("replace_grace_seconds", seconds.into()),
            Err(_) => problems.push(Problem::of("grace", GRACE)),
        },
        _ => {}
    }
    match metadata(form, before) {
        Ok(pairs) => set("metadata", pairs),
        Err(problem) => problems.push(problem),
    }
    ClientChange::read(&Value::Object(body))
}

/// A pair of metadata as the form shows it.
fn pair((key, value): (&String, &String)) -> String {
    format!("{key}={value}")
}

/// The pairs of the form, one per line. A line that is as the form showed it leaves its pair as it is: key and value may
/// contain what cannot be typed. Pairs of the client that the form no longer has become `null`, which removes them.
fn metadata(form: &Form, before: Option<&ApiClient>) -> Result<Value, Problem> {
    let mut gone: Vec<_> = before.into_iter().flat_map(|client| &client.metadata).collect();
    let mut pairs = Map::new();
    for line in form.one("metadata").lines() {
        if let Some(at) = gone.iter().position(|known| pair(*known) == line) {
            gone.remove(at);
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(Problem::of(
                "metadata",
                format!("\u{201c}{line}\u{201d} is no pair: write metadata as name=value, one pair a line"),
            ));
        };
        pairs.insert(key.trim().to_owned(), value.trim().into());
    }
    for (key, _) in gone {
        pairs.entry(key).or_insert(Value::Null);
    }
    Ok(Value::Object(pairs))
}

fn expiry(form: &Form) -> Result<Value, Problem> {
    let after = |seconds: i64| json!({"mode": "after", "seconds": seconds});
    match form.one("expiration") {
        "never" => Ok(json!({"mode": "never"})),
        "custom" => {
            let unit =
                UNITS.iter().find(|(name, _)| *name == form.one("custom_unit")).map_or(86_400, |unit| unit.1);
            match form.trimmed("custom_value").parse::<i64>() {
                Ok(number) => Ok(after(number.saturating_mul(unit))),
                Err(_) => {
                    Err(Problem::of("custom_value", "Enter how long tokens are valid, as a whole number"))
                }
            }
        }
        preset => match preset.parse::<i64>() {
            Ok(seconds) => Ok(after(seconds)),
            Err(_) => Err(Problem::of("expiration", "Select how long tokens are valid")),
        },
    }
}

/// The field errors of the service as problems at the fields of the form.
pub(super) fn problems_of(errors: &[FieldError], form: &Form) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for FieldError { pointer, detail } in errors {
        let member = pointer.split('/').nth(1).unwrap_or_default();
        let (field, name) = match member {
            "label" => ("label", "Label"),
            "description" => ("description", "Description"),
            "products" => ("products", "Products"),
            "permissions" => ("permissions", "Permissions"),
            "token_expiry" if form.one("expiration") == "custom" => ("custom_value", "Expiration"),
            "token_expiry" => ("expiration", "Expiration"),
            "notification_emails" => ("emails", "Notification email"),
            "allowed_ips" => ("allowed_ips", "Allowed addresses"),
            "signing_alg" => ("signing_alg", "Signing algorithm"),
            "expires_at" => ("expires_at", "End of the client"),
            "active_tokens" => ("active_max", "Active tokens"),
            "replace_grace_seconds" => ("grace", "Grace"),
            "metadata" => ("metadata", "Metadata"),
            _ => ("label", "The form"),
        };
        let name = match typed_entry(form, field, pointer) {
            Some(entry) => format!("{name} \u{201c}{entry}\u{201d}"),
            None => name.to_owned(),
        };
        let text = match (member, detail.as_str()) {
            ("label", _) if form.trimmed("label").is_empty() => {
                "Enter a label, so that people know what this client is for".to_owned()
            }
            ("products", why) if why.contains("both empty") => {
                "Select at least one product that this client may open".to_owned()
            }
            ("products", why) if why.starts_with("is not a product") => {
                "This workspace may not use one of the selected products any more. Select others".to_owned()
            }
            ("token_expiry", why) if why.starts_with("must be from ") => format!("{name} {why} seconds"),
            ("active_tokens", _) => HOW_MANY.to_owned(),
            ("replace_grace_seconds", _) => GRACE.to_owned(),
            ("signing_alg", why) if why.starts_with("there is no ") => {
                // The rest is a request to the API.
                let what = why.split(": ").next().unwrap_or(why);
                format!("{name}: {what}. A platform administrator can make one")
            }
            (_, why) if ["the ", "tokens ", "its "].iter().any(|start| why.starts_with(start)) => {
                format!("{name}: {why}")
            }
            (_, why) => format!("{name} {why}"),
        };
        let problem = Problem::of(field, text);
        if !problems.iter().any(|known| known.text == problem.text) {
            problems.push(problem);
        }
    }
    problems
}

/// What a pointer such as `/allowed_ips/1` or `/metadata/owner` names, if the field has one entry per line: the entry, or the
/// key of a pair of metadata. Cut after 60 characters.
fn typed_entry(form: &Form, field: &str, pointer: &str) -> Option<String> {
    let part = pointer.split('/').nth(2)?;
    let entry = match field {
        "emails" | "allowed_ips" => form.entries(field).into_iter().nth(part.parse().ok()?)?,
        "metadata" => part.replace("~1", "/").replace("~0", "~"),
        _ => return None,
    };
    Some(match entry.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", entry.get(..end)?),
        None => entry,
    })
}

/// A new client as the form shows it first.
pub(super) fn blank() -> Form {
    Form::from([
        ("expiration", "3600"),
        ("custom_unit", "days"),
        ("how", "itself"),
        ("active_tokens", "default"),
        ("erp", "other"),
    ])
}

/// A client as the form shows it for a change.
pub(super) fn filled(client: &ApiClient) -> Form {
    let mut form = Form::from([("label", client.label.as_str())]);
    let preset = |seconds: i64| PRESETS.iter().any(|(offered, _)| *offered == seconds);
    match client.token_expiry {
        TokenExpiry::Never {} => form.push("expiration", "never"),
        TokenExpiry::After { seconds } if preset(seconds) => form.push("expiration", seconds.to_string()),
        TokenExpiry::After { seconds } => {
            // The largest unit that divides the lifetime.
            let (name, unit) =
                UNITS.into_iter().rev().find(|(_, unit)| seconds % unit == 0).unwrap_or(("seconds", 1));
            form.push("expiration", "custom");
            form.push("custom_value", (seconds / unit).to_string());
            form.push("custom_unit", name);
        }
    }
    for product in &client.products {
        form.push("product", product);
    }
    for permission in &client.permissions {
        form.push("permission", permission.as_str());
    }
    form.push("emails", client.notification_emails.join("\n"));
    let networks: Vec<String> =
        client.allowed_ips.iter().map(|network| super::status::shown(*network)).collect();
    form.push("allowed_ips", networks.join("\n"));
    form.push("description", client.description.as_deref().unwrap_or_default());
    form.push("signing_alg", client.signing_alg.map(|alg| alg.to_string()).unwrap_or_default());
    form.push("expires_at", client.expires_at.map(end).unwrap_or_default());
    let pairs: Vec<String> = client.metadata.iter().map(pair).collect();
    form.push("metadata", pairs.join("\n"));
    match client.active_tokens {
        ActiveTokens::Many => form.push("active_tokens", "many"),
        ActiveTokens::AtMost(max) => {
            form.push("active_tokens", "number");
            form.push("active_max", max.to_string());
        }
        ActiveTokens::Replace { grace_seconds } => {
            form.push("active_tokens", "replace");
            form.push("grace", grace_seconds.to_string());
        }
    }
    form
}

/// An end as a person types it: a day if it is the start of a day, else an instant.
fn end(at: UnixSeconds) -> String {
    let text = to_rfc3339(at);
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), str::to_owned)
}
