"""Verifies a Mintmark access token with PyJWT 2.10 or newer: pip install 'PyJWT[crypto]', then

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… python verify.py

PRODUCT (default gst) is what the token has to open. ALLOW_NEVER_EXPIRING=1 accepts tokens that have no end. CHECK_STATUS=1
asks the status list that the token names whether it was revoked.
"""

import base64
import json
import os
import sys
import zlib
from urllib.request import Request, urlopen

import jwt

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]
REQUIRED = ["iss", "aud", "sub", "iat", "jti", "client_id", "workspace_id", "products"]


def discover(issuer: str) -> jwt.PyJWKClient:
    """The issuer's keys. Make one per process: it keeps them for five minutes, and looks again for an unknown `kid`."""
    with urlopen(f"{issuer}/.well-known/oauth-authorization-server", timeout=5) as reply:
        metadata = json.load(reply)
    if metadata["issuer"] != issuer:
        raise ValueError(f"asked {issuer}, but the metadata is that of {metadata['issuer']}")
    return jwt.PyJWKClient(metadata["jwks_uri"], timeout=5)


def verify(token, keys, issuer, audience, product, allow_never_expiring=False):
    key = keys.get_signing_key_from_jwt(token)
    if key.algorithm_name not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError(key.algorithm_name)
    rules = {"algorithms": [key.algorithm_name], "issuer": issuer, "audience": audience, "leeway": 5}
    whole = jwt.decode_complete(token, key, **rules, options={"require": REQUIRED})
    claims = whole["payload"]
    check_kind(whole["header"], claims, allow_never_expiring)
    if product not in claims["products"]:
        raise PermissionError(f"it does not open {product}")
    return claims


def check_kind(header, claims, allow_never_expiring):
    never, endless = bool(claims.get("never_expires")), "exp" not in claims
    if (never and not allow_never_expiring) or (endless and not never):
        raise jwt.InvalidTokenError("it never expires")
    typ = str(header.get("typ")).lower().removeprefix("application/")
    if typ != ("jwt" if endless else "at+jwt"):
        raise jwt.InvalidTokenError("it is no access token")
    if "cnf" in claims:
        raise jwt.InvalidTokenError("it needs a proof that is not checked here")


def status(claims, keys, issuer):
    """0: valid, 1: revoked, 2: suspended. A service keeps each list for its `ttl`, counted from the start of the fetch."""
    place = claims["status"]["status_list"]
    if not place["uri"].startswith(f"{issuer}/"):
        raise jwt.InvalidTokenError("its status list is elsewhere")
    request = Request(place["uri"], headers={"Accept": "application/statuslist+jwt"})
    with urlopen(request, timeout=5) as reply:
        text = reply.read().decode()
    key = keys.get_signing_key_from_jwt(text)
    if key.algorithm_name not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError(key.algorithm_name)
    whole = jwt.decode_complete(text, key, algorithms=[key.algorithm_name], options={"require": ["exp", "iat", "sub"]})
    if whole["header"]["typ"] != "statuslist+jwt" or whole["payload"]["sub"] != place["uri"]:
        raise jwt.InvalidTokenError("this is not its status list")
    packed = whole["payload"]["status_list"]["lst"]
    bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return bits[place["idx"] // 4] >> (place["idx"] % 4 * 2) & 3


def main() -> None:
    issuer, audience, token = (os.environ[name] for name in ["ISSUER", "AUDIENCE", "TOKEN"])
    product, never = os.environ.get("PRODUCT", "gst"), os.environ.get("ALLOW_NEVER_EXPIRING") == "1"
    try:
        keys = discover(issuer)
        claims = verify(token, keys, issuer, audience, product, never)
        if os.environ.get("CHECK_STATUS") == "1" and status(claims, keys, issuer) != 0:
            raise jwt.InvalidTokenError("it was revoked or suspended")
    except (jwt.PyJWTError, LookupError, OSError, ValueError) as refusal:
        sys.exit(f"refused: {refusal}")
    products = " ".join(claims["products"])
    print(f"client {claims['client_id']} of workspace {claims['workspace_id']}, products: {products}")


if __name__ == "__main__":
    main()
