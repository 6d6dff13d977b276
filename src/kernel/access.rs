//! The caller of a use case: the permissions and the reach of a management API client, or of the command line.

use super::Error;
use crate::model::audit::Actor;
use crate::model::reach::Reach;
use crate::model::scope::Permission;

/// Who calls a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// How far the caller sees.
    pub reach: Reach,
    /// What the caller may do: what the scope of its token and the permissions of its client have in common now.
    pub permissions: Vec<Permission>,
    /// How the audit trail names the caller.
    pub actor: Actor,
    /// The API client that calls; `None` at the command line.
    pub client_id: Option<String>,
}

impl Caller {
    /// A person at the command line, who has access to the database and so may do everything.
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

    /// Refuses a caller that may not read.
    pub fn must_read(&self) -> Result<(), Error> {
        self.must(Permission::Read)
    }

    /// Refuses a caller that may not change records within its reach.
    pub fn must_manage(&self) -> Result<(), Error> {
        self.must(Permission::Manage)
    }

    /// Refuses a caller that may not change `what`, which only managers of the platform may.
    pub fn must_manage_platform(&self, what: &str) -> Result<(), Error> {
        self.must_manage()?;
        self.must_be_platform(&format!("change {what}"))
    }

    /// Refuses a caller that may not read `what`, which only clients of the platform may.
    pub fn must_read_platform(&self, what: &str) -> Result<(), Error> {
        self.must_read()?;
        self.must_be_platform(&format!("read {what}"))
    }

    fn must_be_platform(&self, action: &str) -> Result<(), Error> {
        if self.reach == Reach::Platform {
            Ok(())
        } else {
            Err(Error::Denied(format!("only API clients of the workspace `platform` may {action}")))
        }
    }

    fn must(&self, permission: Permission) -> Result<(), Error> {
        if self.holds(permission) { Ok(()) } else { Err(Error::Lacks(permission)) }
    }
}
