-- What the console shows once: which record it is about, and when it was erased, while its row stays for its day.
ALTER TABLE idempotency_keys ADD COLUMN subject TEXT;
ALTER TABLE idempotency_keys ADD COLUMN erased_at BIGINT;
CREATE INDEX idempotency_keys_shown ON idempotency_keys (expires_at) WHERE method = 'CONSOLE' AND erased_at IS NULL;
