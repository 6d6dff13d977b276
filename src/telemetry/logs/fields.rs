//! The fields of events and spans, as `name=value` for people or as members of a JSON object.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};

use super::escape::{Escaped, word_or_quoted};
use crate::config::LogFormat;

/// The field that holds the message of an event.
const MESSAGE: &str = "message";

/// The prefix of the fields that say where a record of the `log` crate comes from.
const LOG_CRATE: &str = "log.";

/// Writes each field it is shown, with its separator in front.
pub(super) struct Fields<'a, W> {
    out: &'a mut W,
    format: LogFormat,
}

impl<'a, W: Write> Fields<'a, W> {
    pub(super) fn new(out: &'a mut W, format: LogFormat) -> Self {
        Self { out, format }
    }

    /// Writes the name of a field; then `value` writes its value, escaped.
    fn pair(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) {
        let name = field.name();
        if name.starts_with(LOG_CRATE) {
            return;
        }
        // What is written to is a buffer in memory, which does not fail.
        let _ = match (self.format, name) {
            (LogFormat::Text, MESSAGE) => self.out.write_char(' '),
            (LogFormat::Text, name) => [" ", name, "="].iter().try_for_each(|part| self.out.write_str(part)),
            (LogFormat::Json, name) => {
                [",\"", name, "\":"].iter().try_for_each(|part| self.out.write_str(part))
            }
        };
        let _ = value(self.out);
    }

    fn unquoted(&mut self, field: &Field, value: impl fmt::Display) {
        self.pair(field, |out| write!(out, "{value}"));
    }

    fn text(&mut self, field: &Field, text: &str) {
        let format = self.format;
        self.pair(field, |out| match format {
            LogFormat::Text if field.name() == MESSAGE => Escaped(out).write_str(text),
            LogFormat::Text => word_or_quoted(out, text),
            LogFormat::Json => json_string(out, text),
        });
    }
}

/// Writes `text` as a JSON string.
pub(super) fn json_string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    Escaped(out).write_str(text)?;
    out.write_char('"')
}

impl<W: Write> Visit for Fields<'_, W> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match self.format {
            LogFormat::Json if !value.is_finite() => self.unquoted(field, "null"),
            _ => self.unquoted(field, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.unquoted(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.unquoted(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.unquoted(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    // Values that are logged by `Display` (`%value`) and the message of an event arrive here too.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match self.format {
            LogFormat::Json => self.pair(field, |out| {
                out.write_char('"')?;
                write!(Escaped(out), "{value:?}")?;
                out.write_char('"')
            }),
            LogFormat::Text if field.name() == MESSAGE => {
                self.pair(field, |out| write!(Escaped(out), "{value:?}"));
            }
            LogFormat::Text => {
                let mut text = Fragment::default();
                let _ = write!(text, "{value:?}");
                self.text(field, text.as_str());
            }
        }
    }
}

/// The target of an event that came through the `log` crate.
#[derive(Default)]
pub(super) struct LogTarget(pub(super) Option<String>);

impl Visit for LogTarget {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// How many bytes a [`Fragment`] holds without an allocation.
const INLINE: usize = 120;

/// A text that is stored inline while it is short, so that most need no allocation.
pub(super) struct Fragment {
    inline: [u8; INLINE],
    len: usize,
    spilled: String,
}

impl Default for Fragment {
    fn default() -> Self {
        Self { inline: [0; INLINE], len: 0, spilled: String::new() }
    }
}

impl Fragment {
    pub(super) fn as_str(&self) -> &str {
        if !self.spilled.is_empty() {
            return &self.spilled;
        }
        let bytes = self.inline.get(..self.len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Write for Fragment {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.spilled.is_empty() {
            let end = self.len + text.len();
            if let Some(room) = self.inline.get_mut(self.len..end) {
                room.copy_from_slice(text.as_bytes());
                self.len = end;
                return Ok(());
            }
            self.spilled = self.as_str().to_owned();
        }
        self.spilled.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_holds_what_is_written_short_or_long() {
        for piece in ["é", "0123456789", &"x".repeat(INLINE), &"y".repeat(INLINE + 1)] {
            let (mut fragment, mut expected) = (Fragment::default(), String::new());
            for _ in 0..100 {
                assert_eq!(fragment.as_str(), expected);
                fragment.write_str(piece).unwrap();
                expected.push_str(piece);
            }
        }
    }
}
