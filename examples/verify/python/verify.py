"""Verifies a Mintmark access token with PyJWT 2.10 or newer: pip install 'PyJWT[crypto]', then

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com TOKEN=… python verify.py

PRODUCT (default gst) is what the token has to open. ALLOW_NEVER_EXPIRING=1 accepts tokens that have no end.
"""

import json
import os
import sys
from urllib.request import urlopen

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


def main() -> None:
    issuer, audience, token = (os.environ[name] for name in ["ISSUER", "AUDIENCE", "TOKEN"])
    product, never = os.environ.get("PRODUCT", "gst"), os.environ.get("ALLOW_NEVER_EXPIRING") == "1"
    try:
        claims = verify(token, discover(issuer), issuer, audience, product, never)
    except (jwt.PyJWTError, OSError, ValueError) as refusal:
        sys.exit(f"refused: {refusal}")
    products = " ".join(claims["products"])
    print(f"client {claims['client_id']} of workspace {claims['workspace_id']}, products: {products}")


if __name__ == "__main__":
    main()
