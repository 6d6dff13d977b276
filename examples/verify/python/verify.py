"""Verifies Mintmark access tokens with PyJWT 2.10 or newer: pip install 'PyJWT[crypto]', then

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… python verify.py

The token must include PRODUCT (default gst). ALLOW_NEVER_EXPIRING=1 accepts tokens that never expire. CHECK_STATUS=0 does not
read status lists: a revoked token is then accepted until its `exp`. Services import `Verifier`: see ../frameworks.
"""

import base64
import json
import os
import sys
import threading
import time
import zlib
from http.client import HTTPException
from urllib.request import Request, urlopen

import jwt

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]
REQUIRED = ["iss", "aud", "sub", "iat", "jti", "client_id", "workspace_id", "products"]


class Refused(Exception):
    """The token is not valid. `status` and `headers` are those of the reply to the caller."""

    status, headers = 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class NotForProduct(Refused):
    """The token is valid, but does not include the product."""

    status, headers = 403, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class Unavailable(Refused):
    """The token cannot be checked: the keys or its status list cannot be fetched, or what was fetched cannot be used."""

    status, headers = 503, {"Retry-After": "5"}


class Keys(jwt.PyJWKClient):
    """The issuer's keys: kept for five minutes. For an unknown `kid` PyJWT 2.15 fetches them again, once in 30 seconds."""

    def get_jwk_set(self, refresh=False):
        try:
            return super().get_jwk_set(refresh)
        except (OSError, HTTPException, ValueError, jwt.PyJWTError) as error:
            raise Unavailable(f"the keys at {self.uri} cannot be read: {error}") from error


