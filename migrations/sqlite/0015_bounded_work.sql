-- Since when what a revoked key signed is being revoked, in steps; none if nothing is left to do.
ALTER TABLE signing_keys ADD COLUMN revoking_since INTEGER;

-- The clients of a workspace in the order in which their tokens are listed.
CREATE INDEX api_clients_of_workspace ON api_clients (workspace_id, client_id);

-- The ids are before the slots, which are given out in random order: tokens that are recorded together, whose ids follow one
-- another, are then entered side by side, also where many are recorded in a second.
DROP INDEX access_tokens_live;
CREATE INDEX access_tokens_live
    ON access_tokens
        (client_id, COALESCE(expires_at, 9223372036854775807), issued_at, jti, expires_at, revoked_at, status_list,
            status_idx)
    WHERE revoked_at IS NULL;
