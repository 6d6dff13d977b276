"""Sets up services and runs a command against them.

`run.py audit|clients|console|examples|forward-auth|generated|openapi|sign-in|webhooks sqlite|postgres -- COMMAND …`

The command gets the environment variable MINTMARK_WORLD: the path of a JSON file that describes the services, for example
their issuers and clients.
Everything that was started is stopped, and its data removed, when the command ends. The exit code is the command's.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Callable, Iterator

import matrix
import world
from postgres import cluster
from service import running

ROOT = Path(__file__).resolve().parents[2]
HOUR = {"mode": "after", "seconds": 3600}
NEVER = {"mode": "never"}


def database_urls(engine: str, stack: ExitStack) -> Callable[[str], str | None]:
    """Gives a function that creates a database of a name and returns its URL. None means the default, a SQLite file."""
    return stack.enter_context(cluster()) if engine == "postgres" else lambda name: None


def clients(engine: str, stack: ExitStack) -> dict:
    """Two services, one whose never-expiring tokens have an `exp` and one without, with a client for each cell of matrix.py."""
    create_database = database_urls(engine, stack)
    cells = {}
    for form in ["far", "omit"]:
        service = stack.enter_context(running(create_database(form), TOKENS__NEVER_EXPIRES__EXP=form))
        manager = world.Manager(service)
        world.create_products(manager)
        world.create_workspace(manager, world.WORKSPACE)
        world.create_keys(manager)
        kinds = {"normal": HOUR, "far": NEVER} if form == "far" else {"omit": NEVER}
        for alg in world.ALGORITHMS:
            for kind, expiry in kinds.items():
                client = world.create_client(manager, world.WORKSPACE, alg, expiry)
                cells[f"{alg} {kind}"] = {
                    "client_id": client["client_id"], "client_secret": client["client_secret"], "alg": alg, "kind": kind, "issuer": service.issuer,
                    "audience": world.PRODUCTS["gst"], "scope": "gst", "workspace_id": world.WORKSPACE,
                }
    return {"cells": cells, "expected": matrix.expected()}


def forward_auth(engine: str, stack: ExitStack) -> dict:
    """One service with a client for each case that a proxy has to decide."""
    service = stack.enter_context(running(database_urls(engine, stack)("proxy")))
    manager = world.Manager(service)
    world.create_products(manager)
    world.create_workspace(manager, world.WORKSPACE)
    wanted = {"gst": (["gst"], HOUR), "e-invoicing": (["e-invoicing"], HOUR), "both": (["gst", "e-invoicing"], HOUR), "gst never expiring": (["gst"], NEVER)}
    made = {
        name: manager.post(f"/v1/workspaces/{world.WORKSPACE}/api-clients", {"label": name, "products": products, "token_expiry": expiry})
        for name, (products, expiry) in wanted.items()
    }
    clients = {name: {"client_id": client["client_id"], "client_secret": client["client_secret"]} for name, client in made.items()}
    return {"issuer": service.issuer, "clients": clients, "database": str(service.folder / "data" / "mintmark.db")}


def console(engine: str, stack: ExitStack) -> dict:
    """One service with a client, and the path of its database: a test signs in by inserting a session there."""
    assert engine == "sqlite", "the test inserts a session into the database file"
    service = stack.enter_context(running(None))
    manager = world.Manager(service)
    world.create_products(manager)
    world.create_workspace(manager, world.WORKSPACE)
    client = world.create_client(manager, world.WORKSPACE, "ES256", HOUR)
    return {
        "issuer": service.issuer, "client_id": client["client_id"], "client_secret": client["client_secret"],
        "audience": world.PRODUCTS["gst"], "database": str(service.folder / "data" / "mintmark.db"),
    }


def audit(engine: str, stack: ExitStack) -> dict:
    """A service whose audit trail has a few hundred entries and at least two checkpoints: it signs one when it stops."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mintmark-audit-")))
    database = database_urls(engine, stack)("audit") or f"sqlite://{folder}/mintmark.db"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {"KEYS__MASTER_KEY_FILE": str(folder / "master.key"), "SERVER__PUBLIC_URL": f"http://{address}", "SERVER__LISTEN": address}
    subprocess.run([os.environ["MINTMARK_BINARY"], "keys", "generate-master", str(folder / "master.key")], check=True, stdout=subprocess.DEVNULL)
    with running(database, **settings) as service:
        manager = world.Manager(service)
        world.create_products(manager)
    with running(database, **settings) as service:
        first = manager.text("/v1/audit-events/checkpoint")
        world.create_workspace(manager, world.WORKSPACE)
        manager.post("/v1/operators", {"email": "ada@acme.example", "name": "Ada", "roles": [{"role": "workspace_viewer", "workspace_id": world.WORKSPACE}]})
        for number in range(300):
            manager.call("PATCH", "/v1/workspaces/platform", json.dumps({"name": f"Platform {number}"}).encode(), 200)
    service = stack.enter_context(running(database, **settings))
    # Changes of the database that must be found, each with the statement that reverts it.
    changes = [
        ["UPDATE audit_events SET seq = -1 WHERE seq = 5", "UPDATE audit_events SET seq = 5 WHERE seq = -1"],
        ["UPDATE audit_events SET entry = REPLACE(entry, 'salt', 'Salt') WHERE seq = 6", "UPDATE audit_events SET entry = REPLACE(entry, 'Salt', 'salt') WHERE seq = 6"],
        ["UPDATE audit_events SET at = at + 1 WHERE seq = 7", "UPDATE audit_events SET at = at - 1 WHERE seq = 7"],
    ]
    return {
        "issuer": service.issuer, "token": manager.token, "folder": str(service.folder), "environment": service.environment,
        "database": database, "first_checkpoint": first, "changes": changes,
    }


