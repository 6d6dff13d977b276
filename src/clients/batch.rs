//! Changes many API clients in one transaction: all of them or none. For the management API.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::ahead::ENDED_AT_ONCE;
use super::batch_request::{BATCH_MAX, BatchChange, Selected};
use super::context::RelatedRecords;
use super::locking::{hold_workspace, lock_client};
use super::update::{EndedTokens, new_number};
use super::{API_CLIENT, Clients};
use crate::kernel::{Error, Manager};
use crate::model::client::ApiClient;
use crate::model::clock::UnixSeconds;
use crate::model::field_errors::{FieldError, FieldErrors};
use crate::model::ids;
use crate::model::reach::Reach;
use crate::model::workspace::Workspace;
use crate::storage::{Ending, Tx};

/// The most tokens that one batch may revoke. Other requests wait for its transaction.
const REVOKED_MAX: usize = 10_000;

/// What a batch did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// How many clients it found.
    pub matched: usize,
    /// How many of them it changed.
    pub changed: usize,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The clients that it found, in the order of the `ids` in the request; if a filter found them, by id.
    #[serde(rename = "items")]
    pub clients: Vec<BatchedClient>,
}

/// A client of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchedClient {
    /// Its id.
    pub client_id: String,
    /// Its new version; after a dry run the current one. The management API shows it as `etag`.
    #[serde(skip)]
    pub version: i64,
    /// How many of its recorded tokens were revoked.
    pub revoked_tokens: usize,
}

/// The locked clients of a batch, each with its place in the request, and their locked workspaces.
struct Locked {
    clients: Vec<(usize, ApiClient)>,
    workspaces: BTreeMap<String, Workspace>,
}

/// A client before and after the change, with its place in the request and its workspace.
struct Judged<'a> {
    place: usize,
    workspace: &'a Workspace,
    before: &'a ApiClient,
    after: ApiClient,
}

impl Clients {
    /// Changes every client that the request names or that its filter finds, by the rules of
    /// [`change_client`](Clients::change_client). If one of them breaks a rule, nothing is changed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `/ids/N` (or `/filter`) for each client that breaks a rule, and for more than 200 clients;
    /// [`Error::NotFoundAmong`] for ids that are not within reach; [`Error::Conflict`] if more than 10,000 tokens would be
    /// revoked; else as [`change_client`](Clients::change_client).
    pub async fn change_clients(&self, caller: &Manager, wanted: &BatchChange) -> Result<Batch, Error> {
        let selected = wanted.selected()?;
        if let Selected::Filter(filter) = selected
            && filter.unused_since.is_some()
        {
            self.write_uses_for_a_list().await;
        }
        match self.try_to_change_clients(caller, selected, wanted).await {
            // A change of a single client ran meanwhile and locks some of the same rows in another order: the two deadlocked.
            Err(Error::Storage(error)) if error.is_deadlock() => {
                self.try_to_change_clients(caller, selected, wanted).await
            }
            outcome => outcome,
        }
    }

