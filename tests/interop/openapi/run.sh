#!/bin/sh
# schemathesis over openapi.yaml, against the service that ../run.py has set up. Arguments go to `schemathesis run`.
cd "$(dirname "$0")" || exit
exec ../.venv/bin/schemathesis --config-file schemathesis.toml run ../../../openapi.yaml --url "$MINTMARK_URL" --checks all "$@"