def generated(engine: str, stack: ExitStack) -> dict:
    """One service with a product and a workspace. Generated clients use its first management client."""
    service = stack.enter_context(running(database_urls(engine, stack)("generated")))
    manager = world.Manager(service)
    world.create_products(manager)
    world.create_workspace(manager, world.WORKSPACE)
    return {
        "issuer": service.issuer, "client_id": manager.client_id, "client_secret": manager.client_secret, "audience": world.PRODUCTS["gst"],
    }


def openapi(engine: str, stack: ExitStack) -> dict:
    """One service, and a copy of openapi.yaml whose examples have the ids of objects in it."""
    create_database = database_urls(engine, stack)
    # The management token must be recorded, because deleting a signing key ends the stateless tokens that it may have signed.
    service = stack.enter_context(running(create_database("openapi"), TOKENS__RECORD_ABOVE_SECONDS="60"))
    manager = stack.enter_context(still_managing(world.Manager(service)))
    first_keys = [key["kid"] for key in manager.get("/v1/signing-keys")["items"]]
    world.create_products(manager)
    world.create_workspace(manager, world.WORKSPACE)
    world.create_workspace(manager, "kept")
    key = world.create_keys(manager)[0]
    client = world.create_client(manager, world.WORKSPACE, "ES256", HOUR)
    kept_client = world.create_client(manager, "kept", "ES256", HOUR)
    os.environ.update(
        MINTMARK_URL=service.issuer, MINTMARK_TOKEN=manager.token,
        MINTMARK_CLIENT_ID=kept_client["client_id"], MINTMARK_CLIENT_SECRET=kept_client["client_secret"],
        MINTMARK_OPENAPI=str(service.folder / "openapi.yaml"),
    )
    secret_id = client["secrets"][0]["secret_id"]
    contract = (ROOT / "openapi.yaml").read_text()
    for example, real in {
        "cl_2IWZ94kqlEvIB7PhRQKHWu": client["client_id"],
        "019aaf2a-5c00-7d3e-9b41-6f2d8c1a7e05": secret_id,
        "Y-WfoCy1a4AWpyWl_Dsb18Hm72ObIP1aNYMNvcAHjcQ": key["kid"],
    }.items():
        assert example in contract, f"openapi.yaml has no example {example} any more"
        contract = contract.replace(example, real)
    Path(os.environ["MINTMARK_OPENAPI"]).write_text(contract)
    kept_clients = [manager.client_id, kept_client["client_id"]]
    return {
        "workspace_id": world.WORKSPACE, "client_id": client["client_id"], "secret_id": secret_id,
        # The id of an object that the run depends on → the id of an object of the same kind that may be changed instead.
        "kept": {
            **dict.fromkeys(first_keys, key["kid"]), **dict.fromkeys(kept_clients, client["client_id"]),
            **dict.fromkeys(["platform", "kept"], world.WORKSPACE),
        },
    }


