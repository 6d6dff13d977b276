"""A Flask service whose callers need the product gst. Copy ../python/verify.py into its folder, then

    pip install flask 'PyJWT[crypto]'

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com flask --app flask_app run
"""

from functools import wraps

from flask import Flask, g, request
from verify import Refused, bearer, from_environment

app = Flask(__name__)
verifier = from_environment()


def requires(product):
    """Accepts requests whose token includes the product, and puts its claims into `g.claims`."""

    def guard(view):
        @wraps(view)
        def guarded(*arguments, **named):
            g.claims = verifier.verify(bearer(request.headers.get("Authorization")), product)
            return view(*arguments, **named)

        return guarded

    return guard


@app.errorhandler(Refused)
def refuse(refusal):
    """Answers with 401, 403 or 503."""
    return {"error": str(refusal)}, refusal.status, refusal.headers


@app.get("/filings")
@requires("gst")
def filings():
    return {"client_id": g.claims["client_id"]}
