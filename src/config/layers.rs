//! Raw text first: the embedded file, the operator's file and the environment, laid over each other key by key.
//!
//! The embedded file is also the schema: a key it lacks does not exist, and a value must be of the type it has there.
//! A value that is refused leaves the one below it in place, so that the rest can still be checked.

use std::collections::BTreeMap;
use std::path::Path;

use config::{ConfigError, File, FileFormat, Source as _, Value, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

use super::problem::Problem;
use super::spelling::nearest;

/// The defaults, with the reason for each.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// What the names of our environment variables begin with. Not `MINTMARK_`: Kubernetes sets `MINTMARK_PORT` and others
/// of that kind beside a service named mintmark.
pub const ENV_PREFIX: &str = "MINTMARK__";

/// Keys whose value may stand in a file named by `MINTMARK__…_FILE`. (`keys.master_key_file` is a key of its own.)
const FROM_FILE: &[&str] = &["database.url"];

/// Where a value in force was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The embedded `config/default.toml`.
    Default,
    /// The file given by `--config`.
    File,
    /// The environment.
    Env,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Json,
    pub(super) source: Source,
    /// The file or variable by name; `None` for a default.
    pub(super) set_by: Option<String>,
}

pub(super) struct Layers {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// The embedded defaults alone.
    pub(super) fn defaults() -> Self {
        let mut layers = Self { entries: BTreeMap::new(), problems: Vec::new() };
        match parse(DEFAULT_TOML) {
            Ok(table) => flatten("", table, &mut |key, kind| {
                if let Some(value) = to_json(kind) {
                    layers.entries.insert(key, Entry { value, source: Source::Default, set_by: None });
                }
            }),
            Err(why) => layers.problems.push(unreadable("config/default.toml", &why)),
        }
        layers
    }

    /// Lays a TOML text over what is there; `name` is what its problems call it.
    pub(super) fn add_toml(&mut self, name: &str, text: &str) {
        let table = match parse(text) {
            Ok(table) => table,
            Err(why) => return self.problems.push(unreadable(name, &why)),
        };
        let mut found = Vec::new();
        flatten("", table, &mut |key, kind| found.push((key, kind)));
        for (key, kind) in found {
            if self.entries.contains_key(&key) {
                let described = describe(&kind);
                self.set(&key, to_json(kind).ok_or(described), Source::File, name.to_owned());
            } else if matches!(kind, ValueKind::Table(_)) && self.is_section(&key) {
                // An empty section says nothing.
            } else {
                self.unknown(key, Some(name.to_owned()), str::to_owned);
            }
        }
    }

    /// Lays the file at `path` over what is there.
    pub(super) fn add_file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(&name, &text),
            Err(why) => self.problems.push(unreadable(&name, &why.to_string())),
        }
    }

    /// Lays `MINTMARK__…` variables over what is there; others are not ours.
    pub(super) fn add_env(&mut self, env: impl Iterator<Item = (String, String)>) {
        let ours: BTreeMap<String, String> = env.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        let keys: BTreeMap<String, String> =
            self.entries.keys().map(|key| (env_name(key), key.clone())).collect();
        for (name, text) in &ours {
            if let Some(key) = keys.get(name) {
                let value = self.parse_env(key, text);
                self.set(key, value, Source::Env, name.clone());
                continue;
            }
            let from_file = name.strip_suffix("_FILE").and_then(|stem| Some((stem, keys.get(stem)?)));
            match from_file {
                Some((stem, key)) if FROM_FILE.contains(&key.as_str()) => {
                    if ours.contains_key(stem) {
                        self.problems.push(Problem {
                            key: key.clone(),
                            set_by: Some(format!("{stem} and {name}")),
                            reason: "it is set twice".to_owned(),
                            remedy: "Keep one of the two variables".to_owned(),
                        });
                    }
                    match std::fs::read_to_string(text) {
                        Ok(text) => {
                            let value = Ok(Json::from(text.trim_end_matches(['\r', '\n'])));
                            self.set(key, value, Source::Env, name.clone());
                        }
                        Err(why) => self.problems.push(unreadable(name, &format!("{text}: {why}"))),
                    }
                }
                _ => self.unknown(name.clone(), None, env_name),
            }
        }
    }

    /// The value in force.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether something is already known to be wrong with `key`.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// The values in force as one tree.
    pub(super) fn tree(&self) -> Json {
        let mut root = Json::Object(serde_json::Map::new());
        for (key, entry) in &self.entries {
            let pointer = format!("/{}", key.replace('.', "/"));
            insert(&mut root, &pointer, entry.value.clone());
        }
        root
    }

    fn set(&mut self, key: &str, value: Result<Json, &'static str>, source: Source, set_by: String) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let found = match &value {
            Ok(value) if std::mem::discriminant(value) == std::mem::discriminant(&entry.value) => None,
            Ok(value) => Some(describe_json(value)),
            Err(found) => Some(*found),
        };
        match (found, value) {
            (None, Ok(value)) => *entry = Entry { value, source, set_by: Some(set_by) },
            (found, _) => {
                let wanted = describe_json(&entry.value);
                self.problems.push(Problem {
                    key: key.to_owned(),
                    set_by: Some(set_by),
                    reason: format!("it is {wanted}, not {}", found.unwrap_or("this")),
                    remedy: format!("Give {wanted}"),
                });
            }
        }
    }

    /// A variable's text as the type the key has. Texts stay as they are, so a password of digits is one.
    fn parse_env(&self, key: &str, text: &str) -> Result<Json, &'static str> {
        match self.entries.get(key).map(|entry| &entry.value) {
            Some(Json::Number(_)) => text.trim().parse::<i64>().map(Json::from).map_err(|_| "a text"),
            Some(Json::Array(_)) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Json::from).collect())
            }
            _ => Ok(Json::from(text)),
        }
    }

    fn is_section(&self, key: &str) -> bool {
        self.entries.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn unknown(&mut self, key: String, set_by: Option<String>, spell: impl Fn(&str) -> String) {
        let nearest = nearest(&key, self.entries.keys().map(|known| spell(known)));
        let remedy = match nearest {
            Some(known) => format!("Did you mean {known}?"),
            None if self.is_section(&key) => "It is a section: set the keys in it".to_owned(),
            None => "Remove it, or see `config/default.toml` for the settings there are".to_owned(),
        };
        self.problems.push(Problem { key, set_by, reason: "there is no such setting".to_owned(), remedy });
    }
}