def sign_in(engine: str, stack: ExitStack) -> dict:
    """One service, in which a real OpenID Connect provider is configured once for each signing algorithm of ID tokens."""
    script = ROOT / "tests/interop/sign_in/provider.mjs"
    provider = stack.enter_context(subprocess.Popen(["node", script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    stack.callback(provider.kill)
    issuer = provider.stdout.readline().strip()
    names = ["rs256", "ps256", "es256", "eddsa"]
    entry = '{{name = "{0}", client_id = "{0}", issuer = "{1}", client_secret = "a secret with +/%: in it", role_claim = "mintmark_roles"}}'
    settings = {"CONSOLE__OIDC": "[" + ", ".join(entry.format(name, issuer) for name in names) + "]", "OUTBOUND__ALLOW": "127.0.0.1"}
    service = stack.enter_context(running(database_urls(engine, stack)("sign_in"), **settings))
    provider.stdin.write(service.issuer + "\n")
    provider.stdin.flush()
    assert provider.stdout.readline().strip() == "ready"
    return {"issuer": service.issuer, "provider": issuer}


def webhooks(engine: str, stack: ExitStack) -> dict:
    """A service that may send webhooks to this machine; on PostgreSQL with a second replica."""
    url = database_urls(engine, stack)("webhooks")
    # Both replicas need the master key with which the first one encrypted the signing keys. Tokens that are valid for more than
    # a minute are recorded, so that each can be revoked separately.
    master_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    settings = {"OUTBOUND__ALLOW": "127.0.0.1", "TOKENS__RECORD_ABOVE_SECONDS": "60", "KEYS__MASTER_KEY": master_key}
    service = stack.enter_context(running(url, **settings))
    manager = world.Manager(service)
    world.create_products(manager)
    world.create_workspace(manager, world.WORKSPACE)
    client = world.create_client(manager, world.WORKSPACE, "ES256", HOUR)
    managed_at = [service.issuer]
    if engine == "postgres":
        second = stack.enter_context(running(url, **settings, SERVER__PUBLIC_URL=service.issuer))
        managed_at.append("http://" + second.environment["MINTMARK__SERVER__LISTEN"])
    return {
        "issuer": service.issuer, "managed_at": managed_at, "token": manager.token, "workspace_id": world.WORKSPACE,
        "client_id": client["client_id"], "client_secret": client["client_secret"], "audience": world.PRODUCTS["gst"],
    }


@contextmanager
def still_managing(manager: world.Manager) -> Iterator[world.Manager]:
    """Checks that the management token is still valid at the end. If not, most replies were 401, and the run tested little."""
    yield manager
    manager.get("/v1/products")


def main() -> int:
    setting, engine, dashes, *command = sys.argv[1:]
    assert dashes == "--" and command, __doc__
    # On SIGTERM, exit normally, so that the processes that this one started are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mintmark-world-")))
        facts = {"audit": audit, "clients": clients, "console": console, "examples": clients, "forward-auth": forward_auth, "generated": generated, "openapi": openapi, "sign-in": sign_in, "webhooks": webhooks}[setting](engine, stack)
        (folder / "world.json").write_text(json.dumps(facts, indent=2))
        environment = {
            **os.environ, "MINTMARK_WORLD": str(folder / "world.json"), "MINTMARK_VERDICTS": str(folder / "verdicts"),
            # Without these, oauthlib and Authlib refuse http.
            "OAUTHLIB_INSECURE_TRANSPORT": "1", "AUTHLIB_INSECURE_TRANSPORT": "1",
        }
        code = subprocess.run(command, env=environment).returncode
        if setting == "clients" and code == 0:
            matrix.report(folder / "verdicts")
        return code


if __name__ == "__main__":
    sys.exit(main())
