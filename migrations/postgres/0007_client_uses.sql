-- When a client last authenticated or got a token. A table of its own, so that noting a use never waits for a change of
-- the client, and is kept when the secret that was used is deleted. Same as in ../sqlite.
CREATE TABLE client_uses (
    client_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES api_clients (client_id) ON DELETE CASCADE,
    last_used_at BIGINT NOT NULL
);
INSERT INTO client_uses (client_id, last_used_at)
    SELECT client_id, MAX(used_at) FROM (
        SELECT client_id, last_used_at AS used_at FROM client_secrets WHERE last_used_at IS NOT NULL
        UNION ALL
        SELECT client_id, issued_at FROM access_tokens WHERE client_id IN (SELECT c.client_id FROM api_clients c)
    ) uses
    GROUP BY client_id;
