//! A mail to the contacts of an API client, or to an operator, as it is queued.

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
    /// A webhook was disabled because its receiver is gone or has failed for days; it goes to those who administer the
    /// workspace.
    WebhookDisabled,
    /// Too much happened for separate mails: one row with a count.
    Summary,
}

impl MailKind {
    /// The type of the event that it reports, as in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientDeleted => "client.deleted",
            Self::SecretCreated => "secret.created",
            Self::SecretDeleted => "secret.deleted",
            Self::TokenCreated => "access_token.created",
            Self::TokenRevoked => "access_token.revoked",
            Self::TokensRevoked => "access_tokens.revoked",
            Self::KeyRevoked => "signing_key.deleted",
            Self::WaysInReplaced => "operator.way_in_removed",
            Self::WebhookDisabled => "webhook.disabled",
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
    /// The workspace of that client; `None` for a mail about an operator.
    pub workspace_id: Option<String>,
    /// The facts that the text needs; never a secret or a token.
    pub facts: Map<String, Value>,
}