/// The variable that sets `key`.
pub(super) fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

fn parse(text: &str) -> Result<config::Map<String, Value>, String> {
    File::from_str(text, FileFormat::Toml).collect().map_err(|error| match error {
        ConfigError::FileParse { cause, .. } => without_excerpt(&cause.to_string()),
        other => without_excerpt(&other.to_string()),
    })
}

/// A parser's message without the lines of the file it quotes: they may hold a secret.
fn without_excerpt(message: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let kept: Vec<&str> = message.lines().filter(|line| !is_excerpt(line)).map(str::trim).collect();
    kept.join(": ")
}

fn unreadable(name: &str, why: &str) -> Problem {
    Problem {
        key: name.to_owned(),
        set_by: None,
        reason: format!("it cannot be read: {why}"),
        remedy: "Correct the file or its path".to_owned(),
    }
}

/// Calls `each` for every leaf below `prefix`, and for empty tables, by dotted name.
fn flatten(prefix: &str, table: config::Map<String, Value>, each: &mut impl FnMut(String, ValueKind)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => flatten(&key, inner, each),
            leaf => each(key, leaf),
        }
    }
}

/// A text, an integer or a list of texts; `None` for what no setting is.
fn to_json(kind: ValueKind) -> Option<Json> {
    match kind {
        ValueKind::String(text) => Some(Json::from(text)),
        ValueKind::I64(number) => Some(Json::from(number)),
        ValueKind::Array(items) => items
            .into_iter()
            .map(|item| match item.kind {
                ValueKind::String(text) => Some(Json::from(text)),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn describe(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Float(_) => "a number with a fraction",
        ValueKind::Table(_) => "a section",
        ValueKind::Array(_) => "a list of other things",
        ValueKind::String(_) => "a text",
        _ => "a number",
    }
}

fn describe_json(value: &Json) -> &'static str {
    match value {
        Json::Number(_) => "a whole number",
        Json::Array(_) => "a list of texts",
        _ => "a text",
    }
}

fn insert(root: &mut Json, pointer: &str, value: Json) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    if root.pointer(parent).is_none() {
        insert(root, parent, Json::Object(serde_json::Map::new()));
    }
    if let Some(Json::Object(members)) = root.pointer_mut(parent) {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_read_whole() {
        let layers = Layers::defaults();
        assert!(layers.problems.is_empty());
        let keys = DEFAULT_TOML.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
        assert_eq!(layers.entries.len(), keys);
    }

    #[test]
    fn every_variable_names_one_key() {
        let layers = Layers::defaults();
        let names: std::collections::BTreeSet<String> =
            layers.entries.keys().map(|key| env_name(key)).collect();
        assert_eq!(names.len(), layers.entries.len());
        assert_eq!(env_name("tokens.never_expires.exp"), "MINTMARK__TOKENS__NEVER_EXPIRES__EXP");
        for key in FROM_FILE {
            assert!(layers.entries.contains_key(*key));
            assert!(!names.contains(&format!("{}_FILE", env_name(key))), "{key} would have two meanings");
        }
    }

    #[test]
    fn parse_errors_quote_nothing_of_the_file() {
        for broken in ["[keys]\nmaster_key = \"canary", "[keys]\nmaster_key = canary", "canary"] {
            let mut layers = Layers::defaults();
            layers.add_toml("my.toml", broken);
            let shown = layers.problems[0].to_string();
            assert!(shown.contains("line "), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
