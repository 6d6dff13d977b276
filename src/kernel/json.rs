//! Records as JSON, the same in the management API and on the command line (docs/management-api.md).

use serde::Serialize;
use serde_json::Value;

/// A record as its JSON object.
pub(crate) fn to_json(record: &(impl Serialize + ?Sized)) -> Value {
    // Records are objects of texts, numbers and lists, which always have a JSON form.
    serde_json::to_value(record).unwrap_or_default()
}
