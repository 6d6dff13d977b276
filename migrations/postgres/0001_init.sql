-- The first schema. Instants are Unix seconds from the service's clock; ids sort by bytes and labels
-- fold ASCII letters only, as on SQLite. Same tables and columns as ../sqlite.

CREATE TABLE service_state (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    change_seq BIGINT NOT NULL,
    master_fingerprint BYTEA,
    sealed_root BYTEA,
    created_at BIGINT NOT NULL
);
INSERT INTO service_state (id, change_seq, created_at) VALUES (1, 0, 0);

-- What changed, so that caches drop just that. Rows are purged from the old end; a reader that finds a gap drops everything.
CREATE TABLE change_log (
    seq BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
);

CREATE TABLE products (
    product TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    audience TEXT,
    max_token_lifetime_seconds BIGINT,
    never_expires_allowed BIGINT NOT NULL CHECK (never_expires_allowed IN (0, 1)),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- A deleted workspace keeps its row, so that its id is never given again.
CREATE TABLE workspaces (
    workspace_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    suspended_at BIGINT,
    never_expires_allowed BIGINT NOT NULL CHECK (never_expires_allowed IN (0, 1)),
    products_allowed TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    deleted_at BIGINT
);

CREATE TABLE api_clients (
    client_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ordinal TEXT COLLATE "C" NOT NULL UNIQUE,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (workspace_id),
    label TEXT COLLATE "C" NOT NULL,
    permissions TEXT NOT NULL,
    token_expiry_seconds BIGINT,
    notification_emails TEXT NOT NULL,
    allowed_ips TEXT NOT NULL,
    signing_alg TEXT,
    expires_at BIGINT,
    metadata TEXT NOT NULL,
    disabled_at BIGINT,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX api_clients_workspace ON api_clients (workspace_id, ordinal);

CREATE TABLE client_products (
    client_id TEXT COLLATE "C" NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    product TEXT COLLATE "C" NOT NULL REFERENCES products (product),
    PRIMARY KEY (client_id, product)
);
CREATE INDEX client_products_product ON client_products (product);

CREATE TABLE client_secrets (
    secret_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    mac BYTEA NOT NULL,
    last_four TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX client_secrets_client ON client_secrets (client_id);

CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alg TEXT NOT NULL,
    use_for TEXT NOT NULL,
    phase TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private BYTEA,
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL,
    retired_at BIGINT,
    version BIGINT NOT NULL
);

-- Recorded tokens only. A never-expiring one has no expires_at.
CREATE TABLE access_tokens (
    jti TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL,
    kid TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    scope TEXT NOT NULL,
    products TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_introspected_at BIGINT,
    issued_by TEXT NOT NULL
);
CREATE INDEX access_tokens_client ON access_tokens (client_id, jti);
CREATE INDEX access_tokens_live_by_kid ON access_tokens (kid) WHERE revoked_at IS NULL;

CREATE TABLE audit_events (
    event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    workspace_id TEXT,
    client_id TEXT,
    target TEXT NOT NULL,
    request_id TEXT,
    source_ip TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX audit_events_workspace ON audit_events (workspace_id, event_id);
CREATE INDEX audit_events_client ON audit_events (client_id, event_id);

CREATE TABLE outbox (
    mail_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    queued_at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    facts TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    sent_at BIGINT
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE sent_at IS NULL;

CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body_hash BYTEA NOT NULL,
    sealed_reply BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (caller, method, path, idempotency_key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
