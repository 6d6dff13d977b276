//! The requests of commands, as data. The services answer them from the database, or a server answers them over HTTP.

use clap::ValueEnum;
use serde_json::Value;

/// A list, read page by page.
#[derive(Debug, Clone)]
pub(in crate::cli) enum List {
    Workspaces,
    Products,
    Clients(ClientList),
    Tokens(TokenList),
    SigningKeys,
    Operators,
    /// The operator with this email address, if there is one.
    OperatorsOf(String),
    AuditEvents(AuditList),
    /// Of this workspace.
    Webhooks {
        workspace_id: String,
    },
    /// Of this webhook.
    Deliveries {
        webhook_id: String,
    },
    /// Refused requests: those of one API client; or with `None`, those of all API clients and those that name no existing
    /// client.
    Failures {
        client_id: Option<String>,
    },
}

/// Which API clients, and in which order. Instants are Unix seconds.
#[derive(Debug, Clone)]
pub(in crate::cli) struct ClientList {
    /// `None` for those of all workspaces.
    pub(in crate::cli) workspace_id: Option<String>,
    pub(in crate::cli) label: Option<String>,
    pub(in crate::cli) product: Option<String>,
    pub(in crate::cli) status: Option<String>,
    pub(in crate::cli) metadata: Vec<(String, String)>,
    pub(in crate::cli) secret_expires_before: Option<i64>,
    pub(in crate::cli) unused_since: Option<i64>,
    pub(in crate::cli) sort: Option<Sort>,
}

/// The order of API clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Sort {
    #[value(name = "label")]
    Label,
    #[value(name = "-label")]
    LabelDescending,
    #[value(name = "created_at")]
    CreatedAt,
    #[value(name = "-created_at")]
    CreatedAtDescending,
    #[value(name = "last_used_at")]
    LastUsedAt,
    #[value(name = "-last_used_at")]
    LastUsedAtDescending,
    #[value(name = "expires_at")]
    ExpiresAt,
    #[value(name = "-expires_at")]
    ExpiresAtDescending,
}

/// Which recorded tokens. Instants are Unix seconds.
#[derive(Debug, Clone)]
pub(in crate::cli) struct TokenList {
    /// `None` for those of all API clients.
    pub(in crate::cli) client_id: Option<String>,
    pub(in crate::cli) expires_before: Option<i64>,
    pub(in crate::cli) never_expires: Option<bool>,
    /// `None`: all tokens if `client_id` is set, otherwise the live ones.
    pub(in crate::cli) status: Option<TokenStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TokenStatus {
    Live,
    Revoked,
    All,
}

impl TokenList {
    /// The client, if the list is for all tokens of one client without other filters.
    pub(super) fn of_client(&self) -> Option<&str> {
        let plain = self.expires_before.is_none() && self.never_expires.is_none() && self.status.is_none();
        self.client_id.as_deref().filter(|_| plain)
    }

    /// The status of the tokens to list: the chosen one, or the default.
    pub(super) fn status(&self) -> TokenStatus {
        let default = if self.client_id.is_some() { TokenStatus::All } else { TokenStatus::Live };
        self.status.unwrap_or(default)
    }
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

/// A use case that is not a list. Bodies have the members of the management API.
#[derive(Debug, Clone)]
pub(in crate::cli) enum UseCase {
    Workspace(OnRecord),
    Product(OnRecord),
    Client(OnClient),
    Token(OnToken),
    SigningKey(OnKey),
    Operator(OnOperator),
    Webhook(OnWebhook),
}

/// A use case on a workspace or a product, which is named by its id.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnRecord {
    Create(Value),
    Show(String),
    Change(String, Value),
    Delete(String),
}

/// A use case on an API client and its secrets, or on many API clients.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnClient {
    Create {
        workspace_id: String,
        body: Value,
    },
    Show(String),
    Change(String, Value),
    /// The clients that the body names or its filter finds.
    ChangeMany(Value),
    Delete(String),
    AddSecret(String, Value),
    DeleteSecret {
        client_id: String,
        secret_id: String,
        force: bool,
    },
    /// Instants are Unix seconds.
    Usage {
        client_id: String,
        since: Option<i64>,
        until: Option<i64>,
    },
}

/// A use case on the access tokens of an API client.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnToken {
    Create { client_id: String, body: Value },
    Show { client_id: String, jti: String },
    Revoke { client_id: String, jti: String },
    RevokeAll { client_id: String },
}

/// A use case on an operator, who is named by their id.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnOperator {
    Create(Value),
    Show(String),
    Change(String, Value),
    Delete(String),
    SetupLink(String),
}

/// A use case on a webhook, which is named by its id.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnWebhook {
    Create { workspace_id: String, body: Value },
    Show(String),
    Change(String, Value),
    Delete(String),
    ReplaceKeys(String),
    Test(String),
    Resend { webhook_id: String, delivery_id: String },
}

/// A use case on a signing key, which is named by its `kid`.
#[derive(Debug, Clone)]
pub(in crate::cli) enum OnKey {
    Create(Value),
    Show(String),
    Delete { kid: String, revoke_tokens: bool },
}
