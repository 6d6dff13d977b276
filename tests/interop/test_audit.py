"""Other programs check the audit trail: examples/audit-verify, Go's packages for its checksum database, and the schema of OCSF.

`run.py audit sqlite|postgres -- pytest tests/interop/test_audit.py`
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import requests
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

ROOT = Path(__file__).resolve().parents[2]
WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
AUDIT = WORLD["issuer"] + "/v1/audit-events"
AS_READER = {"Authorization": f"Bearer {WORLD['token']}"}
CLASSES = {3001: "account_change", 3002: "authentication", 3004: "entity_management"}


def get(path: str) -> str:
    reply = requests.get(AUDIT + path, headers=AS_READER, timeout=10)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    reply.encoding = "utf-8"
    return reply.text


def key() -> str:
    keys = requests.get(WORLD["issuer"] + "/.well-known/oauth-authorization-server", timeout=10).json()["mintmark_audit_key"]
    assert [entry["origin"] for entry in keys] == [WORLD["issuer"].removeprefix("http://") + "/audit"] == [keys[0]["key"].split("+")[0]]
    return keys[0]["key"]


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([os.environ["MINTMARK_BINARY"], *arguments], cwd=WORLD["folder"], env={**os.environ, **WORLD["environment"]}, text=True, capture_output=True)


def export(*arguments: str) -> list[str]:
    done = command("audit", "export", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(keepends=True)


def checked(tmp_path: Path, lines: list[str], note: str, by: str) -> subprocess.CompletedProcess:
    (tmp_path / "audit.jsonl").write_text("".join(lines))
    (tmp_path / "checkpoint.txt").write_text(note)
    return subprocess.run([sys.executable, ROOT / "examples/audit-verify/verify.py", tmp_path / "audit.jsonl", tmp_path / "checkpoint.txt", by], text=True, capture_output=True)


def test_an_export_is_checked_without_mintmark(tmp_path):
    whole, note = export(), get("/checkpoint")
    size = int(note.splitlines()[1])
    assert size > 300 and len(whole) >= size
    done = checked(tmp_path, whole, note, key())
    assert done.returncode == 0 and f"the first {size} of {len(whole)} entries" in done.stdout, done


def with_entry(lines: list[str], seq: int, change) -> list[str]:
    row = json.loads(lines[seq])
    change(row)
    return lines[:seq] + [json.dumps(row) + "\n"] + lines[seq + 1 :]


def renumbered(lines: list[str]) -> list[str]:
    return [json.dumps({**json.loads(line), "seq": seq}) + "\n" for seq, line in enumerate(lines)]


CHANGES = {
    "a column": (lambda lines: with_entry(lines, 7, lambda row: row.update(actor="operator:x")), "the columns of entry 7 were changed: actor"),
    "an entry": (lambda lines: with_entry(lines, 7, lambda row: row.update(entry=row["entry"].replace("salt", "Salt"))), "are not those that were signed"),
    "removed": (lambda lines: lines[:7] + lines[8:], "entry 7 is missing"),
    # The last entry is there twice, so that the number of entries is the same.
    "removed, the rest renumbered": (lambda lines: renumbered(lines[:7] + lines[8:] + lines[-1:]), "are not those that were signed"),
    "moved": (lambda lines: renumbered([lines[1], lines[0], *lines[2:]]), "are not those that were signed"),
    "added": (lambda lines: renumbered([lines[0], lines[0], *lines[1:]]), "are not those that were signed"),
    "cut": (lambda lines: lines[:200], "the end was cut off"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_export_is_found(tmp_path, name):
    change, expected = CHANGES[name]
    done = checked(tmp_path, change(export()), get("/checkpoint"), key())
    assert done.returncode == 1 and expected in done.stderr, done


def test_another_key_and_a_changed_checkpoint_are_refused(tmp_path):
    whole, note, ours = export(), get("/checkpoint"), key()
    name, key_id, public = ours.split("+", 2)
    assert checked(tmp_path, whole, note, f"{name}+00000000+{public}").returncode == 1
    size = note.splitlines()[1]
    assert "InvalidSignature" in checked(tmp_path, whole, note.replace(f"\n{size}\n", f"\n{int(size) - 1}\n"), ours).stderr


def test_a_change_of_the_database_is_found_by_mintmark_and_by_the_example(tmp_path):
    note, ours = get("/checkpoint"), key()
    (tmp_path / "kept.txt").write_text(note)
    verified = command("audit", "verify", "--checkpoint", str(tmp_path / "kept.txt"), "--json")
    assert verified.returncode == 0 and json.loads(verified.stdout)["findings"] == [], verified
    for change, back in WORLD["changes"]:
        by_hand(change)
        verified = command("audit", "verify", "--checkpoint", str(tmp_path / "kept.txt"))
        assert verified.returncode == 1 and "FOUND " in verified.stdout, (change, verified)
        assert checked(tmp_path, export(), note, ours).returncode == 1, change
        by_hand(back)
    assert command("audit", "verify").returncode == 0


def by_hand(sql: str) -> None:
    """Changes the database directly, as anybody can who has access to it."""
    if WORLD["database"].startswith("postgres"):
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", WORLD["database"], "-c", sql], check=True)
        return
    import sqlite3

    with sqlite3.connect(WORLD["database"].removeprefix("sqlite://"), timeout=10) as database:
        database.executescript(sql)


def test_go_reads_checkpoints_and_proofs(tmp_path):
    files = []
    note = get("/checkpoint")
    size = int(note.splitlines()[1])
    # Both ends of the tree, and entries around 256, where a subtree is complete.
    for seq in [0, 1, 255, 256, 257, size - 1]:
        (tmp_path / f"{seq}.tlog-proof").write_text(get(f"/{seq}/proof"))
        files.append(tmp_path / f"{seq}.tlog-proof")
    (tmp_path / "old.txt").write_text(WORLD["first_checkpoint"])
    old = int(WORLD["first_checkpoint"].splitlines()[1])
    assert 0 < old < size
    (tmp_path / "consistency.txt").write_text(get(f"/consistency?from={old}"))
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
    arguments = ["go", "run", "main.go", key(), *files, tmp_path / "old.txt", tmp_path / "consistency.txt"]
    done = subprocess.run(arguments, cwd=ROOT / "tests/interop/go_audit", env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"consistent {old} and {size}" and done.stdout.count("included") == 6, done.stdout
    changed = (tmp_path / "0.tlog-proof").read_text().replace("index 0", "index 1")
    (tmp_path / "0.tlog-proof").write_text(changed)
    done = subprocess.run(arguments, cwd=ROOT / "tests/interop/go_audit", env=environment, text=True, capture_output=True)
    assert done.returncode == 1 and "proof" in done.stderr, done


def test_the_export_follows_ocsf():
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.6.0"))
    validators = {uid: jsonschema_rs.validator_for(schema.get_class_schema(class_name=name, profiles=[])) for uid, name in CLASSES.items()}
    lines = [json.loads(line) for line in export("--format", "ocsf")]
    assert len(lines) > 300
    for event in lines:
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["metadata"]["version"] == "1.6.0"
        errors = [error.message for error in validators[event["class_uid"]].iter_errors(event)]
        assert not errors, (event, errors)
    assert {event["class_uid"] for event in lines} >= {3001, 3004}
