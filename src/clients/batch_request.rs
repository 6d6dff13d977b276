//! A request to change many API clients.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::change::ClientChange;
use super::filter_rules::{self, FilterRule};
use super::read::ClientFilter;
use crate::kernel::{Error, Fields};
use crate::model::clock::{UnixSeconds, from_rfc3339};
use crate::model::field_errors::FieldErrors;
use crate::model::member::Member;

/// How many clients one batch may change.
pub(super) const BATCH_MAX: u32 = 200;

/// A change of many clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchChange {
    /// The clients to change; `None` if the request does not say which: then `errors` has the reason.
    selected: Option<Selected>,
    /// The change that each of them gets.
    pub(super) patch: ClientChange,
    /// Whether to report what would happen and write nothing.
    pub(super) dry_run: bool,
    /// What is wrong with the request itself: found without the database.
    errors: FieldErrors,
}

/// The clients of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selected {
    /// By their ids.
    Ids(Vec<String>),
    /// All that a filter finds.
    Filter(ClientFilter),
}

impl BatchChange {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value) -> Self {
        let ((ids, filter, patch, dry_run), mut errors) = Fields::read(body, |fields| {
            let ids = fields.strings("ids");
            let filter = fields.object("filter", |fields| Some(read_filter(fields)));
            let patch = fields.object("patch", |fields| Some(ClientChange::members(fields)));
            (ids, filter, patch, fields.boolean("dry_run"))
        });
        if let Member::Value(ids) = &ids {
            check_ids(ids, &mut errors);
        }
        let selected = match (ids, filter) {
            (Member::Value(ids), Member::Absent | Member::Null) => Some(Selected::Ids(ids)),
            (Member::Absent | Member::Null, Member::Value(filter)) => Some(Selected::Filter(filter)),
            (Member::Value(_), Member::Value(_)) => {
                errors.add("/filter", "and ids exclude each other: give one of them");
                None
            }
            _ => {
                if !errors.has("/ids") && !errors.has("/filter") {
                    errors.add("/ids", "is required, unless filter says which API clients to change");
                }
                None
            }
        };
        if patch.value().is_none() && !errors.has("/patch") {
            errors.add("/patch", "is required: it has the members of PATCH /v1/api-clients/{client_id}");
        }
        Self {
            selected,
            patch: patch.value().cloned().unwrap_or_default(),
            dry_run: dry_run.value().copied().unwrap_or_default(),
            errors,
        }
    }

    /// The clients to change.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong with the request.
    pub(super) fn selected(&self) -> Result<&Selected, Error> {
        Error::if_any(self.errors.clone())?;
        self.selected.as_ref().ok_or_else(|| Error::invalid("/ids", "is required"))
    }
}

fn check_ids(ids: &[String], errors: &mut FieldErrors) {
    if ids.is_empty() {
        errors.add("/ids", "must not be empty");
    }
    if ids.len() > BATCH_MAX as usize {
        errors.add("/ids", format!("must have at most {BATCH_MAX} items; it has {}", ids.len()));
        return;
    }
    let mut seen = HashSet::new();
    for (place, id) in ids.iter().enumerate() {
        if !seen.insert(id) {
            errors.add(format!("/ids/{place}"), "is listed twice: list it once");
        }
    }
}

/// Reads a filter. Its members are those of the query of `GET /v1/api-clients`.
fn read_filter(fields: &mut Fields<'_>) -> ClientFilter {
    let mut text = |name: &'static str, rule: FilterRule| {
        let value = fields.string(name);
        let value = value.value()?;
        if !(rule.is)(value) {
            fields.refuse(name, format!("must be {}", rule.wanted));
        }
        Some(value.clone())
    };
    let label = text("label", filter_rules::LABEL);
    let product = text("product", filter_rules::PRODUCT);
    let status = text("status", filter_rules::STATUS);
    ClientFilter {
        label,
        product,
        status,
        metadata: read_metadata(fields),
        secret_expires_before: instant(fields, "secret_expires_before"),
        unused_since: instant(fields, "unused_since"),
    }
}

/// Reads the metadata pairs of a filter: the object `metadata`, or one member `metadata.KEY` for each, as in the query.
fn read_metadata(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let mut pairs = fields.strings_after("metadata.");
    for (key, value) in fields.string_pairs("metadata").value().into_iter().flatten() {
        match value {
            // To ignore a `null` would find more clients than were asked for.
            None => fields.refuse("metadata", "must be an object of strings, without null"),
            Some(value) if pairs.get(key).is_none_or(|known| known == value) => {
                pairs.insert(key.clone(), value.clone());
            }
            Some(_) => fields.refuse("metadata", format!("and metadata.{key} have different values")),
        }
    }
    pairs
}

fn instant(fields: &mut Fields<'_>, name: &'static str) -> Option<UnixSeconds> {
    let text = fields.string(name);
    let at = from_rfc3339(text.value()?);
    if at.is_none() {
        fields.refuse(name, "must be an RFC 3339 instant like 2027-01-31T00:00:00Z");
    }
    at
}
