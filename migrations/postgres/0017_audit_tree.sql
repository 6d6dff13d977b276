-- The audit trail as a tree (RFC 6962) that others can verify.
--
-- entry holds the exact bytes that are hashed, leaf their hash, seq the number of the leaf in the tree log. An event of an
-- earlier version has none of them until a serving process numbers it. When an entry is deleted after audit.keep_days, its
-- leaf stays.
ALTER TABLE audit_events ADD COLUMN log BIGINT;
ALTER TABLE audit_events ADD COLUMN seq BIGINT;
ALTER TABLE audit_events ADD COLUMN entry TEXT;
ALTER TABLE audit_events ADD COLUMN leaf BYTEA;
CREATE UNIQUE INDEX audit_events_place ON audit_events (log, seq);
CREATE INDEX audit_events_waiting ON audit_events (event_id) WHERE seq IS NULL;

-- A tree: how many leaves it has, its name and its key. Events are added to the one that has not ended; before it is
-- opened they wait without a number.
CREATE TABLE audit_trees (
    log BIGINT NOT NULL PRIMARY KEY,
    origin TEXT,
    public_key BYTEA,
    sealed_key BYTEA,
    size BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    opened_at BIGINT,
    ended_at BIGINT
) WITH (fillfactor = 50);
INSERT INTO audit_trees (log, size, started_at) VALUES (1, 0, 0);

-- The hashes of full subtrees of 256 leaves (level 1), of 256 such (level 2), and so on.
CREATE TABLE audit_nodes (
    log BIGINT NOT NULL,
    level BIGINT NOT NULL,
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (log, level, position)
);

-- Signed checkpoints (C2SP tlog-checkpoint), each with the right edge of the tree at its size.
CREATE TABLE audit_checkpoints (
    log BIGINT NOT NULL,
    size BIGINT NOT NULL,
    at BIGINT NOT NULL,
    edge BYTEA NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (log, size)
);
CREATE INDEX audit_checkpoints_at ON audit_checkpoints (at);

-- Which process numbers old events and makes checkpoints, and up to which event entries were deleted.
CREATE TABLE audit_upkeep (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    pruned_to TEXT COLLATE "C" NOT NULL
);
INSERT INTO audit_upkeep (id, lease_until, pruned_to) VALUES (1, 0, '');
