//! Accounts at OpenID Connect providers. An account is linked to an operator; if the provider has a `role_claim`, the first
//! sign-in creates the operator. The ID token has been verified before.

use super::dto::OperatorSettings;
use super::{Operators, SignedIn, Source, rules};
use crate::kernel::{Caller, Error, to_json};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::field_errors::FieldErrors;
use crate::model::operator::{Identity, Operator, OperatorStatus, Role, Way};
use crate::model::text;
use crate::model::workspace::PLATFORM;
use crate::storage::Tx;

/// What an ID token says of an account, for a provider with a `role_claim`.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// The name of the provider in the settings.
    pub provider: &'a str,
    /// The provider's issuer identifier.
    pub issuer: &'a str,
    /// The account there (`sub`).
    pub subject: &'a str,
    /// Its address.
    pub email: Option<&'a str>,
    /// Its display name.
    pub name: Option<&'a str>,
    /// The values of the role claim.
    pub roles: &'a [String],
}

/// The outcome of a sign-in with claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimsCheck {
    /// The operator has signed in.
    SignedIn(SignedIn),
    /// No value of the role claim is a role. A role in a workspace that does not exist does not count.
    NoRole,
    /// The claims have no usable email address.
    NoEmail,
    /// Another operator has the address; accounts are never linked by address.
    EmailTaken,
    /// The operator is disabled, or meanwhile was deleted or unlinked from the account.
    Disabled,
}

