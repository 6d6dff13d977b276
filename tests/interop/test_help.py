"""Runs the programs of the console's help page against the service that shows the page.
`run.py console sqlite -- pytest tests/interop/test_help.py`
"""

import hashlib
import html
import http.server
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

FACTS = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
COOKIE = "h" * 43
OPERATOR = "01990000-0000-7000-8000-000000000001"
# These programs cannot run here. The test only checks that they contain the token endpoint of the service.
NOT_RUN = {"token-powershell", "token-abap", "token-oracle", "token-power-query"}
RUN = {
    "token-curl": ("token.sh", ["sh"]), "token-python": ("token.py", [sys.executable]), "token-java": ("Token.java", ["java"]),
    "verify-curl": ("verify.sh", ["sh"]), "introspect-curl": ("introspect.sh", ["sh"]), "verify-python": ("verify.py", [sys.executable]),
    "verify-java": ("Verify.java", ["java"]),
}


@pytest.fixture(scope="module")
def snippets() -> dict[str, str]:
    """Signs in by inserting a session into the database, and returns the text of every program on the page by its id."""
    now = int(time.time())
    with sqlite3.connect(FACTS["database"], timeout=30) as database:
        database.execute(
            "INSERT INTO operators (operator_id, email, email_key, name, status, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
            (OPERATOR, "ann@acme.example", "ann@acme.example", "Ann", "active", now, now),
        )
        database.execute("INSERT INTO operator_roles VALUES (?, 'workspace_viewer', 'acme-in')", (OPERATOR,))
        database.execute(
            "INSERT INTO operator_sessions VALUES (?, ?, ?, 'passkey', ?, ?, ?, ?, NULL, NULL)",
            (hashlib.sha256(COOKIE.encode()).digest(), "session", OPERATOR, now, now, now + 3600, now),
        )
    request = urllib.request.Request(FACTS["issuer"] + "/console/help", headers={"Cookie": f"mintmark={COOKIE}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        page = reply.read().decode()
    return {name: html.unescape(text) for name, text in re.findall(r'<code id="([a-z-]+)">(.*?)</code>', page, re.DOTALL)}


@pytest.fixture
def run(snippets, tmp_path):
    def run(name: str, **environment: str) -> subprocess.CompletedProcess:
        file, command = RUN[name]
        (tmp_path / file).write_text(snippets[name])
        known = {"CLIENT_ID": FACTS["client_id"], "CLIENT_SECRET": FACTS["client_secret"], "AUDIENCE": FACTS["audience"], "PRODUCT": "gst"}
        environment = {**os.environ, **known, **environment}
        return subprocess.run([*command, tmp_path / file], env=environment, text=True, capture_output=True, timeout=120)

    return run


@pytest.fixture
def token(run) -> str:
    return json.loads(run("token-curl").stdout)["access_token"]


def test_every_program_is_run_or_names_the_token_endpoint(snippets):
    # `header` is no program, but the header `Authorization: Bearer TOKEN`.
    assert snippets.keys() == RUN.keys() | NOT_RUN | {"header"}
    for name in NOT_RUN:
        assert FACTS["issuer"] + "/oauth2/token" in snippets[name]


@pytest.mark.parametrize("name", ["token-python", "token-java"])
def test_a_program_gets_a_token(run, name):
    done = run(name)
    assert done.returncode == 0, done.stderr
    assert json.loads(run("introspect-curl", TOKEN=done.stdout.strip()).stdout)["active"] is True
    refused = run(name, CLIENT_SECRET="wrong")
    assert refused.returncode == 1 and "401" in refused.stderr and "invalid_client" in refused.stderr


@pytest.mark.parametrize("name", ["verify-python", "verify-java"])
def test_a_program_verifies_a_token(run, token, name):
    done = run(name, TOKEN=token)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"valid: client {FACTS['client_id']}")
    for wrong in [{"TOKEN": token[:-4] + "AAAA"}, {"TOKEN": token, "PRODUCT": "e-way-bill"}]:
        refused = run(name, **wrong)
        assert refused.returncode == 1 and refused.stderr.startswith("refused: "), refused.stderr
    # The Java program names only the product, to `/oauth2/verify`.
    if name == "verify-python":
        assert run(name, TOKEN=token, AUDIENCE="https://other.example.com").returncode == 1


def test_a_token_without_products_is_refused(snippets, tmp_path):
    """The service issues no such token, so the program is run with a key of the test."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": "k", "alg": "ES256", "use": "sig"}

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": [jwk]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "verify.py").write_text(snippets["verify-python"].replace(FACTS["issuer"], issuer))
        claims = {"iss": issuer, "aud": "urn:a", "iat": int(time.time()), "jti": "j", "client_id": "c", "workspace_id": "w"}

        def verify(**more):
            token = jwt.encode({**claims, **more}, key, algorithm="ES256", headers={"kid": "k"})
            environment = {**os.environ, "TOKEN": token, "AUDIENCE": "urn:a", "PRODUCT": "gst"}
            return subprocess.run([sys.executable, tmp_path / "verify.py"], env=environment, text=True, capture_output=True, timeout=120)

        assert verify(products=["gst"]).stdout.startswith("valid: client c")
        refused = verify()
        assert refused.returncode == 1 and refused.stderr.startswith("refused: "), refused.stderr
        server.shutdown()


def test_the_service_says_whether_a_token_is_valid(run, token):
    accepted = run("verify-curl", TOKEN=token).stdout.lower()
    assert accepted.startswith("http/1.1 200") and f"x-mintmark-client-id: {FACTS['client_id'].lower()}" in accepted
    assert run("verify-curl", TOKEN=token, PRODUCT="e-way-bill").stdout.startswith("HTTP/1.1 403")
    assert run("verify-curl", TOKEN=token[:-4]).stdout.startswith("HTTP/1.1 401")
    assert json.loads(run("introspect-curl", TOKEN="nothing").stdout) == {"active": False}
