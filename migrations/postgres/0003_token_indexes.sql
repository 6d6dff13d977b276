-- Tokens of one second stand in the client's list in the order in which they came, so that issuing many at once writes to
-- one place of the index and not to many. Same as in ../sqlite.
DROP INDEX access_tokens_client;
CREATE INDEX access_tokens_client ON access_tokens (client_id, issued_at);

-- Only the lists of tokens that expire are asked when their last token ends.
DROP INDEX access_tokens_status_list;
CREATE INDEX access_tokens_status_list ON access_tokens (status_list, expires_at) WHERE expires_at IS NOT NULL;
