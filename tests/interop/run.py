"""Runs a command against services that are set up for it: `run.py clients|openapi sqlite|postgres -- COMMAND …`.

The command finds in MINTMARK_WORLD the path of a JSON file that says what there is: issuers, clients, expected verdicts.
Everything that was started is stopped, and its data removed, when the command ends. The exit code is the command's.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import matrix
import world
from postgres import cluster
from service import running

HOUR = {"mode": "after", "seconds": 3600}
NEVER = {"mode": "never"}


def database_urls(engine: str, stack: ExitStack):
    """A function from a name to the URL of a new database; None is the default, a file in the service's folder."""
    return stack.enter_context(cluster()) if engine == "postgres" else lambda name: None


def clients(engine: str, stack: ExitStack) -> dict:
    """Two services, one for each form of never-expiring tokens, with a client for each cell of the matrix."""
    create_database = database_urls(engine, stack)
    cells = {}
    for form in ["far", "omit"]:
        service = stack.enter_context(running(create_database(form), TOKENS__NEVER_EXPIRES__EXP=form))
        manager = world.Manager(service)
        world.create_workspace(manager)
        world.create_keys(manager)
        kinds = {"normal": HOUR, "far": NEVER} if form == "far" else {"omit": NEVER}
        for alg in world.ALGORITHMS:
            for kind, expiry in kinds.items():
                client = world.create_client(manager, alg, expiry)
                cells[f"{alg} {kind}"] = {
                    **client, "alg": alg, "kind": kind, "issuer": service.issuer,
                    "audience": world.PRODUCTS["gst"], "scope": "gst", "workspace_id": world.WORKSPACE,
                }
    return {"cells": cells, "expected": matrix.expected()}


def openapi(engine: str, stack: ExitStack) -> dict:
    """One service with something of every kind in it."""
    create_database = database_urls(engine, stack)
    service = stack.enter_context(running(create_database("openapi")))
    manager = world.Manager(service)
    first_keys = [key["kid"] for key in manager.get("/v1/signing-keys")["items"]]
    world.create_workspace(manager)
    world.create_keys(manager)
    client = world.create_client(manager, "ES256", HOUR)
    os.environ.update(
        MINTMARK_URL=service.issuer, MINTMARK_TOKEN=manager.token,
        MINTMARK_CLIENT_ID=client["client_id"], MINTMARK_CLIENT_SECRET=client["client_secret"],
    )
    # Without these the management token dies, and every reply is 401.
    return {"kept": [manager.client_id, "platform", *first_keys, client["client_id"], world.WORKSPACE]}


def main() -> int:
    setting, engine, dashes, *command = sys.argv[1:]
    assert dashes == "--" and command, __doc__
    # So that what was started is stopped when this is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mintmark-world-")))
        facts = {"clients": clients, "openapi": openapi}[setting](engine, stack)
        (folder / "world.json").write_text(json.dumps(facts, indent=2))
        environment = {
            **os.environ, "MINTMARK_WORLD": str(folder / "world.json"), "MINTMARK_VERDICTS": str(folder / "verdicts"),
            # The clients refuse http otherwise.
            "OAUTHLIB_INSECURE_TRANSPORT": "1", "AUTHLIB_INSECURE_TRANSPORT": "1",
        }
        code = subprocess.run(command, env=environment).returncode
        if setting == "clients" and code == 0:
            matrix.report(folder / "verdicts")
        return code


if __name__ == "__main__":
    sys.exit(main())
