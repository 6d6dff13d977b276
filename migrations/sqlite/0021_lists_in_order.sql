-- When clients were last used, in the order in which they are listed by it. Each client has a row: `last_used_at` is -1 while
-- it was never used. Workspace and ordinal are those of the client, which never change. Same as in ../postgres.
CREATE TABLE uses_with_place (
    client_id TEXT NOT NULL PRIMARY KEY REFERENCES api_clients (client_id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    ordinal TEXT NOT NULL,
    last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO uses_with_place (client_id, workspace_id, ordinal, last_used_at)
    SELECT c.client_id, c.workspace_id, c.ordinal, COALESCE(u.last_used_at, -1)
    FROM api_clients c LEFT JOIN client_uses u ON u.client_id = c.client_id ORDER BY c.client_id;
DROP TABLE client_uses;
ALTER TABLE uses_with_place RENAME TO client_uses;
CREATE INDEX client_uses_order ON client_uses (last_used_at, ordinal, workspace_id);

-- The other orders in which the clients of a workspace are listed, and those that few have.
CREATE INDEX api_clients_by_label ON api_clients (workspace_id, LOWER(label), ordinal);
CREATE INDEX api_clients_by_end ON api_clients (workspace_id, COALESCE(expires_at, 9223372036854775807), ordinal);
CREATE INDEX api_clients_disabled ON api_clients (workspace_id, ordinal) WHERE disabled_at IS NOT NULL;
