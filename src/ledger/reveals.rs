//! New secrets and tokens that the console shows. The reply that contains one is kept sealed until the operator confirms
//! that they stored it, or ten minutes have passed. The row of the reply stays for a day, so that the same form sent again
//! finds it and creates nothing. Also drafts: forms that are kept sealed for an hour while the operator is asked to confirm
//! them.

use zeroize::Zeroizing;

use super::Ledger;
use super::held_secret::{GivenAs, HeldSecret};
use super::idempotency::{IdempotentRequest, SAVED_SECONDS};
use crate::kernel::{Caller, Error};
use crate::model::clock::UnixSeconds;
use crate::storage::StoredReply;

/// How long after its creation a secret or token is shown, in seconds.
pub const SHOWN_SECONDS: i64 = 600;
/// How long a draft is kept, in seconds.
pub const DRAFT_SECONDS: i64 = 3600;

/// The method under which replies of the console are saved. Storage finds the replies to erase by this name.
const CONSOLE: &str = "CONSOLE";
/// The method under which drafts are kept.
const DRAFT: &str = "CONSOLE DRAFT";

/// What there is to show of what a request created.
pub enum Reveal {
    /// The request created nothing within the last day.
    None,
    /// The reply, which can still be shown.
    Shown {
        /// The record that the reply is about.
        subject: String,
        /// What [`Ledger::show`] opens.
        sealed: Box<SealedSecret>,
        /// When it was created.
        made_at: UnixSeconds,
    },
    /// The reply was erased.
    Erased {
        /// The record that the reply was about.
        subject: String,
        /// When it was erased.
        at: UnixSeconds,
        /// Whether the operator confirmed that they stored it; otherwise its ten minutes were over.
        is_confirmed: bool,
    },
}

/// A reply that is still sealed.
pub struct SealedSecret {
    request: IdempotentRequest,
    sealed_reply: Vec<u8>,
    holds: HeldSecret,
}

impl std::fmt::Debug for Reveal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Shown { .. } => "Shown(…)",
            Self::Erased { .. } => "Erased",
        })
    }
}

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedSecret").field("holds", &self.holds).finish_non_exhaustive()
    }
}

impl Ledger {
    /// A request of the console that creates something and shows it once. `nonce` is unique to its form.
    pub fn reveal_request(&self, caller: &Caller, use_case: &str, nonce: &str) -> IdempotentRequest {
        self.idempotent_request(caller, CONSOLE, use_case, nonce, b"")
    }

    /// What a request created, if it did within the last day.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn reveal(&self, request: &IdempotentRequest) -> Result<Reveal, Error> {
        let (caller, method, path, key) = request.name();
        let now = self.kernel.clock.now();
        let Some(stored) = self.kernel.storage.saved_reply(caller, method, path, key, now).await? else {
            return Ok(Reveal::None);
        };
        let subject = stored.subject.unwrap_or_default();
        let made_at = stored.expires_at - SAVED_SECONDS;
        let ends_at = made_at.saturating_add(SHOWN_SECONDS);
        Ok(match stored.erased_at {
            Some(at) => Reveal::Erased { subject, at, is_confirmed: at < ends_at },
            // The job that erases has not run yet.
            None if ends_at <= now => Reveal::Erased { subject, at: ends_at, is_confirmed: false },
            None => {
                let holds = HeldSecret::read(stored.holds.as_deref())?;
                let sealed = SealedSecret {
                    request: request.clone(),
                    sealed_reply: stored.sealed_reply,
                    holds: holds.unwrap_or_else(|| HeldSecret::of_record(&subject)),
                };
                Reveal::Shown { subject, sealed: Box::new(sealed), made_at }
            }
        })
    }

    /// Opens what a request created. `read` reads the bytes that were saved, and refuses a caller who may not see them. Before
    /// the result of `read` is returned, the audit trail records that they are shown.
    ///
    /// # Errors
    /// Those of `read`; [`Error::Storage`], or [`Error::Crypto`] if the saved reply does not open.
    pub async fn show<R, E: From<Error>>(
        &self,
        caller: &Caller,
        secret: &SealedSecret,
        shown_as: GivenAs,
        read: impl AsyncFnOnce(&[u8]) -> Result<R, E>,
    ) -> Result<R, E> {
        let context = secret.request.context();
        let reply = self.kernel.subkeys.open_reply(&context, &secret.sealed_reply).map_err(Error::from)?;
        let shown = read(&reply).await?;
        self.record_given(caller, &secret.holds, shown_as).await?;
        Ok(shown)
    }

    /// The secrets and tokens of a record that the console still shows to a caller, since the caller has not confirmed that
    /// they are stored. For each, the nonce of its form and until when it is shown.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn unconfirmed(
        &self,
        caller: &Caller,
        subject: &str,
    ) -> Result<Vec<(String, UnixSeconds)>, Error> {
        let expiring_after = self.kernel.clock.now() - SHOWN_SECONDS + SAVED_SECONDS;
        let shown = self.kernel.storage.shown_replies(caller.name(), subject, expiring_after).await?;
        let until = |at: UnixSeconds| at - SAVED_SECONDS + SHOWN_SECONDS;
        Ok(shown.into_iter().map(|reply| (reply.idempotency_key, until(reply.expires_at))).collect())
    }

    /// Erases the saved reply that shows what a request created. A second call changes nothing.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn erase_reveal(&self, request: &IdempotentRequest) -> Result<(), Error> {
        let (caller, method, path, key) = request.name();
        self.kernel.storage.erase_reply(caller, method, path, key, self.kernel.clock.now()).await?;
        Ok(())
    }

    /// Erases the saved replies of the console that are at least [`SHOWN_SECONDS`] old.
    pub(super) async fn erase_shown(&self, now: UnixSeconds) -> Result<(), Error> {
        // A row contains when it is deleted, which is a day after it was created.
        self.kernel.storage.erase_shown_replies(now - SHOWN_SECONDS + SAVED_SECONDS, now).await?;
        Ok(())
    }

    /// Seals and stores a draft. It replaces an earlier one of the same caller, use case and nonce.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn keep_draft(
        &self,
        caller: &Caller,
        use_case: &str,
        nonce: &str,
        draft: &[u8],
    ) -> Result<(), Error> {
        let request = self.idempotent_request(caller, DRAFT, use_case, nonce, b"");
        let stored = StoredReply {
            sealed_reply: self.kernel.subkeys.seal_reply(&self.kernel.random, &request.context(), draft)?,
            caller: request.caller,
            method: request.method,
            path: request.path,
            idempotency_key: request.key,
            body_hash: request.body_mac.to_vec(),
            expires_at: self.kernel.clock.now().saturating_add(DRAFT_SECONDS),
            subject: None,
            erased_at: None,
            holds: None,
        };
        Ok(self.kernel.storage.replace_reply(&stored).await?)
    }

    /// A draft, if it has not expired.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn draft(
        &self,
        caller: &Caller,
        use_case: &str,
        nonce: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let request = self.idempotent_request(caller, DRAFT, use_case, nonce, b"");
        let (name, method, path, key) = request.name();
        let now = self.kernel.clock.now();
        let Some(stored) = self.kernel.storage.saved_reply(name, method, path, key, now).await? else {
            return Ok(None);
        };
        Ok(Some(self.kernel.subkeys.open_reply(&request.context(), &stored.sealed_reply)?))
    }
}
