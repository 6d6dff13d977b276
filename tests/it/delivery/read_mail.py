"""Reads a mail from standard input with Python's own parser, and prints its fields and parts as JSON."""

import email
import email.policy
import json
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = [part for part in message.walk() if not part.is_multipart()]
print(json.dumps({
    "fields": sorted(message.keys()),
    "subject": message["subject"],
    "to": [str(address) for address in message["to"].addresses],
    "from": [address.addr_spec for address in message["from"].addresses],
    "parts": [[part.get_content_type(), part.get_content()] for part in parts],
    "defects": [str(defect) for part in [message, *parts] for defect in part.defects],
}))
