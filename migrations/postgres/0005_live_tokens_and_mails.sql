-- Work on the tokens of a client reads those that have not ended: one stretch of this index. The slots are in it, so that
-- suspending many tokens reads no rows; `issued_at` is before them, so that tokens recorded together are entered side by
-- side.
DROP INDEX access_tokens_unrevoked;
CREATE INDEX access_tokens_live
    ON access_tokens
        (client_id, COALESCE(expires_at, 9223372036854775807), issued_at, expires_at, revoked_at, status_list,
            status_idx)
    WHERE revoked_at IS NULL;

-- The order in which the tokens of a client were recorded, as SQLite has it in its rowid. Those from before have none and
-- are older than all others.
CREATE SEQUENCE access_tokens_place;
ALTER TABLE access_tokens ADD COLUMN place BIGINT;
ALTER TABLE access_tokens ALTER COLUMN place SET DEFAULT nextval('access_tokens_place');

-- Clients whose slots do not say what their workspace does, since a change of many clients was interrupted.
CREATE INDEX workspaces_suspended ON workspaces (workspace_id) WHERE suspended_at IS NOT NULL;
CREATE INDEX api_clients_suspended ON api_clients (client_id) WHERE slots_suspended_at IS NOT NULL;

-- A mail may stand for several; waiting ones are counted by client.
ALTER TABLE outbox ADD COLUMN occurrences BIGINT NOT NULL DEFAULT 1;
CREATE INDEX outbox_waiting ON outbox (client_id, kind, recipient, queued_at) WHERE sent_at IS NULL;
CREATE INDEX outbox_queued ON outbox (queued_at);
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
