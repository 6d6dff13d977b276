//! Setup links: with such a link an operator sets up a way to sign in, if they have none yet or have lost them all. A link
//! works once, within a day.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::rules::must_not_step_up;
use super::way_in::WayIn;
use super::{OPERATOR, Operators, SignedIn, Source, tokens};
use crate::kernel::{Caller, Error, Fields, Manager};
use crate::ledger::{HeldSecret, SaveReply, SecretKind, Subject};
use crate::model::audit::Action;
use crate::model::clock::{UnixSeconds, rfc3339, to_rfc3339};
use crate::model::field_errors::FieldErrors;
use crate::model::ids;
use crate::model::mail::MailKind;
use crate::model::operator::Operator;
use crate::storage::Tx;

/// How long a link works, in seconds.
const LINK_SECONDS: i64 = 86_400;
/// How errors name a link.
const SETUP_LINK: &str = "setup link";

/// A link, shown once. `Debug` does not print what it carries.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupLink {
    /// Whom it is for.
    pub operator_id: String,
    /// When it expires.
    pub expires_at: UnixSeconds,
    url: Zeroizing<String>,
}

impl SetupLink {
    /// The whole link. Anyone who has it can sign in as the operator.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for SetupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupLink").field("operator_id", &self.operator_id).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct LinkDto<'a> {
    setup_link: &'a str,
    #[serde(with = "rfc3339")]
    expires_at: UnixSeconds,
}

impl Serialize for SetupLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        LinkDto { setup_link: self.url(), expires_at: self.expires_at }.serialize(serializer)
    }
}

/// What a request for a link says: nothing yet, so every member is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSetupLink {
    parse_errors: FieldErrors,
}

impl NewSetupLink {
    /// Reads the body.
    pub(crate) fn read(body: &Value) -> Self {
        let ((), parse_errors) = Fields::read(body, |_| ());
        Self { parse_errors }
    }
}

/// Whom a setup link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupFor {
    /// The operator.
    pub operator_id: String,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Whether they have ways in, which the link would replace.
    pub has_ways_in: bool,
}

impl Operators {
    /// Makes a setup link for an operator. It replaces an earlier one.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`]; [`Error::LacksSome`] for roles that carry more than the caller holds;
    /// [`Error::Conflict`] for a disabled operator; [`Error::Storage`].
    pub async fn new_setup_link(&self, caller: &Manager, operator_id: &str) -> Result<SetupLink, Error> {
        self.replace_setup_link(caller, operator_id, &NewSetupLink::default(), None).await
    }

    /// As [`Operators::new_setup_link`], for a request whose reply is saved.
    ///
    /// # Errors
    /// As [`Operators::new_setup_link`]; [`Error::Invalid`], [`Error::AlreadyAnswered`].
    pub async fn replace_setup_link(
        &self,
        caller: &Manager,
        operator_id: &str,
        wanted: &NewSetupLink,
        save: Option<SaveReply<'_, SetupLink>>,
    ) -> Result<SetupLink, Error> {
        caller.must_manage_platform("operators")?;
        if !ids::is_uuid(operator_id) {
            return Err(Error::NotFound(OPERATOR));
        }
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let operator = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        Error::if_any(wanted.parse_errors.clone())?;
        must_not_step_up(caller, &operator.roles)?;
        if !operator.is_active() {
            return Err(Error::Conflict(
                "the operator is disabled: set their status to active first".to_owned(),
            ));
        }
        let link = self.make_setup_link(&mut tx, caller, &operator).await?;
        let holds = HeldSecret::new(SecretKind::SetupLink, Subject::platform(operator_id));
        self.ledger.save_reply(&mut tx, save.as_ref(), &link, Some(holds)).await?;
        self.ledger.commit(tx).await?;
        Ok(link)
    }

