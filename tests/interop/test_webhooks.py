"""Requests to webhooks are verified by the official libraries, by pyca/cryptography, and by the programs in docs/webhooks.md. A
listener that verifies tokens offline learns of revocations. `run.py webhooks sqlite -- pytest tests/interop/test_webhooks.py`
"""

import base64
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

ROOT = Path(__file__).parents[2]
INTEROP = ROOT / "tests/interop"
WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
LIST = f"/v1/workspaces/{WORLD['workspace_id']}/webhooks"
PATIENCE_SECONDS = 30


def call(method: str, path: str, body: dict | None = None, at: str = WORLD["issuer"]) -> dict:
    """A call of the management API."""
    headers = {"Authorization": f"Bearer {WORLD['token']}", "Content-Type": "application/json"}
    sent = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(at + path, sent, headers, method=method), timeout=30) as reply:
        return json.loads(reply.read() or "null")


class Receiver:
    """An HTTP server that keeps the requests it receives."""

    def __init__(self):
        self.got = got = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                got.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in"


@pytest.fixture(scope="module")
def request_and_keys() -> tuple[dict, bytes, dict]:
    """The headers and body of a request that was signed with two sets of keys, and the newer set. Its `old` is the older."""
    receiver = Receiver()
    hook = call("POST", LIST, {"url": receiver.url, "events": ["product.created"]})
    keys = call("POST", f"/v1/webhooks/{hook['webhook_id']}/secrets", {})
    call("POST", f"/v1/webhooks/{hook['webhook_id']}/test", {})
    headers, body = receiver.got.get(timeout=PATIENCE_SECONDS)
    call("DELETE", f"/v1/webhooks/{hook['webhook_id']}")
    assert [one.split(",")[0] for one in headers["webhook-signature"].split(" ")] == ["v1", "v1a", "v1", "v1a"]
    return headers, body, {**keys, "old": hook}


def tampered(headers: dict, body: bytes) -> list[tuple[dict, bytes]]:
    """Requests that must be refused: each has another body, id, timestamp (a second older than allowed) or signature."""
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
    return [(headers, body + b" "), ({**headers, "webhook-id": "other"}, body), (old, body), ({**headers, "webhook-signature": "v1,AAAA v1a,AAAA"}, body)]


# The official libraries know only v1.


def test_the_python_library_verifies_a_request(request_and_keys):
    headers, body, keys = request_and_keys
    for secret in [keys["signing_secret"], keys["old"]["signing_secret"]]:
        assert Webhook(secret).verify(body, headers) == json.loads(body)
        for other_headers, other_body in tampered(headers, body):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(other_body, other_headers)


NODE_LIBRARY = """
import { Webhook } from "standardwebhooks";
const { headers, body, secret } = JSON.parse(process.env.REQUEST);
new Webhook(secret).verify(body, headers);
"""


def test_the_node_library_verifies_a_request(request_and_keys, tmp_path):
    headers, body, keys = request_and_keys
    (tmp_path / "node_modules").symlink_to(INTEROP / "node_modules")
    (tmp_path / "verify.mjs").write_text(NODE_LIBRARY)
    for secret in [keys["signing_secret"], keys["old"]["signing_secret"]]:
        cases = [(headers, body, True), *((*other, False) for other in tampered(headers, body))]
        for one_headers, one_body, genuine in cases:
            request = json.dumps({"headers": one_headers, "body": one_body.decode(), "secret": secret})
            done = subprocess.run(["node", tmp_path / "verify.mjs"], env={**os.environ, "REQUEST": request}, capture_output=True, text=True)
            assert (done.returncode == 0) == genuine, done.stderr


def test_the_rust_library_verifies_a_request(request_and_keys):
    headers, body, keys = request_and_keys
    request = json.dumps({"headers": headers, "body": body.decode(), "secrets": [keys["signing_secret"], keys["old"]["signing_secret"]]})
    command = ["cargo", "test", "-q", "--locked", "--manifest-path", INTEROP / "rust/Cargo.toml", "--target-dir", ROOT / "target/interop", "webhook"]
    subprocess.run(command, env={**os.environ, "MINTMARK_WEBHOOK": request}, check=True)


def test_pyca_cryptography_verifies_the_signatures_of_v1a(request_and_keys):
    headers, body, keys = request_and_keys
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signatures = [base64.b64decode(one.removeprefix("v1a,")) for one in headers["webhook-signature"].split(" ") if one.startswith("v1a,")]
    for public_key, signature in zip([keys["public_key"], keys["old"]["public_key"]], signatures, strict=True):
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
        key.verify(signature, signed)


# Each program of docs/webhooks.md is a function. The lines added here call it.

MAINS = {
    "python": """
import os, sys
e = os.environ
sys.exit(0 if is_genuine(e["KEY"], e["ID"], e["TIMESTAMP"], e["SIGNATURES"], e["BODY"].encode()) else 9)
""",
    "js": """
const { KEY, ID, TIMESTAMP, SIGNATURES, BODY } = process.env;
process.exit(isGenuine(KEY, ID, TIMESTAMP, SIGNATURES, Buffer.from(BODY)) ? 0 : 9);
""",
    "go": """package main

import "os"

func main() {
	if !IsGenuine(os.Getenv("KEY"), os.Getenv("ID"), os.Getenv("TIMESTAMP"), os.Getenv("SIGNATURES"), []byte(os.Getenv("BODY"))) {
		os.Exit(9)
	}
}
""",
    "rust": """
fn main() {
    let [key, id, timestamp, signatures, body] =
        ["KEY", "ID", "TIMESTAMP", "SIGNATURES", "BODY"].map(|name| std::env::var(name).unwrap());
    std::process::exit(if is_genuine(&key, &id, &timestamp, &signatures, body.as_bytes()) { 0 } else { 9 });
}
""",
}


