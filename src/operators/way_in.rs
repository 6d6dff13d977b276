//! A way to sign in that an operator submits, the rules for it, and how it is stored.

use serde_json::json;
use zeroize::Zeroizing;

use super::{Operators, TotpSecret};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::operator::{Identity, StoredPasskey, Way};
use crate::model::text;
use crate::storage::Tx;

/// A way in that is to be set up. The console has verified passkeys (WebAuthn) and accounts (OpenID Connect).
#[derive(Debug, Clone)]
pub enum WayIn {
    /// A passkey.
    Passkey {
        /// The id that the authenticator gave it.
        credential_id: Vec<u8>,
        /// The public key (COSE key).
        public_key: Vec<u8>,
        /// Its algorithm (COSE number).
        alg: i64,
        /// The counter at registration.
        sign_count: i64,
        /// The name that its owner gave it.
        name: String,
    },
    /// A password, with an authenticator app if one is set up in the same step.
    Password {
        /// The new password.
        password: Zeroizing<String>,
        /// The secret that was shown, and the code that the app shows for it.
        totp: Option<(TotpSecret, String)>,
    },
    /// An authenticator app, beside a password.
    Totp {
        /// The secret that was shown.
        secret: TotpSecret,
        /// The code that the app shows for it.
        code: String,
    },
    /// An account at an OpenID Connect provider.
    Identity {
        /// The provider's issuer identifier.
        issuer: String,
        /// The account there (`sub`).
        subject: String,
        /// The name of the provider in the settings.
        provider: String,
    },
}

/// A way in that was checked, ready to be stored.
#[derive(Debug)]
pub(super) enum Prepared {
    Passkey(StoredPasskey),
    Password { hash: String, totp: Option<(Vec<u8>, i64)> },
    Totp { sealed: Vec<u8>, step: i64 },
    Identity(Identity),
}

impl Operators {
    /// Checks a way in and does the slow work, before any transaction. `has_totp` says whether an authenticator app is set
    /// up already and stays.
    pub(super) async fn prepare(
        &self,
        operator_id: &str,
        way_in: WayIn,
        has_totp: bool,
    ) -> Result<Prepared, Error> {
        let now = self.kernel.clock.now();
        match way_in {
            WayIn::Passkey { credential_id, public_key, alg, sign_count, name } => {
                text::check_name(name.trim(), 1..=200).map_err(|why| Error::invalid("/name", why))?;
                Ok(Prepared::Passkey(StoredPasskey {
                    credential_id,
                    operator_id: operator_id.to_owned(),
                    public_key,
                    alg,
                    sign_count,
                    name: name.trim().to_owned(),
                    created_at: now,
                    last_used_at: None,
                }))
            }
            WayIn::Password { password, totp } => {
                let totp = match totp {
                    Some((secret, code)) => Some(self.confirmed(operator_id, &secret, &code)?),
                    None if has_totp || !self.kernel.policy.second_factor_required => None,
                    None => {
                        return Err(Error::invalid(
                            "/code",
                            "is required: a password needs a code of an authenticator app beside it",
                        ));
                    }
                };
                let hash = self.passwords.hash(&self.kernel, &password).await?;
                Ok(Prepared::Password { hash, totp })
            }
            WayIn::Totp { secret, code } => {
                let (sealed, step) = self.confirmed(operator_id, &secret, &code)?;
                Ok(Prepared::Totp { sealed, step })
            }
            WayIn::Identity { issuer, subject, provider } => Ok(Prepared::Identity(Identity {
                issuer,
                subject,
                operator_id: operator_id.to_owned(),
                provider,
                created_at: now,
                last_used_at: None,
            })),
        }
    }

    /// The sealed secret of an app that shows the right code for it, and the step of that code.
    fn confirmed(&self, operator_id: &str, secret: &TotpSecret, code: &str) -> Result<(Vec<u8>, i64), Error> {
        let step = secret.step_of(code, self.kernel.clock.now()).ok_or_else(|| {
            Error::invalid(
                "/code",
                "is not what the app shows now: check the time of your device and try again",
            )
        })?;
        let sealed =
            self.kernel.subkeys.seal_authenticator(&self.kernel.random, operator_id, secret.bytes())?;
        Ok((sealed, step))
    }

    /// Stores a way in, with its audit event, in which `by` says where it was added: `account` or `setup_link`. Returns how the
    /// operator signs in with it.
    pub(super) async fn store(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operator_id: &str,
        prepared: Prepared,
        by: &str,
    ) -> Result<Way, Error> {
        let now = self.kernel.clock.now();
        let way = match prepared {
            Prepared::Passkey(passkey) => {
                if !tx.insert_passkey(&passkey).await? {
                    return Err(Error::Conflict(
                        "this passkey is set up already: use it to sign in".to_owned(),
                    ));
                }
                Way::Passkey
            }
            Prepared::Password { hash, totp } => {
                tx.set_password(operator_id, Some(&hash), now).await?;
                match totp {
                    None => Way::Password,
                    Some((sealed, step)) => {
                        tx.set_totp(operator_id, Some((&sealed, step)), now).await?;
                        Way::Totp
                    }
                }
            }
            Prepared::Totp { sealed, step } => {
                tx.set_totp(operator_id, Some((&sealed, step)), now).await?;
                Way::Totp
            }
            Prepared::Identity(identity) => {
                if !tx.insert_identity(&identity).await? {
                    return Err(Error::Conflict(
                        "this account is linked to an operator already: remove it there first".to_owned(),
                    ));
                }
                Way::Oidc
            }
        };
        let detail = json!({"by": by, "way": way.as_str()});
        self.ledger.audit(tx, caller, Action::WayInAdded, Subject::platform(operator_id), detail).await?;
        Ok(way)
    }
}
