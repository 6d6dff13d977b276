"""Runs README.md as a reader does: every `sh` block as printed, in order, pasted into one fresh bash in an empty folder.

    readme.py blocks    each block exits with 0, and prints what the `text` block after it shows (`…` is any text);
                        `quickstart` prints what the README shows; the links of all pages work
    readme.py race      `serve` and `bootstrap`, started together in an empty folder, both succeed

The binary is MINTMARK_BINARY. The README uses port 8080. If the system allows it, the run has its own network, where this port is
free; otherwise the port has to be free on this machine.
"""

import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
# The beginnings of blocks that do not run here, and why. Each has to be in the README.
EXCLUDED = {
    "cargo run -- quickstart\n./scripts/test\n": "this test is a part of ./scripts/test; what quickstart prints is checked below",
    "docker build ": "needs a container engine, and builds the release again",
}
IN_OWN_NETWORK = "MINTMARK_README_NETWORK"
PATIENCE_SECONDS = 300
RACES = 50


@dataclass(frozen=True)
class Block:
    """A block of commands, and the output that the README shows for them, if any."""

    line: int
    text: str
    expected: str | None


def blocks() -> list[Block]:
    """Every `sh` block of the README."""
    found = [
        (README.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    ]
    following = [*found[1:], (0, "", "")]
    return [
        Block(line, text, after if kind == "text" else None)
        for (line, language, text), (_, kind, after) in zip(found, following)
        if language == "sh"
    ]


def reason_to_exclude(block: Block) -> str | None:
    return next((reason for start, reason in EXCLUDED.items() if block.text.startswith(start)), None)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a fresh shell that has `mintmark` on its PATH."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "mintmark").symlink_to(Path(os.environ["MINTMARK_BINARY"]).resolve())
    return {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}


def bash(script: str, folder: Path, variables: dict[str, str]) -> int:
    """Runs a script in its own folder, and ends all processes that it started."""
    empty = Path(tempfile.mkdtemp(dir=folder))
    process = subprocess.Popen(["bash", "-c", script], cwd=empty, env=variables, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(timeout=PATIENCE_SECONDS)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# Every command of a block has to succeed, and every variable has to be set. Processes that a block leaves running are stopped at
# the end, and have to exit with 0.
START = "set -Eeuo pipefail\n"
END = 'running=$(jobs -p)\nkill $running\nfor job in $running; do wait "$job"; done\n'


def run_blocks(folder: Path) -> None:
    """Runs every block that is not excluded, and compares its output with the README."""
    every = blocks()
    run = [block for block in every if reason_to_exclude(block) is None]
    for start in EXCLUDED:
        assert any(block.text.startswith(start) for block in every), f"no block of the README begins with {start!r} any more"
    variables = environment(folder)
    script = START
    for block in run:
        name = folder / f"line-{block.line}"
        name.with_suffix(".sh").write_text(block.text)
        script += f"source {name}.sh > {name}.out 2> {name}.err\n"
    code = bash(script + END, folder, variables)
    printed = {block: output(folder, block) for block in run}
    if code != 0:
        for block, (out, err) in printed.items():
            print(f"---- README.md, line {block.line}:\n{block.text}---- printed:\n{out}{err}", flush=True)
        raise SystemExit(f"README.md: a block failed with exit code {code}: the last one above that was run")
    for block, (out, _) in printed.items():
        if block.expected is not None and not matches(block.expected, out):
            raise SystemExit(f"README.md, line {block.line}: says\n{block.expected}---- but prints\n{out}")
    everything = "".join(out for out, _ in printed.values())
    # Even if the README changes: tokens that never expire were issued and accepted, and a revoked token was refused.
    for fact in ['"never_expires":true', '"active":true', "\n200\n", '"active":false']:
        assert fact in everything, f"no block prints {fact!r}"
    checked = sum(block.expected is not None for block in run)
    print(f"{len(run)} blocks ran, {checked} of them with the output that the README shows")
    for block in every:
        if (reason := reason_to_exclude(block)) is not None:
            print(f"not run: line {block.line}, {block.text.splitlines()[0]!r}: {reason}")


def output(folder: Path, block: Block) -> tuple[str, str]:
    """The output of a block on both streams; empty if the block did not run."""
    files = [folder / f"line-{block.line}.{stream}" for stream in ["out", "err"]]
    return tuple(file.read_text() if file.exists() else "" for file in files)


def matches(expected: str, printed: str) -> bool:
    """Whether the output is as expected, where `…` and the spaces after it stand for any text."""
    parts = re.split("… *", expected.strip("\n"))
    return re.fullmatch("(?s:.*?)".join(re.escape(part) for part in parts), printed.strip("\n")) is not None


def run_quickstart(folder: Path) -> None:
    """Checks that the output of `quickstart` begins as the README shows it, except for ids, secrets and tokens."""
    shown = re.search(r"^```\n\$ cargo run -- quickstart\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown, "README.md shows no run of quickstart any more"
    # Without --once, because its text is different; the process is stopped when the last line is there.
    command, printed = ["mintmark", "quickstart"], ""
    with subprocess.Popen(command, cwd=folder, env=environment(folder), text=True, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            printed += line
            if line.startswith("Serving until"):
                process.terminate()
    assert process.returncode == 0, f"quickstart ends with exit code {process.returncode}:\n{printed}"
    if not anonymous(printed).startswith(anonymous(shown[1])):
        raise SystemExit(f"README.md shows this output of quickstart:\n{shown[1]}---- but it prints\n{printed}")
    print("quickstart prints what the README shows")


def anonymous(text: str) -> str:
    """The text without the parts that differ in each run."""
    for pattern, name in {r"\bcl_[0-9A-Za-z]{22}\b": "CLIENT_ID", r"\bmms_[0-9A-Za-z]{49}\b": "SECRET", r"\beyJ[\w.-]+…?": "TOKEN", r"\b\d+ characters": "LENGTH"}.items():
        text = re.sub(pattern, name, text)
    return text


def check_links(_: Path) -> None:
    """Checks every link to a file or a heading in this repository."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "verifier").glob("*.md")]
    dead, links = [], 0
    for page in pages:
        text = without_code(page)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = target.partition("#")
            if re.match(r"\w+:", target):
                continue
            links += 1
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (heading and heading not in headings(file)):
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    if dead:
        raise SystemExit("these links are broken:\n" + "\n".join(dead))
    print(f"{links} links in {len(pages)} pages work")


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    found = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def run_races(folder: Path) -> None:
    """Starts `serve` and `bootstrap` together, each time in an empty folder. Neither may fail or warn of a lost database."""
    variables, faults = environment(folder), []
    logs = [folder / "serve.err", folder / "bootstrap.err"]
    script = f"{START}mintmark serve 2> {logs[0]} &\nmintmark bootstrap 2> {logs[1]} > bootstrap.out\n{END}"
    for race in range(1, RACES + 1):
        code = bash(script, folder, variables)
        log = "".join(file.read_text() for file in logs)
        if code != 0 or "was there before" in log:
            faults.append(f"---- race {race}: exit code {code}\n{log}")
    if faults:
        raise SystemExit(f"{faults[0]}---- {len(faults)} of {RACES} races failed; this is the first")
    print(f"{RACES} races, in all of which both succeeded")


def own_network() -> None:
    """Starts this program again in its own network, where port 8080 is free, if the system allows that."""
    if IN_OWN_NETWORK in os.environ:
        # The loopback interface is down in a new network. SIOCSIFFLAGS (0x8914) brings it up.
        up_and_running = 0x1 | 0x40
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", up_and_running))
        return
    unshare = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], {**os.environ, IN_OWN_NETWORK: "1"})
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            raise SystemExit("port 8080 is in use, and this system does not allow a separate network: stop what listens there")
    print("uses port 8080 of this machine: this system does not allow a separate network")


def main() -> None:
    runs = {"blocks": [check_links, run_blocks, run_quickstart], "race": [run_races]}
    if len(sys.argv) != 2 or sys.argv[1] not in runs:
        raise SystemExit(__doc__)
    own_network()
    for run in runs[sys.argv[1]]:
        with tempfile.TemporaryDirectory(prefix="mintmark-readme-") as folder:
            run(Path(folder))


if __name__ == "__main__":
    main()
