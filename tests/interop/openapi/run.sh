#!/bin/sh
# Runs schemathesis with openapi.yaml, against the service that ../run.py has set up.
# The requests are the same every time, so that a failure can be repeated. Arguments (such as `-n 500`) turn that off.
cd "$(dirname "$0")" || exit
[ "$#" != 0 ] || set -- --generation-deterministic
exec ../.venv/bin/schemathesis --config-file schemathesis.toml run "$MINTMARK_OPENAPI" --url "$MINTMARK_URL" --checks all "$@"
