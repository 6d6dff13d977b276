"""Runs the verifier of examples/verify in one process. Each line of input is a token, whose status is printed, or `+` and a
number of seconds by which the clock is moved forward.
"""

import sys
import time

passed, monotonic, wall = 0, time.monotonic, time.time
time.monotonic, time.time = lambda: monotonic() + passed, lambda: wall() + passed

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
