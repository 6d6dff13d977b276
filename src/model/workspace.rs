//! A workspace: the tenant.

use super::clock::UnixSeconds;

/// The built-in workspace of those who run the service.
pub const PLATFORM: &str = "platform";

/// A workspace as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The id.
    pub workspace_id: String,
    /// Display name.
    pub name: String,
    /// Free text about it.
    pub description: Option<String>,
    /// When it was suspended; `None` while active.
    pub suspended_at: Option<UnixSeconds>,
    /// Whether its clients may have never-expiring tokens.
    pub never_expires_allowed: bool,
    /// The products its clients may be granted; `None` for all.
    pub products_allowed: Option<Vec<String>>,
    /// When it was created.
    pub created_at: UnixSeconds,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// Record version, the source of the `ETag`.
    pub version: i64,
}

impl Workspace {
    /// `active` or `suspended`.
    pub fn status(&self) -> &'static str {
        if self.suspended_at.is_some() { "suspended" } else { "active" }
    }

    /// Whether clients of this workspace may be granted `product`.
    pub fn allows_product(&self, product: &str) -> bool {
        self.products_allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|p| p == product))
    }
}
