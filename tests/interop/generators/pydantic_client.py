"""Creates an API client and gets a token, with the client that openapi-generator generates for Python."""

import os

import openapi_client
from openapi_client import ApiClientCreate, APIClientsApi, TokenExpiryOrDefault, TokensApi

settings = openapi_client.Configuration(host=os.environ["MINTMARK_URL"])
with openapi_client.ApiClient(settings) as api:
    tokens = TokensApi(api)
    admin = tokens.request_token(
        "client_credentials", scope="mintmark:manage",
        client_id=os.environ["MINTMARK_CLIENT_ID"], client_secret=os.environ["MINTMARK_CLIENT_SECRET"],
    )

    settings.access_token = admin.access_token
    wanted = ApiClientCreate(label="Made in Python", products=["gst"], token_expiry=TokenExpiryOrDefault(mode="after", seconds=900))
    made = APIClientsApi(api).create_api_client("acme-in", wanted)

    token = tokens.request_token("client_credentials", client_id=made.client_id, client_secret=made.client_secret)
    print(made.client_id, token.expires_in, token.access_token)

    try:
        # The generated client does not validate a copy, so the request reaches the service, which refuses it.
        APIClientsApi(api).create_api_client("acme-in", wanted.model_copy(update={"label": ""}))
    except openapi_client.ApiException as refusal:
        print(refusal.status, refusal.body)