    async fn try_to_change_clients(
        &self,
        caller: &Manager,
        selected: &Selected,
        wanted: &BatchChange,
    ) -> Result<Batch, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let now = self.kernel.clock.now();
        let locked = self.lock_selected(&mut tx, &caller.reach, selected, now).await?;
        let granted: BTreeSet<&String> =
            locked.clients.iter().flat_map(|(_, client)| &client.products).collect();
        let granted: Vec<String> = granted.into_iter().cloned().collect();
        let related = self.lock_related(&mut tx, &wanted.patch, &granted).await?;
        let judged = self.judge_all(caller, &locked, &related, selected, wanted)?;
        let mut revoking = 0_usize;
        for Judged { before, after, .. } in &judged {
            revoking = revoking.saturating_add(count_ended_tokens(&mut tx, before, after, now).await?);
            if revoking > REVOKED_MAX {
                return Err(Error::Conflict(format!(
                    "the batch would revoke more than {REVOKED_MAX} tokens: change {} in a separate request",
                    before.client_id
                )));
            }
        }
        let mut batch =
            Batch { matched: judged.len(), changed: 0, dry_run: wanted.dry_run, clients: Vec::new() };
        let mut by_place = BTreeMap::new();
        for Judged { place, workspace, before, mut after } in judged {
            let mut revoked_tokens = 0;
            if after != *before {
                batch.changed += 1;
                let revoked =
                    self.write_change(&mut tx, caller, workspace, before, &mut after, 0, now).await?;
                revoked_tokens = revoked.unwrap_or_default();
            }
            let version = if wanted.dry_run { before.version } else { after.version };
            let client_id = after.client_id;
            by_place.insert(place, BatchedClient { client_id, version, revoked_tokens });
        }
        batch.clients = by_place.into_values().collect();
        if wanted.dry_run || batch.changed == 0 {
            tx.rollback().await?;
        } else {
            self.ledger.commit(tx).await?;
        }
        Ok(batch)
    }

    /// Locks the selected clients: their workspaces first, and all in the order of their ids.
    async fn lock_selected(
        &self,
        tx: &mut Tx,
        reach: &Reach,
        selected: &Selected,
        now: UnixSeconds,
    ) -> Result<Locked, Error> {
        let found;
        let ids = match selected {
            Selected::Ids(ids) => ids,
            Selected::Filter(filter) => {
                found = tx.client_ids_found(reach, filter, None, BATCH_MAX + 1, now).await?;
                if found.len() > BATCH_MAX as usize {
                    return Err(Error::invalid(
                        "/filter",
                        format!("finds more than {BATCH_MAX} API clients: narrow it down"),
                    ));
                }
                &found
            }
        };
        let named: Vec<&str> = ids.iter().map(String::as_str).filter(|id| ids::is_client_id(id)).collect();
        let homes = tx.workspaces_of_clients(reach, &named).await?;
        if matches!(selected, Selected::Ids(_)) {
            all_found(ids, |id| homes.contains_key(id))?;
        }
        let mut workspaces = BTreeMap::new();
        for workspace_id in homes.values().collect::<BTreeSet<_>>() {
            let workspace = hold_workspace(tx, &Reach::Platform, workspace_id).await?;
            workspaces.insert(workspace_id.clone(), workspace);
        }
        let mut in_order: Vec<(usize, &String)> = ids.iter().enumerate().collect();
        in_order.sort_by_key(|(_, id)| *id);
        let mut clients = Vec::with_capacity(in_order.len());
        for (place, id) in in_order {
            match lock_client(tx, reach, id).await {
                Ok(client) => clients.push((place, client)),
                // The client was deleted in the meantime.
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match selected {
            Selected::Ids(_) => {
                let locked: HashSet<&str> = clients.iter().map(|(_, c)| c.client_id.as_str()).collect();
                all_found(ids, |id| locked.contains(id))?;
            }
            Selected::Filter(filter) => {
                // The clients may have changed while this transaction waited for their locks.
                let among: Vec<&str> = clients.iter().map(|(_, client)| client.client_id.as_str()).collect();
                let still = tx.client_ids_found(reach, filter, Some(&among), BATCH_MAX, now).await?;
                clients.retain(|(_, client)| still.contains(&client.client_id));
            }
        }
        Ok(Locked { clients, workspaces })
    }

    /// Checks the change of each client. The field errors of all clients are reported in one reply. If there are none, the
    /// first other refusal is reported.
    fn judge_all<'a>(
        &self,
        caller: &Manager,
        locked: &'a Locked,
        related: &RelatedRecords,
        selected: &Selected,
        wanted: &BatchChange,
    ) -> Result<Vec<Judged<'a>>, Error> {
        let mut judged = Vec::with_capacity(locked.clients.len());
        let mut errors = FieldErrors::default();
        let mut refused = None;
        for (place, before) in &locked.clients {
            let workspace = locked.workspaces.get(&before.workspace_id);
            let workspace = workspace.ok_or(Error::NotFound("workspace"))?;
            match self.judge_change(caller, workspace, related, &wanted.patch, before) {
                Ok(after) => judged.push(Judged { place: *place, workspace, before, after }),
                Err(Error::Invalid(broken)) => {
                    let broken: Vec<String> = broken
                        .iter()
                        .map(|error| format!("/patch{} {}", error.pointer, error.detail))
                        .collect();
                    let broken = broken.join("; ");
                    match selected {
                        Selected::Ids(_) => errors.add(
                            format!("/ids/{place}"),
                            format!("names a client for which the change is invalid: {broken}"),
                        ),
                        Selected::Filter(_) => errors.add(
                            "/filter",
                            format!("finds {}, for which the change is invalid: {broken}", before.client_id),
                        ),
                    }
                }
                Err(Error::NotSupportedYet(fields)) => {
                    let of_patch = |error: FieldError| FieldError {
                        pointer: format!("/patch{}", error.pointer),
                        ..error
                    };
                    return Err(Error::NotSupportedYet(fields.into_iter().map(of_patch).collect()));
                }
                // The caller may not make this change.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Error::if_any(errors)?;
        refused.map_or(Ok(judged), Err)
    }
}

/// How many recorded tokens a change would revoke. A token that it would end for two reasons counts twice. Tokens beyond a
/// [`new_number`] count only if they are more than [`ENDED_AT_ONCE`]: otherwise the change does not revoke them.
async fn count_ended_tokens(
    tx: &mut Tx,
    before: &ApiClient,
    after: &ApiClient,
    now: UnixSeconds,
) -> Result<usize, Error> {
    let client_id = &before.client_id;
    let count = match EndedTokens::by(before, after) {
        EndedTokens::Nothing | EndedTokens::Stateless => 0,
        EndedTokens::All => tx.count_live_tokens(client_id, now).await?,
        EndedTokens::Scopes(scopes) => tx.count_tokens_with_scopes(client_id, &scopes, now).await?,
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let Some(max) = new_number(before, after) else { return Ok(count) };
    let beyond = tx.count_ending(client_id, Ending::Beyond(max), now, REVOKED_MAX + 1).await?;
    Ok(if beyond > ENDED_AT_ONCE { count.saturating_add(beyond) } else { count })
}

/// Refuses ids that were not found, each with its index.
fn all_found(ids: &[String], is_found: impl Fn(&str) -> bool) -> Result<(), Error> {
    let missing = ids.iter().enumerate().filter(|(_, id)| !is_found(id));
    let missing: Vec<FieldError> = missing
        .map(|(place, _)| {
            FieldError::new(format!("/ids/{place}"), format!("is not an {API_CLIENT} that you can access"))
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::NotFoundAmong(missing)) }
}
