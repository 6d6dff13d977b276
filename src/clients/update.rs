//! Changes an API client, and revokes the tokens that the change ends ([`EndedTokens`]). For the management API, the console
//! and the command line.

use serde::Serialize;
use serde_json::json;

use super::ahead::{ENDED_AT_ONCE, EndedBefore};
use super::change::ClientChange;
use super::context::{RelatedRecords, RuleContext};
use super::dto::ClientSettings;
use super::generations::mark_revoked;
use super::locking::{hold_workspace_of, lock_client};
use super::{Clients, rules};
use crate::kernel::{Caller, Error, Manager, Precondition};
use crate::ledger::{Subject, differences};
use crate::model::audit::Action;
use crate::model::client::{ActiveTokens, ApiClient, ClientRecord};
use crate::model::clock::UnixSeconds;
use crate::model::mail::MailKind;
use crate::model::product::is_product_code;
use crate::model::scope::Permission;
use crate::model::workspace::Workspace;
use crate::storage::{Change, Ending, Tx};

/// A changed client.
#[derive(Debug, Serialize)]
pub struct ChangedClient {
    /// The client and its live secrets.
    #[serde(flatten)]
    pub record: ClientRecord,
    /// How many recorded tokens the change revoked. `None` unless it removed a product or a permission, changed
    /// `active_tokens` to `replace` or from `many` to a number, or revoked tokens beyond a number. Stateless tokens are revoked
    /// too, but nothing counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_tokens: Option<usize>,
}

/// A change that every rule allows, with the transaction that locks the records it was checked against.
#[derive(Debug)]
struct Judged {
    tx: Tx,
    workspace: Workspace,
    before: ApiClient,
    after: ApiClient,
}

impl Clients {
    /// Changes a client that the caller can access. If every member already has the requested value, nothing is written.
    /// Removing a product or a permission starts a new generation and revokes the recorded tokens that carry it, in bounded
    /// steps before the change if there are many. A change of `active_tokens` to `replace` revokes all tokens; a change from
    /// `many` to a number starts a new generation, and first revokes the tokens beyond the number if they are many.
    ///
    /// # Errors
    /// As [`Clients::create_client`], and [`Error::Changed`] if the version of the client is not one of `expected`.
    pub async fn change_client(
        &self,
        caller: &Manager,
        client_id: &str,
        expected: &Precondition,
        change: &ClientChange,
    ) -> Result<ChangedClient, Error> {
        let mut ahead = EndedBefore::default();
        let Judged { mut tx, workspace, before, mut after } = loop {
            let judged = self.lock_and_judge(caller, client_id, expected, change).await?;
            if let Some(judged) = self.change_ending_few_tokens(caller, judged, &mut ahead).await? {
                break judged;
            }
        };
        let now = self.kernel.clock.now();
        let mut secrets = tx.secrets(client_id).await?;
        secrets.retain(|secret| secret.is_live(now));
        let last_used_at = tx.last_uses(&[client_id]).await?.remove(client_id);
        let changed = after != before;
        let mut revoked_tokens = None;
        if changed {
            let revoked = ahead.revoked;
            revoked_tokens =
                self.write_change(&mut tx, caller, &workspace, &before, &mut after, revoked, now).await?;
            self.ledger.commit(tx).await?;
        } else {
            tx.rollback().await?;
        }
        let mut record = ClientRecord { client: after, secrets, last_used_at };
        self.add_pending_uses(&mut record);
        Ok(ChangedClient { record, revoked_tokens })
    }

