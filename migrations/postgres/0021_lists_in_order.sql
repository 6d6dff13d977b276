-- When clients were last used, in the order in which they are listed by it. Each client has a row: `last_used_at` is -1 while
-- it was never used. Workspace and ordinal are those of the client, which never change. Same as in ../sqlite.
ALTER TABLE client_uses ADD COLUMN workspace_id TEXT COLLATE "C";
ALTER TABLE client_uses ADD COLUMN ordinal TEXT COLLATE "C";
UPDATE client_uses SET workspace_id = c.workspace_id, ordinal = c.ordinal
    FROM api_clients c WHERE c.client_id = client_uses.client_id;
INSERT INTO client_uses (client_id, workspace_id, ordinal, last_used_at)
    SELECT client_id, workspace_id, ordinal, -1 FROM api_clients ON CONFLICT (client_id) DO NOTHING;
ALTER TABLE client_uses ALTER COLUMN workspace_id SET NOT NULL;
ALTER TABLE client_uses ALTER COLUMN ordinal SET NOT NULL;
CREATE INDEX client_uses_order ON client_uses (last_used_at, ordinal, workspace_id);

-- The other orders in which the clients of a workspace are listed, and those that few have.
CREATE INDEX api_clients_by_label ON api_clients (workspace_id, LOWER(label), ordinal);
CREATE INDEX api_clients_by_end ON api_clients (workspace_id, COALESCE(expires_at, 9223372036854775807), ordinal);
CREATE INDEX api_clients_disabled ON api_clients (workspace_id, ordinal) WHERE disabled_at IS NOT NULL;
