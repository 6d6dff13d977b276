//! During an outage every request would log the same line. Only one line a second is written for each kind; the others are
//! counted, and the count is written at the end of the second, or with the first event of a later one if that comes first.
//!
//! This applies to warnings and errors with a field `failure` (they report that something else is down), and to those of
//! libraries. All other lines are written each time.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::layer::repeated;
use crate::config::LogFormat;
use crate::model::clock::UnixSeconds;

/// What lines of the same kind have in common: where they are logged, and the failure that they report (for a library, the
/// message).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    callsite: tracing::callsite::Identifier,
    what: u64,
}

impl Kind {
    /// The kind of an event that an outage repeats; `None` for any other.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return None;
        }
        let field = if metadata.fields().field("failure").is_some() {
            "failure"
        } else if metadata.target().starts_with("mintmark") {
            return None;
        } else {
            // Lines of the `log` crate share a callsite, so the message tells them apart.
            "message"
        };
        let mut visitor = Hashed { field, hasher: DefaultHasher::new() };
        event.record(&mut visitor);
        Some(Self { callsite: metadata.callsite(), what: visitor.hasher.finish() })
    }
}

/// Hashes the value of one field.
struct Hashed {
    field: &'static str,
    hasher: DefaultHasher,
}

impl Visit for Hashed {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            value.hash(&mut self.hasher);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        struct Into<'a>(&'a mut DefaultHasher);
        impl Write for Into<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        if field.name() == self.field {
            let _ = write!(Into(&mut self.hasher), "{value:?}");
        }
    }
}

/// The kinds of lines in the current second, and of earlier lines whose repeats are not reported yet.
#[derive(Debug)]
pub(super) struct Repeats {
    format: LogFormat,
    seen: Mutex<HashMap<Kind, Seen>>,
    /// Whether a line is held back, so that other events need no lock.
    holds: AtomicBool,
}

#[derive(Debug)]
struct Seen {
    second: UnixSeconds,
    held_back: u64,
    /// The line that was written, after its time.
    line: String,
}

impl Repeats {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, seen: Mutex::default(), holds: AtomicBool::new(false) }
    }

    /// Whether a line of this kind is the first in its second, and so is to be written. Any other is counted.
    pub(super) fn is_first(&self, kind: &Kind, now: UnixSeconds) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(kind) {
            Some(known) if known.second == now => {
                known.held_back += 1;
                self.holds.store(true, Ordering::Relaxed);
                false
            }
            _ => true,
        }
    }

    /// Remembers the line that was written, without its time.
    pub(super) fn written(&self, kind: Kind, now: UnixSeconds, line: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, known| known.second == now || known.held_back > 0);
        seen.insert(kind, Seen { second: now, held_back: 0, line: line.to_owned() });
    }

    /// For every kind of which repeats were held back in a second before `now`, calls `each` with a line that says how many,
    /// and forgets them.
    pub(super) fn over(&self, now: UnixSeconds, mut each: impl FnMut(&str)) {
        if !self.holds.load(Ordering::Relaxed) {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut still_holds = false;
        seen.retain(|_, known| {
            if known.held_back == 0 {
                return known.second == now;
            }
            if known.second == now {
                still_holds = true;
                return true;
            }
            each(&repeated(self.format, &known.line, known.held_back));
            false
        });
        self.holds.store(still_holds, Ordering::Relaxed);
    }
}
