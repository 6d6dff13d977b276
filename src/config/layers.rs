//! The layers of settings: the embedded defaults, then the file named by `--config`, then the environment.
//!
//! The `config` crate reads and merges them, and the origin of each merged value says where it was set. This module checks
//! each layer before it is merged, because the crate stops at the first problem, does not report unknown keys, converts
//! between types (a password of digits would become a number), and cannot read a value from a file that a variable names.
//!
//! The defaults are also the schema: a key they lack does not exist, and a value must have the type of its default (the
//! settings that are lists of tables are in [`tables`]). A value that is refused is not merged, so that the others can still
//! be checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, Environment, File, FileFormat, Map, Value, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

use super::kind::{self, Kind};
use super::problem::Problem;
use super::raw::Raw;
use super::spelling::nearest;
use super::tables;

/// The defaults, with the reason for each.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// The prefix of our environment variables. Not `MINTMARK_`, because Kubernetes sets variables like `MINTMARK_PORT` for a
/// service named mintmark.
pub const ENV_PREFIX: &str = "MINTMARK__";

/// Keys whose value can be read from a file named by `MINTMARK__…_FILE`. (`keys.master_key_file` is a key of its own.)
const FROM_FILE: &[&str] = &["database.url"];

const CORRECT_FILE: &str = "Correct the file or its path";
const CORRECT_LIST: &str =
    "Write a list of tables in TOML, like [{name = \"corp\", issuer = \"https://login.example.com\"}]";

/// The layer that set a value.
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

/// A value in force.
pub(super) struct Entry {
    pub(super) value: Json,
    pub(super) source: Source,
    /// The name of the file or variable that set the value; `None` for a default.
    pub(super) set_by: Option<String>,
}

/// Layers that have been read and checked. Each overrides the ones before it.
pub(super) struct Layers {
    kinds: BTreeMap<String, Kind>,
    merged: ConfigBuilder<DefaultState>,
    problems: Vec<Problem>,
}

/// All layers as one: the values in force, and the problems so far.
pub(super) struct Merged {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// The embedded defaults alone.
    pub(super) fn defaults() -> Self {
        let mut layers = Self { kinds: BTreeMap::new(), merged: Config::builder(), problems: Vec::new() };
        match read(DEFAULT_TOML) {
            Ok(table) => {
                let mut values = Map::new();
                flatten("", table, &mut |key, value| {
                    if let Some(kind) = tables::kind_of(&key).or_else(|| Kind::of(&value.kind)) {
                        layers.kinds.insert(key.clone(), kind);
                        values.insert(key, value);
                    }
                });
                layers.add(Layer(values));
            }
            Err(why) => {
                let remedy = "Build Mintmark from unchanged sources";
                layers.problems.push(unreadable("config/default.toml", &why, remedy));
            }
        }
        layers
    }

