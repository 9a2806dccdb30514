"""`serve` and `worker`: the long-running processes."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import structlog
import typer
from granian.constants import Interfaces
from granian.server.embed import Server

from numberdesk import worker as background
from numberdesk.base import clock, telemetry
from numberdesk.cli._place import HOME, STORED, CommandFailed, Place, console, opened, run, secret
from numberdesk.main import Site, build, open_site
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import BadSender, MailSettings
from numberdesk.notifications.service import Mailer
from numberdesk.settings import BadSettings, Settings, child_environment

log = structlog.get_logger()

STOP_SECONDS = 2.0
"""How long open requests may take to end; together with the rest a stop stays below five seconds."""
REFUSE_SECONDS = 0.5
"""How long those that did not end may take to be answered that the service is out of reach."""
BACKLOG = 2048
REQUESTS_MAX = 20_000
"""Requests at work at once: every long poll is one. Left alone, the server takes as many as its backlog, 128."""
REPLACE_SECONDS = 0.5
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
    first = child_environment().get("NUMBERDESK_JOINS")
    if first is not None:
        _die_with_parent(int(first))
    shared: dict[str, Any] = {"web_processes": workers} if workers > 1 else {}
    async with opened(home, is_service=True, port=port, host=host, **shared) as place:
        address, number = place.settings.host, place.settings.port
        mailer = mailer_of(place.settings)
        if first is None:
            number = free_port(address, number)
        with _waited_for() as children:
            async with (
                open_site(place.settings) as site,
                serving(site, address, number),
                _more_web_processes(children, place, number, workers - 1),
            ):
                console.print(f"Numberdesk answers at [bold]http://{address}:{number}[/] (API page: /docs)")
                if first is None:
                    warn(place.settings, workers)
                if with_worker and first is None:
                    async with background.running(site, mailer):
                        await stopped()
                else:
                    await stopped()
                console.print("Stopping.")


async def _work(home: Path | None) -> None:
    async with (
        opened(home, is_service=True) as place,
        open_site(place.settings) as site,
        background.running(site, mailer_of(place.settings)),
    ):
        console.print("The worker runs.")
        await stopped()
        console.print("Stopping.")


@asynccontextmanager
async def serving(site: Site, host: str, port: int) -> AsyncIterator[None]:
    """Answer HTTP for as long as the block lasts."""
    server = Server(
        telemetry.traced(build(site)),
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
        # Long polls and streams end at once, so that stopping does not wait for the slowest reader.
        site.desk.end_waits()
        server.stop()  # type: ignore[no-untyped-call]
        _, running = await asyncio.wait([task], timeout=STOP_SECONDS)
        if running:
            site.db.let_go()
            _, running = await asyncio.wait([task], timeout=REFUSE_SECONDS)
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


def warn(settings: Settings, workers: int) -> None:
    """Say what works differently from what the operator may expect."""
    if workers > 1 and settings.redis_url is None and settings.rate_limit_api != "off":
        console.print(
            f"Without REDIS_URL each of {workers} web processes lets 1/{workers} of RATE_LIMIT_API through.",
            style="yellow",
        )
    if settings.smtp_host is None:
        console.print("SMTP_HOST is not set: mails wait until it is.", style="yellow")


def mail_settings(settings: Settings) -> MailSettings:
    """Return what leads to the mail server."""
    password = settings.smtp_password
    return MailSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=None if password is None else password.get_secret_value(),
        security=settings.smtp_security,
        sender=settings.mail_from,
    )


def mailer_of(settings: Settings) -> Mailer | None:
    """Return the way to the mail server, or None.

    Raises:
        BadSettings: the sender is no address.
    """
    try:
        return notifications.open_mailer(mail_settings(settings))
    except BadSender as problem:
        raise BadSettings(f"MAIL_FROM: {problem}.") from None


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
def _waited_for() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Lend a list of child processes; those on it in the end were asked to stop, and get a while for it."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        yield children
    finally:
        end = clock.seconds() + REFUSE_SECONDS
        for child in children:
            try:
                child.wait(timeout=max(0.0, end - clock.seconds()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@asynccontextmanager
async def _more_web_processes(
    children: "list[subprocess.Popen[bytes]]", place: Place, port: int, count: int
) -> AsyncIterator[None]:
    """Keep so many more web processes running for as long as the block lasts, then ask them to stop."""
    settings = place.settings
    environment = child_environment(
        NUMBERDESK_JOINS=str(os.getpid()),
        DATABASE_URL=place.app_url,
        DATABASE_OWNER_URL=place.owner_url,
        WEB_PROCESSES=str(settings.web_processes),
        **{name.upper(): secret(getattr(settings, name), name.upper()) for name in STORED},
    )
    command = [sys.executable, "-m", "numberdesk", "serve", "--no-worker"]
    command += ["--host", settings.host, "--port", str(port)]

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command, env=environment)  # noqa: S603 - our own program

    children.extend(start() for _ in range(count))
    watch = asyncio.create_task(_replace_ended(children, start))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])
        for child in children:
            child.terminate()


async def _replace_ended(
    children: "list[subprocess.Popen[bytes]]", start: "Callable[[], subprocess.Popen[bytes]]"
) -> None:
    """Start a web process anew when one was killed or crashed; nobody would notice that the service got slower."""
    while True:
        await asyncio.sleep(REPLACE_SECONDS)
        for place, child in enumerate(children):
            if child.poll() is not None:
                log.error("web_process_ended", exit_code=child.returncode)
                children[place] = start()


def _die_with_parent(parent: int) -> None:
    """Have the kernel end this process with the first one: a server that outlives it would keep the port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:
            raise SystemExit
