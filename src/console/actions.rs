//! Names of what the audit trail records and of what mails and webhook requests report, for lists and sentences.

use crate::model::audit::Action;

/// The name of an action in a list to choose from.
pub(super) fn action_name(action: Action) -> &'static str {
    match action {
        Action::ProductCreated => "Product created",
        Action::ProductUpdated => "Product changed",
        Action::ProductDeleted => "Product deleted",
        Action::WorkspaceCreated => "Workspace created",
        Action::WorkspaceUpdated => "Workspace changed, suspended or resumed",
        Action::WorkspaceDeleted => "Workspace deleted",
        Action::ClientCreated => "API client created",
        Action::ClientUpdated => "API client changed, disabled or enabled",
        Action::ClientDeleted => "API client deleted",
        Action::SecretCreated => "Client secret added",
        Action::SecretShown => "Secret, token or setup link shown",
        Action::SecretDeleted => "Client secret deleted",
        Action::SecretFirstUsed => "Client secret used for the first time, or from a new network",
        Action::SecretExpiring => "Client secret will expire",
        Action::ClientExpiring => "API client will end",
        Action::TokenExpiring => "Access token will expire",
        Action::TokenCreated => "Access token generated",
        Action::TokenRevoked => "Access token revoked",
        Action::TokensRevoked => "Access tokens of an API client or a signing key revoked",
        Action::KeyCreated => "Signing key made or imported",
        Action::KeyActivated => "Signing key began to sign",
        Action::KeyRetired => "Signing key stopped signing",
        Action::KeyGone => "Signing key left the published keys",
        Action::KeyDeleted => "Signing key deleted",
        Action::DatabaseRestored => "Database restored from a backup",
        Action::AuditLogBegun => "New audit log begun",
        Action::MasterKeyReplaced => "Master key replaced",
        Action::OperatorCreated => "Operator invited",
        Action::OperatorUpdated => "Operator changed, disabled or enabled",
        Action::OperatorDeleted => "Operator deleted",
        Action::SetupLinkCreated => "Setup link made",
        Action::SignedIn => "Operator signed in",
        Action::SignInRefused => "Sign-in refused",
        Action::SignedOut => "Operator signed out",
        Action::WayInAdded => "Way to sign in added",
        Action::WayInRemoved => "Way to sign in removed",
        Action::SessionEnded => "Session ended",
        Action::WebhookCreated => "Webhook created",
        Action::WebhookUpdated => "Webhook changed, disabled or enabled",
        Action::WebhookDeleted => "Webhook deleted",
        Action::WebhookKeysReplaced => "Keys of a webhook replaced",
        Action::WebhookDisabled => "Webhook disabled because it fails",
        Action::DeliveryFailed => "Mail or webhook request given up",
        Action::DeliveryResent => "Mail or webhook request queued again",
    }
}

/// What a delivery reports, in words.
pub(super) fn delivery_subject(kind: &str) -> &str {
    let known = Action::ALL.into_iter().find(|action| action.as_str() == kind);
    match (kind, known) {
        ("summary", _) => "More changes to an API client",
        ("client.updated", _) => "API client changed",
        ("client.disabled", _) => "API client disabled",
        ("client.enabled", _) => "API client enabled",
        ("client.products_taken", _) => "Products or permissions taken",
        ("webhook.test", _) => "Test of a webhook",
        ("status_list.changed", _) => "Status list changed",
        ("audit.checkpoint", _) => "Checkpoint of the audit trail",
        (_, Some(action)) => action_name(action),
        (other, None) => other,
    }
}
