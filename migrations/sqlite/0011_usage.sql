-- How often each client got tokens and was refused, by hour and by day (UTC, named by its first second). `outcome` is
-- `issued` or the reason of a refusal. Same as in ../postgres.
CREATE TABLE client_usage_hours (
    client_id TEXT NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (client_id, hour, outcome)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_usage_hours_hour ON client_usage_hours (hour);

CREATE TABLE client_usage_days (
    client_id TEXT NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (client_id, day, outcome)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_usage_days_day ON client_usage_days (day);

-- How often each secret was accepted, by hour, and where it was last used from. Tables of their own, so that noting a use
-- never waits for a change of the secret.
CREATE TABLE secret_usage_hours (
    secret_id TEXT NOT NULL REFERENCES client_secrets (secret_id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (secret_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_usage_hours_hour ON secret_usage_hours (hour);

CREATE TABLE secret_sources (
    secret_id TEXT NOT NULL PRIMARY KEY REFERENCES client_secrets (secret_id) ON DELETE CASCADE,
    source_ip TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The networks that each client authenticated from: IPv4 /24, IPv6 /48.
CREATE TABLE client_networks (
    client_id TEXT NOT NULL REFERENCES api_clients (client_id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, network)
) STRICT, WITHOUT ROWID;

-- The last refused requests. Those that name no client that exists have `client_id` NULL, and what they named in
-- `named_client_id`.
CREATE TABLE failures (
    failure_id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT REFERENCES api_clients (client_id) ON DELETE CASCADE,
    named_client_id TEXT,
    at INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT,
    source_ip TEXT,
    secret_last_four TEXT,
    request_id TEXT NOT NULL
) STRICT;
CREATE INDEX failures_client ON failures (client_id, failure_id);
