//! Workspaces: the tenants. Managers of the platform write them; a workspace's own manager may rename it.
//!
//! The id of a deleted workspace is never used again, since tokens and audit events still name it.

use std::collections::BTreeSet;

use super::Tenants;
use super::dto::WorkspaceSettings;
use super::workspace_change::WorkspaceChange;
use crate::kernel::{Error, Manager, Precondition, Reader, to_json};
use crate::ledger::{SaveReply, Subject, differences};
use crate::model::audit::Action;
use crate::model::ids;
use crate::model::member::Member;
use crate::model::page::{Items, Page};
use crate::model::reach::Reach;
use crate::model::workspace::{PLATFORM, Workspace};
use crate::storage::{Change, Tx};

const WHAT: &str = "workspace";

impl Tenants {
    /// A page of the workspaces within reach, sorted by id.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn workspaces(&self, caller: &Reader, page: &Page) -> Result<Items<Workspace>, Error> {
        Ok(self.kernel.storage.workspaces(&caller.reach, page).await?)
    }

    /// A workspace within reach.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn workspace(&self, caller: &Reader, workspace_id: &str) -> Result<Workspace, Error> {
        if !ids::is_workspace_id(workspace_id) {
            return Err(Error::NotFound(WHAT));
        }
        self.kernel.storage.workspace(&caller.reach, workspace_id).await?.ok_or(Error::NotFound(WHAT))
    }

    /// Creates a workspace, under a generated id unless one is given.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Invalid`] with every bad field; [`Error::Conflict`] if the id is
    /// or was in use; [`Error::AlreadyAnswered`], [`Error::Storage`], [`Error::Crypto`].
    pub async fn create_workspace(
        &self,
        caller: &Manager,
        workspace_id: &Member<String>,
        change: &WorkspaceChange,
        save: Option<SaveReply<'_, Workspace>>,
    ) -> Result<Workspace, Error> {
        caller.must_manage_platform("workspaces")?;
        let mut errors = change.parse_errors.clone();
        let now = self.kernel.clock.now();
        let workspace_id = match workspace_id {
            Member::Absent | Member::Null => ids::workspace_id(self.kernel.random.fill()?),
            Member::Value(id) => {
                if !ids::is_workspace_id(id) {
                    errors.add("/workspace_id", "must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -");
                }
                id.clone()
            }
        };
        let mut workspace = Workspace {
            workspace_id,
            name: String::new(),
            description: None,
            suspended_at: None,
            never_expires_allowed: true,
            products_allowed: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        if change.name.is_absent() {
            errors.add("/name", "is required");
        }
        let products = self.product_codes_for(change).await?;
        change.apply(&mut workspace, &products, now, &mut errors);
        Error::if_any(errors)?;
        let mut tx = self.kernel.storage.begin().await?;
        if !tx.insert_workspace(&workspace).await? {
            return Err(Error::Conflict(format!(
                "the id {} is in use or was used before, and ids are never used again: choose another one",
                workspace.workspace_id
            )));
        }
        let subject = Subject::workspace(&workspace.workspace_id);
        self.ledger
            .audit(
                &mut tx,
                caller,
                Action::WorkspaceCreated,
                subject,
                to_json(&WorkspaceSettings::from(&workspace)),
            )
            .await?;
        self.ledger.save_reply(&mut tx, save.as_ref(), &workspace, None).await?;
        self.ledger.commit(tx).await?;
        Ok(workspace)
    }

    /// Changes, suspends or resumes a workspace. If nothing changes, nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Denied`] for more than the name, if the caller
    /// is not of the platform; [`Error::Invalid`] with every bad field; [`Error::Conflict`] for suspending `platform`
    /// and for taking away products that clients hold; [`Error::Storage`].
    pub async fn change_workspace(
        &self,
        caller: &Manager,
        workspace_id: &str,
        expected: &Precondition,
        change: &WorkspaceChange,
    ) -> Result<Workspace, Error> {
        if !ids::is_workspace_id(workspace_id) {
            return Err(Error::NotFound(WHAT));
        }
        let products = self.product_codes_for(change).await?;
        let mut tx = self.kernel.storage.begin().await?;
        let before = tx.lock_workspace(&caller.reach, workspace_id).await?.ok_or(Error::NotFound(WHAT))?;
        expected.check(before.version)?;
        if caller.reach != Reach::Platform && change.changes_more_than_the_name(&before) {
            return Err(Error::Denied(
                "a workspace's own manager may change only its name; the rest needs an API client of the workspace `platform`"
                    .to_owned(),
            ));
        }
        let now = self.kernel.clock.now();
        let mut after = before.clone();
        let mut errors = change.parse_errors.clone();
        change.apply(&mut after, &products, now, &mut errors);
        Error::if_any(errors)?;
        if after == before {
            tx.rollback().await?;
            // This may repeat a request that was interrupted before the status lists were updated.
            if !change.status.is_absent() {
                self.clients.update_slots_of_workspace(workspace_id).await?;
            }
            return Ok(before);
        }
        if workspace_id == PLATFORM && after.suspended_at.is_some() {
            return Err(Error::Conflict(
                "the workspace `platform` cannot be suspended, since nobody could resume it".to_owned(),
            ));
        }
        must_not_be_granted(&mut tx, &before, &after).await?;
        after.updated_at = now;
        after.version += 1;
        tx.update_workspace(&after).await?;
        let detail = differences(&WorkspaceSettings::from(&before), &WorkspaceSettings::from(&after));
        self.ledger
            .audit(&mut tx, caller, Action::WorkspaceUpdated, Subject::workspace(workspace_id), detail)
            .await?;
        tx.changed(Change::Workspace(workspace_id.to_owned()));
        self.ledger.commit(tx).await?;
        // Introspection and the API apply the change from now on. The status lists are updated client by client, before the
        // reply.
        if before.suspended_at.is_some() != after.suspended_at.is_some() {
            self.clients.update_slots_of_workspace(workspace_id).await?;
        }
        Ok(after)
    }

    /// Deletes a workspace that has no API clients, with its webhooks and the roles of operators in it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`]; [`Error::Conflict`] while it has
    /// clients, and for `platform`; [`Error::Storage`].
    pub async fn delete_workspace(
        &self,
        caller: &Manager,
        workspace_id: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        caller.must_manage_platform("workspaces")?;
        if !ids::is_workspace_id(workspace_id) {
            return Err(Error::NotFound(WHAT));
        }
        let mut tx = self.kernel.storage.begin().await?;
        // The roles in the workspace are deleted, too. Every change of operators takes this turn before it locks a row.
        tx.take_turn_of_operators().await?;
        let workspace = tx.lock_workspace(&caller.reach, workspace_id).await?.ok_or(Error::NotFound(WHAT))?;
        expected.check(workspace.version)?;
        if workspace_id == PLATFORM {
            return Err(Error::Conflict("the workspace `platform` cannot be deleted".to_owned()));
        }
        match tx.count_workspace_clients(workspace_id).await? {
            0 => {}
            1 => return Err(Error::Conflict("the workspace has 1 API client: delete it first".to_owned())),
            n => {
                return Err(Error::Conflict(format!("the workspace has {n} API clients: delete them first")));
            }
        }
        let now = self.kernel.clock.now();
        tx.delete_roles_in_workspace(workspace_id, now).await?;
        let webhooks = tx.delete_webhooks_of_workspace(workspace_id).await?;
        tx.delete_workspace(workspace_id, now).await?;
        let subject = Subject::workspace(workspace_id);
        self.ledger
            .audit(
                &mut tx,
                caller,
                Action::WorkspaceDeleted,
                subject,
                to_json(&WorkspaceSettings::from(&workspace)),
            )
            .await?;
        self.ledger.commit(tx).await?;
        for webhook_id in webhooks {
            self.ledger.forget_deliveries(&webhook_id).await;
        }
        Ok(())
    }

    /// The codes of the existing products; read only for a change of `products_allowed`.
    async fn product_codes_for(&self, change: &WorkspaceChange) -> Result<BTreeSet<String>, Error> {
        if change.products_allowed.value().is_none() {
            return Ok(BTreeSet::new());
        }
        Ok(self.kernel.storage.all_products().await?.into_iter().map(|product| product.product).collect())
    }
}

/// Refuses a change that disallows products which clients of the workspace are granted.
async fn must_not_be_granted(tx: &mut Tx, before: &Workspace, after: &Workspace) -> Result<(), Error> {
    if before.products_allowed == after.products_allowed {
        return Ok(());
    }
    let held = tx.products_held(&after.workspace_id).await?;
    let held: Vec<String> = held
        .into_iter()
        .filter(|(code, _)| before.allows_product(code) && !after.allows_product(code))
        .map(|(code, clients)| format!("{code} ({clients})"))
        .collect();
    if held.is_empty() {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "API clients of the workspace are granted products that the change disallows: remove these from their `products` \
         first: {}",
        held.join(", ")
    )))
}
