//! Results on standard output: text for people, or one JSON document.
//!
//! Records have the members of the management API, so a script reads them in the same way from a command and from the API.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Format {
    /// Print results and errors as JSON, with the member names of the management API
    #[arg(long, global = true, help_heading = super::COMMON)]
    pub(super) json: bool,
}

impl Format {
    /// Prints a record: all of it as JSON, or these members for people.
    pub(super) fn record(self, record: &Value, members: &[&str]) -> Result<(), Failure> {
        if self.json {
            return Ok(json(record)?);
        }
        let fields: Vec<(&str, String)> =
            members.iter().map(|name| (*name, shown(name, record.get(name)))).collect();
        Ok(fields_in_columns(&fields)?)
    }

    /// Prints the result of a command that has no record: `document` as JSON, or `sentence` for people.
    pub(super) fn done(self, document: &Value, sentence: impl fmt::Display) -> Result<(), Failure> {
        if self.json {
            json(document)?;
        } else {
            line(sentence)?;
        }
        Ok(())
    }
}

pub(super) fn line(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

pub(super) fn json(document: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string_pretty(document)?)
}

/// Prints names and values in two columns.
pub(super) fn fields_in_columns(fields: &[(&str, String)]) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        fields.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    table(&rows, &mut Vec::new())
}

/// Prints rows in aligned columns, without trailing spaces. `widths` are the widths of the columns so far; wider cells increase
/// them.
fn table(rows: &[Vec<String>], widths: &mut Vec<usize>) -> io::Result<()> {
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (cell, width) in row.iter().zip(widths.iter_mut()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths.iter()) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    print(&text)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A list, printed page by page, so that a long one is not held in memory.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    format: Format,
    columns: &'a [&'a str],
    widths: Vec<usize>,
    begun: bool,
    printed: usize,
}

impl<'a> Listing<'a> {
    pub(super) fn new(format: Format, columns: &'a [&'a str]) -> Self {
        Self { format, columns, widths: Vec::new(), begun: false, printed: 0 }
    }

    /// Prints a page: all members as JSON, or the columns for people.
    pub(super) fn page(&mut self, items: &[Value]) -> Result<(), Failure> {
        let begins = !std::mem::replace(&mut self.begun, true);
        if !self.format.json {
            let header = self.columns.iter().map(|name| (*name).to_owned()).collect();
            let mut rows: Vec<Vec<String>> = begins.then_some(header).into_iter().collect();
            rows.extend(items.iter().map(|item| self.row(item)));
            return Ok(table(&rows, &mut self.widths)?);
        }
        let mut text = String::from(if begins { "{\n  \"items\": [" } else { "" });
        for item in items {
            text.push_str(if self.printed == 0 { "\n    " } else { ",\n    " });
            let item = serde_json::to_string_pretty(item).map_err(io::Error::from)?;
            text.push_str(&item.replace('\n', "\n    "));
            self.printed = self.printed.saturating_add(1);
        }
        Ok(print(&text)?)
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        match (self.format.json, self.printed) {
            (false, _) => Ok(()),
            (true, 0) => Ok(print("]\n}\n")?),
            (true, _) => Ok(print("\n  ]\n}\n")?),
        }
    }

    fn row(&self, item: &Value) -> Vec<String> {
        self.columns.iter().map(|name| shown(name, item.get(name))).collect()
    }
}

/// A member of a record as text.
fn shown(name: &str, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => nothing(name).to_owned(),
        Some(Value::Array(items)) if items.is_empty() => {
            // Without `allowed_ips`, every address is allowed. No other empty list means everything.
            if name == "allowed_ips" { "any".to_owned() } else { "(none)".to_owned() }
        }
        Some(Value::Object(members)) if members.is_empty() => "(none)".to_owned(),
        Some(Value::Object(members)) if name == "detail" => facts(members),
        Some(value) => plain(value),
    }
}

