"""Programs that a benchmark runs beside itself."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from numberdesk.settings import child_environment


@contextmanager
def process(*command: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own and end the whole of it."""
    child = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, env=child_environment(**(environment or {}))
    )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=8)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


def numberdesk(*arguments: str) -> None:
    """Run one command to its end."""
    subprocess.run([sys.executable, "-m", "numberdesk", *arguments], check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """Return a port nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def answers(port: int, *, patience: float = 20) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing answers on port {port}")
