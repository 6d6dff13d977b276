//! A mail to a contact of an API client, or to an operator, as it is queued.

use serde_json::{Map, Value};

use super::clock::UnixSeconds;

/// What a mail is about. Its text is rendered when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A client was created.
    ClientCreated,
    /// A client was changed.
    ClientUpdated,
    /// A client was disabled.
    ClientDisabled,
    /// A client was enabled again.
    ClientEnabled,
    /// A product or a permission was removed from a client.
    ProductsTaken,
    /// A client was deleted.
    ClientDeleted,
    /// A secret was added.
    SecretCreated,
    /// A secret was removed.
    SecretDeleted,
    /// A secret was accepted for the first time, or from a network in which its client was not seen before.
    SecretFirstUsed,
    /// A secret will expire.
    SecretExpiring,
    /// An API client will expire.
    ClientExpiring,
    /// A recorded access token will expire.
    TokenExpiring,
    /// An administrator generated an access token.
    TokenCreated,
    /// An access token was revoked.
    TokenRevoked,
    /// All access tokens of a client were revoked.
    TokensRevoked,
    /// A signing key was deleted, and the tokens that it had signed were revoked.
    KeyRevoked,
    /// A setup link replaced the ways to sign in of an operator; the mail goes to the operator.
    WaysInReplaced,
    /// A link with which an operator sets up how they sign in; the mail goes to the operator.
    SetupLink,
    /// A webhook was disabled because its receiver is gone or has failed for days; the mail goes to those who administer
    /// the workspace.
    WebhookDisabled,
    /// A webhook request was given up; the mail goes to those who administer the workspace, at most once a day.
    DeliveryFailed,
    /// Too much happened for separate mails: one row with a count.
    Summary,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::ClientCreated,
        Self::ClientUpdated,
        Self::ClientDisabled,
        Self::ClientEnabled,
        Self::ProductsTaken,
        Self::ClientDeleted,
        Self::SecretCreated,
        Self::SecretDeleted,
        Self::SecretFirstUsed,
        Self::SecretExpiring,
        Self::ClientExpiring,
        Self::TokenExpiring,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::TokensRevoked,
        Self::KeyRevoked,
        Self::WaysInReplaced,
        Self::SetupLink,
        Self::WebhookDisabled,
        Self::DeliveryFailed,
        Self::Summary,
    ];

    /// The type of the event that it reports, as in the audit trail, or `summary`. A change of a client that matters more than
    /// others has a separate name, so that its mail is never merged with mails about other changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientDisabled => "client.disabled",
            Self::ClientEnabled => "client.enabled",
            Self::ProductsTaken => "client.products_taken",
            Self::ClientDeleted => "client.deleted",
            Self::SecretCreated => "secret.created",
            Self::SecretDeleted => "secret.deleted",
            Self::SecretFirstUsed => "secret.first_used",
            Self::SecretExpiring => "secret.expiring",
            Self::ClientExpiring => "client.expiring",
            Self::TokenExpiring => "access_token.expiring",
            Self::TokenCreated => "access_token.created",
            Self::TokenRevoked => "access_token.revoked",
            Self::TokensRevoked => "access_tokens.revoked",
            Self::KeyRevoked => "signing_key.deleted",
            Self::WaysInReplaced => "operator.way_in_removed",
            Self::SetupLink => "operator.setup_link_created",
            Self::WebhookDisabled => "webhook.disabled",
            Self::DeliveryFailed => "delivery.failed",
            Self::Summary => "summary",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it is about an API client, and goes to its contacts.
    pub fn is_about_client(self) -> bool {
        !matches!(self, Self::WaysInReplaced | Self::SetupLink | Self::WebhookDisabled | Self::DeliveryFailed)
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
    /// The client that the mail is about, or the operator that it goes to.
    pub client_id: String,
    /// The workspace of that client; `None` for a mail to an operator.
    pub workspace_id: Option<String>,
    /// The facts that the text needs; never a secret or a token in the clear. A setup link is sealed.
    pub facts: Map<String, Value>,
}
