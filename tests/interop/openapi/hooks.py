"""What schemathesis cannot read from openapi.yaml: what this run must not lose, and which rules no JSON schema can say."""

import json
import os
import zlib
from pathlib import Path

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
# Fields with a rule that looks beyond the schema: at what exists, at the clock, at the settings, at other fields, at what
# only a later version takes.
LOOKING_BEYOND = (
    "/products", "/products_allowed", "/permissions", "/audience", "/token_expiry", "/signing_alg", "/private_key_pem", "/expires_at",
    "/notification_emails", "/replace_grace_seconds", "/daily_token_limit", "/require_dpop", "/ids", "/filter",
)


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Keeps the run alive and to the point."""
    path = case.path_parameters or {}
    method = case.method.upper()
    for name, value in path.items():
        # Without the records that the run depends on, every reply is 401; so a request that would change them changes others.
        if method not in ("GET", "HEAD", "OPTIONS") and value in WORLD["kept"]:
            path[name] = WORLD["kept"][value]
    # The examples are needed to the end: what would delete one deletes another of its kind.
    if method == "DELETE" and path.get("client_id") == WORLD["client_id"]:
        if "secret_id" not in path:
            path["client_id"] = another_client()["client_id"]
        elif path["secret_id"] == WORLD["secret_id"]:
            client = another_client()
            path.update(client_id=client["client_id"], secret_id=client["secrets"][0]["secret_id"])
    # Made-up entity tags and cursors are never the right ones, and made-up keys of idempotency come up again: most
    # requests do without, or little else is tried.
    for part, name in ((case.headers, "If-Match"), (case.headers, "Idempotency-Key"), (case.query, "cursor")):
        if part and name in part and zlib.crc32(str(part[name]).encode()) % 8:
            del part[name]
    # Nor does this version take all values, and an API client without products and permissions is none.
    body = case.body
    if isinstance(body, dict) and zlib.crc32(repr(body).encode()) % 8:
        if body.get("require_dpop") is True:
            del body["require_dpop"]
        if isinstance(body.get("daily_token_limit"), int):
            del body["daily_token_limit"]
        if method == "POST" and case.path.endswith("/api-clients") and all(body.get(name) in (None, []) for name in ("products", "permissions")):
            body["products"] = ["gst"]


def another_client() -> dict:
    """A new API client, made as any manager makes one."""
    reply = requests.post(
        f"{os.environ['MINTMARK_URL']}/v1/workspaces/{WORLD['workspace_id']}/api-clients", timeout=30,
        headers={"Authorization": f"Bearer {os.environ['MINTMARK_TOKEN']}"}, json={"label": "To be deleted", "permissions": ["mintmark:read"]},
    )
    assert reply.status_code == 201, reply.text
    return reply.json()


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """A request that fits the schema may be refused for what the schema cannot say, and for that alone."""
    return not (isinstance(failure, RejectedPositiveData) and refused_by_a_rule(case, response))


def refused_by_a_rule(case, response) -> bool:
    problem = response.json()
    kind = problem.get("type", "").rpartition("/")[2]
    headers = case.headers or {}
    if "error" in problem:
        # Scopes and audiences that the client does not have; credentials beside those of the header (RFC 6749 §2.3). No
        # schema that generators read as a form's says that parameters without a name have no NUL in them.
        body = case.body or {}
        has_nul = r"\x00" in repr(body)
        return problem["error"] in ("invalid_scope", "invalid_target") or bool({"client_id", "client_secret"} & body.keys()) or has_nul
    if kind == "invalid-parameter":
        return "cursor" in (case.query or {}) or "If-Match" in headers
    if kind == "precondition-failed":
        return "If-Match" in headers
    if kind == "idempotency-key-reused":
        return "Idempotency-Key" in headers
    if kind in ("validation", "not-supported-yet"):
        return all(error["pointer"].startswith(LOOKING_BEYOND) for error in problem["errors"])
    return False
