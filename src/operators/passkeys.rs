//! Passkeys at sign-in. The signature has been verified before (WebAuthn).

use super::{Operators, SignedIn, Source};
use crate::kernel::Error;
use crate::model::operator::{Operator, StoredPasskey, Way};

/// The most bytes of a credential id (WebAuthn level 3, §4).
const ID_MAX: usize = 1_023;

impl Operators {
    /// The passkey of that id.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn passkey(&self, credential_id: &[u8]) -> Result<Option<StoredPasskey>, Error> {
        if credential_id.is_empty() || credential_id.len() > ID_MAX {
            return Ok(None);
        }
        Ok(self.kernel.storage.passkey(credential_id).await?)
    }

    /// The passkeys of an operator, which the authenticator must not register again.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn passkeys_of(&self, operator_id: &str) -> Result<Vec<StoredPasskey>, Error> {
        Ok(self.kernel.storage.passkeys_of(operator_id).await?)
    }

    /// Records that a passkey signed, with its new counter, and signs its owner in. `None` for a disabled operator, for a
    /// passkey that was removed meanwhile, and if the counter did not rise above a stored one greater than 0: then the passkey
    /// may have been copied. Refusals are audited.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn passkey_used(
        &self,
        passkey: &StoredPasskey,
        sign_count: i64,
        source: &Source,
    ) -> Result<Option<SignedIn>, Error> {
        let now = self.kernel.clock.now();
        let operator_id = passkey.operator_id.as_str();
        let reason = if self.kernel.storage.use_passkey(&passkey.credential_id, sign_count, now).await? {
            let operator = self.kernel.storage.operator(operator_id).await?;
            if operator.as_ref().is_some_and(Operator::is_active) {
                return Ok(Some(SignedIn::new(operator_id, Way::Passkey)));
            }
            "disabled"
        } else {
            "counter_went_back"
        };
        self.sign_in_refused(Some(operator_id), Way::Passkey, reason, source).await?;
        Ok(None)
    }
}
