//! Settings that are lists of tables, such as the providers of `[[console.oidc]]`: which settings these are, which members a
//! table may have, and how an environment variable writes them.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};
use serde_json::Value as Json;

use super::kind::{self, Kind};
use super::problem::Problem;
use super::spelling::nearest;

/// Settings that are lists of tables, each with the members that a table may have.
const TABLES: &[(&str, &[&str])] = &[(
    "console.oidc",
    &["name", "issuer", "client_id", "client_secret", "client_secret_file", "role_claim"],
)];

/// The type of the setting `key`, if it is such a list.
pub(super) fn kind_of(key: &str) -> Option<Kind> {
    TABLES.iter().find(|(list, _)| *list == key).map(|(_, members)| Kind::Tables(members))
}

/// An entry of a list as JSON: a string, or an object of strings for a table.
pub(super) fn entry(value: Value) -> Json {
    match value.kind {
        ValueKind::Table(members) => {
            members.into_iter().map(|(name, member)| (name, Json::from(member.to_string()))).collect()
        }
        kind => Json::from(kind.to_string()),
    }
}

/// The list of tables whose member `key` names: `console.oidc` for `console.oidc.name`.
pub(super) fn list_of(key: &str) -> Option<&'static str> {
    let lists = TABLES.iter().map(|(list, _)| *list);
    lists.into_iter().find(|list| key.strip_prefix(list).is_some_and(|rest| rest.starts_with('.')))
}

/// What is wrong with the members of a table in the list `key`.
pub(super) fn faults(key: &str, members: &[&str], item: &Value, set_by: &str) -> Vec<Problem> {
    let ValueKind::Table(table) = &item.kind else { return Vec::new() };
    let fault = |name: &str, reason: String, remedy: String| Problem {
        key: format!("{key}.{name}"),
        set_by: Some(set_by.to_owned()),
        reason,
        remedy,
    };
    let names: BTreeMap<&String, &Value> = table.iter().collect();
    let faults = names.into_iter().filter_map(|(name, value)| match &value.kind {
        _ if !members.contains(&name.as_str()) => {
            let known = nearest(name, members.iter().map(|member| (*member).to_owned()));
            let remedy = known.map_or_else(
                || format!("Remove it, or use one of {}", members.join(", ")),
                |known| format!("Did you mean {known}?"),
            );
            Some(fault(name, "there is no such setting".to_owned(), remedy))
        }
        ValueKind::String(_) => None,
        other => {
            let reason = format!("it must be a string, not {}", kind::describe(other));
            Some(fault(name, reason, "Set it to a string".to_owned()))
        }
    });
    faults.collect()
}

/// Parses a list of tables from the text of an environment variable. The text is TOML, as in a settings file; `read` parses
/// TOML.
pub(super) fn parse(
    text: &str,
    read: impl Fn(&str) -> Result<Map<String, Value>, String>,
) -> Result<ValueKind, String> {
    if text.trim().is_empty() {
        return Ok(ValueKind::Array(Vec::new()));
    }
    let mut read = read(&format!("value = {text}"))?;
    match read.remove("value") {
        Some(value) if read.is_empty() => Ok(value.kind),
        _ => Err("it contains more than a list".to_owned()),
    }
}
