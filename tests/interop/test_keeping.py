"""How long the verifiers of examples/verify, except the one in Rust, keep keys and status lists: in one process whose clock is
moved. `run.py examples sqlite -- pytest tests/interop/test_keeping.py`
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_examples import EXAMPLES, METADATA, OTHER_LIST, ROOT, STATUS_LIST, Forger, answers, forge, forger, status, status_list  # noqa: F401

STEPS = ROOT / "tests/interop/frameworks"


def build(language: str, folder: Path) -> list:
    if language == "python":
        return [sys.executable, STEPS / "step.py"]
    if language == "node":
        (folder / "node_modules").symlink_to(ROOT / "tests/interop/node_modules")
        for part in [EXAMPLES / "node/verify.mjs", STEPS / "step.mjs"]:
            (folder / part.parent.name).mkdir()
            shutil.copy(part, folder / part.parent.name)
        return ["node", folder / "frameworks/step.mjs"]
    if language == "java":
        subprocess.run(["javac", "-d", folder, EXAMPLES / "java/Verify.java", STEPS / "Step.java"], check=True)
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", folder, "Step"]
    shutil.copytree(EXAMPLES / "go", folder / "go")
    shutil.copy(STEPS / "step_test.go", folder / "go")
    subprocess.run(["go", "test", "-c", "-o", folder / "step", "."], cwd=folder / "go", check=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    return [folder / "step"]


class Process:
    """A verifier in a process that keeps running."""

    def __init__(self, command: list, by: Forger):
        environment = {**os.environ, "ISSUER": by.issuer, "AUDIENCE": by.audience, "PYTHONPATH": str(EXAMPLES / "python")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(list(map(str, command)), env=environment, **pipes)

    def answer(self, token: str) -> int:
        self.say(token)
        return int(self.process.stdout.readline())

    def let_pass(self, seconds: int) -> None:
        self.say(f"+{seconds}")

    def say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(params=["python", "node", "java", "go"])
def process(request, tmp_path, forger):
    forger.asked.clear()
    process = Process(build(request.param, tmp_path), forger)
    yield process
    process.end()


def test_a_list_is_kept_for_its_ttl(process, forger):
    # Its ttl is 60 seconds. In each step, time passes; then the list has been fetched this many times.
    for seconds, times in [(0, 1), (50, 1), (15, 2), (50, 2), (15, 3)]:
        process.let_pass(seconds)
        assert process.answer(forge(forger)) == 200
        assert process.answer(forge(forger, claims={"status": status(forger, 1)})) == 401
        assert forger.asked[STATUS_LIST] == times


def test_a_list_is_not_kept_past_its_exp_and_a_failure_is_not_kept(process, forger, answers):
    uri, token = forger.issuer + OTHER_LIST, forge(forger, claims={"status": status(forger, 0, OTHER_LIST)})
    answers[OTHER_LIST] = (200, status_list(uri, seconds=30))
    for seconds, status_code, times in [(0, 200, 1), (20, 200, 1), (15, 503, 2), (0, 503, 3)]:
        process.let_pass(seconds)
        assert process.answer(token) == status_code
        assert forger.asked[OTHER_LIST] == times
    answers[OTHER_LIST] = (200, status_list(uri))
    assert process.answer(token) == 200
    assert forger.asked[OTHER_LIST] == 4


def test_a_new_key_is_found_and_one_that_was_withdrawn_is_dropped(process, forger):
    assert process.answer(forge(forger)) == 200
    assert forger.asked["/jwks"] == 1
    new = forge(forger, {"kid": "new"})
    forger.published.append({**forger.published[0], "kid": "new"})
    # For 30 seconds after a fetch there is no other, however many unknown keys the tokens name.
    for _ in range(3):
        assert process.answer(new) == 401
    assert forger.asked["/jwks"] == 1
    process.let_pass(40)
    assert process.answer(new) == 200
    assert forger.asked["/jwks"] == 2
    withdrawn = forger.published.pop()
    assert withdrawn["kid"] == "new"
    assert process.answer(new) == 200
    # Keys are kept for five minutes.
    process.let_pass(310)
    assert process.answer(new) == 401
    assert process.answer(forge(forger)) == 200
    # The metadata is read once per process, or together with the keys.
    assert forger.asked[METADATA] <= forger.asked["/jwks"]


# The Python and Node verifiers read the metadata only once, so they do not notice that it fails.
@pytest.mark.parametrize("process", ["java", "go"], indirect=True)
def test_while_keys_cannot_be_fetched_tokens_with_unknown_keys_do_not_cause_a_fetch_each_time(process, forger):
    assert process.answer(forge(forger)) == 200
    assert forger.asked[METADATA] == 1
    process.let_pass(40)
    forger.failing.add(METADATA)
    try:
        for _ in range(3):
            assert process.answer(forge(forger, {"kid": "new"})) == 503
        assert forger.asked[METADATA] == 2
        assert process.answer(forge(forger)) == 200
    finally:
        forger.failing.clear()
    # A second after a failed fetch, the next one is made.
    process.let_pass(2)
    assert process.answer(forge(forger, {"kid": "new"})) == 401
    assert forger.asked[METADATA] == 3
