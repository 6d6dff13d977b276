-- Work on the tokens of a client reads those that have not ended: one stretch of this index. The slots are in it, so that
-- suspending many tokens reads no rows; `issued_at` is before them, so that tokens recorded together are entered side by
-- side. The order in which tokens were recorded is that of the rowid.
DROP INDEX access_tokens_unrevoked;
CREATE INDEX access_tokens_live
    ON access_tokens
        (client_id, COALESCE(expires_at, 9223372036854775807), issued_at, expires_at, revoked_at, status_list,
            status_idx)
    WHERE revoked_at IS NULL;

-- Clients whose slots do not say what their workspace does, since a change of many clients was interrupted.
CREATE INDEX workspaces_suspended ON workspaces (workspace_id) WHERE suspended_at IS NOT NULL;
CREATE INDEX api_clients_suspended ON api_clients (client_id) WHERE slots_suspended_at IS NOT NULL;

-- A mail may stand for several; waiting ones are counted by client.
ALTER TABLE outbox ADD COLUMN occurrences INTEGER NOT NULL DEFAULT 1;
CREATE INDEX outbox_waiting ON outbox (client_id, kind, recipient, queued_at) WHERE sent_at IS NULL;
CREATE INDEX outbox_queued ON outbox (queued_at);
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