def block(language: str) -> str:
    """The only block of a language on the page."""
    page = (ROOT / "docs/webhooks.md").read_text()
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found


def build(language: str, folder: Path) -> list:
    if language == "python":
        (folder / "verify.py").write_text(block(language) + MAINS[language])
        return [sys.executable, folder / "verify.py"]
    if language == "js":
        (folder / "verify.mjs").write_text(block(language) + MAINS[language])
        return ["node", folder / "verify.mjs"]
    if language == "go":
        (folder / "go.mod").write_text("module verify\n\ngo 1.18\n")
        (folder / "verify.go").write_text(block(language))
        (folder / "main.go").write_text(MAINS[language])
        subprocess.run(["go", "build", "-o", folder / "verify", "."], cwd=folder, check=True, env={**os.environ, "GOTOOLCHAIN": "local"})
        return [folder / "verify"]
    # With the versions of `ring` and `base64` that tests/interop/rust pins.
    shutil.copy(INTEROP / "rust/Cargo.toml", folder)
    shutil.copy(INTEROP / "rust/Cargo.lock", folder)
    (folder / "src").mkdir()
    (folder / "src/lib.rs").write_text("")
    (folder / "examples").mkdir()
    (folder / "examples/verify.rs").write_text(block(language) + MAINS[language])
    target = ROOT / "target/interop"
    subprocess.run(["cargo", "build", "-q", "--locked", "--example", "verify", "--target-dir", target], cwd=folder, check=True)
    return [target / "debug/examples/verify"]


@pytest.mark.parametrize("language", MAINS)
def test_the_programs_of_the_documentation_verify_a_request(language, request_and_keys, tmp_path):
    headers, body, keys = request_and_keys
    command = build(language, tmp_path)
    for key in [keys["signing_secret"], keys["public_key"], keys["old"]["signing_secret"], keys["old"]["public_key"]]:
        cases = [(headers, body, 0), *((*other, 9) for other in tampered(headers, body))]
        for one_headers, one_body, code in cases:
            environment = {
                "KEY": key, "ID": one_headers["webhook-id"], "TIMESTAMP": one_headers["webhook-timestamp"],
                "SIGNATURES": one_headers["webhook-signature"], "BODY": one_body.decode(),
            }
            done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
            assert done.returncode == code, (language, done.stderr)
    other = "whpk_" + base64.b64encode(bytes(32)).decode()
    environment = {"KEY": other, "ID": headers["webhook-id"], "TIMESTAMP": headers["webhook-timestamp"], "SIGNATURES": headers["webhook-signature"], "BODY": body.decode()}
    assert subprocess.run(command, env={**os.environ, **environment}, capture_output=True).returncode != 0


# A listener that verifies offline.


def token() -> str:
    """An access token of the client."""
    credentials = base64.b64encode(f"{WORLD['client_id']}:{WORLD['client_secret']}".encode()).decode()
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "gst"}).encode()
    request = urllib.request.Request(WORLD["issuer"] + "/oauth2/token", form, {"Authorization": f"Basic {credentials}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["access_token"]


def jti(access_token: str) -> str:
    payload = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"]


def asked(listener: str, access_token: str) -> int:
    """The status with which the listener answers a request with a token."""
    request = urllib.request.Request(listener, headers={"Authorization": f"Bearer {access_token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def listener():
    """Starts examples/verify/python/listen.py with a webhook to it, and returns its URL."""
    placeholder = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = placeholder.server_address[1]
    placeholder.server_close()
    hook = call("POST", LIST, {"url": f"http://127.0.0.1:{port}/", "events": ["status_list.changed"]})
    environment = {**os.environ, "ISSUER": WORLD["issuer"], "AUDIENCE": WORLD["audience"], "WEBHOOK_KEY": hook["public_key"], "PORT": str(port)}
    process = subprocess.Popen([sys.executable, ROOT / "examples/verify/python/listen.py"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert "listening" in process.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()
        call("DELETE", f"/v1/webhooks/{hook['webhook_id']}")


def test_a_revoked_token_is_refused_within_three_seconds(listener):
    took = []
    # Tokens are revoked at different fractions of a second, and by each replica in turn.
    for number in range(6):
        access_token = token()
        assert asked(listener, access_token) == 200
        at = WORLD["managed_at"][number % len(WORLD["managed_at"])]
        time.sleep(0.17 * number)
        call("DELETE", f"/v1/api-clients/{WORLD['client_id']}/access-tokens/{jti(access_token)}", at=at)
        began = time.monotonic()
        while asked(listener, access_token) != 401:
            assert time.monotonic() - began < 3, f"still accepted {time.monotonic() - began:.2f} s after it was revoked"
            time.sleep(0.05)
        took.append(time.monotonic() - began)
    print("refused after", ", ".join(f"{seconds:.2f} s" for seconds in took))


def test_the_listener_refuses_unsigned_events_wrong_lengths_and_requests_without_a_token(listener):
    event = {"type": "status_list.changed", "data": {"uri": WORLD["issuer"] + "/oauth2/status-lists/1", "changed_at": "2026-09-21T14:13:21Z"}}
    now = {"webhook-id": "a", "webhook-timestamp": str(int(time.time()))}
    for headers, status in [
        ({}, 401),
        (now, 401),
        ({**now, "webhook-signature": "v1a,AAAA"}, 401),
        ({"content-length": "-1"}, 413),
        ({"content-length": "99999999"}, 413),
    ]:
        request = urllib.request.Request(listener, json.dumps(event).encode(), headers, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        assert refused.value.code == status
    # The reply to a request without a token says which kind of token to send.
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(listener, timeout=30)
    assert (refused.value.code, refused.value.headers["www-authenticate"]) == (401, "Bearer")
