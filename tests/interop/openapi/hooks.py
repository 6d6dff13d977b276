"""Gives schemathesis what openapi.yaml cannot say: the objects that this run needs, and rules beyond a JSON schema."""

import json
import os
import zlib
from pathlib import Path

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
# Fields whose rules depend on more than the schema: existing objects, the clock, the settings, other fields, or what this version
# does not support yet.
MORE_THAN_SCHEMA = (
    "/products", "/products_allowed", "/permissions", "/audience", "/token_expiry", "/signing_alg", "/private_key_pem", "/expires_at",
    "/notification_emails", "/replace_grace_seconds", "/daily_token_limit", "/require_dpop", "/ids", "/filter", "/roles",
    "/scope", "/alg", "/email", "/events", "/url",
)


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Keeps the objects that the run needs, and leaves out values that would always be refused."""
    path = case.path_parameters or {}
    method = case.method.upper()
    for name, value in path.items():
        # If the objects that the run needs were changed, every reply would be 401, so such a request changes others instead.
        if method not in ("GET", "HEAD", "OPTIONS") and value in WORLD["kept"]:
            path[name] = WORLD["kept"][value]
    # The client and the secret that the examples name are needed until the end, so a request to delete one deletes another.
    if method == "DELETE" and path.get("client_id") == WORLD["client_id"]:
        if "secret_id" not in path:
            path["client_id"] = another_client()["client_id"]
        elif path["secret_id"] == WORLD["secret_id"]:
            client = another_client()
            path.update(client_id=client["client_id"], secret_id=client["secrets"][0]["secret_id"])
    # Random entity tags and cursors never match, and random idempotency keys are repeated. Most requests go without them;
    # otherwise the run would test little else.
    for part, name in ((case.headers, "If-Match"), (case.headers, "Idempotency-Key"), (case.query, "cursor")):
        if part and name in part and zlib.crc32(str(part[name]).encode()) % 8:
            del part[name]
    # Some values are not supported yet, and an API client needs a product or a permission.
    body = case.body
    if isinstance(body, dict) and zlib.crc32(repr(body).encode()) % 8:
        if body.get("require_dpop") is True:
            del body["require_dpop"]
        if isinstance(body.get("daily_token_limit"), int):
            del body["daily_token_limit"]
        if method == "POST" and case.path.endswith("/api-clients") and all(body.get(name) in (None, []) for name in ("products", "permissions")):
            body["products"] = ["gst"]


def another_client() -> dict:
    """Creates an API client."""
    reply = requests.post(
        f"{os.environ['MINTMARK_URL']}/v1/workspaces/{WORLD['workspace_id']}/api-clients", timeout=30,
        headers={"Authorization": f"Bearer {os.environ['MINTMARK_TOKEN']}"}, json={"label": "To be deleted", "permissions": ["mintmark:read"]},
    )
    assert reply.status_code == 201, reply.text
    return reply.json()


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    """Whether to report a failure: always, except if a request that fits the schema was refused by a rule that the schema
    cannot express.
    """
    return not (isinstance(failure, RejectedPositiveData) and refused_by_a_rule(case, response))


def refused_by_a_rule(case, response) -> bool:
    problem = response.json()
    kind = problem.get("type", "").rpartition("/")[2]
    headers = case.headers or {}
    if "error" in problem:
        # Scopes and audiences that the client does not have; credentials in addition to those in the header (RFC 6749
        # §2.3); a NUL in an unknown parameter: a schema that excludes it would not be read as a form by generators.
        body = case.body or {}
        has_nul = r"\x00" in repr(body)
        return problem["error"] in ("invalid_scope", "invalid_target") or bool({"client_id", "client_secret"} & body.keys()) or has_nul
    if kind == "invalid-parameter":
        query = case.query or {}
        return "cursor" in query or {"since", "until"} <= query.keys() or "If-Match" in headers
    if kind == "precondition-failed":
        return "If-Match" in headers
    if kind == "idempotency-key-reused":
        return "Idempotency-Key" in headers
    if kind in ("validation", "not-supported-yet"):
        return all(error["pointer"].startswith(MORE_THAN_SCHEMA) for error in problem["errors"])
    return False
