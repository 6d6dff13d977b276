-- The orders of a list of clients over all workspaces. The indexes of labels also contain the columns that a search for a label
-- reads: PostgreSQL does not read an index alone unless it has them, the label itself too. Otherwise the same as in ../sqlite.
DROP INDEX api_clients_by_label;
CREATE INDEX api_clients_by_label ON api_clients (workspace_id, LOWER(label), ordinal) INCLUDE (label, client_id);
CREATE INDEX api_clients_all_by_label ON api_clients (LOWER(label), ordinal) INCLUDE (label, client_id);
CREATE INDEX api_clients_all_by_end ON api_clients (COALESCE(expires_at, 9223372036854775807), ordinal);