class Verifier:
    """Verifies tokens of one issuer for one audience. Create one per process: it caches keys and status lists."""

    def __init__(self, issuer, audience, allow_never_expiring=False, check_status=True):
        for name, value in [("issuer", issuer), ("audience", audience)]:
            if not value:
                raise ValueError(f"the {name} is missing")
        self.issuer, self.audience = issuer, audience
        self.allow_never_expiring, self.check_status = allow_never_expiring, check_status
        self.keys = None
        self.lists = {}  # by URI: until when the list is kept, and its bytes
        self.lock = threading.RLock()

    def verify(self, token, product):
        """The claims of a token that is valid and includes the product; any other raises `Refused`."""
        try:
            header, claims = self.decode(token, audience=self.audience, require=REQUIRED)
            self.check_kind(header, claims)
            if self.check_status and self.status(claims) != 0:
                raise Refused("it was revoked or suspended")
        except (jwt.PyJWTError, LookupError, TypeError, ValueError) as error:
            raise Refused(str(error)) from error
        if product not in claims["products"]:
            raise NotForProduct(f"it does not include {product}")
        return claims

    def check_kind(self, header, claims):
        never, endless = bool(claims.get("never_expires")), "exp" not in claims
        if (never and not self.allow_never_expiring) or (endless and not never):
            raise Refused("it never expires")
        typ = str(header.get("typ")).lower().removeprefix("application/")
        if typ != ("jwt" if endless else "at+jwt"):
            raise Refused("it is not an access token")
        if "cnf" in claims:
            raise Refused("it needs a proof that is not checked here")

    def status(self, claims):
        """0: valid, 1: revoked, 2: suspended."""
        place = claims["status"]["status_list"]
        uri, idx = place["uri"], place["idx"]
        if not uri.startswith(f"{self.issuer}/oauth2/status-lists/"):
            raise Refused("its status list is not one of the issuer's")
        with self.lock:
            kept_until, bits = self.lists.get(uri, (0, b""))
            if time.monotonic() >= kept_until:
                kept_until, bits = self.lists[uri] = self.read_list(uri)[:2]
        if not 0 <= idx < len(bits) * 4:
            raise Refused("its index is beyond the end of its status list")
        return bits[idx // 4] >> (idx % 4 * 2) & 3

    def read_list(self, uri):
        """Fetches a list, and returns until when it is kept, its bytes, and its `iat`."""
        started = time.monotonic()
        text = fetch(uri, "application/statuslist+jwt")
        try:
            header, claims = self.decode(text, require=["exp", "iat", "sub", "ttl", "status_list"])
            if header.get("typ") != "statuslist+jwt":
                raise ValueError(f"its typ is {header.get('typ')}")
            if claims["sub"] != uri:
                raise ValueError(f"it is the list of {claims['sub']}")
            packed = claims["status_list"]["lst"]
            bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
            # It is kept for its `ttl`, counted from the start of the fetch, but not past its `exp`.
            kept_until = started + min(claims["ttl"], claims["exp"] - time.time())
            if time.monotonic() >= kept_until:
                raise ValueError("it has expired")
        except (jwt.PyJWTError, LookupError, TypeError, ValueError, zlib.error) as error:
            # This says nothing about the token, so the answer is 503.
            raise Unavailable(f"its status list cannot be used: {error}") from error
        return kept_until, bits, claims["iat"]

    def decode(self, text, audience=None, require=()):
        """Header and claims of a JWT that was signed by a key of the issuer, with the algorithm that the key set names for it."""
        key = self.discover().get_signing_key_from_jwt(text)
        if key.algorithm_name not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError(key.algorithm_name)
        rules = {"algorithms": [key.algorithm_name], "audience": audience, "leeway": 5}
        if audience:
            rules["issuer"] = self.issuer
        whole = jwt.decode_complete(text, key, **rules, options={"require": list(require), "verify_aud": bool(audience)})
        return whole["header"], whole["payload"]

    def discover(self):
        """The issuer's keys. The metadata, which says where they are, is read once."""
        with self.lock:
            if not self.keys:
                text = fetch(f"{self.issuer}/.well-known/oauth-authorization-server", "application/json")
                try:
                    metadata = json.loads(text)
                    if metadata["issuer"] != self.issuer:
                        raise ValueError(f"it is that of {metadata['issuer']}")
                    self.keys = Keys(metadata["jwks_uri"], timeout=5)
                except (jwt.PyJWTError, LookupError, TypeError, ValueError) as error:
                    raise Unavailable(f"the metadata of {self.issuer} cannot be used: {error}") from error
            return self.keys


def fetch(url, media_type):
    """Gets a document from the issuer."""
    try:
        with urlopen(Request(url, headers={"Accept": media_type}), timeout=5) as reply:
            return reply.read().decode()
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"{url}: {error}") from error


def bearer(authorization):
    """The token of an `Authorization` header."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        missing = Refused("send Authorization: Bearer and an access token")
        missing.headers = {"WWW-Authenticate": "Bearer"}
        raise missing
    return token.strip()


SETTINGS = {
    "ISSUER": "the address of Mintmark, such as https://tokens.example.com",
    "AUDIENCE": "the audience of your product, such as https://api.example.com",
    "TOKEN": "the access token to verify",
}


def from_environment():
    """A verifier with the settings ISSUER, AUDIENCE, ALLOW_NEVER_EXPIRING and CHECK_STATUS."""
    for name in ["ISSUER", "AUDIENCE"]:
        if not os.environ.get(name):
            sys.exit(f"{name} is not set: it is {SETTINGS[name]}")
    return Verifier(
        os.environ["ISSUER"], os.environ["AUDIENCE"], os.environ.get("ALLOW_NEVER_EXPIRING") == "1", os.environ.get("CHECK_STATUS") != "0",
    )


def main():
    verifier = from_environment()
    if "TOKEN" not in os.environ:
        sys.exit(f"TOKEN is not set: it is {SETTINGS['TOKEN']}")
    try:
        claims = verifier.verify(os.environ["TOKEN"], os.environ.get("PRODUCT", "gst"))
    except Refused as refusal:
        sys.exit(f"refused: {refusal} (answer {refusal.status})")
    products = " ".join(claims["products"])
    print(f"client {claims['client_id']} of workspace {claims['workspace_id']}, products: {products}")


if __name__ == "__main__":
    main()
