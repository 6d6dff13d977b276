"""Runs nginx with the settings of examples/forward-auth, between a caller and a service.

`run.py forward-auth sqlite -- pytest tests/interop/test_forward_auth.py`
"""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "forward-auth"
PAGE = ROOT / "docs" / "forward-auth.md"
WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
PATIENCE_SECONDS = 60
IDENTITY = ["X-Mintmark-Client-Id", "X-Mintmark-Workspace-Id", "X-Mintmark-Products", "X-Mintmark-Scope", "X-Mintmark-Token-Id"]


class Upstream(BaseHTTPRequestHandler):
    """The service behind the proxy: replies with the request that it received."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        seen = {"method": self.command, "path": self.path, "headers": self.headers.items(), "body": body}
        status = 500 if self.path == "/fails" else 200
        reply = json.dumps(seen).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_PROPFIND = answer

    def log_message(self, *_) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def upstream():
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(upstream, tmp_path_factory):
    """nginx with the file from the documentation; only the addresses are different."""
    folder = tmp_path_factory.mktemp("nginx")
    settings = (EXAMPLES / "nginx.conf").read_text()
    port = free_port()
    addresses = {"127.0.0.1:8080": WORLD["issuer"].removeprefix("http://"), "127.0.0.1:9000": f"127.0.0.1:{upstream}", "127.0.0.1:8000": f"127.0.0.1:{port}"}
    for written, real in addresses.items():
        assert settings.count(written) == 1, written
        settings = settings.replace(written, real)
    (folder / "mintmark.conf").write_text(settings)
    # Like the nginx.conf of a distribution, which includes the files in /etc/nginx/conf.d.
    temporary = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    (folder / "nginx.conf").write_text(
        f"daemon off;\nerror_log stderr info;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}\n    include {folder}/mintmark.conf;\n}}\n"
    )
    # Debian installs it in /usr/sbin, which is only on root's PATH.
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    process = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"], env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_SECONDS)


def wait_for(process: subprocess.Popen, port: int) -> None:
    """Waits until the proxy listens; nothing else shows that it is ready."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError("the proxy does not listen")


def fetch_token(name: str) -> str:
    client = WORLD["clients"][name]
    reply = requests.post(
        WORLD["issuer"] + "/oauth2/token", {"grant_type": "client_credentials"}, auth=(client["client_id"], client["client_secret"]), timeout=30,
    )
    reply.raise_for_status()
    return reply.json()["access_token"]


def revoke(name: str, token: str) -> None:
    client = WORLD["clients"][name]
    reply = requests.post(WORLD["issuer"] + "/oauth2/revoke", {"token": token}, auth=(client["client_id"], client["client_secret"]), timeout=30)
    reply.raise_for_status()


def call(proxy: str, token: str | None, path: str = "/invoices/1?draft=yes", method: str = "GET", headers: dict | None = None, **more) -> requests.Response:
    headers = dict(headers or {})
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return requests.request(method, proxy + path, headers=headers, timeout=30, **more)


def seen_by_upstream(reply: requests.Response) -> dict:
    """The headers that the service behind the proxy received; each name occurs once."""
    assert reply.status_code == 200, (reply.status_code, reply.text)
    names = [name.lower() for name, _ in reply.json()["headers"]]
    assert len(names) == len(set(names)), names
    return {name.lower(): value for name, value in reply.json()["headers"]}


@pytest.mark.parametrize("name", ["gst", "gst never expiring", "both"])
def test_a_token_of_the_product_passes_and_the_service_gets_its_client(proxy, name):
    client = WORLD["clients"][name]
    token = fetch_token(name)
    headers = seen_by_upstream(call(proxy, token))
    products = "e-invoicing gst" if name == "both" else "gst"
    received = [headers[header.lower()] for header in IDENTITY]
    assert received[:4] == [client["client_id"], "acme-in", products, products]
    assert re.fullmatch("[A-Za-z0-9_-]{22}", received[4])
    assert token not in str(headers), "the service does not need the token"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_the_request_is_passed_on_unchanged(proxy, method):
    reply = call(proxy, fetch_token("gst"), method=method, data="a body" if method != "GET" else None)
    assert reply.status_code == 200, reply.text
    seen = reply.json()
    assert (seen["method"], seen["path"], seen["body"]) == (method, "/invoices/1?draft=yes", "a body" if method != "GET" else "")


