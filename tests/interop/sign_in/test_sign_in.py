"""Operators sign in to the console with a real OpenID Connect provider, in a browser without JavaScript."""

import json
import os
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())
ORIGIN = WORLD["issuer"]


class Browser:
    """Follows redirects and links, and sends forms."""

    def __init__(self):
        self.http = httpx.Client(follow_redirects=False, timeout=30)
        self.visited: list[str] = []

    def open(self, url: str, data: dict | None = None) -> httpx.Response:
        reply = self.http.request("POST" if data is not None else "GET", url, data=data, headers={"Origin": origin_of(url)} if data else {})
        for _ in range(12):
            self.visited.append(str(reply.url))
            if not reply.has_redirect_location:
                return reply
            reply = self.http.get(urljoin(str(reply.url), reply.headers["Location"]))
        raise AssertionError(f"too many redirects: {self.visited}")

    def send(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """Sends the first form of a page."""
        form = re.search(r"<form\b(.*?)>(.*?)</form>", page.text, re.S)
        assert form, page.text
        action = re.search(r'action="(.*?)"', form[1])[1]
        hidden = re.findall(r'<input type="hidden" name="(.*?)" value="(.*?)"', form[2])
        values = {name: unescape(value) for name, value in hidden} | fields
        return self.open(urljoin(str(page.url), unescape(action)), values)

    def sign_in(self, provider: str, page: httpx.Response, words: str) -> httpx.Response:
        """Follows the link with these words, signs in at the provider and comes back."""
        link = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{words} {provider}</a>', page.text)
        assert link, page.text
        page = self.open(urljoin(str(page.url), unescape(link[1])))
        if origin_of(str(page.url)) != ORIGIN and 'name="login"' in page.text:
            page = self.send(page, login="u1", password="any")
        if origin_of(str(page.url)) != ORIGIN:
            page = self.send(page)
        assert origin_of(str(page.url)) == ORIGIN, page.text
        return page


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def begin(browser: Browser) -> httpx.Response:
    return browser.open(f"{ORIGIN}/console/sign-in?next=/console/account")


@pytest.mark.parametrize("provider", ["rs256", "ps256", "es256", "eddsa"])
def test_an_operator_signs_in_with_every_algorithm_of_id_tokens(provider: str):
    browser = Browser()
    page = browser.sign_in(provider, begin(browser), "Sign in with")
    assert page.url.path == "/console/account", page.text
    assert "Ada" in page.text and "ada@example.com" in page.text and "roles set by" in page.text
    back = next(url for url in browser.visited if "/callback?" in url)
    query = parse_qs(urlsplit(back).query)
    assert query["iss"] == [WORLD["provider"]], "this provider names itself in its reply (RFC 9207)"
    # The callback URL works only once.
    again = browser.http.get(back)
    assert again.status_code == 400 and "This sign-in is over" in again.text
    # It works in no other browser.
    assert Browser().http.get(back).status_code == 400


def test_a_refusal_at_the_provider_is_shown():
    browser = Browser()
    page = browser.open(f"{ORIGIN}/console/sign-in/oidc/rs256")
    abort = re.search(r'href="([^"]*/abort)"', page.text)
    page = browser.open(urljoin(str(page.url), abort[1]))
    assert page.status_code == 403 and "rs256 says: access_denied" in page.text, page.text


def test_a_code_of_another_client_is_refused():
    """The provider accepts a code only from the client for which it was issued, with the code verifier of that sign-in."""
    browser = Browser()
    location = browser.http.get(f"{ORIGIN}/console/sign-in/oidc/rs256").headers["Location"]
    state = parse_qs(urlsplit(location).query)["state"][0]
    other = Browser()
    page = other.open(f"{ORIGIN}/console/sign-in/oidc/es256")
    page = other.send(page, login="u1", password="any")
    if origin_of(str(page.url)) != ORIGIN:
        page = other.send(page)
    used = next(url for url in other.visited if "/callback?" in url)
    query = parse_qs(urlsplit(used).query)
    reply = browser.http.get(f"{ORIGIN}/console/sign-in/oidc/rs256/callback", params={"code": query["code"][0], "state": state, "iss": query["iss"][0]})
    assert reply.status_code == 403 and "It refused the token request (invalid_grant)" in reply.text, reply.text
