"""`serve` and `worker`: the long-running processes."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import structlog
import typer
from granian.constants import Interfaces
from granian.server.embed import Server

from numberdesk import worker as background
from numberdesk.cli._place import HOME, CommandFailed, Place, console, opened, run
from numberdesk.main import Site, build, open_site
from numberdesk.settings import child_environment

log = structlog.get_logger()

STOP_SECONDS = 2.0
"""How long open requests may take to end; together with the rest a stop stays below five seconds."""
BACKLOG = 2048
REQUESTS_MAX = 20_000
"""Requests at work at once: every long poll is one. Left alone, the server takes as many as its backlog, 128."""
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(worker)


def serve(
    port: int = typer.Option(None, "--port", help="Default: PORT, or 3000"),
    host: str = typer.Option(None, "--host", help="Default: HOST, or 127.0.0.1"),
    workers: int = typer.Option(1, "--workers", min=1, max=64, help="Web processes."),
    with_worker: bool = typer.Option(True, " /--no-worker", help="Leave background work to `numberdesk worker`."),
    home: Path = HOME,
) -> None:
    """Run the API, and the background worker with it."""
    run(_serve(home, port=port, host=host, workers=workers, with_worker=with_worker))


def worker(home: Path = HOME) -> None:
    """Run the background worker alone."""
    run(_work(home))


async def _serve(home: Path | None, *, port: int | None, host: str | None, workers: int, with_worker: bool) -> None:
    joined = "NUMBERDESK_JOINS" in child_environment()
    if joined:
        _die_with_parent()
    async with opened(home, is_service=True, port=port, host=host) as place:
        address, number = place.settings.host, place.settings.port
        if not joined:
            number = free_port(address, number)
        with _more_web_processes(place, number, workers - 1):
            async with open_site(place.settings) as site, serving(site, address, number):
                console.print(f"Numberdesk answers at [bold]http://{address}:{number}[/] (API page: /docs)")
                if with_worker and not joined:
                    async with background.running(site.desk):
                        await stopped()
                else:
                    await stopped()
                console.print("Stopping.")


async def _work(home: Path | None) -> None:
    async with opened(home, is_service=True) as place, open_site(place.settings) as site, background.running(site.desk):
        console.print("The worker runs.")
        await stopped()
        console.print("Stopping.")


@asynccontextmanager
async def serving(site: Site, host: str, port: int) -> AsyncIterator[None]:
    """Answer HTTP for as long as the block lasts."""
    server = Server(
        build(site),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        backlog=BACKLOG,
        backpressure=REQUESTS_MAX,
        log_enabled=False,
        websockets=False,
    )
    task = asyncio.create_task(server.serve())
    try:
        await _answers(host, port, task)
        yield
    finally:
        # Long polls end at once, so that stopping does not wait for the slowest reader.
        site.desk.board.close()
        server.stop()  # type: ignore[no-untyped-call]
        _, running = await asyncio.wait([task], timeout=STOP_SECONDS)
        if running:
            task.cancel()
            log.warning("requests_cut_off")


async def _answers(host: str, port: int, task: "asyncio.Task[Any]") -> None:
    for _ in range(200):
        if task.done():
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1" if host == "0.0.0.0" else host, port)  # noqa: S104
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.01)
    raise CommandFailed(f"Port {port} of {host} cannot be served.")


async def stopped() -> None:
    """Wait for the signal to stop."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    await event.wait()


def free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0.

    Raises:
        CommandFailed: somebody else has it. Two servers could share a port unnoticed, so this is asked first.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise CommandFailed(
                f"Port {port} of {host} cannot be used ({problem.strerror}): choose another with --port."
            ) from problem
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def _more_web_processes(place: Place, port: int, count: int) -> Iterator[None]:
    settings = place.settings
    assert settings.api_key_salt is not None and settings.encryption_keys is not None
    environment = child_environment(
        NUMBERDESK_JOINS="1",
        DATABASE_URL=place.app_url,
        DATABASE_OWNER_URL=place.owner_url,
        API_KEY_SALT=settings.api_key_salt.get_secret_value(),
        ENCRYPTION_KEYS=settings.encryption_keys.get_secret_value(),
    )
    command = [sys.executable, "-m", "numberdesk", "serve", "--no-worker"]
    command += ["--host", settings.host, "--port", str(port)]
    children = [subprocess.Popen(command, env=environment) for _ in range(count)]  # noqa: S603 - our own program
    try:
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=STOP_SECONDS + 1)
            except subprocess.TimeoutExpired:
                child.kill()


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent: a server that outlives it would keep the port."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:
            raise SystemExit
