//! The log: text or JSON, one line an event, on standard error (`quickstart` and the commands print their results to
//! standard output, and these must not mix).
//!
//! A line can be trusted to be one event: control characters, line separators and characters that reorder text are
//! escaped in whatever is logged, so nobody who gets a value logged can write lines of his own.

use std::io::{self, Write};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogFormat, LogSettings};

/// Starts the log of this process.
///
/// # Errors
/// It has been started before.
pub fn init(settings: &LogSettings) -> Result<(), TryInitError> {
    subscriber(settings, io::stderr).try_init()
}

/// What [`init`] starts, writing to `writer`. For tests that read what was logged.
pub fn subscriber<W>(settings: &LogSettings, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let events = tracing_subscriber::fmt::layer().with_writer(OneLine(writer)).with_ansi(false);
    let events: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        LogFormat::Text => Box::new(events),
        LogFormat::Json => {
            Box::new(events.json().flatten_event(true).with_current_span(true).with_span_list(false))
        }
    };
    tracing_subscriber::registry().with(events).with(settings.level.targets())
}

/// Escapes what could end or disguise a line. Each write is one formatted event with its line feed.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }

    fn make_writer_for(&'w self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        OneLineWriter(self.0.make_writer_for(meta))
    }
}

struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.write_all(event)?;
        } else {
            let mut escaped = escape(&String::from_utf8_lossy(line));
            escaped.push('\n');
            self.0.write_all(escaped.as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes as `\u001b` what has no business in a line. That is an escape in JSON too, and there none but these can occur.
fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_deceptive(c) {
            escaped.push_str("\\u");
            escaped.extend(
                [12, 8, 4, 0].map(|shift| char::from_digit(u32::from(c) >> shift & 0xf, 16).unwrap_or('0')),
            );
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Settings;

    /// A log that stays in memory.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(in crate::telemetry) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs `what` under the log that `toml` asks for and returns what it wrote.
    pub(in crate::telemetry) fn logged(toml: &str, what: impl FnOnce()) -> String {
        let settings = Settings::from_toml_layers(&[toml]).unwrap();
        let memory = Memory::default();
        let writer = memory.clone();
        tracing::subscriber::with_default(subscriber(&settings.log, move || writer.clone()), what);
        memory.text()
    }

    const HOSTILE: &str = "a\r\n2026 INFO mintmark: forged\u{1b}[2J\u{9b}31m\u{202e}\u{2028}é\0";

    #[test]
    fn a_value_cannot_end_its_line() {
        for format in ["text", "json"] {
            let text = logged(&format!("log.format = \"{format}\""), || {
                tracing::info!(target: "mintmark::x", shown = %HOSTILE, debugged = ?HOSTILE, plain = HOSTILE, "{HOSTILE}");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
            assert!(text.trim_end_matches('\n').chars().all(|c| !is_deceptive(c)), "{text:?}");
            assert!(text.contains('é'), "{text:?}");
        }
    }

    #[test]
    fn json_gives_values_back_unchanged() {
        let text = logged("log.format = \"json\"", || {
            let span = tracing::error_span!(target: "mintmark::request", "request", request_id = "abc");
            let _in = span.enter();
            tracing::warn!(target: "mintmark::x", plain = HOSTILE, number = 7, "one event");
        });
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["plain"], HOSTILE);
        assert_eq!((event["number"].as_u64(), event["level"].as_str()), (Some(7), Some("WARN")));
        assert_eq!(
            (event["message"].as_str(), event["target"].as_str()),
            (Some("one event"), Some("mintmark::x"))
        );
        assert_eq!(event["span"]["request_id"], "abc");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_reach_the_log() {
        let memory = Memory::default();
        OneLineWriter(memory.clone()).write_all(b"a\xff\xfe\nb\n").unwrap();
        assert_eq!(memory.text(), "a\u{fffd}\u{fffd}\\u000ab\n");
    }

    #[test]
    fn the_level_decides_and_libraries_stay_quiet() {
        let text = logged("log.level = \"trace\"", || {
            tracing::trace!(target: "mintmark::keys", "ours");
            tracing::debug!(target: "sqlx::query", "theirs, detailed");
            tracing::info!(target: "sqlx::query", "theirs");
        });
        assert!(text.contains("ours") && text.contains("theirs\n") && !text.contains("detailed"), "{text}");
        let text = logged("log.level = \"error\"", || tracing::warn!(target: "mintmark::keys", "ours"));
        assert_eq!(text, "");
    }
}
