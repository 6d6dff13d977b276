"""JWT libraries from PyPI verify tokens with their default options and the keys found through the metadata."""

import jwt
import pytest
import requests
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry


@pytest.fixture
def token(cell, metadata) -> str:
    auth = (cell["client_id"], cell["client_secret"])
    reply = requests.post(metadata(cell)["token_endpoint"], auth=auth, data={"grant_type": "client_credentials"}, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()["access_token"]


@pytest.fixture
def jwks(cell, metadata) -> dict:
    return requests.get(metadata(cell)["jwks_uri"], timeout=30).json()


def test_pyjwt_gives_the_expected_verdict(cell, metadata, token, judge):
    keys = jwt.PyJWKClient(metadata(cell)["jwks_uri"])

    def verify():
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=[cell["alg"]], audience=cell["audience"], issuer=cell["issuer"])

    judge("PyJWT", cell, verify)


def test_joserfc_gives_the_expected_verdict(cell, jwks, token, judge):
    keys = KeySet.import_key_set(jwks)

    def verify():
        decoded = joserfc_jwt.decode(token, keys, algorithms=[cell["alg"]])
        rules = JWTClaimsRegistry(iss={"essential": True, "value": cell["issuer"]}, aud={"essential": True, "value": cell["audience"]})
        rules.validate(decoded.claims)
        return decoded.claims

    judge("joserfc", cell, verify)


def test_authlib_gives_the_expected_verdict(cell, jwks, token, judge):
    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return jwks

    def verify():
        validator = Validator(cell["issuer"], cell["audience"])
        claims = validator.authenticate_token(token)
        validator.validate_token(claims, [cell["scope"]], None)
        return claims

    judge("Authlib, RFC 9068", cell, verify)


def test_a_library_refuses_the_token_of_another_audience(cells, metadata):
    cell = cells[0]
    data = {"grant_type": "client_credentials"}
    auth = (cell["client_id"], cell["client_secret"])
    token = requests.post(metadata(cell)["token_endpoint"], auth=auth, data=data, timeout=30).json()["access_token"]
    key = jwt.PyJWKClient(metadata(cell)["jwks_uri"]).get_signing_key_from_jwt(token)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=[cell["alg"]], audience="https://e-invoicing.example.com", issuer=cell["issuer"])


def test_the_metadata_is_the_same_where_openid_clients_look(cell, metadata):
    reply = requests.get(cell["issuer"] + "/.well-known/openid-configuration", timeout=30)
    # The only difference is the members that parsers of OpenID Connect Discovery require.
    required = {"response_types_supported": ["none"], "subject_types_supported": ["public"]}
    assert reply.json() == metadata(cell) | required
    # Some verifiers take these for the list of algorithms of access tokens.
    assert not [name for name in reply.json() if name.startswith("id_token_")]
