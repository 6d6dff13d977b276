"""The programs of examples/verify, run as a developer would run them: with tokens of the service, and with tokens that it
never issues, from an issuer in this file. `run.py examples sqlite -- pytest tests/interop/test_examples.py`
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "verify"
FILES = {"python": "verify.py", "js": "verify.mjs", "java": "Verify.java", "go": "verify.go", "rust": "verify.rs"}
FOLDERS = {"js": "node"}
CELLS = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())["cells"]


def source(language: str) -> Path:
    return EXAMPLES / FOLDERS.get(language, language) / FILES[language]


@dataclass(frozen=True)
class Issuer:
    """Whose tokens a program accepts, and for which audience."""

    issuer: str
    audience: str


class Program:
    """One example, built."""

    def __init__(self, language: str, folder: Path):
        self.language = language
        self.command = {"python": self.python, "js": self.js, "java": self.java, "go": self.go, "rust": self.rust}[language](folder)

    def python(self, folder: Path) -> list[str]:
        return [sys.executable, str(source("python"))]

    def js(self, folder: Path) -> list[str]:
        # As after `npm install jose`.
        shutil.copy(source("js"), folder)
        (folder / "node_modules").symlink_to(ROOT / "tests/interop/node_modules")
        return ["node", str(folder / "verify.mjs")]

    def java(self, folder: Path) -> list[str]:
        subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", folder, source("java")], check=True)
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", str(folder), "Verify"]

    def go(self, folder: Path) -> list[str]:
        subprocess.run(["go", "build", "-o", folder / "verify", "./cmd/verify"], cwd=EXAMPLES / "go", check=True, env={**os.environ, "GOTOOLCHAIN": "local"})
        return [str(folder / "verify")]

    def rust(self, folder: Path) -> list[str]:
        # `cargo build --example verify` puts it there.
        return [str(Path(os.environ["MINTMARK_BINARY"]).parent / "examples" / "verify")]

    def run(self, by: Issuer, token: str, **more: str | None) -> subprocess.CompletedProcess:
        environment = {**os.environ, "ISSUER": by.issuer, "AUDIENCE": by.audience, "TOKEN": token, **more}
        environment = {name: value for name, value in environment.items() if value is not None}
        return subprocess.run(self.command, env=environment, text=True, capture_output=True, timeout=120)

    def accepts(self, by: Issuer, token: str, client_id: str, **more: str) -> None:
        done = self.run(by, token, **more)
        assert done.stdout == f"client {client_id} of workspace acme-in, products: gst\n", done.stderr
        assert done.returncode == 0

    def refuses(self, by: Issuer, token: str, answer: int = 401, **more: str) -> None:
        """It prints one line with the reason, and does not crash."""
        done = self.run(by, token, **more)
        assert re.fullmatch(rf"refused: (?!null).+ \(answer {answer}\)\n", done.stderr), done.stderr
        assert (done.stdout, done.returncode) == ("", 1)


@pytest.fixture(scope="module", params=FILES)
def program(request, tmp_path_factory) -> Program:
    return Program(request.param, tmp_path_factory.mktemp(request.param))


# Tokens of the service.


def of_service(cell: dict) -> Issuer:
    return Issuer(cell["issuer"], cell["audience"])


def fetch_token(cell: dict) -> str:
    form = {"grant_type": "client_credentials", "client_id": cell["client_id"], "client_secret": cell["client_secret"]}
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(cell["issuer"] + "/oauth2/token", body, timeout=30) as reply:
        return json.load(reply)["access_token"]


@pytest.mark.parametrize("cell", ["ES256 normal", "EdDSA normal", "RS256 normal"])
def test_a_token_is_accepted(program, cell):
    cell = CELLS[cell]
    program.accepts(of_service(cell), fetch_token(cell), cell["client_id"])


@pytest.mark.parametrize("cell", ["ES256 far", "ES256 omit"])
def test_a_token_that_never_expires_is_accepted_if_allowed(program, cell):
    cell = CELLS[cell]
    token = fetch_token(cell)
    program.refuses(of_service(cell), token)
    program.accepts(of_service(cell), token, cell["client_id"], ALLOW_NEVER_EXPIRING="1")


@pytest.mark.parametrize("cell", ["ES256 far", "EdDSA far", "ES256 omit"])
def test_a_revoked_token_is_refused(program, cell):
    cell, more = CELLS[cell], {"ALLOW_NEVER_EXPIRING": "1"}
    token, other = fetch_token(cell), fetch_token(cell)
    revoke(cell, token)
    program.accepts(of_service(cell), other, cell["client_id"], **more)
    program.refuses(of_service(cell), token, **more)
    # The Rust example has no setting that leaves out the status check.
    if program.language != "rust":
        program.accepts(of_service(cell), token, cell["client_id"], CHECK_STATUS="0", **more)


def test_a_single_revoked_stateless_token_is_accepted_until_its_exp(program):
    # It shares a slot of the status list with all stateless tokens of its client, so the list does not change.
    cell = CELLS["ES256 normal"]
    token = fetch_token(cell)
    revoke(cell, token)
    program.accepts(of_service(cell), token, cell["client_id"])


def revoke(cell: dict, token: str) -> None:
    form = {"token": token, "client_id": cell["client_id"], "client_secret": cell["client_secret"]}
    with urllib.request.urlopen(cell["issuer"] + "/oauth2/revoke", urllib.parse.urlencode(form).encode(), timeout=30) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("more", "answer"), [({"AUDIENCE": "https://einvoicing.example.com"}, 401), ({"PRODUCT": "e-invoicing"}, 403)], ids=["audience", "product"],
)
def test_a_token_for_another_audience_or_product_is_refused(program, more, answer):
    cell = CELLS["ES256 normal"]
    program.refuses(of_service(cell), fetch_token(cell), answer, **more)


def test_another_spelling_of_the_issuer_is_not_accepted(program):
    # The metadata names the issuer without the slash, so it is not used, and there are no keys.
    cell = CELLS["ES256 normal"]
    program.refuses(Issuer(cell["issuer"] + "/", cell["audience"]), fetch_token(cell), 503)


@pytest.mark.parametrize("name", ["ISSUER", "AUDIENCE", "TOKEN"])
def test_a_setting_that_is_missing_is_named(program, name):
    done = program.run(of_service(CELLS["ES256 normal"]), "", **{name: None})
    assert re.fullmatch(rf"{name} is not set: it is .+\n", done.stderr), done.stderr
    assert (done.stdout, done.returncode) == ("", 1)


def test_java_runs_without_being_compiled_first():
    cell = CELLS["ES256 normal"]
    program = Program.__new__(Program)
    program.command = ["java", str(source("java"))]
    program.accepts(of_service(cell), fetch_token(cell), cell["client_id"])


# Tokens that the service never issues.

SIGN = get_default_algorithms()
KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
}
STRANGER = ec.generate_private_key(ec.SECP256R1())
# The start of the year 2200, which is the `exp` of tokens that never expire.
FAR = 7258118400
CLIENT = "cl_AAAAAAAAAAAAAAAAAAAAAA"
METADATA = "/.well-known/oauth-authorization-server"
STATUS_LIST = "/oauth2/status-lists/0"
OTHER_LIST = "/oauth2/status-lists/1"


@dataclass(frozen=True)
class Forger(Issuer):
    """An issuer in this file: the keys that it publishes, how often each of its documents was requested, which of them fail, and
    answers (status and text, by path) that replace its documents or are added to them.
    """

    published: list
    asked: Counter
    failing: set
    answers: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def forger():
    """An issuer with a key of each algorithm; the `kid` of each is its algorithm."""
    whole = [{**SIGN[alg].to_jwk(key.public_key(), as_dict=True), "kid": alg, "alg": alg, "use": "sig"} for alg, key in KEYS.items()]
    jwks = [{name: value for name, value in key.items() if name != "key_ops"} for key in whole]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked[self.path] += 1
            issuer = f"http://127.0.0.1:{self.server.server_port}"
            documents = {
                METADATA: json.dumps({"issuer": issuer, "jwks_uri": issuer + "/jwks"}), "/jwks": json.dumps({"keys": jwks}),
                STATUS_LIST: status_list(issuer + STATUS_LIST),
            }
            answers = {path: (200, text) for path, text in documents.items()} | self.server.answers
            answers |= {path: (500, "") for path in self.server.failing}
            code, text = answers.get(self.path, (404, ""))
            self.send_response(code)
            self.send_header("Content-Type", "application/statuslist+jwt" if "status-lists" in self.path else "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.asked, server.failing, server.answers = Counter(), set(), {}
        yield Forger(f"http://127.0.0.1:{server.server_port}", "https://gst.example.com", jwks, server.asked, server.failing, server.answers)
        server.shutdown()


@pytest.fixture
def answers(forger):
    """What the forger answers in this test instead of its documents."""
    yield forger.answers
    forger.answers.clear()


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(header: dict, claims: dict, alg: str, key) -> str:
    text = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{encode(SIGN[alg].sign(text.encode(), key))}"


# 64 slots of two bits. Slot 1 is 1, which means revoked.
ZLIB = zlib.compress(bytes([0b0100] + [0] * 15))


def status_list(uri: str, header: dict = {}, claims: dict = {}, lst: str = encode(ZLIB), seconds: int = 3600, key=KEYS["ES256"]) -> str:
    """A list by which token 0 is valid and token 1 is revoked, except for the given members; a claim that is None is left out.
    It expires in `seconds`.
    """
    now = int(time.time())
    header = {"alg": "ES256", "kid": "ES256", "typ": "statuslist+jwt", **header}
    claims = {"sub": uri, "iat": now, "exp": now + seconds, "ttl": 60, "status_list": {"bits": 2, "lst": lst}, **claims}
    return signed(header, {name: value for name, value in claims.items() if value is not None}, "ES256", key)


def status(by: Issuer, idx: int, path: str = STATUS_LIST) -> dict:
    return {"status_list": {"idx": idx, "uri": by.issuer + path}}


def forge(by: Issuer, header: dict = {}, claims: dict = {}, kid: str = "ES256", alg: str | None = None, key=None) -> str:
    """A token as the service issues it, except for the given members; a member that is None is left out."""
    now = int(time.time())
    alg = alg or kid
    header = {"alg": alg, "kid": kid, "typ": "at+jwt", **header}
    claims = {
        "iss": by.issuer, "sub": CLIENT, "client_id": CLIENT, "aud": by.audience, "iat": now, "exp": now + 3600, "jti": "8Yy",
        "scope": "gst", "workspace_id": "acme-in", "products": ["gst"], "status": status(by, 0), **claims,
    }
    header, claims = ({name: value for name, value in part.items() if value is not None} for part in (header, claims))
    return signed(header, claims, alg, key or KEYS[kid])


@pytest.mark.parametrize("alg", KEYS)
def test_the_forger_can_make_good_tokens(program, forger, alg):
    program.accepts(forger, forge(forger, kid=alg), CLIENT)


def test_one_audience_among_several_and_the_full_media_type_are_accepted(program, forger):
    token = forge(forger, {"typ": "application/AT+JWT"}, {"aud": ["https://einvoicing.example.com", forger.audience]})
    program.accepts(forger, token, CLIENT)


PUBLIC_PEM = KEYS["ES256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NEVER = {"never_expires": True}
FORGED = {
    "expired": dict(claims={"exp": int(time.time()) - 60}),
    "not valid yet": dict(claims={"nbf": int(time.time()) + 3600}),
    "another issuer": dict(claims={"iss": "https://tokens.example.com"}),
    "no issuer": dict(claims={"iss": None}),
    "another audience": dict(claims={"aud": ["https://gst.example.com.evil.example"]}),
    "no audience": dict(claims={"aud": None}),
    "an audience that begins with the right one": dict(claims={"aud": "https://gst.example.com/other"}),
    "a product of a similar name": dict(claims={"products": ["gst-lite"]}, answer=403),
    "an ID token": dict(header={"typ": "JWT"}),
    "no type": dict(header={"typ": None}),
    "a key that is not published": dict(header={"kid": "unknown"}),
    "signed by another key": dict(key=STRANGER),
    "another algorithm than the key's": dict(kid="RS256", alg="PS256"),
    "the public key as a secret": dict(alg="HS256", key=PUBLIC_PEM),
    "no signature": dict(alg="none", key=b""),
    "an extension that must be understood": dict(header={"crit": ["x"], "x": 1}),
    "no end": dict(claims={"exp": None}),
    "no end, and another type": dict(header={"typ": "JWT"}, claims={"exp": None}),
    "never expires, far": dict(claims={"exp": FAR, **NEVER}),
    "never expires, no end": dict(header={"typ": "JWT"}, claims={"exp": None, **NEVER}),
    "bound to a certificate": dict(claims={"cnf": {"x5t#S256": "x"}}),
}


@pytest.mark.parametrize("forgery", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(program, forger, forgery):
    forgery = dict(forgery)
    program.refuses(forger, answer=forgery.pop("answer", 401), token=forge(forger, **forgery))


@pytest.mark.parametrize("forgery", ["no end", "no end, and another type", "expired", "an ID token"])
def test_allowing_tokens_that_never_expire_allows_nothing_else(program, forger, forgery):
    program.refuses(forger, forge(forger, **FORGED[forgery]), ALLOW_NEVER_EXPIRING="1")


def test_a_token_that_was_tampered_with_is_refused(program, forger):
    header, _, signature = forge(forger).split(".")
    claims = forge(forger, claims={"workspace_id": "acme-us"}).split(".")[1]
    program.refuses(forger, f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("token", ["", "gst", "..", "a.b.c", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA"])
def test_malformed_tokens_are_refused(program, forger, token):
    program.refuses(forger, token)


def test_without_an_issuer_no_token_is_accepted(program, forger):
    program.refuses(Issuer(forger.issuer + "/nobody", forger.audience), forge(forger), 503)
    # Nobody listens on port 9.
    program.refuses(Issuer("http://127.0.0.1:9", forger.audience), forge(forger), 503)


def test_a_token_that_names_no_status_list_of_its_issuer_is_refused(program, forger):
    """With 401. If such a list were fetched, it could not be used, and the answer would be 503."""
    elsewhere = {"status_list": {"idx": 1, "uri": forger.issuer + ".evil.example/oauth2/status-lists/1"}}
    for claims in [{"status": None}, {"status": elsewhere}, {"status": {"status_list": {"idx": 1, "uri": forger.issuer + "/jwks"}}}]:
        token = forge(forger, claims=claims)
        program.refuses(forger, token)
        if program.language != "rust":
            program.accepts(forger, token, CLIENT, CHECK_STATUS="0")


@pytest.mark.parametrize("idx", [1, 64, -1, None], ids=["revoked", "beyond the list", "negative", "null"])
def test_a_token_that_is_revoked_or_not_in_its_list_is_refused(program, forger, idx):
    program.refuses(forger, forge(forger, claims={"status": status(forger, idx)}))


# Lists that must not be used: how each differs from one that may be used.
UNUSABLE = {
    "expired": dict(seconds=-1),
    "of another URI": dict(claims={"sub": "https://tokens.example.com" + OTHER_LIST}),
    "of another type": dict(header={"typ": "at+jwt"}),
    "signed by another key": dict(key=STRANGER),
    "signed by a key that is not published": dict(header={"kid": "unknown"}),
    "without ttl": dict(claims={"ttl": None}),
    "without exp": dict(claims={"exp": None}),
    "without slots": dict(claims={"status_list": None}),
    "not compressed": dict(lst=encode(bytes(16))),
    "cut off": dict(lst=encode(ZLIB[:-5])),
    "not base64url": dict(lst="="),
}
# Answers that are not lists.
OTHER_ANSWERS = {"not a JWT": (200, "<html>"), "not found": (404, ""), "failing": (500, "")}


@pytest.mark.parametrize("answer", [*UNUSABLE, *OTHER_ANSWERS])
def test_a_token_whose_status_list_cannot_be_used_is_503(program, forger, answers, answer):
    """Such a token may be good. 401 would make the caller discard it."""
    token = forge(forger, claims={"status": status(forger, 0, OTHER_LIST)})
    uri = forger.issuer + OTHER_LIST
    answers[OTHER_LIST] = (200, status_list(uri))
    program.accepts(forger, token, CLIENT)
    answers[OTHER_LIST] = OTHER_ANSWERS[answer] if answer in OTHER_ANSWERS else (200, status_list(uri, **UNUSABLE[answer]))
    program.refuses(forger, token, 503)


@pytest.mark.parametrize("path", [METADATA, "/jwks"])
@pytest.mark.parametrize("answer", [(500, ""), (200, "<html>"), (200, "{}"), (200, "null"), (200, "[]")], ids=str)
def test_a_token_is_503_while_the_keys_cannot_be_read(program, forger, answers, path, answer):
    answers[path] = answer
    program.refuses(forger, forge(forger), 503)


# What the documentation shows.


@pytest.mark.parametrize("page", ["docs/verify.md", "README.md"])
def test_code_in_the_documentation_is_code_that_runs(page):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    blocks = [(language, block) for language, block in blocks if language in FILES]
    assert page == "README.md" or {language for language, _ in blocks} == set(FILES)
    for language, block in blocks:
        files = [unindented(file.read_text()) for file in EXAMPLES.rglob("*" + source(language).suffix)]
        # A line with an ellipsis marks lines that are left out.
        for piece in block.split("…\n"):
            assert any(unindented(piece) in text for text in files), f"{language}: {piece}"


def unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