/// The text for a member that is absent or `null`.
fn nothing(name: &str) -> &'static str {
    match name {
        "audience" | "signing_alg" => "(default)",
        "products_allowed" => "(all)",
        "max_token_lifetime_seconds" | "daily_token_limit" => "(no limit)",
        // A token without `expires_in` does not expire.
        "expires_in" => "never",
        name if name.ends_with("_at") => "never",
        _ => "-",
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // The lines of a text are joined into one, so that the columns stay aligned.
        Value::String(text) if text.contains(['\r', '\n']) => {
            text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ")
        }
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Object(members) if members.is_empty() => "(none)".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            match (
                members.get("mode").and_then(Value::as_str),
                members.get("seconds").and_then(Value::as_i64),
            ) {
                (Some("after"), Some(seconds)) => duration(seconds),
                (Some(mode), None) => mode.to_owned(),
                _ => {
                    let pairs = members.iter().map(|(name, value)| format!("{name}={}", plain(value)));
                    pairs.collect::<Vec<_>>().join(" ")
                }
            }
        }
        value => value.to_string(),
    }
}

/// The `detail` of an audit event: its facts, without those that are empty.
fn facts(members: &Map<String, Value>) -> String {
    // A change lists the members that differ. They come first.
    let changed = members.get("changed").and_then(Value::as_object);
    let rest = members.iter().filter(|(name, _)| changed.is_none() || *name != "changed");
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    let fact = |(name, value): (&String, &Value)| match (value.get("old"), value.get("new")) {
        (Some(old), Some(new)) => format!("{name}={} -> {}", plain(old), plain(new)),
        _ => format!("{name}={}", plain(value)),
    };
    let members = changed.into_iter().flatten().chain(rest);
    members.filter(|(_, value)| !says_nothing(value)).map(fact).collect::<Vec<_>>().join(" ")
}

/// A number of seconds in its largest whole unit, in a form that options accept.
fn duration(seconds: i64) -> String {
    [('d', 86_400), ('h', 3600), ('m', 60)]
        .into_iter()
        .find(|(_, unit)| seconds >= *unit && seconds % unit == 0)
        .map_or_else(|| format!("{seconds}s"), |(name, unit)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_shown_as_short_texts() {
        for (name, value, text) in [
            ("description", json!(null), "-"),
            ("expires_at", json!(null), "never"),
            ("last_used_at", json!(null), "never"),
            ("audience", json!(null), "(default)"),
            ("products_allowed", json!(null), "(all)"),
            ("products_allowed", json!([]), "(none)"),
            ("allowed_ips", json!([]), "any"),
            ("metadata", json!({}), "(none)"),
            ("label", json!("a b"), "a b"),
            ("label", json!("a\r\nb\n\rc\n"), "a / b / c"),
            ("live_tokens", json!(7), "7"),
            ("never_expires_allowed", json!(true), "true"),
            ("products", json!(["gst", "e-invoicing"]), "gst, e-invoicing"),
            ("token_expiry", json!({"mode": "after", "seconds": 90}), "90s"),
            ("token_expiry", json!({"mode": "after", "seconds": 3600}), "1h"),
            ("token_expiry", json!({"mode": "after", "seconds": 172_800}), "2d"),
            ("token_expiry", json!({"mode": "never"}), "never"),
            ("metadata", json!({"a": "1", "b": "2"}), "a=1 b=2"),
            ("detail", json!({"a": "1", "b": null, "c": [], "d": {}}), "a=1"),
            ("detail", json!({"changed": {"name": {"old": "a", "new": null}}}), "name=a -> -"),
            (
                "detail",
                json!({"changed": {"metadata": {"old": {}, "new": {"a": "b"}}}}),
                "metadata=(none) -> a=b",
            ),
            (
                "detail",
                json!({"by": "x", "changed": {"name": {"old": "a", "new": "b"}}, "none": [], "revoked_tokens": 3}),
                "name=a -> b by=x revoked_tokens=3",
            ),
            ("detail", json!({"changed": {}, "revoked_tokens": 3}), "revoked_tokens=3"),
            ("detail", json!({"changed": true}), "changed=true"),
        ] {
            assert_eq!(shown(name, Some(&value)), text);
        }
        assert_eq!(shown("expires_at", None), "never");
    }
}
