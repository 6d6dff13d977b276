-- The orders of a list of clients over all workspaces. In ../postgres the indexes of labels also contain what a search for a
-- label reads: SQLite reads an index alone without that.
CREATE INDEX api_clients_all_by_label ON api_clients (LOWER(label), ordinal);
CREATE INDEX api_clients_all_by_end ON api_clients (COALESCE(expires_at, 9223372036854775807), ordinal);
