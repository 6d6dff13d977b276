//! A mail to the contacts of an API client, or to an operator, as queued in the outbox.

use serde_json::{Map, Value};

use super::clock::UnixSeconds;

/// The message of a mail. Its text is rendered when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A client was created.
    ClientCreated,
    /// A client was changed.
    ClientUpdated,
    /// A client was deleted.
    ClientDeleted,
    /// A secret was added.
    SecretCreated,
    /// A secret was removed.
    SecretDeleted,
    /// An administrator generated an access token.
    TokenCreated,
    /// An access token was revoked.
    TokenRevoked,
    /// All access tokens were revoked.
    TokensRevoked,
    /// The tokens signed by a key were revoked with it.
    KeyRevoked,
    /// A setup link replaced the ways in of an operator; it goes to them.
    WaysInReplaced,
    /// Too much happened for separate mails: one row with a count.
    Summary,
}

impl MailKind {
    /// The name in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCreated => "client_created",
            Self::ClientUpdated => "client_updated",
            Self::ClientDeleted => "client_deleted",
            Self::SecretCreated => "secret_created",
            Self::SecretDeleted => "secret_deleted",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::TokensRevoked => "tokens_revoked",
            Self::KeyRevoked => "key_revoked",
            Self::WaysInReplaced => "ways_in_replaced",
            Self::Summary => "summary",
        }
    }
}

/// A queued mail. One row per recipient, so that one bad address does not delay the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// UUIDv7, also the stable `Message-ID`.
    pub mail_id: String,
    /// When it was queued.
    pub queued_at: UnixSeconds,
    /// The kind of message.
    pub kind: MailKind,
    /// The address of the recipient.
    pub recipient: String,
    /// The client it is about; the operator for a mail about one.
    pub client_id: String,
    /// The facts that the text needs; never a secret or a token.
    pub facts: Map<String, Value>,
}

/// A row of the outbox, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMail {
    /// UUIDv7.
    pub mail_id: String,
    /// When it was queued.
    pub queued_at: UnixSeconds,
    /// Which message: the name of a [`MailKind`].
    pub kind: String,
    /// The address it goes to; empty for a summary, whose recipients are decided when it is sent.
    pub recipient: String,
    /// The API client it is about, or the operator.
    pub about_id: String,
    /// The label of that client, or the name of that operator; `None` once they are deleted.
    pub about: Option<String>,
    /// The workspace of that client.
    pub workspace_id: Option<String>,
    /// How many changes it reports.
    pub occurrences: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_attempt_at: UnixSeconds,
    /// When it was sent.
    pub sent_at: Option<UnixSeconds>,
}