def test_a_token_of_another_product_is_403_and_says_what_is_missing(proxy):
    reply = call(proxy, fetch_token("e-invoicing"))
    assert reply.status_code == 403
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="mintmark", error="insufficient_scope", scope="gst"'


@pytest.mark.parametrize("query", ["?product=e-invoicing", "?product=e-invoicing&product=gst", "?product="])
def test_the_caller_cannot_choose_the_required_product(proxy, query):
    assert call(proxy, fetch_token("e-invoicing"), "/" + query).status_code == 403
    assert call(proxy, fetch_token("gst"), "/" + query).status_code == 200


def test_a_request_without_a_token_is_401_without_an_error_code(proxy):
    reply = call(proxy, None)
    assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="mintmark"')
    for headers in [{"Authorization": "Basic eDp5"}, {"X-Access-Token": fetch_token("gst")}, {"Cookie": "token=" + fetch_token("gst")}]:
        assert call(proxy, None, headers=headers).status_code == 401
    assert call(proxy, None, f"/?access_token={fetch_token('gst')}").status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_malformed_token_is_401_invalid_token(proxy, token):
    reply = call(proxy, token)
    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize("name", ["gst", "gst never expiring"])
def test_a_revoked_token_is_401_at_once(proxy, name):
    token, other = fetch_token(name), fetch_token(name)
    assert call(proxy, token).status_code == 200
    revoke(name, token)
    reply = call(proxy, token)
    assert reply.status_code == 401
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
    assert call(proxy, other).status_code == 200


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper, lambda name: name.replace("-", "_")], ids=["as is", "lower", "upper", "underscores"])
def test_identity_headers_from_outside_do_not_reach_the_service(proxy, spelling):
    forged = {spelling(name): "forged" for name in IDENTITY}
    for name in ["gst", "e-invoicing"]:
        reply = call(proxy, fetch_token(name), headers=forged)
        if name == "e-invoicing":
            assert reply.status_code == 403
            continue
        # In no spelling, because some services treat several spellings as the same name.
        assert "forged" not in reply.text
        assert seen_by_upstream(reply)["x-mintmark-client-id"] == WORLD["clients"][name]["client_id"]
    assert call(proxy, None, headers=forged).status_code == 401


def test_a_caller_cannot_have_headers_dropped(proxy):
    # A header that Connection names is for the next hop only (RFC 9110 §7.6.1).
    headers = {"Connection": "close, X-Mintmark-Client-Id, Authorization", **{name: "forged" for name in IDENTITY}}
    headers = seen_by_upstream(call(proxy, fetch_token("gst"), headers=headers))
    assert headers["x-mintmark-client-id"] == WORLD["clients"]["gst"]["client_id"]


def test_the_internal_location_cannot_be_reached_from_outside(proxy):
    assert call(proxy, fetch_token("gst"), "/_mintmark/gst").status_code == 404


def test_a_failure_of_the_service_is_passed_on(proxy):
    assert call(proxy, fetch_token("gst"), "/fails").status_code == 500


def test_a_token_that_cannot_be_checked_is_503(proxy):
    token = fetch_token("gst")
    assert call(proxy, token).status_code == 200
    # Mintmark cannot read the table of denied tokens for a while.
    with sqlite3.connect(WORLD["database"], timeout=30, isolation_level=None) as database:
        database.execute("ALTER TABLE denied_tokens RENAME TO denied_tokens_away")
        try:
            reply = call(proxy, token)
        finally:
            database.execute("ALTER TABLE denied_tokens_away RENAME TO denied_tokens")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
    assert call(proxy, token).status_code == 200


def test_the_documentation_shows_the_files_of_the_examples():
    blocks = re.findall(r"^```\w*\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for file in EXAMPLES.iterdir():
        assert file.read_text() in blocks, f"{PAGE.name} does not show {file.name} as it is"
