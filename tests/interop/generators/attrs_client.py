"""Creates an API client and gets a token, with the client that openapi-python-client generates."""

import json
import os

from mintmark_client import AuthenticatedClient, Client
from mintmark_client.api.api_clients import create_api_client
from mintmark_client.api.tokens import request_token
from mintmark_client.models import (
    ApiClientCreate, ApiClientCreated, Problem, TokenExpiryOrDefaultType0, TokenExpiryOrDefaultType0Mode, TokenRequest,
    TokenRequestGrantType, TokenResponse,
)

url = os.environ["MINTMARK_URL"]
asking = Client(url)


def fetch_token(**more: str) -> TokenResponse:
    """Gets a token, or raises an error with the reason."""
    reply = request_token.sync(client=asking, body=TokenRequest(TokenRequestGrantType.CLIENT_CREDENTIALS, **more))
    assert isinstance(reply, TokenResponse), reply
    return reply


admin = fetch_token(scope="mintmark:manage", client_id=os.environ["MINTMARK_CLIENT_ID"], client_secret=os.environ["MINTMARK_CLIENT_SECRET"])
managing = AuthenticatedClient(url, admin.access_token)
expiry = TokenExpiryOrDefaultType0(TokenExpiryOrDefaultType0Mode.AFTER, 900)
wanted = ApiClientCreate(label="Made in Python", products=["gst"], token_expiry=expiry)
made = create_api_client.sync("acme-in", client=managing, body=wanted)
assert isinstance(made, ApiClientCreated), made

token = fetch_token(client_id=made.client_id, client_secret=made.client_secret)
print(made.client_id, token.expires_in, token.access_token)

wanted.label = ""
refusal = create_api_client.sync("acme-in", client=managing, body=wanted)
assert isinstance(refusal, Problem), refusal
print(refusal.status, json.dumps(refusal.to_dict()))
