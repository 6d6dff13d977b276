//! Who asks, and what they may: permissions and reach of a caller of the management API, or of the command line.

use super::Error;
use crate::model::audit::Actor;
use crate::model::reach::Reach;
use crate::model::scope::Permission;

/// Whoever asks for a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// How far the caller sees.
    pub reach: Reach,
    /// What the caller may do: what its token's scope and its client's permissions now have in common.
    pub permissions: Vec<Permission>,
    /// How the audit trail names the caller.
    pub actor: Actor,
    /// The API client that calls; `None` at the command line.
    pub client_id: Option<String>,
}

impl Caller {
    /// A person at the command line, who has the database at hand and so may do everything.
    pub fn command_line() -> Self {
        Self {
            reach: Reach::Platform,
            permissions: Permission::ALL.to_vec(),
            actor: Actor::command_line(),
            client_id: None,
        }
    }

    /// Whether the caller holds a permission; `mintmark:manage` includes `mintmark:read`.
    pub fn holds(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
            || (permission == Permission::Read && self.permissions.contains(&Permission::Manage))
    }

    /// The caller may read.
    pub fn must_read(&self) -> Result<(), Error> {
        self.must(Permission::Read)
    }

    /// The caller may change things within its reach.
    pub fn must_manage(&self) -> Result<(), Error> {
        self.must(Permission::Manage)
    }

    /// The caller may change `what`, which only managers of the platform may.
    pub fn must_manage_platform(&self, what: &str) -> Result<(), Error> {
        self.must_manage()?;
        self.must_be_platform(&format!("change {what}"))
    }

    /// The caller may read `what`, which only the platform's own may.
    pub fn must_read_platform(&self, what: &str) -> Result<(), Error> {
        self.must_read()?;
        self.must_be_platform(&format!("read {what}"))
    }

    fn must_be_platform(&self, deed: &str) -> Result<(), Error> {
        if self.reach == Reach::Platform {
            Ok(())
        } else {
            Err(Error::Denied(format!("only API clients of the workspace `platform` may {deed}")))
        }
    }

    fn must(&self, permission: Permission) -> Result<(), Error> {
        if self.holds(permission) { Ok(()) } else { Err(Error::Lacks(permission)) }
    }
}
