#!/usr/bin/env bash
# What the audit tree costs on PostgreSQL: compares the statement that adds an event to the tree with a plain INSERT of the same
# row, and with an UPDATE of one row, which is how a counter without gaps is usually kept.
#
#   benches/audit/run.sh [SECONDS]
#
# Starts its own server on a socket in a temporary folder, with the default settings (each commit is on disk).
# As root it runs the server as the user `postgres`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-15}
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
folder=$(mktemp -d /tmp/mintmark-bench-XXXX)
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
chmod 755 "$folder"; if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
stop() { as "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null || true; rm -rf "$folder"; }
trap stop EXIT
as "$bin/initdb" -D "$folder/data" -A trust >/dev/null
as "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-k $folder -c listen_addresses='' -c max_connections=80" start >/dev/null
psql() { as "$bin/psql" -q -v ON_ERROR_STOP=1 -h "$folder" postgres "$@"; }
for file in migrations/postgres/0001_init.sql migrations/postgres/0017_audit_tree.sql; do psql <"$file"; done
psql -c "UPDATE audit_trees SET opened_at = 1; CREATE SEQUENCE ids CACHE 50; CREATE TABLE counter (id BIGINT PRIMARY KEY, n BIGINT) WITH (fillfactor = 50); INSERT INTO counter VALUES (1, 0)"

row="'0199b1d2-' || lpad(to_hex(nextval('ids')), 12, '0'), 1790000000, 'client-cl_2IWZ94kqlEvIB7PhRQKHWu', 'client.updated', 'acme-in', 'cl_2IWZ94kqlEvIB7PhRQKHWu', 'cl_2IWZ94kqlEvIB7PhRQKHWu', 'kT9vQ2mXc0GZr5oB7yLwNA', '203.0.113.7'"
entry="repeat('x', 480), decode(repeat('ab', 32), 'hex')"
# The change that the event records: a row of the client, of which there are many.
psql -c "CREATE TABLE changed (id BIGINT PRIMARY KEY, label TEXT); INSERT INTO changed SELECT n, 'ERP' FROM generate_series(1, 10000) n"
change="\\set id random(1, 10000)
BEGIN;
UPDATE changed SET label = 'SAP' || :id WHERE id = :id;"
cat >"$folder/insert.sql" <<SQL
$change
INSERT INTO audit_events (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail, entry, leaf) VALUES ($row, '{}', $entry);
COMMIT;
SQL
# As APPEND_ON_POSTGRES in src/storage/ledger/audit.rs.
append="WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(CAST(CAST('audit_trees' AS REGCLASS) AS BIGINT))),
place AS (UPDATE audit_trees SET size = size + CASE WHEN opened_at IS NULL THEN 0 ELSE 1 END FROM turn WHERE ended_at IS NULL RETURNING log, opened_at, size - 1 AS first)
INSERT INTO audit_events (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail, log, seq, entry, leaf)
SELECT new.event_id, new.at, new.actor, new.action, new.workspace_id, new.client_id, new.target, new.request_id, new.source_ip, '{}', CASE WHEN place.opened_at IS NOT NULL THEN place.log END, CASE WHEN place.opened_at IS NOT NULL THEN place.first + new.number - 1 END, new.entry, new.leaf
FROM place, UNNEST(ARRAY['0199b1d2-' || lpad(to_hex(nextval('ids')), 12, '0')], ARRAY[1790000000::bigint], ARRAY['client-cl_2IWZ94kqlEvIB7PhRQKHWu'], ARRAY['client.updated'], ARRAY['acme-in'], ARRAY['cl_2IWZ94kqlEvIB7PhRQKHWu'], ARRAY['cl_2IWZ94kqlEvIB7PhRQKHWu'], ARRAY['kT9vQ2mXc0GZr5oB7yLwNA'], ARRAY['203.0.113.7'], ARRAY[repeat('x', 480)], ARRAY[decode(repeat('ab', 32), 'hex')]) WITH ORDINALITY AS new (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, entry, leaf, number);"
printf '%s\n%s\nCOMMIT;\n' "$change" "$append" >"$folder/tree.sql"
printf '%s\nUPDATE counter SET n = n + 1 WHERE id = 1;\nCOMMIT;\n' "$change" >"$folder/update.sql"
chmod a+r "$folder"/*.sql

rate() { as "$bin/pgbench" -n -M prepared -h "$folder" -c "$1" -j 2 -T "$seconds" -f "$folder/$2.sql" postgres 2>"$folder.err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'; }
# Both are measured twice, in both orders, so that a change of the machine's speed affects both.
a=$(rate 1 insert) b=$(rate 1 tree) c=$(rate 1 tree) d=$(rate 1 insert)
python3 -c "i, t = $a + $d, $b + $c; print(f'1 writer: {i / 2:.0f}/s with a plain INSERT, {t / 2:.0f}/s with the tree: {i / t:.2f} times the cost')"
a=$(rate 50 update) b=$(rate 50 tree) c=$(rate 50 tree) d=$(rate 50 update)
python3 -c "u, t = $a + $d, $b + $c; print(f'50 writers: {u / 2:.0f}/s that update one row, {t / 2:.0f}/s that add to the tree: {t / u:.2f} times the rate')"
psql -At -c "SELECT CASE WHEN COUNT(*) = (SELECT size FROM audit_trees) AND MAX(seq) + 1 = COUNT(*) AND COUNT(DISTINCT seq) = COUNT(*) THEN 'no gaps among ' || COUNT(*) ELSE 'GAPS' END FROM audit_events WHERE seq IS NOT NULL"