    /// Locks a client within reach, and checks the result of a change.
    async fn lock_and_judge(
        &self,
        caller: &Manager,
        client_id: &str,
        expected: &Precondition,
        change: &ClientChange,
    ) -> Result<Judged, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        let workspace = hold_workspace_of(&mut tx, &caller.reach, client_id).await?;
        let before = lock_client(&mut tx, &caller.reach, client_id).await?;
        expected.check(before.version)?;
        let related = self.lock_related(&mut tx, change, &before.products).await?;
        let after = self.judge_change(caller, &workspace, &related, change, &before)?;
        Ok(Judged { tx, workspace, before, after })
    }

    /// Returns the change if it ends few tokens. If it ends many, rolls back, revokes these tokens in steps and returns
    /// `None`: then the change has to be checked again.
    async fn change_ending_few_tokens(
        &self,
        caller: &Caller,
        judged: Judged,
        ahead: &mut EndedBefore,
    ) -> Result<Option<Judged>, Error> {
        let Judged { mut tx, workspace, before, after } = judged;
        let ended = EndedTokens::by(&before, &after);
        let mut endings = Vec::new();
        match &ended {
            EndedTokens::Nothing | EndedTokens::Stateless => {}
            EndedTokens::Scopes(scopes) => endings.push(Ending::WithScopes(scopes)),
            EndedTokens::All => endings.push(Ending::All),
        }
        endings.extend(new_number(&before, &after).map(Ending::Beyond));
        for ending in endings {
            match self.ending_few_tokens(tx, caller, &before, ending, ahead).await? {
                Some(same) => tx = same,
                None => return Ok(None),
            }
        }
        Ok(Some(Judged { tx, workspace, before, after }))
    }

    /// A locked client after a change, if every rule allows the change and the caller may make it.
    pub(super) fn judge_change(
        &self,
        caller: &Manager,
        workspace: &Workspace,
        related: &RelatedRecords,
        change: &ClientChange,
        before: &ApiClient,
    ) -> Result<ApiClient, Error> {
        let mut after = before.clone();
        self.apply_change(workspace, related, change, Some(before), &mut after)?;
        rules::may_change(caller, Some(before), &after)?;
        Ok(after)
    }

    /// Writes a changed client, and revokes the tokens that the change ends. Returns how many recorded tokens were revoked,
    /// including the `ahead` that were revoked before the change; `None` for a change that ends no tokens.
    #[expect(clippy::too_many_arguments, reason = "each is a part of one change")]
    pub(super) async fn write_change(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        workspace: &Workspace,
        before: &ApiClient,
        after: &mut ApiClient,
        ahead: usize,
        now: UnixSeconds,
    ) -> Result<Option<usize>, Error> {
        let revoked_tokens = match (self.revoke_ended_tokens(tx, before, after, now).await?, ahead) {
            (None, 0) => None,
            (revoked, ahead) => Some(revoked.unwrap_or_default() + ahead),
        };
        self.update_slots(tx, after, workspace.suspended_at.is_some(), now).await?;
        mark_changed(after, now);
        self.write_members(tx, caller, before, after, revoked_tokens).await?;
        Ok(revoked_tokens)
    }

    /// Revokes the tokens that a change ends. Returns how many recorded tokens it revoked; `None` for a change that ends no
    /// tokens.
    async fn revoke_ended_tokens(
        &self,
        tx: &mut Tx,
        before: &ApiClient,
        after: &mut ApiClient,
        now: UnixSeconds,
    ) -> Result<Option<usize>, Error> {
        let mut count = match EndedTokens::by(before, after) {
            EndedTokens::Nothing => None,
            EndedTokens::All => Some(self.revoke_all_tokens(tx, after, now).await?),
            EndedTokens::Stateless => {
                self.new_generation(tx, after, now).await?;
                Some(0)
            }
            EndedTokens::Scopes(scopes) => {
                self.new_generation(tx, after, now).await?;
                let revoked = tx.revoke_tokens_with_scopes(&after.client_id, &scopes, now).await?;
                Some(mark_revoked(tx, &revoked).await?)
            }
        };
        if let Some(max) = new_number(before, after) {
            let client_id = after.client_id.as_str();
            if tx.ends_more_than(ENDED_AT_ONCE, client_id, Ending::Beyond(max), now).await? {
                let revoked = tx.revoke_beyond(&[(client_id, max)], now).await?;
                *count.get_or_insert_default() += mark_revoked(tx, &revoked).await?;
            }
        }
        Ok(count)
    }

    /// Locks the products that a change depends on, including `granted`, and reads the signing keys.
    pub(super) async fn lock_related(
        &self,
        tx: &mut Tx,
        change: &ClientChange,
        granted: &[String],
    ) -> Result<RelatedRecords, Error> {
        let mut products = Vec::new();
        if !(change.products.is_absent() && change.token_expiry.is_absent()) {
            let named = change.products.value().map(Vec::as_slice).unwrap_or_default();
            let codes = named.iter().chain(granted).map(String::as_str);
            let codes: Vec<&str> = codes.filter(|code| is_product_code(code)).collect();
            products = tx.share_products(&codes).await?;
        }
        let products = products.into_iter().map(|product| (product.product.clone(), product)).collect();
        Ok(RelatedRecords { products, keys: tx.signing_keys().await? })
    }

    /// Applies the change to `after`, and checks every rule.
    pub(super) fn apply_change(
        &self,
        workspace: &Workspace,
        related: &RelatedRecords,
        change: &ClientChange,
        before: Option<&ApiClient>,
        after: &mut ApiClient,
    ) -> Result<(), Error> {
        let context = RuleContext {
            policy: &self.kernel.policy,
            now: self.kernel.clock.now(),
            workspace,
            products: &related.products,
            keys: &related.keys,
        };
        let mut errors = change.parse_errors.clone();
        change.apply(after, before.is_none(), &context, &mut errors);
        rules::check(change, before, after, &context, &mut errors);
        change.reserved.must_be_supported(errors)
    }

    /// Writes a changed client, its audit event and the mails about it.
    async fn write_members(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        before: &ApiClient,
        after: &ApiClient,
        revoked_tokens: Option<usize>,
    ) -> Result<(), Error> {
        tx.update_client(after).await?;
        tx.ungrant_products(&after.client_id, &missing_in(&after.products, &before.products)).await?;
        tx.grant_products(&after.client_id, &missing_in(&before.products, &after.products)).await?;
        let mut changed = differences(&ClientSettings::from(before), &ClientSettings::from(after));
        let kind = mail_about(before, after);
        let mut facts = changed.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("revoked_tokens".to_owned(), json!(revoked_tokens));
            facts.insert("taken".to_owned(), json!(EndedTokens::taken(before, after)));
        }
        if let (Some(revoked), Some(changed)) = (revoked_tokens, changed.as_object_mut()) {
            changed.insert("revoked_tokens".to_owned(), revoked.into());
        }
        self.ledger.audit(tx, caller, Action::ClientUpdated, Subject::client(after), changed).await?;
        // A contact that the change removes gets this last mail too, so that nobody is removed without notice.
        let mut contacts = after.clone();
        contacts.notification_emails.extend_from_slice(&before.notification_emails);
        contacts.notification_emails.sort_unstable();
        contacts.notification_emails.dedup();
        self.ledger.mail_contacts(tx, caller, &contacts, kind, facts).await?;
        tx.changed(Change::Client(after.client_id.clone()));
        Ok(())
    }
}

