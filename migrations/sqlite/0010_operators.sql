-- Operators: the people who sign in to the console, their roles, ways in and sessions. Same tables and columns as
-- ../postgres.

CREATE TABLE operators (
    operator_id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    -- The address in lower case: there is one operator of it.
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Who says which roles they have: nobody but administrators, or the claims of `oidc:NAME`.
    role_source TEXT,
    password_hash TEXT,
    password_set_at INTEGER,
    totp_secret BLOB,
    totp_last_step INTEGER,
    totp_confirmed_at INTEGER,
    last_sign_in_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

-- A platform administrator has the workspace `platform`.
CREATE TABLE operator_roles (
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (workspace_id) ON DELETE CASCADE,
    PRIMARY KEY (operator_id, role, workspace_id)
) STRICT;
CREATE INDEX operator_roles_workspace ON operator_roles (workspace_id);

CREATE TABLE operator_passkeys (
    credential_id BLOB NOT NULL PRIMARY KEY,
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    public_key BLOB NOT NULL,
    alg INTEGER NOT NULL,
    sign_count INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX operator_passkeys_operator ON operator_passkeys (operator_id);

CREATE TABLE operator_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX operator_identities_operator ON operator_identities (operator_id);

CREATE TABLE operator_recovery_codes (
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (operator_id, code_hash)
) STRICT;

CREATE TABLE operator_setup_links (
    link_hash BLOB NOT NULL PRIMARY KEY,
    operator_id TEXT NOT NULL UNIQUE REFERENCES operators (operator_id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX operator_setup_links_expiry ON operator_setup_links (expires_at);

-- `session_id` stays when the cookie gets a new value; `ends_at` is where no use lengthens the session any more.
CREATE TABLE operator_sessions (
    session_hash BLOB NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    way TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    source_ip TEXT,
    user_agent TEXT
) STRICT;
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_end ON operator_sessions (ends_at);
CREATE INDEX operator_sessions_use ON operator_sessions (last_used_at);

-- Networks from which an operator has signed in.
CREATE TABLE operator_networks (
    operator_id TEXT NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (operator_id, network)
) STRICT;
CREATE INDEX operator_networks_seen ON operator_networks (last_seen_at);

-- What one step of a sign-in leaves for the next. A row is deleted when it is read.
CREATE TABLE operator_states (
    state_hash BLOB NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX operator_states_expiry ON operator_states (expires_at);

INSERT INTO turns (name, number) VALUES ('operators', 0);
