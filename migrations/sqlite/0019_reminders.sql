-- How far the reminders have come: who is to be reminded `days` days before the end of a secret, a client or a token was, for
-- every end up to this one. Same as in ../postgres.
CREATE TABLE reminders (
    -- secret, client, access_token
    kind TEXT NOT NULL,
    days INTEGER NOT NULL,
    -- The last end that was looked at, and the last of those that end then.
    ends_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, days)
) STRICT, WITHOUT ROWID;
INSERT INTO reminders (kind, days, ends_at, id) VALUES
    ('secret', 1, 0, ''), ('secret', 7, 0, ''), ('secret', 30, 0, ''),
    ('client', 1, 0, ''), ('client', 7, 0, ''), ('client', 30, 0, ''),
    ('access_token', 1, 0, ''), ('access_token', 7, 0, ''), ('access_token', 30, 0, '');
INSERT INTO turns (name, number) VALUES ('reminders', 0);

-- What ends next. Tokens have such an index already.
CREATE INDEX client_secrets_next_end ON client_secrets (expires_at, secret_id) WHERE expires_at IS NOT NULL;
CREATE INDEX api_clients_next_end ON api_clients (expires_at, client_id) WHERE expires_at IS NOT NULL;

-- When a secret was first used, and when its client was first seen in a network; not known of those that were before this.
-- `is_new` is 1 until a row is stored again: the statement that stores rows returns it, and so tells new rows from others.
ALTER TABLE secret_sources ADD COLUMN first_used_at INTEGER;
ALTER TABLE secret_sources ADD COLUMN is_new INTEGER NOT NULL DEFAULT 0;
ALTER TABLE client_networks ADD COLUMN first_seen_at INTEGER;
