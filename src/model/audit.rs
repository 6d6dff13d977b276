//! The audit event that is written in the transaction of every change.

use std::ops::Deref;

use serde_json::{Map, Value};

use super::clock::UnixSeconds;

/// Who makes a change, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `client:<client_id>` for an API client, `operator:<operator_id>` for a person at the console, `oidc:<provider>` for
    /// roles that a sign-in provider sets, `cli:<user>` or `cli` for the command line, `system` for the service itself,
    /// `unknown` for a refused sign-in.
    pub name: String,
    /// The request that made the change, as in `X-Request-Id`.
    pub request_id: Option<String>,
    /// The source address of that request.
    pub source_ip: Option<String>,
}

impl Actor {
    /// A person at the command line, without a name.
    pub fn command_line() -> Self {
        Self { name: "cli".to_owned(), request_id: None, source_ip: None }
    }

    /// A person at the command line, by the name of their account on the host.
    pub fn command_line_of(user: &str) -> Self {
        Self { name: format!("cli:{user}"), ..Self::command_line() }
    }

    /// The service itself, on a schedule or at start.
    pub fn system() -> Self {
        Self { name: "system".to_owned(), request_id: None, source_ip: None }
    }
}

/// What happened. The names are part of the API (`GET /v1/audit-events?action=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A product was created.
    ProductCreated,
    /// A product was changed.
    ProductUpdated,
    /// A product was deleted.
    ProductDeleted,
    /// A workspace was created.
    WorkspaceCreated,
    /// A workspace was changed, suspended or resumed.
    WorkspaceUpdated,
    /// A workspace was deleted.
    WorkspaceDeleted,
    /// An API client was created.
    ClientCreated,
    /// An API client was changed, disabled or enabled.
    ClientUpdated,
    /// An API client was deleted.
    ClientDeleted,
    /// A secret was added to a client.
    SecretCreated,
    /// A secret, a token or a setup link left the service in the clear: on a page or in a file of the console, or in a
    /// repeated reply.
    SecretShown,
    /// A secret was removed from a client.
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
    /// All access tokens of a client were revoked; or a part of them, before a change that ends too many for one transaction;
    /// or tokens that a deleted signing key had signed.
    TokensRevoked,
    /// A signing key was generated or imported.
    KeyCreated,
    /// A signing key began to sign.
    KeyActivated,
    /// A signing key stopped signing.
    KeyRetired,
    /// A signing key is no longer published.
    KeyGone,
    /// A signing key was deleted by an administrator.
    KeyDeleted,
    /// The database was restored from a backup, and made safe to serve (docs/operations.md, *Backup and restore*).
    DatabaseRestored,
    /// A new tree (log) of the audit trail was begun.
    AuditLogBegun,
    /// The root key was sealed under another master key.
    MasterKeyReplaced,
    /// An operator was created.
    OperatorCreated,
    /// An operator was changed, disabled or enabled.
    OperatorUpdated,
    /// An operator was deleted.
    OperatorDeleted,
    /// A setup link was made for an operator.
    SetupLinkCreated,
    /// An operator signed in to the console.
    SignedIn,
    /// A sign-in to the console was refused.
    SignInRefused,
    /// An operator signed out.
    SignedOut,
    /// An operator set up a way to sign in, such as a passkey.
    WayInAdded,
    /// A way to sign in was removed from an operator.
    WayInRemoved,
    /// Sessions of an operator were ended before they expired.
    SessionEnded,
    /// A webhook was created.
    WebhookCreated,
    /// A webhook was changed, disabled or enabled.
    WebhookUpdated,
    /// A webhook was deleted.
    WebhookDeleted,
    /// The keys that sign the requests to a webhook were replaced.
    WebhookKeysReplaced,
    /// A webhook was disabled because its receiver is gone or has failed for days.
    WebhookDisabled,
    /// A mail or a webhook request was given up.
    DeliveryFailed,
    /// A mail or a webhook request that was given up waits to be sent again.
    DeliveryResent,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 44] = [
        Self::ProductCreated,
        Self::ProductUpdated,
        Self::ProductDeleted,
        Self::WorkspaceCreated,
        Self::WorkspaceUpdated,
        Self::WorkspaceDeleted,
        Self::ClientCreated,
        Self::ClientUpdated,
        Self::ClientDeleted,
        Self::SecretCreated,
        Self::SecretShown,
        Self::SecretDeleted,
        Self::SecretFirstUsed,
        Self::SecretExpiring,
        Self::ClientExpiring,
        Self::TokenExpiring,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::TokensRevoked,
        Self::KeyCreated,
        Self::KeyActivated,
        Self::KeyRetired,
        Self::KeyGone,
        Self::KeyDeleted,
        Self::DatabaseRestored,
        Self::AuditLogBegun,
        Self::MasterKeyReplaced,
        Self::OperatorCreated,
        Self::OperatorUpdated,
        Self::OperatorDeleted,
        Self::SetupLinkCreated,
        Self::SignedIn,
        Self::SignInRefused,
        Self::SignedOut,
        Self::WayInAdded,
        Self::WayInRemoved,
        Self::SessionEnded,
        Self::WebhookCreated,
        Self::WebhookUpdated,
        Self::WebhookDeleted,
        Self::WebhookKeysReplaced,
        Self::WebhookDisabled,
        Self::DeliveryFailed,
        Self::DeliveryResent,
    ];

    /// The name on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductCreated => "product.created",
            Self::ProductUpdated => "product.updated",
            Self::ProductDeleted => "product.deleted",
            Self::WorkspaceCreated => "workspace.created",
            Self::WorkspaceUpdated => "workspace.updated",
            Self::WorkspaceDeleted => "workspace.deleted",
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientDeleted => "client.deleted",
            Self::SecretCreated => "secret.created",
            Self::SecretShown => "secret.shown",
            Self::SecretDeleted => "secret.deleted",
            Self::SecretFirstUsed => "secret.first_used",
            Self::SecretExpiring => "secret.expiring",
            Self::ClientExpiring => "client.expiring",
            Self::TokenExpiring => "access_token.expiring",
            Self::TokenCreated => "access_token.created",
            Self::TokenRevoked => "access_token.revoked",
            Self::TokensRevoked => "access_tokens.revoked",
            Self::KeyCreated => "signing_key.created",
            Self::KeyActivated => "signing_key.activated",
            Self::KeyRetired => "signing_key.retired",
            Self::KeyGone => "signing_key.gone",
            Self::KeyDeleted => "signing_key.deleted",
            Self::DatabaseRestored => "database.restored",
            Self::AuditLogBegun => "audit.log_begun",
            Self::MasterKeyReplaced => "master_key.replaced",
            Self::OperatorCreated => "operator.created",
            Self::OperatorUpdated => "operator.updated",
            Self::OperatorDeleted => "operator.deleted",
            Self::SetupLinkCreated => "operator.setup_link_created",
            Self::SignedIn => "operator.signed_in",
            Self::SignInRefused => "operator.sign_in_refused",
            Self::SignedOut => "operator.signed_out",
            Self::WayInAdded => "operator.way_in_added",
            Self::WayInRemoved => "operator.way_in_removed",
            Self::SessionEnded => "operator.session_ended",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookUpdated => "webhook.updated",
            Self::WebhookDeleted => "webhook.deleted",
            Self::WebhookKeysReplaced => "webhook.secrets_replaced",
            Self::WebhookDisabled => "webhook.disabled",
            Self::DeliveryFailed => "delivery.failed",
            Self::DeliveryResent => "delivery.resent",
        }
    }
}

/// One audit event.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// UUIDv7.
    pub event_id: String,
    /// When it happened.
    pub at: UnixSeconds,
    /// Who made the change.
    pub actor: Actor,
    /// What happened, one of [`Action`]'s names.
    pub action: String,
    /// The workspace; `None` for platform-wide records, such as products, signing keys and operators.
    pub workspace_id: Option<String>,
    /// The API client, if the change is about one.
    pub client_id: Option<String>,
    /// The id of the record that the event is about.
    pub target: String,
    /// The facts of the change; never a secret, a token or a private key.
    pub detail: Map<String, Value>,
}

/// An audit event as it is kept: with its place in the tree that others can verify.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What happened.
    pub event: AuditEvent,
    /// The place of the event in a tree; `None` until it has one.
    pub place: Option<Place>,
    /// The bytes that are hashed; `None` once they were deleted, or if the event is older than the tree and has no place.
    pub entry: Option<String>,
}

/// The place of an event in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the tree, from 1.
    pub log: i64,
    /// The number of the leaf, from 0 without gaps.
    pub seq: i64,
}

impl Deref for Recorded {
    type Target = AuditEvent;

    fn deref(&self) -> &AuditEvent {
        &self.event
    }
}
