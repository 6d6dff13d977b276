//! Results on standard output: lines for people, or one JSON document.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line.
pub(super) fn line(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints the JSON document that is the whole result.
pub(super) fn json(document: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string_pretty(document)?)
}

/// Names and values in two columns.
pub(super) fn record(fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        line(format_args!("{name:width$}  {value}"))?;
    }
    Ok(())
}
