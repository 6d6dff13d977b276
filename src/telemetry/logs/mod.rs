//! The log: text or JSON, one line per event except for repeats during an outage (`repeats`), on standard error (`quickstart`
//! and the commands print their results to standard output, and the two must not mix).
//!
//! A line can be trusted to be one event: control characters, line separators, and characters that are invisible or reorder
//! text are escaped in every value, so that a logged value cannot forge a line. We do not use `tracing_subscriber::fmt`: it
//! needs 26 allocations for the JSON line of a request and does not escape line feeds in text.

mod escape;
mod fields;
mod layer;
mod repeats;
mod stderr;

use std::io::{self, Write};
use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use layer::Output;
pub use stderr::{LogGuard, dropped_lines};

use crate::config::LogSettings;
use repeats::Repeats;

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This process has started one already.
    #[error("the log has been started before")]
    AlreadyStarted(#[from] TryInitError),
    /// The thread that writes the log could not be started.
    #[error("the thread that writes the log could not be started")]
    Thread(#[from] io::Error),
}

/// Starts the log of a command: each line is written before the command goes on.
///
/// # Errors
/// There is a log already.
pub fn init(settings: &LogSettings) -> Result<(), StartError> {
    // Nothing would write the count of repeats after the last event.
    Ok(layered(settings, stderr::Direct, None).try_init()?)
}

/// Starts the log of a serving process: a thread writes the lines, so that no request waits for it. The log ends with
/// the guard.
///
/// # Errors
/// There is a log already, or no thread can be started.
pub fn init_for_serving(settings: &LogSettings) -> Result<LogGuard, StartError> {
    let (subscriber, guard) = serving(settings, io::stderr())?;
    subscriber.try_init()?;
    Ok(guard)
}

/// A log that a thread writes to `to`.
fn serving<W: Write + Send + 'static>(
    settings: &LogSettings,
    to: W,
) -> io::Result<(impl Subscriber + Send + Sync + use<W>, LogGuard)> {
    let repeats = Arc::new(Repeats::new(settings.format));
    let (lines, guard) = stderr::start(to, Arc::clone(&repeats))?;
    Ok((layered(settings, lines, Some(repeats)), guard))
}

/// The subscriber that [`init_for_serving`] starts, writing to `output`. For tests that read what was logged.
pub fn subscriber<O: Output>(settings: &LogSettings, output: O) -> impl Subscriber + Send + Sync + use<O> {
    layered(settings, output, Some(Arc::new(Repeats::new(settings.format))))
}

