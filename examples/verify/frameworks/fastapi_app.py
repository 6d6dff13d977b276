"""A FastAPI service whose callers need the product gst. Copy ../python/verify.py into its folder, then

    pip install fastapi uvicorn 'PyJWT[crypto]'

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com uvicorn fastapi_app:app
"""

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from verify import Refused, bearer, from_environment

app = FastAPI()
verifier = from_environment()


def requires(product: str):
    """The claims of the token, if it includes the product. Not `async`, so that fetching keys does not block other requests."""

    def claims(request: Request) -> dict:
        return verifier.verify(bearer(request.headers.get("Authorization")), product)

    return Depends(claims)


@app.exception_handler(Refused)
async def refuse(request: Request, refusal: Refused) -> JSONResponse:
    """Answers with 401, 403 or 503."""
    return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)


@app.get("/filings")
def filings(claims: dict = requires("gst")):
    return {"client_id": claims["client_id"]}
