//! Webhooks as JSON: what the management API and the command line show, and what the audit trail records of a change.

use serde::{Serialize, Serializer};

use super::keys::SigningSecret;
use crate::model::clock::{UnixSeconds, rfc3339};
use crate::model::webhook::{Disabled, Webhook};
use crate::vault::root::Subkeys;

/// What the audit trail records of a webhook: the members that an administrator sets, and why the webhook is disabled (an
/// administrator disabled it, or the service did because of its receiver). The URL may have a secret in its path or query, so
/// only its scheme and host are shown, with a part of a MAC that changes when the URL does.
#[derive(Debug, Serialize)]
pub(super) struct WebhookSettings<'a> {
    url: String,
    events: Option<&'a [String]>,
    description: Option<&'a str>,
    status: &'static str,
    disabled_reason: Option<&'static str>,
}

impl<'a> WebhookSettings<'a> {
    pub(super) fn of(webhook: &'a Webhook, subkeys: &Subkeys) -> Self {
        // An entity tag is a MAC in quotes.
        let mac = subkeys.etag(webhook.url.as_bytes());
        let mac = mac.get(1..9).unwrap_or_default();
        let scheme = webhook.url.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        Self {
            url: format!("{scheme}://{}/… ({mac})", webhook.host),
            events: webhook.events.patterns(),
            description: webhook.description.as_deref(),
            status: webhook.status(),
            disabled_reason: webhook.disabled.map(Disabled::as_str),
        }
    }
}

#[derive(Serialize)]
struct WebhookDto<'a> {
    webhook_id: &'a str,
    workspace_id: &'a str,
    url: &'a str,
    events: Option<&'a [String]>,
    description: Option<&'a str>,
    status: &'static str,
    disabled_reason: Option<&'static str>,
    public_key: &'a str,
    #[serde(with = "rfc3339")]
    created_at: UnixSeconds,
    #[serde(with = "rfc3339")]
    updated_at: UnixSeconds,
}

impl Serialize for Webhook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = WebhookDto {
            webhook_id: &self.webhook_id,
            workspace_id: &self.workspace_id,
            url: &self.url,
            events: self.events.patterns(),
            description: self.description.as_deref(),
            status: self.status(),
            disabled_reason: self.disabled.map(Disabled::as_str),
            public_key: &self.public_key,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        dto.serialize(serializer)
    }
}

/// A webhook that was created, with its secret, which is shown only now.
#[derive(Debug)]
pub struct CreatedWebhook {
    /// The record.
    pub webhook: Webhook,
    /// The secret that verifies `v1` signatures.
    pub signing_secret: SigningSecret,
}

#[derive(Serialize)]
struct CreatedDto<'a> {
    #[serde(flatten)]
    webhook: &'a Webhook,
    signing_secret: &'a str,
}

impl Serialize for CreatedWebhook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = CreatedDto { webhook: &self.webhook, signing_secret: self.signing_secret.expose() };
        dto.serialize(serializer)
    }
}

/// The keys that replaced others, with the secret, which is shown only now.
#[derive(Debug)]
pub struct ReplacedKeys {
    /// The webhook, with its new public key.
    pub webhook: Webhook,
    /// The secret that verifies `v1` signatures.
    pub signing_secret: SigningSecret,
    /// Until when the replaced keys sign, too.
    pub old_sign_until: UnixSeconds,
}

#[derive(Serialize)]
struct ReplacedDto<'a> {
    webhook_id: &'a str,
    signing_secret: &'a str,
    public_key: &'a str,
    #[serde(with = "rfc3339")]
    old_sign_until: UnixSeconds,
}

impl Serialize for ReplacedKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dto = ReplacedDto {
            webhook_id: &self.webhook.webhook_id,
            signing_secret: self.signing_secret.expose(),
            public_key: &self.webhook.public_key,
            old_sign_until: self.old_sign_until,
        };
        dto.serialize(serializer)
    }
}
