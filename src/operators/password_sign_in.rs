//! Signing in by password, with a code of an authenticator app or a recovery code. A refusal never says whether the address or
//! the password was wrong, and the check takes as long for an address that no operator has.

use super::{Operators, SignedIn, Source, TotpSecret, recovery};
use crate::kernel::Error;
use crate::model::operator::{Operator, OperatorStatus, Way, network};

/// The outcome of checking a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is not the password of this address, or the operator may not sign in with a password.
    Refused,
    /// Too many attempts: try again after this many seconds. From a network that the operator has signed in from, the right
    /// password passes nevertheless, unless too many passwords are being checked at the moment.
    Slowed(u32),
    /// It is right, and a second factor is needed: [`Operators::check_totp`] or [`Operators::use_recovery_code`].
    CodeNeeded {
        /// The operator whose password it is.
        operator_id: String,
    },
    /// It is right, and no second factor is needed.
    SignedIn(SignedIn),
}

/// The outcome of checking a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeCheck {
    /// It is wrong, or was used before.
    Refused,
    /// Too many attempts: try again after this many seconds.
    Slowed(u32),
    /// It is right.
    SignedIn(SignedIn),
}

/// How long to wait when too many passwords are being checked, in seconds.
const BUSY: u32 = 5;

impl Operators {
    /// Checks a password.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn check_password(
        &self,
        email: &str,
        password: &str,
        source: &Source,
    ) -> Result<PasswordCheck, Error> {
        let key = Operator::email_key(email.trim());
        // PostgreSQL refuses a NUL character. No operator has the empty address.
        let key = if key.contains('\0') { String::new() } else { key };
        let from = source.ip.map(network).unwrap_or_default();
        let slowed = self.throttle.attempt(&key, &from);
        let stored = self.kernel.storage.password_by_email(&key).await?;
        let is_known = self.kernel.storage.is_known_network(&key, &from).await?;
        let hash = stored.as_ref().and_then(|stored| stored.password_hash.as_deref());
        // The work is the same with and without an operator, so that the time does not show whether there is one.
        let Some(matches) = self.passwords.verify(hash, password).await? else {
            return Ok(PasswordCheck::Slowed(BUSY));
        };
        let operator_id = stored.as_ref().map(|stored| stored.operator_id.clone());
        if let Some(seconds) = slowed.filter(|_| !(is_known && matches)) {
            self.sign_in_refused(operator_id.as_deref(), Way::Password, "slowed", source).await?;
            return Ok(PasswordCheck::Slowed(seconds));
        }
        let reason = match stored {
            Some(stored) if matches && stored.status == OperatorStatus::Active => {
                let operator_id = stored.operator_id;
                if stored.totp_secret.is_some() {
                    return Ok(PasswordCheck::CodeNeeded { operator_id });
                }
                if !self.kernel.policy.second_factor_required {
                    return Ok(PasswordCheck::SignedIn(SignedIn::new(operator_id, Way::Password)));
                }
                "no_second_factor"
            }
            Some(_) if matches => "disabled",
            Some(_) => "wrong_password",
            None => "unknown_account",
        };
        self.sign_in_refused(operator_id.as_deref(), Way::Password, reason, source).await?;
        Ok(PasswordCheck::Refused)
    }

    /// Checks a code of the authenticator app, after the password. A code works once.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn check_totp(
        &self,
        operator_id: &str,
        code: &str,
        source: &Source,
    ) -> Result<CodeCheck, Error> {
        if let Some(seconds) = self.throttle.code(operator_id) {
            self.sign_in_refused(Some(operator_id), Way::Totp, "slowed", source).await?;
            return Ok(CodeCheck::Slowed(seconds));
        }
        let stored = self.kernel.storage.password(operator_id).await?;
        let sealed = stored.and_then(|stored| stored.totp_secret);
        let step = match sealed {
            Some(sealed) => {
                let secret = self.kernel.subkeys.open_authenticator(operator_id, &sealed)?;
                TotpSecret::from_bytes(&secret).step_of(code, self.kernel.clock.now())
            }
            None => None,
        };
        let used = match step {
            Some(step) => self.kernel.storage.use_totp_step(operator_id, step).await?,
            None => false,
        };
        if used {
            return Ok(CodeCheck::SignedIn(SignedIn::new(operator_id, Way::Totp)));
        }
        let reason = if step.is_some() { "code_used_twice" } else { "wrong_code" };
        self.sign_in_refused(Some(operator_id), Way::Totp, reason, source).await?;
        Ok(CodeCheck::Refused)
    }

    /// Checks a recovery code in place of one of the authenticator app, after the password. A code works once.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn use_recovery_code(
        &self,
        operator_id: &str,
        code: &str,
        source: &Source,
    ) -> Result<CodeCheck, Error> {
        let (hash, now) = (recovery::hash(code), self.kernel.clock.now());
        if self.kernel.storage.use_recovery_code(operator_id, &hash, now).await? {
            return Ok(CodeCheck::SignedIn(SignedIn::new(operator_id, Way::RecoveryCode)));
        }
        self.sign_in_refused(Some(operator_id), Way::RecoveryCode, "wrong_code", source).await?;
        Ok(CodeCheck::Refused)
    }
}