/// Raises the version of a client that a management request changes.
pub(super) fn mark_changed(client: &mut ApiClient, now: UnixSeconds) {
    client.version += 1;
    client.updated_at = now;
}

/// The kind of the mail about a change. If several kinds apply, the first one in this order is used.
fn mail_about(before: &ApiClient, after: &ApiClient) -> MailKind {
    match (before.disabled_at, after.disabled_at) {
        (None, Some(_)) => MailKind::ClientDisabled,
        (Some(_), None) => MailKind::ClientEnabled,
        _ if !EndedTokens::taken(before, after).is_empty() => MailKind::ProductsTaken,
        _ => MailKind::ClientUpdated,
    }
}

/// The number that a change sets, unless the client had a number before. Recorded tokens beyond it end when the next token is
/// issued. If they are more than [`ENDED_AT_ONCE`], the change itself ends them, so that the next token need not wait for that.
pub(super) fn new_number(before: &ApiClient, after: &ApiClient) -> Option<i64> {
    match (before.active_tokens, after.active_tokens) {
        (ActiveTokens::AtMost(_), _) => None,
        (_, ActiveTokens::AtMost(max)) => Some(max),
        _ => None,
    }
}

/// Which tokens of a client a change ends, apart from those beyond a [`new_number`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EndedTokens<'a> {
    Nothing,
    /// All stateless tokens, since only recorded tokens can be counted.
    Stateless,
    /// All stateless tokens, and the recorded tokens that carry one of these scopes.
    Scopes(Vec<&'a str>),
    /// All tokens.
    All,
}

impl<'a> EndedTokens<'a> {
    pub(super) fn by(before: &'a ApiClient, after: &ApiClient) -> Self {
        let replaces = |client: &ApiClient| matches!(client.active_tokens, ActiveTokens::Replace { .. });
        // From now on one token is active at a time, so all tokens issued before are revoked.
        if replaces(after) && !replaces(before) {
            return Self::All;
        }
        let scopes = Self::taken(before, after);
        if !scopes.is_empty() {
            Self::Scopes(scopes)
        } else if before.active_tokens == ActiveTokens::Many && after.active_tokens != ActiveTokens::Many {
            Self::Stateless
        } else {
            Self::Nothing
        }
    }

    /// The products and permissions that a change takes from a client, as scopes.
    fn taken(before: &'a ApiClient, after: &ApiClient) -> Vec<&'a str> {
        let products = missing_in(&after.products, &before.products).into_iter().map(String::as_str);
        let mut scopes: Vec<&str> = products.collect();
        for permission in Permission::ALL {
            // Included permissions are taken too: a token with only `mintmark:read` ends when `mintmark:manage` is removed.
            let is_named =
                before.permissions.contains(&permission) && !after.permissions.contains(&permission);
            if is_named || permission.is_held(&before.permissions) && !permission.is_held(&after.permissions)
            {
                scopes.push(permission.as_str());
            }
        }
        scopes
    }
}

/// The items of `wanted` that `there` does not have.
fn missing_in<'a, T: PartialEq>(there: &[T], wanted: &'a [T]) -> Vec<&'a T> {
    wanted.iter().filter(|item| !there.contains(item)).collect()
}
