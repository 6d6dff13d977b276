"""A Django service whose callers need the product gst. Copy ../python/verify.py into its folder, then

    pip install django 'PyJWT[crypto]'

    ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com python django_app.py runserver

In your own project, add `MintmarkMiddleware` to MIDDLEWARE, and put `requires` on the views.
"""

import sys
from functools import wraps

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import JsonResponse
from django.urls import path
from verify import Refused, bearer, from_environment

verifier = from_environment()


def requires(product):
    """Accepts requests whose token includes the product, and puts its claims into `request.claims`."""

    def guard(view):
        @wraps(view)
        def guarded(request, *arguments, **named):
            request.claims = verifier.verify(bearer(request.headers.get("Authorization")), product)
            return view(request, *arguments, **named)

        return guarded

    return guard


class MintmarkMiddleware:
    """Answers 401, 403 or 503 when a view refuses a token."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        if isinstance(error, Refused):
            return JsonResponse({"error": str(error)}, status=error.status, headers=error.headers)


@requires("gst")
def filings(request):
    return JsonResponse({"client_id": request.claims["client_id"]})


urlpatterns = [path("filings", filings)]

if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.MintmarkMiddleware"], ALLOWED_HOSTS=["127.0.0.1"])
    execute_from_command_line(sys.argv)
