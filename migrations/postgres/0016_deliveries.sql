-- What is sent to people and to other systems: mails and webhooks, one row for each recipient of each event. Replaces
-- `outbox`, which had only mails.
CREATE TABLE deliveries (
    -- Also the `Message-ID` of a mail and the `webhook-id`, the same at each attempt.
    delivery_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- mail, webhook
    channel TEXT NOT NULL,
    -- The type of the event, as on the wire; or summary.
    kind TEXT NOT NULL,
    -- A mail address (empty: the contacts of the client when it is sent), or the id of a webhook.
    recipient TEXT COLLATE "C" NOT NULL,
    -- What must not get too many requests at once: the mail server, or the host and port of the URL.
    host TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C",
    about_id TEXT COLLATE "C" NOT NULL,
    -- The facts of a mail, or the exact bytes of a webhook.
    body TEXT NOT NULL,
    unique_key TEXT UNIQUE,
    occurrences BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    -- How often it was claimed. Together with the owner, it says whose attempt a result belongs to.
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    sent_at BIGINT,
    -- Since when it is given up.
    dead_at BIGINT,
    -- Of the last attempt: when, the status of the reply, what went wrong, the beginning of the reply.
    last_attempt_at BIGINT,
    last_status BIGINT,
    last_error TEXT,
    last_reply TEXT
);

-- What an earlier version queued and nobody could send. News older than a week would confuse more than it tells.
INSERT INTO deliveries (delivery_id, channel, kind, recipient, host, workspace_id, about_id, body, occurrences, queued_at,
        attempts, next_attempt_at, lease_until)
    SELECT o.mail_id, 'mail',
        CASE o.kind
            WHEN 'client_created' THEN 'client.created'
            WHEN 'client_updated' THEN 'client.updated'
            WHEN 'client_deleted' THEN 'client.deleted'
            WHEN 'secret_created' THEN 'secret.created'
            WHEN 'secret_deleted' THEN 'secret.deleted'
            WHEN 'token_created' THEN 'access_token.created'
            WHEN 'token_revoked' THEN 'access_token.revoked'
            WHEN 'tokens_revoked' THEN 'access_tokens.revoked'
            WHEN 'key_revoked' THEN 'signing_key.deleted'
            WHEN 'ways_in_replaced' THEN 'operator.way_in_removed'
            ELSE o.kind
        END,
        o.recipient, 'smtp', c.workspace_id, o.client_id, o.facts, o.occurrences, o.queued_at, 0, o.queued_at, 0
    FROM outbox o LEFT JOIN api_clients c ON c.client_id = o.client_id
    WHERE o.sent_at IS NULL AND o.queued_at > CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) - 604800;
DROP TABLE outbox;

-- What is due at a host, the longest first.
CREATE INDEX deliveries_due ON deliveries (host, next_attempt_at, delivery_id) WHERE sent_at IS NULL AND dead_at IS NULL;
-- With which a new mail is merged.
CREATE INDEX deliveries_merging ON deliveries (about_id, kind, recipient, queued_at)
    WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX deliveries_waiting ON deliveries (channel, queued_at) WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX deliveries_sent ON deliveries (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (dead_at, channel) WHERE dead_at IS NOT NULL;
CREATE INDEX deliveries_of_workspace ON deliveries (workspace_id, delivery_id);
CREATE INDEX deliveries_of_recipient ON deliveries (recipient, delivery_id) WHERE channel = 'webhook';
