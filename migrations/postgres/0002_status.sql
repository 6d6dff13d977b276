-- Where the status of tokens is published (Token Status List), and what revoking them needs. Same tables and columns as
-- ../sqlite.

-- Work that must come one after the other takes the row of its name first. `number` is the last one given out.
CREATE TABLE turns (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
INSERT INTO turns (name, number) VALUES ('signing_keys', 0), ('status_lists', 0);

-- One row a list that is published. `leased` is the cursor: how many of its slots have been given out.
CREATE TABLE status_lists (
    list BIGINT NOT NULL PRIMARY KEY,
    holds TEXT NOT NULL,
    kid TEXT COLLATE "C",
    seed BYTEA NOT NULL,
    leased BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    filled_at BIGINT,
    last_exp BIGINT NOT NULL
);
CREATE INDEX status_lists_open ON status_lists (holds, kid) WHERE filled_at IS NULL;

-- The statuses of a list, in parts; a part that is not there is all zeros.
CREATE TABLE status_bits (
    list BIGINT NOT NULL REFERENCES status_lists (list) ON DELETE CASCADE,
    part BIGINT NOT NULL,
    bits BYTEA NOT NULL,
    PRIMARY KEY (list, part)
);

-- Stateless tokens that were revoked by themselves, until they would have ended.
CREATE TABLE denied_tokens (
    jti TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX denied_tokens_expiry ON denied_tokens (expires_at);

-- The slot of the client's generation; whether its slots stand at "suspended".
ALTER TABLE api_clients ADD COLUMN active_tokens TEXT NOT NULL DEFAULT 'many';
ALTER TABLE api_clients ADD COLUMN replace_grace_seconds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_clients ADD COLUMN status_list BIGINT;
ALTER TABLE api_clients ADD COLUMN status_idx BIGINT;
ALTER TABLE api_clients ADD COLUMN slots_suspended_at BIGINT;
CREATE INDEX api_clients_status_list ON api_clients (status_list);
CREATE INDEX api_clients_ending ON api_clients (expires_at)
    WHERE expires_at IS NOT NULL AND slots_suspended_at IS NULL;

-- The token's own slot; when a replaced token is to be revoked.
ALTER TABLE access_tokens ADD COLUMN status_list BIGINT;
ALTER TABLE access_tokens ADD COLUMN status_idx BIGINT;
ALTER TABLE access_tokens ADD COLUMN revoke_at BIGINT;
DROP INDEX access_tokens_client;
CREATE INDEX access_tokens_client ON access_tokens (client_id, issued_at, jti);
DROP INDEX access_tokens_live_by_kid;
CREATE INDEX access_tokens_live_by_kid ON access_tokens (kid, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX access_tokens_unrevoked ON access_tokens (client_id) WHERE revoked_at IS NULL;
CREATE INDEX access_tokens_due ON access_tokens (revoke_at) WHERE revoke_at IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX access_tokens_status_list ON access_tokens (status_list, expires_at);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX access_tokens_revoked ON access_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