impl Operators {
    /// Signs in the operator that an account is linked to. `None` if the account is linked to nobody, or the operator is
    /// disabled; the refusal is audited.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn identity(
        &self,
        issuer: &str,
        subject: &str,
        source: &Source,
    ) -> Result<Option<SignedIn>, Error> {
        let storage = &self.kernel.storage;
        let found = if subject.contains('\0') { None } else { storage.identity(issuer, subject).await? };
        let operator_id = found.map(|identity| identity.operator_id);
        if let Some(operator_id) = &operator_id {
            let operator = storage.operator(operator_id).await?;
            if operator.as_ref().is_some_and(Operator::is_active)
                && storage.use_identity(issuer, subject, self.kernel.clock.now()).await?
            {
                return Ok(Some(SignedIn::new(operator_id, Way::Oidc)));
            }
        }
        let reason = if operator_id.is_some() { "disabled" } else { "not_linked" };
        self.sign_in_refused(operator_id.as_deref(), Way::Oidc, reason, source).await?;
        Ok(None)
    }

    /// Signs in the operator of an account at a provider with a `role_claim`. The first sign-in creates the operator, and each
    /// one sets their roles. Only the provider that created an operator sets their roles, and the last platform administrator
    /// keeps theirs.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn operator_of_claims(
        &self,
        claims: &Claims<'_>,
        source: &Source,
    ) -> Result<ClaimsCheck, Error> {
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let checked = self.of_claims(&mut tx, claims, source).await?;
        let (reason, operator_id) = match &checked {
            (ClaimsCheck::SignedIn(_), _) => {
                self.ledger.commit(tx).await?;
                return Ok(checked.0);
            }
            (ClaimsCheck::NoRole, id) => ("no_role", id),
            (ClaimsCheck::NoEmail, id) => ("no_email", id),
            (ClaimsCheck::EmailTaken, id) => ("email_taken", id),
            (ClaimsCheck::Disabled, id) => ("disabled", id),
        };
        tx.rollback().await?;
        self.sign_in_refused(operator_id.as_deref(), Way::Oidc, reason, source).await?;
        Ok(checked.0)
    }

    async fn of_claims(
        &self,
        tx: &mut Tx,
        claims: &Claims<'_>,
        source: &Source,
    ) -> Result<(ClaimsCheck, Option<String>), Error> {
        let now = self.kernel.clock.now();
        let known = self.kernel.storage.identity(claims.issuer, claims.subject).await?;
        if let Some(Identity { operator_id, provider, .. }) = known {
            let Some(before) = tx.operator(&operator_id).await? else {
                return Ok((ClaimsCheck::Disabled, None));
            };
            if !before.is_active() {
                return Ok((ClaimsCheck::Disabled, Some(operator_id)));
            }
            // Both names are stored ones: the settings may name the provider differently now.
            if before.role_provider() == Some(provider.as_str()) {
                let roles = roles_of(tx, claims.roles).await?;
                if roles.is_empty() {
                    return Ok((ClaimsCheck::NoRole, Some(operator_id)));
                }
                if roles != before.roles {
                    self.set_roles(tx, claims, source, &before, roles).await?;
                }
            }
            if !tx.use_identity(claims.issuer, claims.subject, now).await? {
                // The account was unlinked at the same moment.
                return Ok((ClaimsCheck::Disabled, Some(operator_id)));
            }
            return Ok((ClaimsCheck::SignedIn(SignedIn::new(&operator_id, Way::Oidc)), Some(operator_id)));
        }
        let roles = roles_of(tx, claims.roles).await?;
        if roles.is_empty() {
            return Ok((ClaimsCheck::NoRole, None));
        }
        let Some(email) = claims.email.filter(|email| text::check_address(email).is_ok()) else {
            return Ok((ClaimsCheck::NoEmail, None));
        };
        let name = claims.name.map(str::trim).filter(|name| text::check_name(name, 1..=200).is_ok());
        let operator = Operator {
            operator_id: self.kernel.new_id()?,
            email: email.to_owned(),
            name: name.unwrap_or(email).to_owned(),
            status: OperatorStatus::Active,
            roles,
            role_source: Some(format!("oidc:{}", claims.provider)),
            sign_in: vec![Way::Oidc],
            last_sign_in_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        if !tx.insert_operator(&operator).await? {
            return Ok((ClaimsCheck::EmailTaken, None));
        }
        let identity = Identity {
            issuer: claims.issuer.to_owned(),
            subject: claims.subject.to_owned(),
            operator_id: operator.operator_id.clone(),
            provider: claims.provider.to_owned(),
            created_at: now,
            last_used_at: Some(now),
        };
        tx.insert_identity(&identity).await?;
        let detail = to_json(&OperatorSettings::from(&operator));
        let subject = Subject::platform(&operator.operator_id);
        self.ledger.audit(tx, &provider(claims, source), Action::OperatorCreated, subject, detail).await?;
        Ok((
            ClaimsCheck::SignedIn(SignedIn::new(&operator.operator_id, Way::Oidc)),
            Some(operator.operator_id),
        ))
    }

    /// Gives an operator the roles of the claims. The last platform administrator keeps theirs, with a warning in the log.
    async fn set_roles(
        &self,
        tx: &mut Tx,
        claims: &Claims<'_>,
        source: &Source,
        before: &Operator,
        roles: Vec<Role>,
    ) -> Result<(), Error> {
        let updated_at = self.kernel.clock.now();
        let after = Operator { roles, updated_at, version: before.version + 1, ..before.clone() };
        if !self.leaves_an_admin(tx, before, Some(&after)).await? {
            tracing::warn!(
                operator_id = before.operator_id,
                provider = claims.provider,
                "the roles in the claims of the last platform administrator do not have platform_admin, so this \
                 operator keeps the roles from before: let another platform administrator set up a way to sign in, \
                 or give this one platform_admin at the provider again"
            );
            return Ok(());
        }
        self.write(tx, &provider(claims, source), before, &after).await
    }
}

/// The provider as the author of what its claims change, for the audit trail.
fn provider(claims: &Claims<'_>, source: &Source) -> Caller {
    let mut caller = source.acting("");
    caller.actor.name = format!("oidc:{}", claims.provider);
    caller
}

/// The roles among the values of a claim, such as `platform_admin` or `workspace_admin:acme`, in workspaces that exist.
async fn roles_of(tx: &mut Tx, values: &[String]) -> Result<Vec<Role>, Error> {
    let mut roles: Vec<Role> = Vec::new();
    for value in values {
        let (name, workspace_id) = value.split_once(':').unwrap_or((value, ""));
        let role = Role::of(name, workspace_id).filter(|role| match role.workspace_id() {
            None => workspace_id.is_empty() && !value.contains(':'),
            Some(id) => id != PLATFORM && crate::model::ids::is_workspace_id(id),
        });
        roles.extend(role);
    }
    roles.sort();
    roles.dedup();
    let mut errors = FieldErrors::default();
    rules::check_workspaces(tx, &roles, &[], &mut errors).await?;
    let mut at = 0..;
    roles.retain(|_| {
        at.next().is_some_and(|index: usize| !errors.has(&format!("/roles/{index}/workspace_id")))
    });
    Ok(roles)
}