    /// Makes a link. [`Tx::take_turn_of_operators`] must have been called on `tx`.
    pub(super) async fn make_setup_link(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operator: &Operator,
    ) -> Result<SetupLink, Error> {
        let (token, now) = (tokens::new(&self.kernel)?, self.kernel.clock.now());
        let expires_at = now.saturating_add(LINK_SECONDS);
        tx.put_setup_link(&operator.operator_id, &tokens::hash(token.as_bytes()), expires_at, now).await?;
        let subject = Subject::platform(&operator.operator_id);
        self.ledger
            .audit(tx, caller, Action::SetupLinkCreated, subject, json!({"email": operator.email}))
            .await?;
        let url =
            Zeroizing::new(format!("{}/console/setup/{}", self.kernel.policy.console_url, token.as_str()));
        tx.drop_setup_link_mails(&operator.operator_id).await?;
        // Without a mail server no mail reaches the operator, so none is queued.
        if self.kernel.policy.sends_mail {
            let facts = json!({
                "expires_at": to_rfc3339(expires_at),
                "sealed_link": self.kernel.seal_setup_link(&operator.operator_id, &url)?,
            });
            self.ledger.mail_operator(tx, caller, operator, MailKind::SetupLink, facts).await?;
        }
        Ok(SetupLink { operator_id: operator.operator_id.clone(), expires_at, url })
    }

    /// Whom the link with this token is for; `None` if it is used, replaced or expired, or the operator is disabled. Does not
    /// use the link up, since mail scanners open links.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn setup(&self, token: &str) -> Result<Option<SetupFor>, Error> {
        let Some(hash) = tokens::hash_of(token) else { return Ok(None) };
        let found = self.kernel.storage.setup_link(&hash, self.kernel.clock.now()).await?;
        let Some(operator_id) = found else { return Ok(None) };
        let operator = self.kernel.storage.operator(&operator_id).await?.filter(Operator::is_active);
        Ok(operator.map(|operator| SetupFor {
            has_ways_in: !operator.sign_in.is_empty(),
            operator_id: operator.operator_id,
            email: operator.email,
            name: operator.name,
        }))
    }

    /// Uses a link up: the way in is set up in place of all that the operator had, and their sessions end. They get a mail if
    /// they had a way in before.
    ///
    /// # Errors
    /// [`Error::NotFound`] where [`Operators::setup`] gives `None`; [`Error::Invalid`] for a way in that breaks a rule: then
    /// the link still works; [`Error::Conflict`], [`Error::Storage`].
    pub async fn use_setup_link(
        &self,
        token: &str,
        way_in: WayIn,
        source: &Source,
    ) -> Result<SignedIn, Error> {
        let hash = tokens::hash_of(token).ok_or(Error::NotFound(SETUP_LINK))?;
        let operator_id = self.setup(token).await?.ok_or(Error::NotFound(SETUP_LINK))?.operator_id;
        let prepared = self.prepare(&operator_id, way_in, false).await?;
        let now = self.kernel.clock.now();
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let used = tx.use_setup_link(&hash, now).await?.filter(|used| *used == operator_id);
        let operator = match used {
            Some(operator_id) => tx.operator(&operator_id).await?.filter(Operator::is_active),
            None => None,
        };
        let operator = operator.ok_or(Error::NotFound(SETUP_LINK))?;
        let caller = source.acting(&operator_id);
        let subject = Subject::platform(&operator_id);
        tx.drop_setup_link_mails(&operator_id).await?;
        tx.delete_ways_in(&operator_id).await?;
        if !operator.sign_in.is_empty() {
            let removed: Vec<&str> = operator.sign_in.iter().map(|way| way.as_str()).collect();
            let detail = json!({"by": "setup_link", "ways": removed});
            self.ledger.audit(&mut tx, &caller, Action::WayInRemoved, subject, detail).await?;
            self.ledger
                .mail_operator(&mut tx, &caller, &operator, MailKind::WaysInReplaced, json!({}))
                .await?;
        }
        self.end_all_sessions(&mut tx, &caller, &operator_id, None).await?;
        let way = self.store(&mut tx, &caller, &operator_id, prepared, "setup_link").await?;
        self.ledger.commit(tx).await?;
        Ok(SignedIn::new(operator_id, way))
    }
}
