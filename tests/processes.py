"""Commands of the program as real processes: started in a session of their own, shot or stopped, never left behind."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numberdesk
from numberdesk.base import postgres_process
from numberdesk.settings import child_environment

SOURCES = Path(numberdesk.__file__).resolve().parents[1]
START_SECONDS = 30.0
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass
class Running:
    """One command that was started."""

    popen: "subprocess.Popen[bytes]"
    log_path: Path
    port: int = 0

    @property
    def url(self) -> str:
        """The address it answers at."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    async def answers(self) -> None:
        """Wait until it says its address, or fail with what it said instead."""
        self.port = int((await self.says(_ADDRESS))[1])

    async def says(self, wanted: "re.Pattern[str] | str") -> "re.Match[str]":
        """Wait until it has written something, or fail with what it wrote instead."""
        end = time.monotonic() + START_SECONDS
        while (found := re.search(wanted, self.log)) is None:
            assert self.popen.poll() is None, f"it ended with {self.popen.returncode}: {self.log}"
            assert time.monotonic() < end, f"not within {START_SECONDS:.0f} s: {self.log}"
            await asyncio.sleep(0.02)
        return found

    def kill(self) -> None:
        """Shoot the command and all its children that are in its session, as `kill -9` does."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    async def stop(self, number: int = signal.SIGINT, *, patience: float = 10.0) -> tuple[int, float]:
        """Ask it to stop; returns its exit code and the seconds it took, or fails."""
        began = time.monotonic()
        self.popen.send_signal(number)
        while self.popen.poll() is None:
            assert time.monotonic() < began + patience, f"it goes on after {patience} s: {self.log}"
            await asyncio.sleep(0.01)
        return self.popen.returncode, time.monotonic() - began

    def members(self) -> list[int]:
        """Return the ids of the processes in its session; the database has one of its own."""
        return [pid for pid, _, session in _table() if session == self.popen.pid]


@dataclass
class Commands:
    """Starts commands with one environment and one home, and ends all of them in the end."""

    home: Path
    environment: dict[str, str]
    started: list[Running] = field(default_factory=list)

    def start(self, *words: str) -> Running:
        """Start a command and return at once."""
        log_path = self.home.with_name(f"{self.home.name}-{len(self.started)}-{words[0]}.log")
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", "numberdesk", *words, "--home", str(self.home)],
                env=child_environment(**self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(popen, log_path)
        self.started.append(running)
        return running

    async def serve(self, *words: str) -> Running:
        """Start a server on a free port and wait until it answers."""
        running = self.start("serve", "--port", "0", *words)
        await running.answers()
        return running

    async def run(self, *words: str) -> str:
        """Run a command to its end and return what it wrote; it must succeed."""
        running = self.start(*words)
        await asyncio.to_thread(running.popen.wait, START_SECONDS)
        assert running.popen.returncode == 0, f"{' '.join(words)} ended with {running.popen.returncode}: {running.log}"
        return running.log

    def end(self) -> None:
        """Shoot whatever still runs, the embedded database of the home too."""
        for running in self.started:
            running.kill()
        if (self.home / "pg").exists():
            postgres_process.stop(self.home / "pg")


@asynccontextmanager
async def commands(home: Path, **environment: str) -> AsyncIterator[Commands]:
    """Lend a starter of commands; when the block ends, however it ends, nothing of it runs any more.

    Args:
        home: a folder that need not exist, in the folder of the test run itself: the database's user must reach it.
        environment: settings in capitals, added to those of this process.
    """
    settings = {"LOG_FORM": "text", "PYTHONPATH": str(SOURCES), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    found = Commands(home, settings | environment)
    try:
        yield found
    finally:
        found.end()


def is_free(port: int) -> bool:
    """Say whether nobody serves a port any more."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listeners(port: int) -> int:
    """Return how many sockets of this machine listen at a port of 127.0.0.1."""
    wanted = f"0100007F:{port:04X}"
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[1] == wanted and line.split()[3] == "0A" for line in table)


def shoot_database(home: Path) -> None:
    """Shoot the server of a home's embedded database, and all its children."""
    server = postgres_process.live_postmaster(home / "pg" / "data")
    assert server is not None, "the database does not run"
    for pid in [server.pid, *(pid for pid, parent, _ in _table() if parent == server.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _table() -> list[tuple[int, int, int]]:
    """Return (process, parent, session) of everything that runs here, zombies left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            state, parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                found.append((int(entry.name), int(parent), int(session)))
    return found
