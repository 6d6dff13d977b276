"""Creates the objects that the tests use, as any user does: with `bootstrap`, a token and the management API."""

import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from service import Service

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
WORKSPACE = "acme-in"
PRODUCTS = {"e-invoicing": "https://einvoicing.example.com", "gst": "https://gst.example.com"}


class Manager:
    """Calls the management API with a token of the client that `bootstrap` created."""

    def __init__(self, service: Service):
        self.issuer = service.issuer
        first = service.command("bootstrap", "--json")
        self.client_id = first["client_id"]
        self.client_secret = first["client_secret"]
        self.token_endpoint = first["token_endpoint"]
        self.token = self.fetch_token("mintmark:manage")

    def fetch_token(self, scope: str) -> str:
        """An access token for the management API."""
        credentials = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        request = urllib.request.Request(self.token_endpoint, form, {"Authorization": f"Basic {credentials}"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)["access_token"]

    def get(self, path: str) -> dict:
        """Reads JSON."""
        return self.call("GET", path, None, 200)

    def text(self, path: str) -> str:
        """Reads plain text."""
        request = urllib.request.Request(self.issuer + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read().decode()

    def post(self, path: str, body: dict) -> dict:
        """Creates an object; any other status than 201 is an error."""
        return self.call("POST", path, json.dumps(body).encode(), 201)

    def call(self, method: str, path: str, body: bytes | None, expected: int) -> dict:
        """A call; any other status than the expected one is an error that shows the reply."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.issuer + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                status, said = reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read().decode()
        if status != expected:
            raise RuntimeError(f"{method} {path}: {status} {said}")
        return json.loads(said)


def create_products(manager: Manager) -> None:
    """Two products with an audience each."""
    for product, audience in PRODUCTS.items():
        manager.post("/v1/products", {"product": product, "name": product, "audience": audience})


def create_workspace(manager: Manager, workspace_id: str) -> None:
    """A workspace whose clients may be granted every product."""
    manager.post("/v1/workspaces", {"workspace_id": workspace_id, "name": workspace_id})


def create_keys(manager: Manager) -> list[dict]:
    """Signing keys for expiring and for never-expiring tokens: EdDSA keys that the service generates, imported RS256 keys."""
    made = []
    for use_for in ["expiring", "never_expiring"]:
        made.append(manager.post("/v1/signing-keys", {"alg": "EdDSA", "use_for": use_for}))
        made.append(manager.post("/v1/signing-keys", {"alg": "RS256", "use_for": use_for, "private_key_pem": rsa_key()}))
    return made


def rsa_key() -> str:
    """A new RSA key, generated as an operator would."""
    command = ["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def create_client(manager: Manager, workspace_id: str, alg: str, expiry: dict) -> dict:
    """An API client with one product, so that its tokens have one audience."""
    return manager.post(f"/v1/workspaces/{workspace_id}/api-clients", {
        "label": f"{alg} {expiry['mode']}", "products": ["gst"], "signing_alg": alg, "token_expiry": expiry,
    })
