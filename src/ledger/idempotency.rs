//! Replies saved for `Idempotency-Key`, so that a creating request whose reply was lost can be repeated without creating
//! anything twice (`docs/management-api.md`).
//!
//! The transaction that creates something also writes the reply, sealed, since the reply may hold a secret. Of the body of the
//! request only a MAC is stored, which reveals nothing about the body.

use std::fmt;

use zeroize::Zeroizing;

use super::Ledger;
use super::held_secret::{GivenAs, HeldSecret};
use crate::kernel::{Caller, Error};
use crate::storage::{StoredReply, Tx};

/// How long a reply stays saved, in seconds.
pub(super) const SAVED_SECONDS: i64 = 24 * 60 * 60;

/// A request with an `Idempotency-Key`: its caller, method, path, key and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    pub(super) caller: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) body_mac: [u8; 32],
}

impl IdempotentRequest {
    /// What identifies this request, apart from its body.
    pub fn name(&self) -> (&str, &str, &str, &str) {
        (&self.caller, &self.method, &self.path, &self.key)
    }

    /// What the sealed reply is bound to.
    pub(super) fn context(&self) -> [&[u8]; 4] {
        [self.caller.as_bytes(), self.method.as_bytes(), self.path.as_bytes(), self.key.as_bytes()]
    }
}

/// What is saved for a request.
pub enum SavedReply<R> {
    /// No reply: the request is new.
    None,
    /// The reply, as the `read` of [`Ledger::saved_reply`] returned it.
    Reply(R),
    /// A reply is saved, but the request that it answered had another body.
    OtherBody,
}

impl<R> fmt::Debug for SavedReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Reply(_) => "Reply(…)",
            Self::OtherBody => "OtherBody",
        })
    }
}

/// How a creating use case saves the reply to its request.
pub struct SaveReply<'a, T> {
    /// The request that the reply answers.
    pub request: &'a IdempotentRequest,
    /// Renders the reply about a created record as bytes.
    pub render: &'a dyn Fn(&T) -> Vec<u8>,
    /// Returns the id of the created record. Only the console sets this: by the id it finds the secrets of a record that it
    /// still shows ([`Ledger::unconfirmed`]).
    pub subject: Option<&'a dyn Fn(&T) -> String>,
}

impl<T> fmt::Debug for SaveReply<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveReply").field("request", self.request).finish_non_exhaustive()
    }
}

impl Ledger {
    /// A request that came with an idempotency key.
    pub fn idempotent_request(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        key: &str,
        body: &[u8],
    ) -> IdempotentRequest {
        IdempotentRequest {
            caller: caller.name().to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            key: key.to_owned(),
            body_mac: self.kernel.subkeys.request_mac(&[body]),
        }
    }

    /// The reply to the same request within the last day. `read` reads the bytes that [`SaveReply`] rendered, and refuses a
    /// caller who may not have them. If they hold a secret, the audit trail records that it is given out before this returns.
    ///
    /// # Errors
    /// Those of `read`; [`Error::Storage`], or [`Error::Crypto`] if the saved reply does not open.
    pub async fn saved_reply<R>(
        &self,
        by: &Caller,
        request: &IdempotentRequest,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<SavedReply<R>, Error> {
        let (caller, method, path, key) = request.name();
        let Some(stored) =
            self.kernel.storage.saved_reply(caller, method, path, key, self.kernel.clock.now()).await?
        else {
            return Ok(SavedReply::None);
        };
        if stored.body_hash != request.body_mac {
            return Ok(SavedReply::OtherBody);
        }
        let reply = read(&self.kernel.subkeys.open_reply(&request.context(), &stored.sealed_reply)?)?;
        if let Some(secret) = HeldSecret::read(stored.holds.as_deref())? {
            self.record_given(by, &secret, GivenAs::Reply).await?;
        }
        Ok(SavedReply::Reply(reply))
    }

    /// Saves the reply about what a transaction created, as a part of the transaction. `holds` says which secret is in
    /// the reply.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`] if another process answered the same request first: the caller rolls the transaction back.
    /// [`Error::Storage`], [`Error::Crypto`].
    pub(crate) async fn save_reply<T>(
        &self,
        tx: &mut Tx,
        save: Option<&SaveReply<'_, T>>,
        created: &T,
        holds: Option<HeldSecret>,
    ) -> Result<(), Error> {
        let Some(SaveReply { request, render, subject }) = save else { return Ok(()) };
        let now = self.kernel.clock.now();
        let reply = Zeroizing::new(render(created));
        let stored = StoredReply {
            caller: request.caller.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            idempotency_key: request.key.clone(),
            body_hash: request.body_mac.to_vec(),
            sealed_reply: self.kernel.subkeys.seal_reply(&self.kernel.random, &request.context(), &reply)?,
            expires_at: now.saturating_add(SAVED_SECONDS),
            subject: subject.map(|subject| subject(created)),
            erased_at: None,
            holds: holds.as_ref().map(HeldSecret::to_text),
        };
        if tx.save_reply(&stored, now).await? { Ok(()) } else { Err(Error::AlreadyAnswered) }
    }
}
