//! Turns events into log lines. An ordinary line is written without an allocation, because every request for a
//! token logs one.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::escape::word_or_quoted;
use super::fields::{Fields, Fragment, LogTarget, json_string};
use super::repeats::{Kind, Repeats};
use crate::config::LogFormat;
use crate::model::clock::{Clock, SystemClock, UnixSeconds, to_rfc3339};
use crate::telemetry::http::Current;

/// Where lines go. Each ends with its line feed.
pub trait Output: Send + Sync + 'static {
    /// Takes one line; an `urgent` one should not wait for others.
    fn write_line(&self, line: &str, urgent: bool);
}

/// Writes each event as a line in its format, with the fields of the spans and of the request it happened in. Repeats that
/// [`Repeats`] holds back are only counted.
pub(super) struct Lines<O> {
    format: LogFormat,
    output: O,
    /// `None` if every line is written.
    repeats: Option<Arc<Repeats>>,
}

impl<O> Lines<O> {
    pub(super) fn new(format: LogFormat, output: O, repeats: Option<Arc<Repeats>>) -> Self {
        Self { format, output, repeats }
    }
}

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The second of the last line of this thread, and its timestamp up to the seconds.
    static SECOND: RefCell<(UnixSeconds, String)> = const { RefCell::new((-1, String::new())) };
}

impl<S, O> Layer<S> for Lines<O>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    O: Output,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fragment = Fragment::default();
        attributes.record(&mut Fields::new(&mut fragment, self.format));
        span.extensions_mut().insert(fragment);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fragment) = span.extensions_mut().get_mut::<Fragment>() {
            values.record(&mut Fields::new(fragment, self.format));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = SystemClock.now();
        let mut kind = None;
        if let Some(repeats) = &self.repeats {
            repeats.over(now, |line| self.output.write_line(line, true));
            kind = Kind::of(event).map(|kind| (repeats, kind));
        }
        if kind.as_ref().is_some_and(|(repeats, kind)| !repeats.is_first(kind, now)) {
            return;
        }
        let write = |line: &mut String| {
            line.clear();
            // A `String` takes whatever is written.
            let _ = self.write(line, event, &context);
            self.output.write_line(line, *event.metadata().level() <= Level::WARN);
            if let Some((repeats, kind)) = kind {
                repeats.written(kind, now, self.after_its_time(line));
            }
        };
        // If formatting a value logs something itself, the buffer is already in use.
        LINE.with(|buffer| match buffer.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            Err(_) => write(&mut String::new()),
        });
    }
}

/// What comes before the time in a line of JSON.
const JSON_START: &str = "{\"timestamp\":\"";
/// The length of a time as it is written.
const TIME_LEN: usize = "2026-11-23T08:00:00.000Z".len();

/// The line that says how many repeats of `line` were counted instead of written. `line` is given without its time.
pub(super) fn repeated(format: LogFormat, line: &str, times: u64) -> String {
    let mut text = String::with_capacity(line.len() + 64);
    // A `String` takes whatever is written.
    let _ = match format {
        LogFormat::Text => {
            write_timestamp(&mut text).and_then(|()| writeln!(text, "{line} repeated={times}"))
        }
        LogFormat::Json => {
            text.push_str(JSON_START);
            let line = line.strip_suffix('}').unwrap_or(line);
            write_timestamp(&mut text).and_then(|()| writeln!(text, "{line},\"repeated\":{times}}}"))
        }
    };
    text
}

impl<O: Output> Lines<O> {
    /// A line without its time and its line feed.
    fn after_its_time<'l>(&self, line: &'l str) -> &'l str {
        let before = if self.format == LogFormat::Json { JSON_START.len() } else { 0 };
        line.get(before + TIME_LEN..).unwrap_or_default().trim_end_matches('\n')
    }
}

impl<O> Lines<O> {
    fn write<S>(&self, line: &mut String, event: &Event<'_>, context: &Context<'_, S>) -> fmt::Result
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let mut from_log = LogTarget::default();
        if event.metadata().target() == "log" {
            event.record(&mut from_log);
        }
        let target = from_log.0.as_deref().unwrap_or(event.metadata().target());
        let level = event.metadata().level();
        let spans = context.event_scope(event).into_iter().flatten();
        match self.format {
            LogFormat::Text => {
                write_timestamp(line)?;
                write!(line, " {level:>5} {target}:")?;
                event.record(&mut Fields::new(line, self.format));
                for_each_fragment(spans, |fragment| line.write_str(fragment))?;
                Current::each_field(|name, value| {
                    line.write_char(' ')?;
                    line.write_str(name)?;
                    line.write_char('=')?;
                    word_or_quoted(line, value)
                })?;
                line.write_char('\n')
            }
            LogFormat::Json => {
                line.write_str(JSON_START)?;
                write_timestamp(line)?;
                line.write_str("\",\"level\":\"")?;
                line.write_str(level.as_str())?;
                line.write_str("\",\"target\":")?;
                json_string(line, target)?;
                event.record(&mut Fields::new(line, self.format));
                let mut separator = ",\"span\":{";
                for_each_fragment(spans, |fragment| {
                    line.write_str(separator)?;
                    separator = ",";
                    line.write_str(fragment.trim_start_matches(','))
                })?;
                Current::each_field(|name, value| {
                    line.write_str(separator)?;
                    separator = ",";
                    json_string(line, name)?;
                    line.write_char(':')?;
                    json_string(line, value)
                })?;
                line.write_str(if separator == "," { "}}\n" } else { "}\n" })
            }
        }
    }
}

/// Calls `each` with the fields of every span that has any, the innermost first.
fn for_each_fragment<'a, S>(
    spans: impl Iterator<Item = SpanRef<'a, S>>,
    mut each: impl FnMut(&str) -> fmt::Result,
) -> fmt::Result
where
    S: Subscriber + for<'l> LookupSpan<'l> + 'a,
{
    for span in spans {
        match span.extensions().get::<Fragment>().map(Fragment::as_str) {
            None | Some("") => {}
            Some(fragment) => each(fragment)?,
        }
    }
    Ok(())
}

/// Writes the time as RFC 3339 with milliseconds.
fn write_timestamp(line: &mut String) -> fmt::Result {
    let now = SystemClock.now_millis();
    let (second, millis) = (now.div_euclid(1000), now.rem_euclid(1000));
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *known = second;
            *text = to_rfc3339(second);
            text.pop();
        }
        line.write_str(text)?;
        write!(line, ".{millis:03}Z")
    })
}
