//! The account of an operator who is signed in: lists, adds and removes their ways to sign in.

use serde_json::json;
use zeroize::Zeroizing;

use super::way_in::WayIn;
use super::{NewSession, OPERATOR, Operators, Session, Source, recovery};
use crate::kernel::Error;
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::clock::UnixSeconds;
use crate::model::operator::{Identity, Operator, StoredPasskey, Way};
use crate::model::text;

/// The ways in of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaysIn {
    /// The passkeys, the oldest first.
    pub passkeys: Vec<StoredPasskey>,
    /// The linked accounts.
    pub identities: Vec<Identity>,
    /// When the password was set; `None` without one.
    pub password_set_at: Option<UnixSeconds>,
    /// When the authenticator app was set up; `None` without one.
    pub totp_confirmed_at: Option<UnixSeconds>,
    /// How many recovery codes are unused.
    pub recovery_codes: i64,
}

/// One way in of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayRef {
    /// The passkey of this id.
    Passkey(Vec<u8>),
    /// The password, with authenticator app and recovery codes.
    Password,
    /// The authenticator app, with the recovery codes.
    Totp,
    /// The account linked from a provider.
    Identity {
        /// The provider's issuer identifier.
        issuer: String,
        /// The account there (`sub`).
        subject: String,
    },
}

impl Operators {
    /// The ways in of the operator.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn ways_in(&self, session: &Session) -> Result<WaysIn, Error> {
        let (storage, id) = (&self.kernel.storage, session.operator.operator_id.as_str());
        let (password_set_at, totp_confirmed_at) = storage.password_times(id).await?;
        Ok(WaysIn {
            passkeys: storage.passkeys_of(id).await?,
            identities: storage.identities_of(id).await?,
            password_set_at,
            totp_confirmed_at,
            recovery_codes: storage.count_recovery_codes(id).await?,
        })
    }

    /// Adds a way in, or replaces the password or the authenticator app. The other sessions end, and this one gets a new
    /// cookie.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a way in that breaks a rule; [`Error::Conflict`] if it is set up already, or for an authenticator
    /// app without a password; [`Error::NotFound`] if the session has ended; [`Error::Storage`].
    pub async fn add_way_in(
        &self,
        session: &Session,
        way_in: WayIn,
        source: &Source,
    ) -> Result<NewSession, Error> {
        let operator_id = session.operator.operator_id.as_str();
        let has_totp = session.operator.sign_in.contains(&Way::Totp);
        if matches!(way_in, WayIn::Totp { .. }) && !session.operator.sign_in.contains(&Way::Password) {
            return Err(Error::Conflict(
                "an authenticator app is used together with a password: set a password first".to_owned(),
            ));
        }
        let prepared = self.prepare(operator_id, way_in, has_totp).await?;
        let caller = source.acting(operator_id);
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        tx.operator(operator_id).await?.filter(Operator::is_active).ok_or(Error::NotFound(OPERATOR))?;
        self.store(&mut tx, &caller, operator_id, prepared, "account").await?;
        self.end_all_sessions(&mut tx, &caller, operator_id, Some(&session.session_id)).await?;
        let renewed = self.renew(&mut tx, session, session.authenticated_at, session.way).await?;
        self.ledger.commit(tx).await?;
        Ok(renewed)
    }

    /// Gives a passkey of the operator another name.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `/name`; [`Error::NotFound`] if they have no such passkey; [`Error::Storage`].
    pub async fn rename_passkey(&self, session: &Session, id: &[u8], name: &str) -> Result<(), Error> {
        let name = name.trim();
        text::check_name(name, 1..=200).map_err(|why| Error::invalid("/name", why))?;
        let operator_id = session.operator.operator_id.as_str();
        if !self.kernel.storage.rename_passkey(operator_id, id, name).await? {
            return Err(Error::NotFound("passkey"));
        }
        Ok(())
    }

    /// Removes a way in; the other sessions end.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if no other way in is left; [`Error::Storage`].
    pub async fn remove_way_in(&self, session: &Session, way: &WayRef, source: &Source) -> Result<(), Error> {
        let operator_id = session.operator.operator_id.as_str();
        let caller = source.acting(operator_id);
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let before = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        let (removed, name) = match way {
            WayRef::Passkey(id) => (tx.delete_passkey(operator_id, id).await?, Way::Passkey),
            WayRef::Identity { issuer, subject } => {
                (tx.delete_identity(operator_id, issuer, subject).await?, Way::Oidc)
            }
            WayRef::Password => {
                tx.set_password(operator_id, None, 0).await?;
                tx.set_totp(operator_id, None, 0).await?;
                tx.set_recovery_codes(operator_id, &[]).await?;
                (before.sign_in.contains(&Way::Password), Way::Password)
            }
            WayRef::Totp => {
                tx.set_totp(operator_id, None, 0).await?;
                tx.set_recovery_codes(operator_id, &[]).await?;
                (before.sign_in.contains(&Way::Totp), Way::Totp)
            }
        };
        if !removed {
            return Err(Error::NotFound("way to sign in"));
        }
        let after = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        if !after.has_way_in(self.kernel.policy.second_factor_required) {
            return Err(Error::Conflict(
                "you could not sign in any more: add another way to sign in first".to_owned(),
            ));
        }
        let detail = json!({"by": "account", "ways": [name.as_str()]});
        self.ledger
            .audit(&mut tx, &caller, Action::WayInRemoved, Subject::platform(operator_id), detail)
            .await?;
        self.end_all_sessions(&mut tx, &caller, operator_id, Some(&session.session_id)).await?;
        self.ledger.commit(tx).await
    }

    /// Makes ten new recovery codes, which are shown once and replace the earlier ones.
    ///
    /// # Errors
    /// [`Error::Conflict`] without an authenticator app; [`Error::Storage`], [`Error::Crypto`].
    pub async fn new_recovery_codes(
        &self,
        session: &Session,
        source: &Source,
    ) -> Result<Vec<Zeroizing<String>>, Error> {
        let operator_id = session.operator.operator_id.as_str();
        let codes = recovery::new(&self.kernel)?;
        let hashes: Vec<Vec<u8>> = codes.iter().map(|code| recovery::hash(code)).collect();
        let mut tx = self.kernel.storage.begin().await?;
        tx.take_turn_of_operators().await?;
        let operator = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        if !operator.sign_in.contains(&Way::Totp) {
            return Err(Error::Conflict(
                "recovery codes replace codes of an authenticator app: set up an app first".to_owned(),
            ));
        }
        tx.set_recovery_codes(operator_id, &hashes).await?;
        let detail = json!({"by": "account", "way": Way::RecoveryCode.as_str()});
        self.ledger
            .audit(
                &mut tx,
                &source.acting(operator_id),
                Action::WayInAdded,
                Subject::platform(operator_id),
                detail,
            )
            .await?;
        self.ledger.commit(tx).await?;
        Ok(codes)
    }
}
