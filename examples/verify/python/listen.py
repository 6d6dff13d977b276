"""Receives the webhooks of Mintmark, so that a revoked token is refused within three seconds: pip install 'PyJWT[crypto]', then

    ISSUER=… AUDIENCE=… WEBHOOK_KEY=whpk_… python listen.py

Create a webhook for the event `status_list.changed`, with the https URL that your proxy passes on to http://HOST:PORT/
(default 127.0.0.1:8091). GET / with `Authorization: Bearer TOKEN` answers whether a token is valid for PRODUCT (default gst),
as a service would. WEBHOOK_KEY is the webhook's `public_key`, or its `signing_secret` (whsec_…).
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from verify import Refused, Unavailable, bearer, from_environment

# Larger than any event that Mintmark sends.
BODY_MAX = 65_536


def is_genuine(key, headers, body):
    """Whether Mintmark signed this request, within five minutes of now. The signature follows Standard Webhooks 1.0.0."""
    webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > 300:
        return False
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    kind, _, encoded = key.partition("_")
    key = base64.b64decode(encoded)
    for one in (headers["webhook-signature"] or "").split(" "):
        version, _, encoded = one.partition(",")
        signature = base64.b64decode(encoded)
        if (kind, version) == ("whsec", "v1") and hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), signature):
            return True
        if (kind, version) == ("whpk", "v1a"):
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
                return True
            except InvalidSignature:
                pass
    return False


def changed(verifier, uri, changed_at):
    """Fetches a cached list again. If that fails, or the list was signed before `changed_at`, once more after two seconds."""
    with verifier.lock:
        if uri not in verifier.lists:
            return
    since = datetime.fromisoformat(changed_at.replace("Z", "+00:00")).timestamp()
    for pause in [0, 2]:
        time.sleep(pause)
        try:
            kept_until, bits, signed_at = verifier.read_list(uri)
        except Unavailable:
            continue
        with verifier.lock:
            # Another event may have fetched a newer one meanwhile.
            if kept_until > verifier.lists[uri][0]:
                verifier.lists[uri] = (kept_until, bits)
        if signed_at >= since:
            return


class Listener(BaseHTTPRequestHandler):
    """A POST is a webhook, a GET asks whether a token is valid."""

    verifier, key, product = None, "", "gst"

    def do_POST(self):
        length = self.headers["content-length"] or ""
        if not length.isdecimal() or int(length) > BODY_MAX:
            self.close_connection = True
            return self.answer(413, f"send a body of at most {BODY_MAX} bytes, with Content-Length")
        body = self.rfile.read(int(length))
        try:
            genuine = is_genuine(self.key, self.headers, body)
        except (TypeError, ValueError):
            genuine = False
        if not genuine:
            return self.answer(401, "it was not signed with the keys of the webhook, or not within five minutes of now")
        # The answer does not wait for the list.
        self.answer(200, "")
        event = json.loads(body)
        if event["type"] == "status_list.changed":
            threading.Thread(target=changed, args=[self.verifier, event["data"]["uri"], event["data"]["changed_at"]], daemon=True).start()

    def do_GET(self):
        try:
            claims = self.verifier.verify(bearer(self.headers["authorization"]), self.product)
        except Refused as refused:
            return self.answer(refused.status, str(refused), refused.headers)
        self.answer(200, claims["client_id"])

    def answer(self, status, text, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main():
    Listener.verifier = from_environment()
    Listener.key = os.environ.get("WEBHOOK_KEY") or sys.exit("WEBHOOK_KEY is not set: it is the public_key or the signing_secret of the webhook")
    Listener.product = os.environ.get("PRODUCT", "gst")
    server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8091"))), Listener)
    print(f"listening on {server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
