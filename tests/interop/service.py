"""Runs the service as an operator does: the binary, with settings from the environment and its own data folder."""

import ctypes
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

# For a debug build on a busy machine; usually the service starts and stops in well under a second.
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """One running service."""

    binary: str
    issuer: str
    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> dict:
        """Runs a command of the binary while the service runs, and reads the JSON that it prints."""
        done = subprocess.run(
            [self.binary, *arguments], cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, check=True,
        )
        return json.loads(done.stdout)


@contextmanager
def running(database_url: str | None, **settings: str) -> Iterator[Service]:
    """Starts the service on a port that the system chooses, and stops it with SIGTERM; an exit code other than 0 is an error.

    If `database_url` is None, the database is the default, a SQLite file. Settings are named as in the environment:
    `TOKENS__SIGNING_ALG="EdDSA"`.
    """
    binary = os.environ["MINTMARK_BINARY"]
    settings = {"SERVER__LISTEN": "127.0.0.1:0", "SERVER__DRAIN_SECONDS": "0", "LOG__FORMAT": "json", **settings}
    if database_url:
        settings["DATABASE__URL"] = database_url
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MINTMARK__")}
    environment.update({f"MINTMARK__{key}": value for key, value in settings.items()})
    with tempfile.TemporaryDirectory(prefix="mintmark-service-") as folder:
        process = subprocess.Popen(
            [binary, "serve"], cwd=folder, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=end_with_parent,
        )
        log = Log(process)
        try:
            started = log.serving()
            # Commands derive the issuer from the address, unless the settings have a public URL.
            environment["MINTMARK__SERVER__LISTEN"] = started["listen"]
            yield Service(binary, started["issuer"], Path(folder), environment)
            process.terminate()
            code = process.wait(timeout=PATIENCE_SECONDS)
            if code != 0:
                raise RuntimeError(f"the service ended with exit code {code} on SIGTERM")
        except BaseException:
            log.show()
            raise
        finally:
            process.kill()
            process.wait()


class Log:
    """Reads what the service logs, and keeps it."""

    def __init__(self, process: subprocess.Popen):
        self.lines: list[str] = []
        self.start: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self.read, args=[process], daemon=True).start()

    def read(self, process: subprocess.Popen) -> None:
        for line in process.stderr:
            self.lines.append(line)
            if '"serving"' in line:
                self.start.put(json.loads(line))
        self.start.put(None)

    def serving(self) -> dict:
        """Waits for the log line that names the addresses of the service."""
        line = self.start.get(timeout=PATIENCE_SECONDS)
        if line is None:
            raise RuntimeError("the service ended while it was starting")
        return line

    def show(self) -> None:
        """Prints the last lines."""
        print(f"---- the last of {len(self.lines)} lines of the log:\n" + "".join(self.lines[-60:]), flush=True)


def end_with_parent() -> None:
    """Makes the kernel end the service when this process ends for any reason."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
