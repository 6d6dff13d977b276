#!/bin/sh
# Runs the clients and verifiers of all languages against the services that run.py has set up.
set -e
cd "$(dirname "$0")/../.."
tests/interop/.venv/bin/pytest -q -W ignore::DeprecationWarning -p no:cacheprovider tests/interop/python
node --test --test-reporter=spec tests/interop/node/*.test.js
cargo test -q --locked --manifest-path tests/interop/rust/Cargo.toml --target-dir target/interop
