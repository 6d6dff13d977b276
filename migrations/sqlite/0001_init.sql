-- The first schema. Instants are Unix seconds from the service's clock. Same tables and columns as ../postgres.

CREATE TABLE service_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    change_seq INTEGER NOT NULL,
    master_fingerprint BLOB,
    sealed_root BLOB,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO service_state (id, change_seq, created_at) VALUES (1, 0, 0);

-- What changed, so that caches drop just that. Rows are purged from the old end; a reader that finds a gap drops everything.
CREATE TABLE change_log (
    seq INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
) STRICT;

CREATE TABLE products (
    product TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    audience TEXT,
    max_token_lifetime_seconds INTEGER,
    never_expires_allowed INTEGER NOT NULL CHECK (never_expires_allowed IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

-- A deleted workspace keeps its row, so that its id is never given again.
CREATE TABLE workspaces (
    workspace_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    suspended_at INTEGER,
    never_expires_allowed INTEGER NOT NULL CHECK (never_expires_allowed IN (0, 1)),
    products_allowed TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE TABLE api_clients (
    client_id TEXT NOT NULL PRIMARY KEY,
    ordinal TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (workspace_id),
    label TEXT NOT NULL,
    permissions TEXT NOT NULL,
    token_expiry_seconds INTEGER,
    notification_emails TEXT NOT NULL,
    allowed_ips TEXT NOT NULL,
    signing_alg TEXT,
    expires_at INTEGER,
    metadata TEXT NOT NULL,
    disabled_at INTEGER,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX api_clients_workspace ON api_clients (workspace_id, ordinal);

CREATE TABLE client_products (
    client_id TEXT NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    product TEXT NOT NULL REFERENCES products (product),
    PRIMARY KEY (client_id, product)
) STRICT;
CREATE INDEX client_products_product ON client_products (product);

CREATE TABLE client_secrets (
    secret_id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    mac BLOB NOT NULL,
    last_four TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX client_secrets_client ON client_secrets (client_id);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    alg TEXT NOT NULL,
    use_for TEXT NOT NULL,
    phase TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private BLOB,
    created_at INTEGER NOT NULL,
    activates_at INTEGER NOT NULL,
    retired_at INTEGER,
    version INTEGER NOT NULL
) STRICT;

-- Recorded tokens only. A never-expiring one has no expires_at.
CREATE TABLE access_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    kid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    scope TEXT NOT NULL,
    products TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_introspected_at INTEGER,
    issued_by TEXT NOT NULL
) STRICT;
CREATE INDEX access_tokens_client ON access_tokens (client_id, jti);
CREATE INDEX access_tokens_live_by_kid ON access_tokens (kid) WHERE revoked_at IS NULL;

CREATE TABLE audit_events (
    event_id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    workspace_id TEXT,
    client_id TEXT,
    target TEXT NOT NULL,
    request_id TEXT,
    source_ip TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_workspace ON audit_events (workspace_id, event_id);
CREATE INDEX audit_events_client ON audit_events (client_id, event_id);

CREATE TABLE outbox (
    mail_id TEXT NOT NULL PRIMARY KEY,
    queued_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    client_id TEXT NOT NULL,
    facts TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    sent_at INTEGER
) STRICT;
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE sent_at IS NULL;

CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    sealed_reply BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (caller, method, path, idempotency_key)
) STRICT;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
