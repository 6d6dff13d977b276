-- Where the status of tokens is published (Token Status List), and what revoking them needs. Same tables and columns as
-- ../postgres.

-- Work that must come one after the other takes the row of its name first. `number` is the last one given out.
CREATE TABLE turns (
    name TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
INSERT INTO turns (name, number) VALUES ('signing_keys', 0), ('status_lists', 0);

-- One row a list that is published. `leased` is the cursor: how many of its slots have been given out.
CREATE TABLE status_lists (
    list INTEGER NOT NULL PRIMARY KEY,
    holds TEXT NOT NULL,
    kid TEXT,
    seed BLOB NOT NULL,
    leased INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    filled_at INTEGER,
    last_exp INTEGER NOT NULL
) STRICT;
CREATE INDEX status_lists_open ON status_lists (holds, kid) WHERE filled_at IS NULL;

-- The statuses of a list, in parts; a part that is not there is all zeros.
CREATE TABLE status_bits (
    list INTEGER NOT NULL REFERENCES status_lists (list) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY (list, part)
) STRICT;

-- Stateless tokens that were revoked by themselves, until they would have ended.
CREATE TABLE denied_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX denied_tokens_expiry ON denied_tokens (expires_at);

-- The slot of the client's generation; whether its slots stand at "suspended".
ALTER TABLE api_clients ADD COLUMN active_tokens TEXT NOT NULL DEFAULT 'many';
ALTER TABLE api_clients ADD COLUMN replace_grace_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_clients ADD COLUMN status_list INTEGER;
ALTER TABLE api_clients ADD COLUMN status_idx INTEGER;
ALTER TABLE api_clients ADD COLUMN slots_suspended_at INTEGER;
CREATE INDEX api_clients_status_list ON api_clients (status_list);
CREATE INDEX api_clients_ending ON api_clients (expires_at)
    WHERE expires_at IS NOT NULL AND slots_suspended_at IS NULL;

-- The token's own slot; when a replaced token is to be revoked.
ALTER TABLE access_tokens ADD COLUMN status_list INTEGER;
ALTER TABLE access_tokens ADD COLUMN status_idx INTEGER;
ALTER TABLE access_tokens ADD COLUMN revoke_at INTEGER;
DROP INDEX access_tokens_client;
CREATE INDEX access_tokens_client ON access_tokens (client_id, issued_at, jti);
DROP INDEX access_tokens_live_by_kid;
CREATE INDEX access_tokens_live_by_kid ON access_tokens (kid, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX access_tokens_unrevoked ON access_tokens (client_id) WHERE revoked_at IS NULL;
CREATE INDEX access_tokens_due ON access_tokens (revoke_at) WHERE revoke_at IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX access_tokens_status_list ON access_tokens (status_list, expires_at);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX access_tokens_revoked ON access_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
