//! What commands ask of Mintmark, as data: answered by the services over the database, or by a server over HTTP.

use serde_json::Value;

/// A list, read page by page.
#[derive(Debug, Clone)]
pub(in crate::cli) enum List {
    Workspaces,
    Products,
    Clients(ClientList),
    Tokens { client_id: String },
    SigningKeys,
    AuditEvents(AuditList),
}

/// Which API clients.
#[derive(Debug, Clone)]
pub(in crate::cli) struct ClientList {
    pub(in crate::cli) workspace_id: String,
    pub(in crate::cli) label: Option<String>,
    pub(in crate::cli) product: Option<String>,
    pub(in crate::cli) status: Option<String>,
}

/// Which audit events. Instants are Unix seconds.
#[derive(Debug, Clone)]
pub(in crate::cli) struct AuditList {
    pub(in crate::cli) workspace_id: Option<String>,
    pub(in crate::cli) client_id: Option<String>,
    pub(in crate::cli) action: Option<String>,
    pub(in crate::cli) since: Option<i64>,
    pub(in crate::cli) until: Option<i64>,
}

/// A use case on one record. Bodies have the members of the management API.
#[derive(Debug, Clone)]
pub(in crate::cli) enum UseCase {
    Workspace(OnRecord),
    Product(OnRecord),
    Client(OnClient),
    Token(OnToken),
    SigningKey(OnKey),
}

/// On a workspace or a product, by its id.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnRecord {
    Create(Value),
    Show(String),
    Change(String, Value),
    Delete(String),
}

/// On an API client and its secrets, by the client's id.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnClient {
    Create { workspace_id: String, body: Value },
    Show(String),
    Change(String, Value),
    Delete(String),
    AddSecret(String, Value),
    DeleteSecret { client_id: String, secret_id: String, force: bool },
}

/// On the access tokens of an API client.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnToken {
    Create { client_id: String, body: Value },
    Show { client_id: String, jti: String },
    Revoke { client_id: String, jti: String },
    RevokeAll { client_id: String },
}

/// On a signing key, by its `kid`.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnKey {
    Create(Value),
    Show(String),
    Delete { kid: String, revoke_tokens: bool },
}
