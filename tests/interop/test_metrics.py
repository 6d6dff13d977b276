"""The metrics of a service that has issued, refused, verified and revoked tokens, as Prometheus' own `promtool check metrics`
reads them.

`run.py forward-auth sqlite -- pytest tests/interop/test_metrics.py`
"""

import json
import os
import subprocess
from pathlib import Path

import requests

WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())


def use_the_service() -> None:
    """Sends requests of several kinds, so that metrics with labels have values."""
    for client in WORLD["clients"].values():
        as_client = (client["client_id"], client["client_secret"])
        ask = lambda path, data: requests.post(WORLD["issuer"] + path, data=data, auth=as_client, timeout=10)  # noqa: E731
        issued = ask("/oauth2/token", {"grant_type": "client_credentials"})
        assert issued.status_code == 200, issued.text
        token = issued.json()["access_token"]
        assert ask("/oauth2/token", {"grant_type": "password"}).status_code == 400
        answer = requests.get(WORLD["issuer"] + "/oauth2/verify", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert answer.status_code == 200, answer.text
        assert ask("/oauth2/revoke", {"token": token}).status_code == 200
        wrong = (client["client_id"], client["client_secret"][:-1])
        assert requests.post(WORLD["issuer"] + "/oauth2/token", data={"grant_type": "client_credentials"}, auth=wrong, timeout=10).status_code == 401


def check(text: str) -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)


def test_promtool_finds_no_problem():
    use_the_service()
    reply = requests.get(WORLD["issuer"] + "/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}, timeout=10)
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4"), reply.headers
    assert "mintmark_recorded_tokens_total" in reply.text
    done = check(reply.text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_reports_a_wrong_metric():
    # By convention, times are in seconds.
    assert check("# HELP mintmark_wait_milliseconds Wait.\n# TYPE mintmark_wait_milliseconds gauge\nmintmark_wait_milliseconds 1\n").returncode != 0
