"""A verifier that lives for a while: reads a token, or `+` and seconds that pass, from each line; prints the status of each token."""

import sys
import time

passed, monotonic, now = 0, time.monotonic, time.time
time.monotonic = lambda: monotonic() + passed

from verify import Refused, from_environment  # noqa: E402

verifier = from_environment()
for line in map(str.strip, sys.stdin):
    if line.startswith("+"):
        passed += int(line)
        continue
    try:
        verifier.verify(line, "gst")
        print(200, flush=True)
    except Refused as refusal:
        print(refusal.status, flush=True)
