//! Replies kept for `Idempotency-Key`, so that a creating request whose answer was lost can be sent again and creates
//! nothing twice (`docs/management-api.md`).
//!
//! The reply is written in the transaction that creates, sealed, since it may hold a secret. What is kept of the
//! request is a MAC of its body, from which nothing can be guessed.

use std::fmt;

use zeroize::Zeroizing;

use super::Ledger;
use crate::kernel::{Caller, Error};
use crate::storage::{StoredReply, Tx};

/// For how long a reply is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// A request that names itself: who asks for what, under which key, with which body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRequest {
    caller: String,
    method: String,
    path: String,
    key: String,
    body_mac: [u8; 32],
}

impl NamedRequest {
    /// What tells this request from others, its body aside.
    pub fn name(&self) -> (&str, &str, &str, &str) {
        (&self.caller, &self.method, &self.path, &self.key)
    }

    fn context(&self) -> [&[u8]; 4] {
        [self.caller.as_bytes(), self.method.as_bytes(), self.path.as_bytes(), self.key.as_bytes()]
    }
}

/// What is known of a request of that name.
pub enum Kept {
    /// It is new.
    Nothing,
    /// It was answered so, in the bytes that [`Keep`] was given.
    Reply(Zeroizing<Vec<u8>>),
    /// One with another body was answered.
    OtherBody,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Reply(_) => "Reply(…)",
            Self::OtherBody => "OtherBody",
        })
    }
}

/// How a creating use case keeps the reply to what it made.
pub struct Keep<'a, T> {
    /// The request it answers.
    pub request: &'a NamedRequest,
    /// Writes the reply of a made thing as bytes.
    pub render: &'a dyn Fn(&T) -> Vec<u8>,
}

impl<T> fmt::Debug for Keep<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep").field("request", self.request).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Names a request that came with an idempotency key.
    pub fn named_request(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        key: &str,
        body: &[u8],
    ) -> NamedRequest {
        NamedRequest {
            caller: caller.client_id.as_deref().unwrap_or(&caller.actor.name).to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            key: key.to_owned(),
            body_mac: self.kernel.subkeys.request_mac(&[body]),
        }
    }

    /// What was answered to a request of that name within the last day.
    ///
    /// # Errors
    /// [`Error::Storage`], or [`Error::Crypto`] if the kept reply does not open.
    pub async fn kept_reply(&self, request: &NamedRequest) -> Result<Kept, Error> {
        let (caller, method, path, key) = request.name();
        let Some(stored) =
            self.kernel.storage.kept_reply(caller, method, path, key, self.kernel.clock.now()).await?
        else {
            return Ok(Kept::Nothing);
        };
        if stored.body_hash != request.body_mac {
            return Ok(Kept::OtherBody);
        }
        Ok(Kept::Reply(self.kernel.subkeys.open_reply(&request.context(), &stored.sealed_reply)?))
    }

    /// Keeps the reply to what a transaction made, as a part of it.
    ///
    /// # Errors
    /// [`Error::AlreadyAnswered`] if another request of that name was first: what this one made must be undone.
    pub(crate) async fn keep_reply<T>(
        &self,
        tx: &mut Tx,
        keep: Option<&Keep<'_, T>>,
        made: &T,
    ) -> Result<(), Error> {
        let Some(Keep { request, render }) = keep else { return Ok(()) };
        let now = self.kernel.clock.now();
        let reply = Zeroizing::new(render(made));
        let stored = StoredReply {
            caller: request.caller.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            idempotency_key: request.key.clone(),
            body_hash: request.body_mac.to_vec(),
            sealed_reply: self.kernel.subkeys.seal_reply(&self.kernel.random, &request.context(), &reply)?,
            expires_at: now.saturating_add(KEPT_SECONDS),
        };
        if tx.keep_reply(&stored, now).await? { Ok(()) } else { Err(Error::AlreadyAnswered) }
    }
}
