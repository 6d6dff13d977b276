-- Where a workspace wants to hear of what happens; those of the workspace `platform` hear of everything. `host` is host and
-- port of `url`, `events` the patterns separated by spaces (NULL: all but those that must be named). `failing_since` is when
-- the first of the failures that follow each other came.
CREATE TABLE webhooks (
    webhook_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (workspace_id),
    url TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C",
    names_status_lists BIGINT NOT NULL,
    names_checkpoints BIGINT NOT NULL,
    description TEXT COLLATE "C",
    disabled_reason TEXT COLLATE "C",
    public_key TEXT COLLATE "C" NOT NULL,
    failing_since BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX webhooks_of_workspace ON webhooks (workspace_id, webhook_id);
CREATE INDEX webhooks_to_status_lists ON webhooks (webhook_id) WHERE names_status_lists = 1;
CREATE INDEX webhooks_to_checkpoints ON webhooks (webhook_id) WHERE names_checkpoints = 1;

-- The keys that sign what a webhook is sent, sealed; the replaced ones sign until `signs_until`.
CREATE TABLE webhook_keys (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    webhook_id TEXT COLLATE "C" NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    sealed BYTEA NOT NULL,
    signs_until BIGINT
);
CREATE INDEX webhook_keys_of_webhook ON webhook_keys (webhook_id, key_id);
