//! Reads the facts that were queued with a mail. Mails that earlier versions queued have fewer facts, so no fact is required.

use serde_json::{Map, Value};

use super::SHOWN_MAX;
use crate::model::clock::{UnixSeconds, from_rfc3339};
use crate::model::moment;
use crate::model::text;

/// The facts of a mail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Facts<'a> {
    /// A text as stored; empty counts as none.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text as it can be shown.
    pub(super) fn shown(self, name: &str) -> Option<String> {
        self.text(name).map(|text| text::shown(text, SHOWN_MAX)).filter(|text| !text.is_empty())
    }

    /// A number.
    pub(super) fn number(self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// Whether a fact is present and `true`.
    pub(super) fn is(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// An instant, written in RFC 3339.
    pub(super) fn instant(self, name: &str) -> Option<UnixSeconds> {
        self.text(name).and_then(from_rfc3339)
    }

    /// An instant in words.
    pub(super) fn moment(self, name: &str) -> Option<String> {
        self.instant(name).map(moment::exact)
    }

    /// Members of an object.
    pub(super) fn object(self, name: &str) -> Option<Facts<'a>> {
        self.0.get(name).and_then(Value::as_object).map(Facts)
    }

    /// Objects of a list.
    pub(super) fn objects(self, name: &str) -> Vec<Facts<'a>> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).map(Facts).collect()
    }

    /// Texts of a list, as they can be shown.
    pub(super) fn list(self, name: &str) -> Vec<String> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|text| text::shown(text, SHOWN_MAX))
            .collect()
    }
}
