"""Fixtures of the Python tests: the services that run.py describes, and the comparison of verdicts with the expected ones."""

import json
import os
from pathlib import Path

import pytest
import requests

WORLD = json.loads(Path(os.environ["MINTMARK_WORLD"]).read_text())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `cell` runs once for each cell of matrix.py."""
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", WORLD["cells"].values(), ids=WORLD["cells"].keys())


@pytest.fixture(scope="session")
def cells() -> list[dict]:
    """All clients, one for each cell of matrix.py."""
    return list(WORLD["cells"].values())


@pytest.fixture(scope="session")
def metadata():
    """Reads the RFC 8414 metadata of an issuer, at the path where OAuth clients look for it."""
    def read(cell: dict) -> dict:
        reply = requests.get(cell["issuer"] + "/.well-known/oauth-authorization-server", timeout=30)
        reply.raise_for_status()
        assert reply.json()["issuer"] == cell["issuer"]
        return reply.json()
    return read


@pytest.fixture(scope="session")
def judge():
    """Compares the verdict of a library on a token with the expected one, and records it for the table of matrix.py."""
    def compare(library: str, cell: dict, verify) -> None:
        try:
            claims = verify()
            assert claims["client_id"] == cell["client_id"] and claims["products"] == ["gst"], claims
            assert ("exp" in claims) == (cell["kind"] != "omit"), claims
            assert claims.get("never_expires", False) == (cell["kind"] != "normal"), claims
            verdict = "accepts"
        except AssertionError:
            raise
        except Exception as refusal:
            verdict = f"refuses: {refusal.__class__.__name__} {refusal} {refusal.__cause__ or ''}".rstrip()
        name = f"{cell['alg']} {cell['kind']}"
        with open(os.environ["MINTMARK_VERDICTS"], "a") as verdicts:
            verdicts.write(f"{library}\t{name}\t{verdict}\n")
        expected, _, because = WORLD["expected"][library][name].partition(": ")
        assert verdict.startswith(expected) and because in verdict, verdict
    return compare
