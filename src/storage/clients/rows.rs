//! A row of `api_clients` and the client it describes.

use std::collections::BTreeMap;

use crate::model::client::{ActiveTokens, ApiClient};
use crate::model::expiry::TokenExpiry;
use crate::model::key::Alg;
use crate::model::status::Slot;
use crate::storage::StorageError;
use crate::storage::engine::row;
use crate::storage::error::parse;

macro_rules! columns {
    () => {
        "client_id, ordinal, workspace_id, label, permissions, token_expiry_seconds, notification_emails, allowed_ips,
            signing_alg, expires_at, metadata, disabled_at, active_tokens, replace_grace_seconds, generation, status_list,
            status_idx, slots_suspended_at, created_at, updated_at, version, description,
            (SELECT string_agg(g.product, ' ') FROM client_products g WHERE g.client_id = api_clients.client_id)
                AS products"
    };
}

pub(super) use columns;

row! {
    pub(super) struct ClientRow {
        pub(super) client_id: String,
        pub(super) ordinal: String,
        workspace_id: String,
        label: String,
        permissions: String,
        token_expiry_seconds: Option<i64>,
        notification_emails: String,
        allowed_ips: String,
        signing_alg: Option<String>,
        expires_at: Option<i64>,
        metadata: String,
        disabled_at: Option<i64>,
        active_tokens: String,
        replace_grace_seconds: i64,
        generation: i64,
        status_list: Option<i64>,
        status_idx: Option<i64>,
        slots_suspended_at: Option<i64>,
        created_at: i64,
        updated_at: i64,
        version: i64,
        description: Option<String>,
        products: Option<String>,
    }
}

impl TryFrom<ClientRow> for ApiClient {
    type Error = StorageError;

    fn try_from(row: ClientRow) -> Result<Self, StorageError> {
        let mut products: Vec<String> =
            row.products.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        products.sort_unstable();
        Ok(Self {
            client_id: row.client_id,
            workspace_id: row.workspace_id,
            label: row.label,
            products,
            permissions: row
                .permissions
                .split_ascii_whitespace()
                .map(|name| parse("api_clients.permissions", name))
                .collect::<Result<_, _>>()?,
            token_expiry: TokenExpiry::from_seconds(row.token_expiry_seconds),
            notification_emails: row.notification_emails.lines().map(str::to_owned).collect(),
            allowed_ips: row
                .allowed_ips
                .split_ascii_whitespace()
                .map(|network| parse("api_clients.allowed_ips", network))
                .collect::<Result<_, _>>()?,
            signing_alg: row.signing_alg.map(|alg| parse("api_clients.signing_alg", &alg)).transpose()?,
            expires_at: row.expires_at,
            metadata: serde_json::from_str(&row.metadata)
                .map_err(|error| StorageError::Damaged(format!("api_clients.metadata: {error}")))?,
            disabled_at: row.disabled_at,
            active_tokens: match row.active_tokens.as_str() {
                "many" => ActiveTokens::Many,
                "replace" => ActiveTokens::Replace { grace_seconds: row.replace_grace_seconds },
                other => match other.parse() {
                    Ok(max) if ActiveTokens::RANGE.contains(&max) => ActiveTokens::AtMost(max),
                    _ => {
                        let other = other.escape_debug();
                        return Err(StorageError::Damaged(format!("api_clients.active_tokens is `{other}`")));
                    }
                },
            },
            generation: row.generation,
            slot: Slot::from_columns(row.status_list, row.status_idx),
            slots_suspended_at: row.slots_suspended_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            description: row.description,
        })
    }
}

pub(super) fn words<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(super) fn metadata_json(metadata: &BTreeMap<String, String>) -> String {
    serde_json::json!(metadata).to_string()
}

pub(super) fn signing_alg(client: &ApiClient) -> Option<&'static str> {
    client.signing_alg.map(Alg::as_str)
}
