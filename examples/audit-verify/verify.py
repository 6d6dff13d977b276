"""Checks an export of the audit trail against a signed checkpoint, without Mintmark:

    verify.py audit.jsonl checkpoint.txt KEY

KEY is the key of the log, from `mintmark_audit_key` in the metadata of the service; use the one that you saved when you first
saw it. Needs Python 3.11 and `cryptography`.
"""
import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COLUMNS = ["event_id", "at", "actor", "action", "workspace_id", "client_id", "target", "request_id", "source_ip", "detail"]


def checkpoint(note: str, key: str) -> tuple[str, int, bytes]:
    """Checks the signature of a checkpoint (C2SP tlog-checkpoint), and returns its origin, size and root."""
    name, key_id, public = key.split("+", 2)
    text, signatures = note.rsplit("\n\n", 1)
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signed = base64.b64decode(signature)
        if (dash, signer, signed[:4].hex()) == ("—", name, key_id):
            Ed25519PublicKey.from_public_bytes(base64.b64decode(public)[1:]).verify(signed[4:], (text + "\n").encode())
            origin, size, root = text.split("\n")[:3]
            return origin, int(size), base64.b64decode(root)
    raise SystemExit(f"the checkpoint has no signature by the key {name}+{key_id}: pass the key of the log that signed it")


def root(hashes: list[bytes]) -> bytes:
    """The root of the tree (RFC 6962 section 2.1), level by level: a last hash without a neighbour moves up as it is."""
    while len(hashes) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2])]
        hashes = pairs + hashes[len(pairs) * 2:]
    return hashes[0] if hashes else hashlib.sha256(b"").digest()


def leaf(row: dict, seq: int) -> bytes:
    """The hash of an entry. If the entry was deleted after `audit.keep_days`, it is the hash that was kept."""
    if row["seq"] != seq:
        raise SystemExit(f"entry {seq} is missing: the next one is {row['seq']}")
    if row["entry"] is None:
        return base64.b64decode(row["leaf"])
    entry = json.loads(row["entry"])
    if differing := [name for name in COLUMNS if entry.get(name) != row[name]]:
        raise SystemExit(f"the columns of entry {seq} were changed: {', '.join(differing)}")
    return hashlib.sha256(b"\x00" + row["entry"].encode()).digest()


if len(sys.argv) != 4:
    raise SystemExit("usage: verify.py audit.jsonl checkpoint.txt KEY")
export, note, key = sys.argv[1:]
origin, size, expected = checkpoint(open(note, encoding="utf-8").read(), key)
# The origin of each log after the first ends with the number of the log.
log = int(origin.rpartition("/")[2]) if origin.rpartition("/")[2].isdigit() else 1
rows = [row for line in open(export, encoding="utf-8") if (row := json.loads(line))["log"] == log]
leaves = [leaf(row, seq) for seq, row in enumerate(rows)]
if len(leaves) < size:
    raise SystemExit(f"the export has {len(leaves)} entries, but the checkpoint covers {size}: "
                     "export again; if that does not help, the end was cut off")
if root(leaves[:size]) != expected:
    raise SystemExit(f"the first {size} entries are not those that were signed: some were changed, moved, added or removed")
print(f"{origin}: the first {size} of {len(leaves)} entries are as they were signed")
