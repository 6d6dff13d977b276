//! Sessions at the console. A session begins after a sign-in. It ends when the operator ends it, when its time is over, or when
//! the operator's roles, status or ways in change. Only the session in which an operator changes their ways in continues.

use std::fmt;

use serde_json::json;
use zeroize::Zeroizing;

use super::{OPERATOR, Operators, SignedIn, Source, tokens};
use crate::kernel::{Caller, Error};
use crate::ledger::Subject;
use crate::model::audit::Action;
use crate::model::clock::UnixSeconds;
use crate::model::operator::{Operator, StoredSession, Way, network};
use crate::storage::Tx;

/// After how long without use a session ends, in seconds.
pub(super) const IDLE_SECONDS: i64 = 30 * 60;
/// How long after its beginning a session ends in any case, in seconds.
const ABSOLUTE_SECONDS: i64 = 12 * 3_600;
/// The shortest time between two writes of when a session was last used, in seconds.
const NOTED_SECONDS: i64 = 60;
/// How long a sign-in counts as fresh, in seconds.
const FRESH_SECONDS: i64 = 5 * 60;
/// The most characters that are kept of a `User-Agent`.
const USER_AGENT_MAX: usize = 200;

/// A session that has not ended. It does not contain the value of its cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// UUIDv7; stays when the cookie gets a new value.
    pub session_id: String,
    /// The operator whose session it is, with their current roles.
    pub operator: Operator,
    /// How they signed in.
    pub way: Way,
    /// When the session began.
    pub created_at: UnixSeconds,
    /// When a use was last noted. Uses in the minute after that are not noted.
    pub last_used_at: UnixSeconds,
    /// When the session ends, even if it is used all the time.
    pub ends_at: UnixSeconds,
    /// When they last proved who they are.
    pub authenticated_at: UnixSeconds,
    hash: Vec<u8>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("session_id", &self.session_id)
            .field("operator_id", &self.operator.operator_id)
            .finish_non_exhaustive()
    }
}

/// A session with the new value of its cookie. `Debug` does not print that value.
pub struct NewSession {
    /// The value of the cookie, which is not stored.
    pub cookie: Zeroizing<String>,
    /// The session.
    pub session: Session,
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Operators {
    /// Begins a session after a sign-in. `None` if the operator was disabled or deleted meanwhile.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Crypto`].
    pub async fn start_session(
        &self,
        signed_in: &SignedIn,
        source: &Source,
    ) -> Result<Option<NewSession>, Error> {
        let (operator_id, now) = (signed_in.operator_id(), self.kernel.clock.now());
        let cookie = tokens::new(&self.kernel)?;
        let stored = StoredSession {
            session_hash: tokens::hash(cookie.as_bytes()),
            session_id: self.kernel.new_id()?,
            operator_id: operator_id.to_owned(),
            way: signed_in.way(),
            created_at: now,
            last_used_at: now,
            ends_at: now.saturating_add(ABSOLUTE_SECONDS),
            authenticated_at: now,
            source_ip: source.ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: source.user_agent.as_deref().map(shortened),
        };
        let mut tx = self.kernel.storage.begin().await?;
        if !tx.note_sign_in(operator_id, now).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        if let Some(ip) = source.ip {
            tx.see_network(operator_id, &network(ip), now).await?;
        }
        tx.insert_session(&stored).await?;
        let operator = tx.operator(operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        let detail = json!({"way": stored.way.as_str(), "session_id": stored.session_id});
        self.ledger
            .audit(
                &mut tx,
                &source.acting(operator_id),
                Action::SignedIn,
                Subject::platform(operator_id),
                detail,
            )
            .await?;
        self.ledger.commit(tx).await?;
        Ok(Some(NewSession { cookie, session: session(stored, operator) }))
    }

    /// The session of a cookie, if it has not ended. Records that the session is used.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn session(&self, cookie: &str) -> Result<Option<Session>, Error> {
        let Some(hash) = tokens::hash_of(cookie) else { return Ok(None) };
        let (storage, now) = (&self.kernel.storage, self.kernel.clock.now());
        let Some(mut stored) = storage.session(&hash, now, now - IDLE_SECONDS).await? else {
            return Ok(None);
        };
        let operator = storage.operator(&stored.operator_id).await?.filter(Operator::is_active);
        let Some(operator) = operator else { return Ok(None) };
        if now - stored.last_used_at >= NOTED_SECONDS {
            match storage.touch_session(&hash, now, now - NOTED_SECONDS + 1).await {
                Ok(_) => stored.last_used_at = now,
                // The request goes on; the session only ends earlier than it would.
                Err(error) => tracing::warn!("the use of a session was not noted: {error}"),
            }
        }
        Ok(Some(session(stored, operator)))
    }

    /// Whether the operator proved who they are so recently that they need not do it again.
    pub fn is_fresh(&self, session: &Session) -> bool {
        self.kernel.clock.now() - session.authenticated_at <= FRESH_SECONDS
    }

    /// Gives the cookie a new value; the session stays the same. `again` is another sign-in of the same operator, which makes
    /// the session fresh.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the session has ended, or another operator signed in; [`Error::Storage`].
    pub async fn renew_session(
        &self,
        session: &Session,
        again: Option<&SignedIn>,
    ) -> Result<NewSession, Error> {
        let (authenticated_at, way) = match again {
            Some(signed_in) if signed_in.operator_id() == session.operator.operator_id => {
                (self.kernel.clock.now(), signed_in.way())
            }
            Some(_) => return Err(Error::NotFound("session")),
            None => (session.authenticated_at, session.way),
        };
        let mut tx = self.kernel.storage.begin().await?;
        let renewed = self.renew(&mut tx, session, authenticated_at, way).await?;
        self.ledger.commit(tx).await?;
        Ok(renewed)
    }

    pub(super) async fn renew(
        &self,
        tx: &mut Tx,
        old: &Session,
        authenticated_at: UnixSeconds,
        way: Way,
    ) -> Result<NewSession, Error> {
        let cookie = tokens::new(&self.kernel)?;
        let stored = StoredSession {
            session_hash: tokens::hash(cookie.as_bytes()),
            session_id: old.session_id.clone(),
            operator_id: old.operator.operator_id.clone(),
            way,
            created_at: old.created_at,
            last_used_at: self.kernel.clock.now(),
            ends_at: old.ends_at,
            authenticated_at,
            // `Tx::renew_session` does not write these two: the row keeps them.
            source_ip: None,
            user_agent: None,
        };
        if !tx.renew_session(&old.hash, &stored).await? {
            return Err(Error::NotFound("session"));
        }
        let operator = tx.operator(&old.operator.operator_id).await?.ok_or(Error::NotFound(OPERATOR))?;
        Ok(NewSession { cookie, session: session(stored, operator) })
    }

    /// Signs out here; other browsers stay signed in.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn end_session(&self, session: &Session, source: &Source) -> Result<(), Error> {
        self.end(session, &session.session_id, Action::SignedOut, source).await.map(|_| ())
    }