    /// Adds the file at `path`.
    pub(super) fn add_file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(&name, &text),
            Err(why) => self.problems.push(unreadable(&name, &why.to_string(), CORRECT_FILE)),
        }
    }

    /// Adds a TOML text; problems with it name `name` as their source.
    pub(super) fn add_toml(&mut self, name: &str, text: &str) {
        let table = match read(text) {
            Ok(table) => table,
            Err(why) => return self.problems.push(unreadable(name, &why, CORRECT_FILE)),
        };
        let mut found = BTreeMap::new();
        flatten("", table, &mut |key, value| {
            found.insert(key, value.kind);
        });
        let mut layer = Layer(Map::new());
        for (key, value) in found {
            let is_empty_section = matches!(value, ValueKind::Table(_)) && self.is_section(&key);
            if let Some(kind) = self.kinds.get(&key).copied() {
                self.set(&mut layer, &key, kind, value, name);
            } else if !is_empty_section {
                self.unknown(key, Some(name.to_owned()), str::to_owned);
            }
        }
        self.add(layer);
    }

    /// Adds the `MINTMARK__…` variables of `env`.
    pub(super) fn add_env(&mut self, env: impl Iterator<Item = (String, String)>) {
        // The crate ignores the case of names: of two names that differ only in case, it would use an arbitrary one.
        let (ours, misspelt): (Map<_, _>, Map<_, _>) = env
            .filter(|(name, _)| name.starts_with(ENV_PREFIX))
            .partition(|(name, _)| *name == name.to_uppercase());
        for name in misspelt.into_keys() {
            self.unknown(name, None, env_name);
        }
        let environment =
            Environment::with_prefix("MINTMARK").prefix_separator("__").separator("__").source(Some(ours));
        let variables: BTreeMap<String, Value> = match config::Source::collect(&environment) {
            Ok(variables) => variables.into_iter().collect(),
            Err(why) => {
                let remedy = "Correct the variables that begin with MINTMARK__";
                return self.problems.push(unreadable("the environment", &why.to_string(), remedy));
            }
        };
        let mut layer = Layer(Map::new());
        for (key, value) in &variables {
            let ValueKind::String(text) = &value.kind else { continue };
            let name = env_name(key);
            if let Some(kind) = self.kinds.get(key).copied() {
                let value = match kind {
                    Kind::Tables(_) => tables::parse(text, read),
                    _ => Ok(kind.parse(text.clone())),
                };
                match value {
                    Ok(value) => self.set(&mut layer, key, kind, value, &name),
                    Err(why) => self.problems.push(unreadable(&name, &why, CORRECT_LIST)),
                }
                continue;
            }
            match key.strip_suffix("_file") {
                Some(stem) if FROM_FILE.contains(&stem) => {
                    if variables.contains_key(stem) {
                        self.problems.push(Problem {
                            key: stem.to_owned(),
                            set_by: Some(format!("{} and {name}", env_name(stem))),
                            reason: "it is set twice".to_owned(),
                            remedy: "Keep one of the two variables".to_owned(),
                        });
                    }
                    match std::fs::read_to_string(text.trim_end()) {
                        Ok(text) => {
                            self.set(&mut layer, stem, Kind::Text, ValueKind::String(text), &name);
                        }
                        Err(why) => {
                            self.problems.push(unreadable(&name, &format!("{text}: {why}"), CORRECT_FILE));
                        }
                    }
                }
                _ => self.unknown(name, None, env_name),
            }
        }
        self.add(layer);
    }

    /// Merges the layers. Returns the settings as written, and the values in force by key.
    pub(super) fn merge(self) -> (Result<Raw, ConfigError>, Merged) {
        let mut merged = Merged { entries: BTreeMap::new(), problems: self.problems };
        let config = match self.merged.build() {
            Ok(config) => config,
            Err(error) => return (Err(error), merged),
        };
        if let ValueKind::Table(table) = config.cache.kind.clone() {
            flatten("", table, &mut |key, value| {
                merged.entries.insert(key, Entry::from(value));
            });
        }
        (config.try_deserialize(), merged)
    }

    fn add(&mut self, layer: Layer) {
        self.merged = std::mem::take(&mut self.merged).add_source(layer);
    }

    /// Takes a value into a layer if it has the type of its key.
    fn set(&mut self, layer: &mut Layer, key: &str, kind: Kind, value: ValueKind, set_by: &str) {
        let value = kind::trimmed(value);
        if let (Kind::Tables(members), ValueKind::Array(items)) = (kind, &value) {
            let faults = items.iter().flat_map(|item| tables::faults(key, members, item, set_by));
            let faults: Vec<Problem> = faults.collect();
            if !faults.is_empty() {
                return self.problems.extend(faults);
            }
        }
        if kind.fits(&value) {
            layer.0.insert(key.to_owned(), Value::new(Some(&set_by.to_owned()), value));
            return;
        }
        let wanted = kind.describe();
        self.problems.push(Problem {
            key: key.to_owned(),
            set_by: Some(set_by.to_owned()),
            reason: format!("it must be {wanted}, not {}", kind::describe(&value)),
            remedy: format!("Set it to {wanted}"),
        });
    }

    fn is_section(&self, key: &str) -> bool {
        self.kinds.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn unknown(&mut self, key: String, set_by: Option<String>, spell: impl Fn(&str) -> String) {
        let nearest = nearest(&key, self.kinds.keys().map(|known| spell(known)));
        let remedy = match nearest {
            Some(known) => format!("Did you mean {known}?"),
            None if let Some(list) = tables::list_of(&key) => {
                format!("It is a list of tables: write [[{list}]] above each table")
            }
            None if self.is_section(&key) => "It is a section: set the keys in it".to_owned(),
            None => "Remove it; then `mintmark check` lists all settings".to_owned(),
        };
        self.problems.push(Problem { key, set_by, reason: "there is no such setting".to_owned(), remedy });
    }
}

