//! The first records of an empty database: the workspace `platform`, and the first management client.
//! For the start of the service and the command `mintmark bootstrap`.

use serde_json::json;

use super::Tenants;
use crate::kernel::{Caller, Error, Manager};
use crate::ledger::Subject;
use crate::model::audit::{Action, Actor};
use crate::model::reach::Reach;
use crate::model::scope::Permission;
use crate::model::secret::PlainSecret;
use crate::model::workspace::{PLATFORM, Workspace};
use crate::storage::{Change, Tx};

/// The first management client.
#[derive(Debug)]
pub struct Bootstrapped {
    /// Its id.
    pub client_id: String,
    /// Its workspace, [`PLATFORM`].
    pub workspace_id: String,
    /// Its secret; `None` if the client existed already.
    pub client_secret: Option<PlainSecret>,
}

impl Tenants {
    /// Creates the workspace `platform`, if it is missing. Several processes may call this at once.
    pub async fn ensure_platform_workspace(&self) -> Result<(), Error> {
        if self.kernel.storage.workspace(&Reach::Platform, PLATFORM).await?.is_some() {
            return Ok(());
        }
        let caller = Caller { actor: Actor::system(), ..Caller::command_line() };
        let mut tx = self.kernel.storage.begin().await?;
        self.insert_platform_workspace(&mut tx, &caller).await?;
        self.ledger.commit(tx).await
    }

    /// The id of the first management client of the workspace `platform`; `None` if there is none, as before
    /// `bootstrap`.
    pub async fn first_manager(&self) -> Result<Option<String>, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let found = tx.first_manager(PLATFORM).await?;
        tx.rollback().await?;
        Ok(found.map(|client| client.client_id))
    }

    /// Creates the first management client. If the workspace `platform` already has a client that may manage, returns that
    /// client and changes nothing. Processes that call this at the same time take turns.
    ///
    /// # Errors
    /// [`Error::Storage`], or [`Error::Crypto`] without random numbers.
    pub async fn bootstrap(&self, caller: &Manager) -> Result<Bootstrapped, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        self.insert_platform_workspace(&mut tx, caller).await?;
        // The lock on this row makes processes take turns: the second one sees the client that the first created.
        let workspace =
            tx.lock_workspace(&caller.reach, PLATFORM).await?.ok_or(Error::NotFound("workspace"))?;
        if let Some(client) = tx.first_manager(PLATFORM).await? {
            self.ledger.commit(tx).await?;
            return Ok(Bootstrapped {
                client_id: client.client_id,
                workspace_id: client.workspace_id,
                client_secret: None,
            });
        }
        let mut client = self.clients.new_client(&workspace.workspace_id)?;
        "bootstrap".clone_into(&mut client.label);
        client.permissions = Permission::ALL.to_vec();
        let created = self.clients.insert_client(&mut tx, caller, client).await?;
        self.ledger.commit(tx).await?;
        let client = created.record.client;
        Ok(Bootstrapped {
            client_id: client.client_id,
            workspace_id: client.workspace_id,
            client_secret: Some(created.secret),
        })
    }

    /// Adds the workspace `platform` if it is missing.
    async fn insert_platform_workspace(&self, tx: &mut Tx, caller: &Caller) -> Result<(), Error> {
        let now = self.kernel.clock.now();
        let workspace = Workspace {
            workspace_id: PLATFORM.to_owned(),
            name: "Platform".to_owned(),
            description: None,
            suspended_at: None,
            never_expires_allowed: true,
            products_allowed: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        if tx.insert_workspace(&workspace).await? {
            let facts = json!({ "name": workspace.name });
            self.ledger
                .audit(tx, caller, Action::WorkspaceCreated, Subject::workspace(PLATFORM), facts)
                .await?;
            tx.changed(Change::Workspace(PLATFORM.to_owned()));
        }
        Ok(())
    }
}
