-- When the generation of a client began: it holds no stateless token by a key that had retired before. Not known of
-- generations after the first that began before this column. Same columns as ../postgres.
ALTER TABLE api_clients ADD COLUMN generation_began_at INTEGER;
