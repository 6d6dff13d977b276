#!/bin/sh
# schemathesis over openapi.yaml, against the service that ../run.py has set up.
# The same requests every time, so that a failure is a finding and not luck; with arguments (`-n 500`) it looks further.
cd "$(dirname "$0")" || exit
[ "$#" != 0 ] || set -- --generation-deterministic
exec ../.venv/bin/schemathesis --config-file schemathesis.toml run "$MINTMARK_OPENAPI" --url "$MINTMARK_URL" --checks all "$@"
