//! How records read as JSON, the same at the management API and at the command line (docs/management-api.md).

use serde_json::Value;

/// A record that people read.
pub trait Representation {
    /// All its members. A secret is among them only where it was just made.
    fn to_json(&self) -> Value;
}
