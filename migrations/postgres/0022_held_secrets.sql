-- Which secret a saved reply holds, so that an audit event can say so when it is given out again: its kind and the record that
-- it belongs to, as JSON. NULL: none, or the reply was saved by an earlier version.
ALTER TABLE idempotency_keys ADD COLUMN holds TEXT;
