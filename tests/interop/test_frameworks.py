"""The services of examples/verify/frameworks and that of examples/verify/go, called with valid, revoked and forged tokens.
`run.py examples sqlite -- pytest tests/interop/test_frameworks.py`
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from test_examples import (  # noqa: F401
    CELLS, EXAMPLES, OTHER_LIST, ROOT, STATUS_LIST, Issuer, answers, fetch_token, forge, forger, of_service, status, status_list,
)

BIN = Path(sys.executable).parent
TOMCAT = "/usr/share/java/tomcat10-embed-core.jar:/usr/share/java/jakarta-annotation-api.jar"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: str


class Service:
    """One of the services, built."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder, self.environment = name, folder, {"PYTHONPATH": str(EXAMPLES / "python")}
        self.command = getattr(self, name)

    def flask(self, port: int) -> list:
        return [BIN / "flask", "--app", EXAMPLES / "frameworks/flask_app.py", "run", "--port", port]

    def fastapi(self, port: int) -> list:
        return [BIN / "uvicorn", "--app-dir", EXAMPLES / "frameworks", "fastapi_app:app", "--port", port]

    def django(self, port: int) -> list:
        return [sys.executable, EXAMPLES / "frameworks/django_app.py", "runserver", "--noreload", f"127.0.0.1:{port}"]

    def express(self, port: int) -> list:
        if not (self.folder / "node_modules").exists():
            (self.folder / "node_modules").symlink_to(ROOT / "tests/interop/node_modules")
            for part in ["node/verify.mjs", "frameworks/express.mjs"]:
                (self.folder / part).parent.mkdir()
                shutil.copy(EXAMPLES / part, self.folder / part)
        self.environment["PORT"] = str(port)
        return ["node", self.folder / "frameworks/express.mjs"]

    def go(self, port: int) -> list:
        program = self.folder / "verify"
        if not program.exists():
            subprocess.run(["go", "build", "-o", program, "./cmd/verify"], cwd=EXAMPLES / "go", check=True, env={**os.environ, "GOTOOLCHAIN": "local"})
        self.environment["LISTEN"] = f"127.0.0.1:{port}"
        return [program]

    def servlet(self, port: int) -> list:
        classpath = f"{self.folder}:{TOMCAT}"
        if not (self.folder / "Container.class").exists():
            sources = [EXAMPLES / "java/Verify.java", EXAMPLES / "frameworks/MintmarkFilter.java", ROOT / "tests/interop/frameworks/Container.java"]
            subprocess.run(["javac", "-Xlint:all,-path,-deprecation", "-Werror", "-cp", classpath, "-d", self.folder, *sources], check=True)
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Container", port]

    @contextmanager
    def running(self, by: Issuer) -> Iterator[str]:
        """The URL of the service, which accepts tokens of this issuer."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = list(map(str, self.command(port)))
        environment = {**os.environ, **self.environment, "ISSUER": by.issuer, "AUDIENCE": by.audience}
        log = self.folder / "log"
        with log.open("w") as said, subprocess.Popen(command, env=environment, cwd=self.folder, stdout=said, stderr=said) as process:
            try:
                wait_for(port, process, log)
                yield f"http://127.0.0.1:{port}/filings"
            finally:
                process.kill()


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def get(url: str, authorization: str | None) -> Answer:
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            return Answer(reply.status, reply.headers, reply.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode())


@pytest.fixture(scope="module", params=["flask", "fastapi", "django", "express", "go", "servlet"])
def service(request, tmp_path_factory) -> Service:
    return Service(request.param, tmp_path_factory.mktemp(request.param))


def test_valid_tokens_are_accepted_and_missing_malformed_and_never_expiring_ones_are_401(service):
    cell = CELLS["ES256 normal"]
    token = fetch_token(cell)
    with service.running(of_service(cell)) as url:
        for scheme in ["Bearer", "bearer"]:
            answer = get(url, f"{scheme} {token}")
            assert (answer.status, json.loads(answer.body)) == (200, {"client_id": cell["client_id"]})
        for missing in [None, "Bearer", "Basic abc"]:
            answer = get(url, missing)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), missing
        never = fetch_token(CELLS["ES256 far"])
        for wrong in ["abc", token + "A", never]:
            answer = get(url, f"Bearer {wrong}")
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"'), wrong


def test_revoked_tokens_and_tokens_for_another_product_are_refused_and_each_document_is_fetched_once(service, forger):
    forger.asked.clear()
    with service.running(forger) as url:
        for _ in range(5):
            assert get(url, f"Bearer {forge(forger)}").status == 200
            revoked = get(url, f"Bearer {forge(forger, claims={'status': status(forger, 1)})}")
            assert (revoked.status, revoked.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
            other = get(url, f"Bearer {forge(forger, claims={'products': ['gst-lite']})}")
            assert (other.status, other.headers["WWW-Authenticate"]) == (403, 'Bearer error="insufficient_scope"')
            # A token with an unknown key does not cause repeated fetches of the keys.
            assert get(url, f"Bearer {forge(forger, {'kid': 'unknown'})}").status == 401
    assert forger.asked == {"/.well-known/oauth-authorization-server": 1, "/jwks": 1, STATUS_LIST: 1}


def test_without_keys_or_a_list_that_can_be_used_a_token_is_503(service, forger, answers):
    token, in_other_list = forge(forger), forge(forger, claims={"status": status(forger, 0, OTHER_LIST)})
    # Nobody listens on port 9.
    with service.running(Issuer("http://127.0.0.1:9", forger.audience)) as url:
        answer = get(url, f"Bearer {token}")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    uri = forger.issuer + OTHER_LIST
    with service.running(forger) as url:
        for unusable in [(500, ""), (200, status_list(uri, seconds=-1)), (200, status_list(forger.issuer + STATUS_LIST))]:
            answers[OTHER_LIST] = unusable
            answer = get(url, f"Bearer {in_other_list}")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5"), unusable
            # That does not affect a token in another list.
            assert get(url, f"Bearer {token}").status == 200
        answers[OTHER_LIST] = (200, status_list(uri))
        assert get(url, f"Bearer {in_other_list}").status == 200


# Gateways that are not installed: what can be checked in their files without them.


def test_the_file_for_envoy_requires_exp_and_names_the_published_key_set():
    text = (EXAMPLES / "frameworks/envoy-jwt.yaml").read_text()
    manager = yaml.safe_load(text)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    jwt_authn, rbac, _ = (each["typed_config"] for each in manager["http_filters"])
    (provider,) = jwt_authn["providers"].values()
    assert provider["require_expiration"] is True and provider["audiences"]
    keys = provider["remote_jwks"]["http_uri"]["uri"].removeprefix(provider["issuer"])
    assert keys in yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    assert rbac["rules"]["action"] == "ALLOW"


def test_the_file_for_kong_replaces_every_header_that_says_who_calls():
    (service,) = yaml.safe_load((EXAMPLES / "frameworks/kong.yml").read_text())["services"]
    (lua,) = service["plugins"][0]["config"]["access"]
    page = (ROOT / "docs/forward-auth.md").read_text()
    for name in set(re.findall(r"`X-Mintmark-([A-Z][A-Za-z-]+)`", page)):
        assert f'"{name}"' in lua, name