impl Merged {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether a problem with `key` is known.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }
}

impl From<Value> for Entry {
    fn from(value: Value) -> Self {
        let set_by = value.origin().map(str::to_owned);
        let source = match &set_by {
            None => Source::Default,
            Some(name) if name.starts_with(ENV_PREFIX) => Source::Env,
            Some(_) => Source::File,
        };
        let value = match value.kind {
            ValueKind::I64(number) => Json::from(number),
            ValueKind::Array(items) => items.into_iter().map(tables::entry).collect(),
            kind => Json::from(kind.to_string()),
        };
        Self { value, source, set_by }
    }
}

/// The checked values of one layer by key, each with its origin.
#[derive(Clone)]
struct Layer(Map<String, Value>);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl fmt::Debug for Layer {
    /// Without the values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The variable that sets `key`.
pub(super) fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

fn read(toml: &str) -> Result<Map<String, Value>, String> {
    let file = File::from_str(toml, FileFormat::Toml);
    config::Source::collect(&file).map_err(|error| match error {
        ConfigError::FileParse { cause, .. } => without_excerpt(&cause.to_string()),
        other => without_excerpt(&other.to_string()),
    })
}

/// A parser's message without the lines of the file it quotes: they may contain a secret.
fn without_excerpt(message: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let kept: Vec<&str> = message.lines().filter(|line| !is_excerpt(line)).map(str::trim).collect();
    kept.join(": ")
}

fn unreadable(name: &str, why: &str, remedy: &str) -> Problem {
    Problem {
        key: name.to_owned(),
        set_by: None,
        reason: format!("it cannot be read: {why}"),
        remedy: remedy.to_owned(),
    }
}

/// Calls `each` for every value below `prefix`, and for empty sections, by dotted name.
fn flatten(prefix: &str, table: Map<String, Value>, each: &mut impl FnMut(String, Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => flatten(&key, inner, each),
            _ => each(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_embedded_file_is_read() {
        let (raw, merged) = Layers::defaults().merge();
        assert!(raw.is_ok() && merged.problems.is_empty());
        let keys = DEFAULT_TOML.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
        assert_eq!(merged.entries.len(), keys);
    }

    #[test]
    fn every_variable_names_one_key() {
        let layers = Layers::defaults();
        let names: std::collections::BTreeSet<String> =
            layers.kinds.keys().map(|key| env_name(key)).collect();
        assert_eq!(names.len(), layers.kinds.len());
        assert_eq!(env_name("tokens.never_expires.exp"), "MINTMARK__TOKENS__NEVER_EXPIRES__EXP");
        for key in FROM_FILE {
            assert!(layers.kinds.contains_key(*key));
            assert!(!names.contains(&format!("{}_FILE", env_name(key))), "{key} would have two meanings");
        }
    }

    #[test]
    fn parse_errors_do_not_quote_the_file() {
        for broken in ["[keys]\nmaster_key = \"canary", "[keys]\nmaster_key = canary", "canary"] {
            let mut layers = Layers::defaults();
            layers.add_toml("my.toml", broken);
            let shown = layers.problems[0].to_string();
            assert!(shown.contains("line "), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn a_layer_does_not_print_its_values() {
        let mut layers = Layers::defaults();
        layers.add_toml("my.toml", "[keys]\nmaster_key = \"canary\"");
        let shown = format!("{:?}", layers.merged);
        assert!(shown.contains("keys.master_key") && !shown.contains("canary"), "{shown}");
    }
}
