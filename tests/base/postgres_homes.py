"""Homes with an embedded PostgreSQL for the tests: made, copied, asked, shared with other processes, looked into."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from numberdesk.base import postgres, postgres_process

ANOTHER_PROCESS = """
import asyncio, os, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2].split(":")
from numberdesk.base import postgres
async def main():
    async with postgres.running(Path(sys.argv[1]), durable=False) as cluster:
        print("pid", cluster.pid, flush=True)
        if await asyncio.to_thread(sys.stdin.readline) == "fork\\n":
            child = os.fork()
            if child == 0:
                time.sleep(60)
            print("child", child, flush=True)
            await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def make_parent() -> Path:
    """Make a folder that everybody can pass, unlike those of pytest, in memory where there is enough of it."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    folder = Path(tempfile.mkdtemp(prefix="numberdesk-test-", dir=memory if has_room else None))
    folder.chmod(0o711)
    return folder


def remove(home: Path) -> None:
    if (home / "pg-location").exists():
        outside = Path((home / "pg-location").read_text().strip())
        postgres_process.stop(outside)
        shutil.rmtree(outside.parent)
    postgres_process.stop(home / "pg")
    shutil.rmtree(home, ignore_errors=True)


async def first_answer(home: Path, *, pg_bin: Path | None = None) -> postgres.Cluster:
    async with postgres.running(home, pg_bin=pg_bin, durable=False) as cluster:
        await ask(cluster.app_url, "SELECT 1")
        return cluster


@asynccontextmanager
async def another_process(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run another user of `home`; yield it and the id of the server. It leaves at the end, unless it was killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ANOTHER_PROCESS, home, ":".join(sys.path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    yield process, await number_after(b"pid", process)
    process.stdin.close()
    await process.communicate()


async def number_after(word: bytes, process: asyncio.subprocess.Process) -> int:
    assert process.stdout
    words = [b""]
    while words[0] != word:
        line = await asyncio.wait_for(process.stdout.readline(), timeout=20)
        assert line, "the other process ended too early"
        words = line.split() or [b""]
    return int(words[1])


async def ask(url: str, question: str, *args: object) -> Any:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(question, *args)
    finally:
        await connection.close()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def kill_with_children(pid: int) -> None:
    for victim in [pid, *children(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner_of(path: Path) -> int:
    return path.stat().st_uid


def is_there(path: Path) -> bool:
    return path.exists()


def as_server(pid: int, *command: str) -> str:
    """Run a command as the user of the server: root in a container may not look into another user's process."""
    if os.geteuid() == 0:
        owner = Path(f"/proc/{pid}").stat()
        command = ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def open_sockets(pid: int) -> set[str]:
    return set(re.findall(r"socket:\[(\d+)\]", as_server(pid, "ls", "-l", f"/proc/{pid}/fd")))


def tcp_sockets() -> set[str]:
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    return {line.split()[9] for table in tables for line in table.splitlines()[1:]}


def environment_of(pid: int) -> set[str]:
    words = as_server(pid, "cat", f"/proc/{pid}/environ").split("\0")
    return {word.partition("=")[0] for word in words if "=" in word}
