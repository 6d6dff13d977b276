//! Who an operator is to the other services: a [`Caller`] like that of an API client with the same permissions.

use super::{OPERATOR, Operators, Session, Source};
use crate::kernel::{Caller, Error};
use crate::model::operator::{Operator, Role};
use crate::model::reach::Reach;
use crate::model::workspace::PLATFORM;

impl Operators {
    /// The caller of a request that works on one workspace, or, for a platform administrator, on all. The caller has
    /// the permissions of the operator's current role there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a disabled operator, and for one without a role in the workspace, whether it exists or not.
    /// [`Error::Denied`] while the workspace is suspended, since its API clients cannot call either; a platform administrator
    /// still can. [`Error::Storage`].
    pub async fn caller(
        &self,
        session: &Session,
        workspace_id: Option<&str>,
        source: &Source,
    ) -> Result<Caller, Error> {
        let operator_id = &session.operator.operator_id;
        let operator = self.kernel.storage.operator(operator_id).await?;
        let operator = operator.filter(Operator::is_active).ok_or(Error::NotFound(OPERATOR))?;
        let caller = |reach, role: &Role| Caller {
            reach,
            permissions: role.permissions().to_vec(),
            actor: source.actor(operator_id),
            client_id: None,
        };
        if operator.is_platform_admin() {
            return Ok(caller(Reach::Platform, &Role::PlatformAdmin));
        }
        // Roles are sorted: if an operator has several in one workspace, `workspace_admin` comes first.
        let role = workspace_id
            .filter(|id| *id != PLATFORM)
            .and_then(|id| operator.roles.iter().find(|role| role.workspace_id() == Some(id)))
            .ok_or(Error::NotFound("workspace"))?;
        let reach = Reach::Workspace(role.stored_workspace_id().to_owned());
        let workspace = self.kernel.storage.workspace(&reach, role.stored_workspace_id()).await?;
        let workspace = workspace.ok_or(Error::NotFound("workspace"))?;
        if workspace.suspended_at.is_some() {
            return Err(Error::Denied(
                "the workspace is suspended: ask a platform administrator to make it active again".to_owned(),
            ));
        }
        Ok(caller(reach, role))
    }
}
