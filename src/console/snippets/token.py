import base64
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

credentials = f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}"
request = urllib.request.Request(
    "https://tokens.example.com/oauth2/token",
    data=urllib.parse.urlencode({"grant_type": "client_credentials"}).encode(),
    headers={"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()},
)
try:
    with urllib.request.urlopen(request, timeout=30) as reply:
        print(json.load(reply)["access_token"])
except urllib.error.HTTPError as refused:
    sys.exit(f"{refused.code}: {refused.read().decode()} ({refused.headers['X-Request-Id']})")
