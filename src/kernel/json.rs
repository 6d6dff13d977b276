//! Records as JSON, the same in the management API and on the command line (docs/management-api.md).

use serde::Serialize;
use serde_json::Value;

/// A record as its JSON object.
pub(crate) fn to_json(record: &(impl Serialize + ?Sized)) -> Value {
    // This cannot fail: no record has a map whose keys are not strings.
    serde_json::to_value(record).unwrap_or_default()
}
