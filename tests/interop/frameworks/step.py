"""A verifier in one process: each line of input is a token, whose status is printed, or `+` and the seconds to move the clock."""

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