fn layered<O: Output>(
    settings: &LogSettings,
    output: O,
    repeats: Option<Arc<Repeats>>,
) -> impl Subscriber + Send + Sync + use<O> {
    let lines = layer::Lines::new(settings.format, output, repeats);
    tracing_subscriber::registry().with(lines).with(settings.level.targets())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::config::Settings;
    use crate::model::clock::{Clock as _, SystemClock};

    /// A log that stays in memory.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Memory(Arc<Mutex<String>>);

    impl Memory {
        pub(in crate::telemetry) fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl Output for Memory {
        fn write_line(&self, line: &str, _urgent: bool) {
            self.0.lock().unwrap().push_str(line);
        }
    }

    /// Runs `what` under the log that `toml` asks for and returns what it wrote.
    fn logged(toml: &str, what: impl FnOnce()) -> String {
        let settings = Settings::from_toml_layers(&[toml]).unwrap();
        let memory = Memory::default();
        tracing::subscriber::with_default(subscriber(&settings.log, memory.clone()), what);
        memory.text()
    }

    const HOSTILE: &str = "a\r\n2026 INFO mintmark: forged\u{1b}[2J\u{9b}31m\u{202e}\u{2028}é\"\\\0";

    #[test]
    fn a_value_cannot_end_its_line() {
        for format in ["text", "json"] {
            let text = logged(&format!("log.format = \"{format}\""), || {
                let span = tracing::info_span!(target: "mintmark::x", "span", inside = HOSTILE);
                let _in = span.enter();
                tracing::info!(target: "mintmark::x", shown = %HOSTILE, debugged = ?HOSTILE, plain = HOSTILE, "{HOSTILE}");
            });
            let line = text.strip_suffix('\n').unwrap();
            assert!(
                !line.contains(['\n', '\r', '\0', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}']),
                "{line:?}"
            );
            // In the message, its three fields and the field of the span.
            assert_eq!(line.matches('é').count(), 5, "{line:?}");
        }
    }

    #[test]
    fn a_text_line_has_the_message_before_its_fields_and_those_of_spans() {
        let text = logged("", || {
            let span = tracing::error_span!(target: "mintmark::x", "request", request_id = "abc", late = tracing::field::Empty);
            let _in = span.enter();
            tracing::info!(target: "mintmark::app", address = %"127.0.0.1:8080", n = 3, on = true, "listening on {}", "all");
            span.record("late", "two words");
            tracing::warn!(target: "mintmark::app", none = tracing::field::Empty, "again");
        });
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(
            lines,
            [
                " INFO mintmark::app: listening on all address=127.0.0.1:8080 n=3 on=true request_id=abc",
                " WARN mintmark::app: again request_id=abc late=\"two words\"",
            ]
        );
        let (date, _) = text.split_once("  INFO").unwrap();
        assert_eq!(date.len(), "2026-11-23T08:00:00.000Z".len());
        let seconds = format!("{}Z", &date[..19]);
        assert!(crate::model::clock::from_rfc3339(&seconds).is_some_and(|at| at > 1_700_000_000), "{date}");
    }

    #[test]
    fn json_gives_values_back_unchanged() {
        let text = logged("log.format = \"json\"", || {
            let outer = tracing::error_span!(target: "mintmark::x", "outer", job = 7);
            let _outer = outer.enter();
            let span = tracing::error_span!(target: "mintmark::x", "request", request_id = "abc");
            let _in = span.enter();
            tracing::warn!(target: "mintmark::x", plain = HOSTILE, number = -7, ratio = 0.5, none = f64::NAN, "one event");
        });
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        let timestamp = event["timestamp"].as_str().unwrap().to_owned();
        assert!(crate::model::clock::from_rfc3339(&timestamp).is_some(), "{timestamp}");
        let expected = serde_json::json!({
            "timestamp": timestamp, "level": "WARN", "target": "mintmark::x", "message": "one event",
            "plain": HOSTILE, "number": -7, "ratio": 0.5, "none": null, "span": {"request_id": "abc", "job": 7},
        });
        assert_eq!(event, expected);
        let bare = logged("log.format = \"json\"", || tracing::warn!(target: "mintmark::x", "alone"));
        assert!(serde_json::from_str::<serde_json::Value>(&bare).unwrap().get("span").is_none(), "{bare}");
    }

    /// In each second a kind has at most two lines: the first, and the count of the others. The events take ten seconds at the
    /// most, so there are at most twenty lines.
    #[test]
    fn an_outage_writes_one_line_for_each_kind_and_second_with_a_count() {
        const EVENTS: usize = 2_000;
        for format in ["text", "json"] {
            let text = logged(&format!("log.format = \"{format}\""), || {
                for _ in 0..EVENTS {
                    for failure in ["stall", "refusal"] {
                        tracing::error!(target: "mintmark::x", failure, request_id = "one", "it could not be served");
                    }
                    tracing::error!(target: "sqlx::pool", "a library");
                    tracing::warn!(target: "mintmark::x", "each is written");
                }
                let began = SystemClock.now();
                while SystemClock.now() == began {
                    std::hint::spin_loop();
                }
                tracing::info!(target: "mintmark::x", "the next second");
            });
            let count = |lines: &mut dyn Iterator<Item = &str>| -> (usize, usize) {
                lines.fold((0, 0), |(written, events), line| {
                    let (_, times) = line.split_once("repeated").unwrap_or((line, "1"));
                    let times: String = times.chars().filter(char::is_ascii_digit).collect();
                    (written + 1, events + times.parse::<usize>().unwrap())
                })
            };
            for kind in ["stall", "refusal", "a library"] {
                let (written, events) = count(&mut text.lines().filter(|line| line.contains(kind)));
                assert_eq!(events, EVENTS, "{kind}: {text}");
                assert!(written <= 20, "{kind} took {written} lines");
            }
            assert_eq!(text.lines().filter(|line| line.contains("each is written")).count(), EVENTS);
            if format == "json" {
                for line in text.lines() {
                    serde_json::from_str::<serde_json::Value>(line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                }
            }
        }
    }

    /// Sends what is written to it to the test.
    struct Sent(mpsc::Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// How many events these lines stand for.
    fn events(text: &str) -> usize {
        let repeated =
            |line: &str| line.split_once("repeated=").map_or(1, |(_, times)| times.parse().unwrap());
        text.lines().map(repeated).sum()
    }

    /// Logs the same failure a thousand times, and nothing after it.
    fn log_an_outage(subscriber: impl Subscriber + Send + Sync) {
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1_000 {
                tracing::error!(target: "mintmark::x", failure = "stall", "it could not be served");
            }
        });
    }

    #[test]
    fn the_count_of_repeats_is_written_without_another_event() {
        let (sent, written) = mpsc::channel();
        let settings = Settings::from_toml_layers(&[""]).unwrap().log;
        let (subscriber, _guard) = serving(&settings, Sent(sent)).unwrap();
        log_an_outage(subscriber);
        let mut text = String::new();
        while events(&text) < 1_000 {
            let more = written.recv_timeout(Duration::from_secs(30));
            text.push_str(&more.unwrap_or_else(|_| panic!("the count is missing: {text}")));
        }
        assert_eq!(events(&text), 1_000, "{text}");
    }

    #[test]
    fn the_count_of_repeats_is_written_at_the_end_of_the_log() {
        let (sent, written) = mpsc::channel();
        let settings = Settings::from_toml_layers(&[""]).unwrap().log;
        let (subscriber, guard) = serving(&settings, Sent(sent)).unwrap();
        log_an_outage(subscriber);
        drop(guard);
        let text: String = written.iter().collect();
        assert_eq!(events(&text), 1_000, "{text}");
    }

    #[test]
    fn the_level_applies_and_libraries_log_only_warnings() {
        let text = logged("log.level = \"trace\"", || {
            tracing::trace!(target: "mintmark::keys", "ours");
            tracing::info!(target: "sqlx::query", "theirs, detailed");
            tracing::warn!(target: "sqlx::query", "theirs");
        });
        assert!(text.contains("ours") && text.contains("theirs\n") && !text.contains("detailed"), "{text}");
        let text = logged("log.level = \"error\"", || tracing::warn!(target: "mintmark::keys", "ours"));
        assert_eq!(text, "");
    }
}
