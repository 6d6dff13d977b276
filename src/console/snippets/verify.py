# pip install 'PyJWT[crypto]'
import os
import sys

import jwt

ISSUER = "https://tokens.example.com"
KEYS = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json", cache_jwk_set=True, lifespan=300)


def verify(token, audience, product):
    """The claims of a token that is valid and opens the product."""
    claims = jwt.decode(
        token,
        KEYS.get_signing_key_from_jwt(token),
        algorithms=["ES256", "EdDSA", "RS256", "PS256"],
        issuer=ISSUER,
        audience=audience,
        options={"require": ["iss", "aud", "iat", "jti", "client_id", "workspace_id", "products"]},
    )
    if "cnf" in claims:
        raise jwt.InvalidTokenError("it is bound to a key, and nothing here checks that")
    if product not in claims["products"]:
        raise jwt.InvalidTokenError(f"it does not open {product}")
    return claims


try:
    claims = verify(os.environ["TOKEN"], os.environ["AUDIENCE"], os.environ["PRODUCT"])
    print(f"valid: client {claims['client_id']} of workspace {claims['workspace_id']}")
except jwt.PyJWTError as refused:
    sys.exit(f"refused: {refused}")