    /// Ends a session of the same operator. `false` if they have none of that id.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn end_other_session(
        &self,
        session: &Session,
        session_id: &str,
        source: &Source,
    ) -> Result<bool, Error> {
        if session_id.contains('\0') {
            return Ok(false);
        }
        self.end(session, session_id, Action::SessionEnded, source).await
    }

    async fn end(
        &self,
        session: &Session,
        session_id: &str,
        action: Action,
        source: &Source,
    ) -> Result<bool, Error> {
        let operator_id = session.operator.operator_id.as_str();
        let mut tx = self.kernel.storage.begin().await?;
        if !tx.end_session(operator_id, session_id).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        let detail = json!({"session_id": session_id});
        self.ledger
            .audit(&mut tx, &source.acting(operator_id), action, Subject::platform(operator_id), detail)
            .await?;
        self.ledger.commit(tx).await?;
        Ok(true)
    }

    /// Ends the sessions of an operator except the one that is kept, with an audit event if there were any.
    pub(super) async fn end_all_sessions(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        operator_id: &str,
        kept: Option<&str>,
    ) -> Result<(), Error> {
        let ended = tx.end_sessions(operator_id, kept).await?;
        if ended == 0 {
            return Ok(());
        }
        let detail = json!({"sessions": ended});
        self.ledger.audit(tx, caller, Action::SessionEnded, Subject::platform(operator_id), detail).await
    }

    /// The sessions of the operator, the newest first.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn sessions_of(&self, session: &Session) -> Result<Vec<StoredSession>, Error> {
        let now = self.kernel.clock.now();
        let operator_id = session.operator.operator_id.as_str();
        Ok(self.kernel.storage.sessions_of(operator_id, now, now - IDLE_SECONDS).await?)
    }
}

fn session(stored: StoredSession, operator: Operator) -> Session {
    Session {
        session_id: stored.session_id,
        operator,
        way: stored.way,
        created_at: stored.created_at,
        last_used_at: stored.last_used_at,
        ends_at: stored.ends_at,
        authenticated_at: stored.authenticated_at,
        hash: stored.session_hash,
    }
}

/// A `User-Agent`, shortened and without control characters.
fn shortened(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect()
}
