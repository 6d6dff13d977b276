//! The caller of a use case: a management API client, an operator in the console or a person at the command line, with
//! permissions and reach; and the proofs of what the caller may do.
//!
//! A permission is checked once, where a [`Caller`] becomes a [`Reader`] or a [`Manager`]. Use cases take these, so that
//! they cannot be called without the permission and need not check it again.

use std::ops::Deref;

use super::Error;
use crate::model::audit::Actor;
use crate::model::reach::Reach;
use crate::model::scope::Permission;

/// The caller of a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which workspaces the caller can access.
    pub reach: Reach,
    /// Of an API client: the permissions that are both in the scope of its token and, now, among those of the client. Of an
    /// operator: those of the role.
    pub permissions: Vec<Permission>,
    /// The name of the caller in the audit trail.
    pub actor: Actor,
    /// The API client that calls; `None` at the command line, in the console and for the service itself.
    pub client_id: Option<String>,
}

impl Caller {
    /// A person at the command line, who has access to the database and so may do everything.
    pub(crate) fn command_line() -> Self {
        Self {
            reach: Reach::Platform,
            permissions: Permission::ALL.to_vec(),
            actor: Actor::command_line(),
            client_id: None,
        }
    }

    /// The unique name of the caller: its client id, or else its name in the audit trail.
    pub fn name(&self) -> &str {
        self.client_id.as_deref().unwrap_or(&self.actor.name)
    }

    /// Whether the caller holds a permission; `mintmark:manage` includes `mintmark:read`.
    pub fn holds(&self, permission: Permission) -> bool {
        permission.is_held(&self.permissions)
    }

    fn with(self, permission: Permission) -> Result<Self, Error> {
        if self.holds(permission) { Ok(self) } else { Err(Error::Lacks(permission)) }
    }

    /// Refuses a caller that lacks one of `permissions`, those of another API client: with a secret or a token of that client
    /// the caller could use them.
    pub fn must_not_step_up(&self, permissions: &[Permission]) -> Result<(), Error> {
        self.must_hold_all(
            permissions,
            "the API client has a permission that your token does not have, and this would let you use it",
        )
    }

    /// Refuses a caller that lacks one of `permissions`. The error names the complete scope to request, including what the
    /// current token allows.
    pub(crate) fn must_hold_all(&self, permissions: &[Permission], why: &'static str) -> Result<(), Error> {
        if permissions.iter().all(|permission| self.holds(*permission)) {
            return Ok(());
        }
        let mut needed = vec![Permission::Manage];
        for permission in permissions.iter().chain(&self.permissions) {
            // Managing includes reading.
            if !needed.contains(permission) && *permission != Permission::Read {
                needed.push(*permission);
            }
        }
        Err(Error::LacksSome { why, needed })
    }

    fn must_be_platform(&self, action: &str) -> Result<(), Error> {
        if self.reach == Reach::Platform {
            Ok(())
        } else {
            Err(Error::Denied(format!("only API clients of the workspace `platform` may {action}")))
        }
    }
}

/// A caller that may read within its reach. `TryFrom` makes it from a [`Caller`] that holds `mintmark:read`, and each
/// [`Manager`] contains one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader(Caller);

impl Reader {
    /// Refuses a caller outside the platform, since only callers of the platform may read `what`.
    pub(crate) fn must_read_platform(&self, what: &str) -> Result<(), Error> {
        self.must_be_platform(&format!("read {what}"))
    }
}

impl TryFrom<Caller> for Reader {
    type Error = Error;

    /// Refuses with [`Error::Lacks`].
    fn try_from(caller: Caller) -> Result<Self, Error> {
        caller.with(Permission::Read).map(Self)
    }
}

impl Deref for Reader {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

/// A caller that may change records within its reach, and so may read them. `TryFrom` makes it from a [`Caller`] that holds
/// `mintmark:manage`. A person at the command line needs no check, since they may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager(Reader);

impl Manager {
    /// A person at the command line, who has access to the database and so may do everything.
    pub fn command_line() -> Self {
        Self(Reader(Caller::command_line()))
    }

    /// A person at the command line, named by their account on the host.
    pub(crate) fn command_line_of(user: &str) -> Self {
        Self(Reader(Caller { actor: Actor::command_line_of(user), ..Caller::command_line() }))
    }

    /// Refuses a caller outside the platform, since only managers of the platform may change `what`.
    pub(crate) fn must_manage_platform(&self, what: &str) -> Result<(), Error> {
        self.must_be_platform(&format!("change {what}"))
    }
}

impl TryFrom<Caller> for Manager {
    type Error = Error;

    /// Refuses with [`Error::Lacks`].
    fn try_from(caller: Caller) -> Result<Self, Error> {
        caller.with(Permission::Manage).map(|caller| Self(Reader(caller)))
    }
}

impl Deref for Manager {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(permissions: &[Permission]) -> Caller {
        Caller { permissions: permissions.to_vec(), ..Caller::command_line() }
    }

    #[test]
    fn a_reader_and_a_manager_are_made_only_with_their_permission() {
        for (permissions, reads, manages) in [
            (&[][..], false, false),
            (&[Permission::Introspect][..], false, false),
            (&[Permission::Read], true, false),
            (&[Permission::Manage], true, true),
        ] {
            assert_eq!(Reader::try_from(with(permissions)).is_ok(), reads, "{permissions:?}");
            assert_eq!(Manager::try_from(with(permissions)).is_ok(), manages, "{permissions:?}");
        }
        let refused = Manager::try_from(with(&[Permission::Read]));
        assert!(matches!(refused, Err(Error::Lacks(Permission::Manage))), "{refused:?}");
    }

    #[test]
    fn only_the_platform_reads_or_changes_its_records() {
        let own = Caller { reach: Reach::Workspace("acme-in".to_owned()), ..Caller::command_line() };
        let own = Manager::try_from(own).unwrap();
        assert!(own.must_manage_platform("products").is_err());
        assert!(own.must_read_platform("signing keys").is_err());
        assert!(Manager::command_line().must_manage_platform("products").is_ok());
    }
}
