"""A temporary PostgreSQL cluster on a Unix socket, run by the same shell script as in the Rust tests."""

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

KEEPER = Path(__file__).resolve().parents[1] / "it" / "support" / "cluster.sh"


def programs() -> Path:
    """The folder with `initdb` and the other programs: the newest version in Debian's layout, otherwise that of `pg_config`."""
    found = [int(folder.name) for folder in Path("/usr/lib/postgresql").glob("*") if (folder / "bin/initdb").exists()]
    if found:
        return Path("/usr/lib/postgresql") / str(max(found)) / "bin"
    return Path(subprocess.run(["pg_config", "--bindir"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip())


@contextmanager
def cluster() -> Iterator[Callable[[str], str]]:
    """Gives a function that makes an empty database and returns its URL. The cluster ends with this process at the latest."""
    folder = tempfile.mkdtemp(prefix="mintmark-pg-")
    # The script runs in its own session, so that Ctrl-C does not end it. It cleans up when the pipe from this process closes.
    keeper = subprocess.Popen(
        ["sh", str(KEEPER), folder, str(programs())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    try:
        said = []
        for line in keeper.stdout:
            if line == "ready\n":
                break
            said.append(line)
        else:
            raise RuntimeError("PostgreSQL does not start:\n" + "".join(said))

        def create(name: str) -> str:
            psql = ["psql", "-X", "-q", "-h", folder, "-U", "mintmark", "-d", "postgres", "-c", f"CREATE DATABASE {name}"]
            subprocess.run(psql, check=True, env={**os.environ, "PATH": f"{programs()}:{os.environ['PATH']}"})
            return f"postgres://mintmark@localhost/{name}?host={folder}"

        yield create
    finally:
        keeper.stdin.close()
        keeper.wait()
