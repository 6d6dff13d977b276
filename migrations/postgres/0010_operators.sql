-- Operators: the people who sign in to the console, their roles, ways in and sessions. Same tables and columns as
-- ../sqlite.

CREATE TABLE operators (
    operator_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    -- The address in lower case: there is one operator of it.
    email_key TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Who says which roles they have: nobody but administrators, or the claims of `oidc:NAME`.
    role_source TEXT,
    password_hash TEXT,
    password_set_at BIGINT,
    totp_secret BYTEA,
    totp_last_step BIGINT,
    totp_confirmed_at BIGINT,
    last_sign_in_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- A platform administrator has the workspace `platform`.
CREATE TABLE operator_roles (
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (workspace_id) ON DELETE CASCADE,
    PRIMARY KEY (operator_id, role, workspace_id)
);
CREATE INDEX operator_roles_workspace ON operator_roles (workspace_id);

CREATE TABLE operator_passkeys (
    credential_id BYTEA NOT NULL PRIMARY KEY,
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    public_key BYTEA NOT NULL,
    alg BIGINT NOT NULL,
    sign_count BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX operator_passkeys_operator ON operator_passkeys (operator_id);

CREATE TABLE operator_identities (
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX operator_identities_operator ON operator_identities (operator_id);

CREATE TABLE operator_recovery_codes (
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    code_hash BYTEA NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (operator_id, code_hash)
);

CREATE TABLE operator_setup_links (
    link_hash BYTEA NOT NULL PRIMARY KEY,
    operator_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES operators (operator_id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX operator_setup_links_expiry ON operator_setup_links (expires_at);

-- `session_id` stays when the cookie gets a new value; `ends_at` is where no use lengthens the session any more.
CREATE TABLE operator_sessions (
    session_hash BYTEA NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL UNIQUE,
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    way TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    source_ip TEXT,
    user_agent TEXT
);
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_end ON operator_sessions (ends_at);
CREATE INDEX operator_sessions_use ON operator_sessions (last_used_at);

-- Networks from which an operator has signed in.
CREATE TABLE operator_networks (
    operator_id TEXT COLLATE "C" NOT NULL REFERENCES operators (operator_id) ON DELETE CASCADE,
    network TEXT COLLATE "C" NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (operator_id, network)
);
CREATE INDEX operator_networks_seen ON operator_networks (last_seen_at);

-- What one step of a sign-in leaves for the next. A row is deleted when it is read.
CREATE TABLE operator_states (
    state_hash BYTEA NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX operator_states_expiry ON operator_states (expires_at);

INSERT INTO turns (name, number) VALUES ('operators', 0);
