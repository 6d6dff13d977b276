"""What the audit tree costs on SQLite: compares the two statements that add an event to the tree with a plain INSERT of the
same row. As in Mintmark, there is a write-ahead log, and each commit is on disk.

    python3 benches/audit/sqlite.py [SECONDS]
"""

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "sqlite"
# As RESERVE and INSERT in src/storage/ledger/audit.rs.
RESERVE = """UPDATE audit_trees SET size = size + CASE WHEN opened_at IS NULL THEN 0 ELSE ?1 END
    WHERE ended_at IS NULL RETURNING log, CASE WHEN opened_at IS NULL THEN NULL ELSE size END"""
INSERT = """INSERT INTO audit_events (event_id, at, actor, action, workspace_id, client_id, target, request_id, source_ip, detail,
    log, seq, entry, leaf) VALUES (?, 1790000000, 'client-cl_2IWZ94kqlEvIB7PhRQKHWu', 'client.updated', 'acme-in',
    'cl_2IWZ94kqlEvIB7PhRQKHWu', 'cl_2IWZ94kqlEvIB7PhRQKHWu', 'kT9vQ2mXc0GZr5oB7yLwNA', '203.0.113.7', '{}', ?, ?, ?, ?)"""


def rate(database, with_tree, numbers):
    """Transactions a second."""
    done, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        number = next(numbers)
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE changed SET label = 'SAP' || ?1 WHERE id = ?1", (number % 10_000 + 1,))
        log, size = database.execute(RESERVE, (1,)).fetchone() if with_tree else (None, None)
        place = (log, size - 1) if with_tree else (None, None)
        database.execute(INSERT, (f"0199b1d2-{number:012x}", *place, "x" * 480, b"\xab" * 32))
        database.execute("COMMIT")
        done += 1
    return done / SECONDS


with tempfile.TemporaryDirectory() as folder:
    database = sqlite3.connect(Path(folder) / "bench.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    for name in ("0001_init.sql", "0017_audit_tree.sql"):
        database.executescript((MIGRATIONS / name).read_text())
    database.execute("UPDATE audit_trees SET opened_at = 1")
    database.execute("CREATE TABLE changed (id INTEGER PRIMARY KEY, label TEXT)")
    database.executemany("INSERT INTO changed VALUES (?, 'ERP')", ((number,) for number in range(1, 10_001)))
    numbers = iter(range(1, 10**9))
    # Both are measured twice, in both orders, so that a change of the machine's speed affects both.
    a, b, c, d = (rate(database, with_tree, numbers) for with_tree in (False, True, True, False))
    plain, tree = (a + d) / 2, (b + c) / 2
    print(f"SQLite: {plain:.0f}/s with a plain INSERT, {tree:.0f}/s with the tree: {plain / tree:.2f} times the cost")
