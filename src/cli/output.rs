//! Results on standard output: text for people, or one JSON document.
//!
//! Records have the members of the management API, so a script can read both.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::Failure;

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Format {
    /// Print one JSON document, with the member names of the management API
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Format {
    /// A record: all of it as JSON, or these members for people.
    pub(super) fn record(self, record: &Value, members: &[&str]) -> Result<(), Failure> {
        if self.json {
            return Ok(json(record)?);
        }
        let fields: Vec<(&str, String)> =
            members.iter().map(|name| (*name, shown(record.get(name)))).collect();
        Ok(fields_in_columns(&fields)?)
    }

    /// A list: all of it as JSON, or these columns for people.
    pub(super) fn list(self, items: &[Value], columns: &[&str]) -> Result<(), Failure> {
        if self.json {
            return Ok(json(&json!({ "items": items }))?);
        }
        let mut rows = vec![columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()];
        rows.extend(items.iter().map(|item| columns.iter().map(|name| shown(item.get(name))).collect()));
        Ok(table(&rows)?)
    }

    /// The result of a command that has no record to print.
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

/// Names and values in two columns.
pub(super) fn fields_in_columns(fields: &[(&str, String)]) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        fields.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    table(&rows)
}

/// Rows in aligned columns, without trailing spaces.
fn table(rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A value as text.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        // A text of several lines takes one, so that columns stay columns.
        Some(Value::String(text)) if text.contains(['\r', '\n']) => {
            text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ")
        }
        Some(Value::String(text)) => text.clone(),
        // Not "-": an empty list of allowed items and no list at all are opposites.
        Some(Value::Array(items)) if items.is_empty() => "(none)".to_owned(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| shown(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(members)) => {
            match (members.get("mode").and_then(Value::as_str), members.get("seconds")) {
                (Some("after"), Some(seconds)) => format!("after {seconds} seconds"),
                (Some(mode), None) => mode.to_owned(),
                _ if members.is_empty() => "-".to_owned(),
                _ => {
                    let pairs = members.iter().map(|(name, value)| format!("{name}={}", shown(Some(value))));
                    pairs.collect::<Vec<_>>().join(" ")
                }
            }
        }
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_plainly() {
        for (value, text) in [
            (json!(null), "-"),
            (json!([]), "(none)"),
            (json!({}), "-"),
            (json!("a b"), "a b"),
            (json!("a\r\nb\n\rc\n"), "a / b / c"),
            (json!(7), "7"),
            (json!(true), "true"),
            (json!(["gst", "e-invoicing"]), "gst, e-invoicing"),
            (json!({"mode": "after", "seconds": 60}), "after 60 seconds"),
            (json!({"mode": "never"}), "never"),
            (json!({"a": "1", "b": null}), "a=1 b=-"),
        ] {
            assert_eq!(shown(Some(&value)), text);
        }
    }
}
