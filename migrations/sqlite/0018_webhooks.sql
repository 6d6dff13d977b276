-- Where a workspace wants to hear of what happens; those of the workspace `platform` hear of everything. `host` is host and
-- port of `url`, `events` the patterns separated by spaces (NULL: all but those that must be named). `failing_since` is when
-- the first of the failures that follow each other came.
CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (workspace_id),
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    events TEXT,
    names_status_lists INTEGER NOT NULL,
    names_checkpoints INTEGER NOT NULL,
    description TEXT,
    disabled_reason TEXT,
    public_key TEXT NOT NULL,
    failing_since INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_of_workspace ON webhooks (workspace_id, webhook_id);
CREATE INDEX webhooks_to_status_lists ON webhooks (webhook_id) WHERE names_status_lists = 1;
CREATE INDEX webhooks_to_checkpoints ON webhooks (webhook_id) WHERE names_checkpoints = 1;

-- The keys that sign what a webhook is sent, sealed; the replaced ones sign until `signs_until`.
CREATE TABLE webhook_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    sealed BLOB NOT NULL,
    signs_until INTEGER
) STRICT;
CREATE INDEX webhook_keys_of_webhook ON webhook_keys (webhook_id, key_id);
