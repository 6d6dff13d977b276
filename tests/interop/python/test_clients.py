"""OAuth clients from PyPI get tokens, with client_secret_basic and client_secret_post."""

import base64

import jwt
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session


def check(cell: dict, reply: dict) -> None:
    """Checks that the reply has a token of this client, with the expected scope and lifetime."""
    claims = jwt.decode(reply["access_token"], options={"verify_signature": False})
    assert claims["sub"] == cell["client_id"]
    assert claims["workspace_id"] == cell["workspace_id"]
    assert reply["token_type"] == "Bearer"
    # oauthlib turns the scope into a list.
    assert "".join(reply["scope"]) == cell["scope"]
    # For a token that never expires, the reply says one year.
    assert reply["expires_in"] == (3600 if cell["kind"] == "normal" else 31536000)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token(cell, metadata, method):
    session = AuthlibSession(cell["client_id"], cell["client_secret"], scope=cell["scope"], token_endpoint_auth_method=method)
    check(cell, session.fetch_token(metadata(cell)["token_endpoint"], grant_type="client_credentials"))


def test_requests_oauthlib_gets_a_token_with_basic(cell, metadata):
    session = OAuth2Session(client=BackendApplicationClient(cell["client_id"], scope=cell["scope"]))
    auth = HTTPBasicAuth(cell["client_id"], cell["client_secret"])
    check(cell, session.fetch_token(metadata(cell)["token_endpoint"], auth=auth))


def test_requests_oauthlib_gets_a_token_with_basic_and_the_client_id_in_the_body(cell, metadata):
    session = OAuth2Session(client=BackendApplicationClient(cell["client_id"], scope=cell["scope"]))
    auth = HTTPBasicAuth(cell["client_id"], cell["client_secret"])
    check(cell, session.fetch_token(metadata(cell)["token_endpoint"], auth=auth, include_client_id=True))


def test_requests_oauthlib_gets_a_token_with_post(cell, metadata):
    session = OAuth2Session(client=BackendApplicationClient(cell["client_id"], scope=cell["scope"]))
    check(cell, session.fetch_token(
        metadata(cell)["token_endpoint"], client_secret=cell["client_secret"], include_client_id=True, auth=None, force_querystring=False,
    ))


def test_a_wrong_secret_is_invalid_client_to_a_library(cells, metadata):
    cell = cells[0]
    session = OAuth2Session(client=BackendApplicationClient(cell["client_id"]))
    with pytest.raises(InvalidClientError):
        session.fetch_token(metadata(cell)["token_endpoint"], auth=HTTPBasicAuth(cell["client_id"], cells[1]["client_secret"]))


# RFC 6749 appendix B allows percent-encoding of any character, with hexadecimal digits in upper or lower case.
ENCODINGS = {
    "raw": lambda text: text,
    "all encoded, upper-case digits": lambda text: "".join(f"%{ord(letter):02X}" for letter in text),
    "all encoded, lower-case digits": lambda text: "".join(f"%{ord(letter):02x}" for letter in text),
    "every second encoded": lambda text: "".join(f"%{ord(letter):02X}" if place % 2 else letter for place, letter in enumerate(text)),
    "punctuation encoded": lambda text: text.replace("_", "%5F").replace("-", "%2d"),
}


@pytest.fixture(params=ENCODINGS.values(), ids=ENCODINGS.keys())
def encode(request):
    return request.param


def test_basic_accepts_every_encoding_of_every_character(cell, metadata, encode):
    credentials = base64.b64encode(f"{encode(cell['client_id'])}:{encode(cell['client_secret'])}".encode()).decode()
    reply = requests.post(
        metadata(cell)["token_endpoint"], data="grant_type=client_credentials", timeout=30,
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert reply.status_code == 200, reply.text
    check(cell, reply.json())


def test_post_accepts_every_encoding_of_every_character(cell, metadata, encode):
    form = {"grant_type": "client_credentials", "client_id": cell["client_id"], "client_secret": cell["client_secret"], "scope": cell["scope"]}
    reply = requests.post(
        metadata(cell)["token_endpoint"], data="&".join(f"{encode(name)}={encode(value)}" for name, value in form.items()),
        headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=30,
    )
    assert reply.status_code == 200, reply.text
    check(cell, reply.json())


def test_the_credentials_contain_almost_every_possible_character_and_no_other(cells):
    letters = set("".join(cell["client_id"] + cell["client_secret"] for cell in cells))
    possible = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
    # About 640 random characters lack one in one run of 500, and three in practically none.
    assert letters <= possible and len(possible - letters) < 3
