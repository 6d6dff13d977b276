//! Records of operators. Only callers whose reach is the platform read and write them; others see the names of the operators of
//! their workspace.

use std::collections::BTreeMap;

use super::change::OperatorChange;
use super::created::CreatedOperator;
use super::dto::OperatorSettings;
use super::rules::{check_workspaces, must_not_step_up};
use super::{OPERATOR, Operators};
use crate::kernel::{Caller, Error, Manager, Precondition, Reader, to_json};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject, differences};
use crate::model::audit::Action;
use crate::model::ids;
use crate::model::member::Member;
use crate::model::operator::{Operator, OperatorStatus};
use crate::model::page::{Items, Page};
use crate::storage::Tx;

/// How errors name what is read and changed here.
const OPERATORS: &str = "operators";

impl Operators {
    /// A page of the operators, in the order in which they were created.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn operators(&self, caller: &Reader, page: &Page) -> Result<Items<Operator>, Error> {
        caller.must_read_platform(OPERATORS)?;
        Ok(self.kernel.storage.operators(page).await?)
    }

    /// As [`Operators::operators`]; with an `email`, only the operator with that address. Letter case does not matter.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Storage`].
    pub async fn operators_of(
        &self,
        caller: &Reader,
        email: Option<&str>,
        page: &Page,
    ) -> Result<Items<Operator>, Error> {
        let Some(email) = email else { return self.operators(caller, page).await };
        let found = match self.operator_by_email(caller, email).await {
            Ok(operator) => vec![operator],
            Err(Error::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Items::of_whole_list(found, page, |operator| operator.operator_id.clone()))
    }

    /// An operator.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Storage`].
    pub async fn operator(&self, caller: &Reader, operator_id: &str) -> Result<Operator, Error> {
        caller.must_read_platform(OPERATORS)?;
        self.kernel.storage.operator(known_form(operator_id)?).await?.ok_or(Error::NotFound(OPERATOR))
    }

    /// An operator by the address they sign in with. Letter case does not matter.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Storage`].
    pub async fn operator_by_email(&self, caller: &Reader, email: &str) -> Result<Operator, Error> {
        caller.must_read_platform(OPERATORS)?;
        let key = Operator::email_key(email.trim());
        if key.contains('\0') {
            return Err(Error::NotFound(OPERATOR));
        }
        self.kernel.storage.operator_by_email(&key).await?.ok_or(Error::NotFound(OPERATOR))
    }

    /// The names of operators by id, for the audit trail, in one statement. Operators without a role within the caller's reach
    /// are left out.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn operator_names(
        &self,
        caller: &Reader,
        operator_ids: &[&str],
    ) -> Result<BTreeMap<String, String>, Error> {
        let ids: Vec<&str> = operator_ids.iter().copied().filter(|id| ids::is_uuid(id)).collect();
        Ok(self.kernel.storage.operator_names(&caller.reach, &ids).await?)
    }

    /// Whether there is no operator yet.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn has_none(&self) -> Result<bool, Error> {
        Ok(self.kernel.storage.count_operators().await? == 0)
    }

    /// Creates an operator, with a setup link.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::LacksSome`] for a role that carries more than the caller holds; [`Error::Invalid`] with
    /// every bad field; [`Error::Conflict`] if the address is taken; [`Error::AlreadyAnswered`], [`Error::Storage`].
    pub async fn create_operator(
        &self,
        caller: &Manager,
        change: &OperatorChange,
        save: Option<SaveReply<'_, CreatedOperator>>,
    ) -> Result<CreatedOperator, Error> {
        caller.must_manage_platform(OPERATORS)?;
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let created = self.insert(&mut tx, caller, change).await?;
        let subject = Subject::platform(&created.operator.operator_id);
        let holds = HeldSecret::new(SecretKind::SetupLink, subject);
        self.ledger.save_reply(&mut tx, save.as_ref(), &created, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(created)
    }

    /// Creates the first operator. `None` if an operator exists already.
    ///
    /// # Errors
    /// As [`Operators::create_operator`].
    pub async fn create_first_operator(
        &self,
        caller: &Manager,
        change: &OperatorChange,
    ) -> Result<Option<CreatedOperator>, Error> {
        caller.must_manage_platform(OPERATORS)?;
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        if tx.count_operators().await? > 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        let created = self.insert(&mut tx, caller, change).await?;
        self.ledger.commit(tx).await?;
        Ok(Some(created))
    }

    /// Adds an operator with a setup link. [`Tx::take_turn_of_operators`] must have been called on `tx`.
    async fn insert(
        &self,
        tx: &mut Tx,
        caller: &Manager,
        change: &OperatorChange,
    ) -> Result<CreatedOperator, Error> {
        let now = self.kernel.clock.now();
        let mut operator = Operator {
            operator_id: self.kernel.new_id()?,
            email: String::new(),
            name: String::new(),
            status: OperatorStatus::Active,
            roles: Vec::new(),
            role_source: None,
            sign_in: Vec::new(),
            last_sign_in_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let mut errors = change.parse_errors.clone();
        if change.email.is_absent() {
            errors.add("/email", "is required");
        }
        if change.name.is_absent() {
            errors.add("/name", "is required");
        }
        if change.roles.is_absent() && !errors.has("/roles") {
            errors.add("/roles", "is required");
        }
        change.apply(&mut operator, &mut errors);
        let listed = change.roles.value().map_or(&[][..], Vec::as_slice);
        check_workspaces(tx, listed, &[], &mut errors).await?;
        Error::if_any(errors)?;
        must_not_step_up(caller, &operator.roles)?;
        if !tx.insert_operator(&operator).await? {
            return Err(taken(&operator));
        }
        let detail = to_json(&OperatorSettings::from(&operator));
        self.ledger
            .audit(tx, caller, Action::OperatorCreated, Subject::platform(&operator.operator_id), detail)
            .await?;
        let setup_link = self.make_setup_link(tx, caller, &operator).await?;
        Ok(CreatedOperator { operator, setup_link })
    }

    /// Changes an operator. A change that changes nothing writes nothing; a change of the roles or the status ends the
    /// sessions.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`]; [`Error::LacksSome`] for roles, before or after, that
    /// carry more than the caller holds, unless the change only disables; [`Error::Invalid`] with every bad field;
    /// [`Error::Conflict`] if the address is taken, for the last platform administrator, and for roles that come from a
    /// provider; [`Error::Storage`].
    pub async fn change_operator(
        &self,
        caller: &Manager,
        operator_id: &str,
        expected: &Precondition,
        change: &OperatorChange,
    ) -> Result<Operator, Error> {
        caller.must_manage_platform(OPERATORS)?;
        let operator_id = known_form(operator_id)?;
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let before = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        expected.check(before.version)?;
        let mut after = before.clone();
        let mut errors = change.parse_errors.clone();
        change.apply(&mut after, &mut errors);
        if let Member::Value(listed) = &change.roles {
            check_workspaces(&mut tx, listed, &before.roles, &mut errors).await?;
        }
        Error::if_any(errors)?;
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        if !OperatorChange::only_disables(&before, &after) {
            must_not_step_up(caller, before.roles.iter().chain(&after.roles))?;
        }
        if let (true, Some(source)) = (before.roles != after.roles, &before.role_source) {
            return Err(Error::Conflict(format!(
                "the roles of this operator come from the sign-in provider ({source}): change them there"
            )));
        }
        let same_address = tx.operator_by_email(&Operator::email_key(&after.email)).await?;
        if same_address.is_some_and(|other| other.operator_id != before.operator_id) {
            return Err(taken(&after));
        }
        self.must_leave_an_admin(&mut tx, &before, Some(&after)).await?;
        after.updated_at = self.kernel.clock.now();
        after.version += 1;
        self.write(&mut tx, caller, &before, &after).await?;
        self.ledger.commit(tx).await?;
        Ok(after)
    }

    /// Writes a changed record with its audit event. Ends the sessions if the roles or the status changed, and revokes the
    /// setup link if the operator is disabled or the address changed.
    pub(super) async fn write(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        before: &Operator,
        after: &Operator,
    ) -> Result<(), Error> {
        tx.update_operator(after).await?;
        let detail = differences(&OperatorSettings::from(before), &OperatorSettings::from(after));
        self.ledger
            .audit(tx, caller, Action::OperatorUpdated, Subject::platform(&after.operator_id), detail)
            .await?;
        if before.roles != after.roles || before.status != after.status {
            self.end_all_sessions(tx, caller, &after.operator_id, None).await?;
        }
        if !after.is_active() || before.email != after.email {
            tx.revoke_setup_link(&after.operator_id).await?;
            tx.drop_setup_link_mails(&after.operator_id).await?;
        }
        Ok(())
    }

    /// Deletes an operator with their ways in and sessions.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Changed`]; [`Error::Conflict`] for the last platform administrator;
    /// [`Error::Storage`].
    pub async fn delete_operator(
        &self,
        caller: &Manager,
        operator_id: &str,
        expected: &Precondition,
    ) -> Result<(), Error> {
        caller.must_manage_platform(OPERATORS)?;
        let operator_id = known_form(operator_id)?;
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let operator = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        expected.check(operator.version)?;
        self.must_leave_an_admin(&mut tx, &operator, None).await?;
        tx.delete_operator(operator_id).await?;
        tx.drop_setup_link_mails(operator_id).await?;
        let detail = to_json(&OperatorSettings::from(&operator));
        self.ledger
            .audit(&mut tx, caller, Action::OperatorDeleted, Subject::platform(operator_id), detail)
            .await?;
        self.ledger.commit(tx).await
    }
}

/// An id, or "not found" for what cannot be one.
fn known_form(operator_id: &str) -> Result<&str, Error> {
    if ids::is_uuid(operator_id) { Ok(operator_id) } else { Err(Error::NotFound(OPERATOR)) }
}

fn taken(operator: &Operator) -> Error {
    Error::Conflict(format!(
        "an operator with the email address {} exists already: change that one, or use another address",
        operator.email
    ))
}
