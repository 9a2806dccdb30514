"""`doctor --url`: what proxies do wrong is found out from outside, with a real proxy in between that does it."""

import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from anyio.from_thread import BlockingPortal
from yarl import URL

from numberdesk.accounts.service import TokenKeys
from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from numberdesk.cli import _doctor_outside
from numberdesk.cli._doctor_outside import FORGED, callers
from numberdesk.cli._findings import Finding
from numberdesk.main import secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.model import Arrived
from numberdesk.settings import child_environment
from tests.cli.shell import FIXED
from tests.http import stand as stands
from tests.http.stand import Stand
from tests.notifications.certificates import tls_contexts

CUSTOMER = "198.51.100.7"
"""Where the proxy says that we are: another machine."""


@dataclass(frozen=True)
class Proxy:
    """How a proxy behaves; as it is, it does everything right."""

    tells: str | None = "adds"
    """What it does with X-Forwarded-For: adds to it, writes it anew, passes it on, or removes it (None)."""
    buffers: bool = False
    compresses: bool = True
    header_max: int = 16_000
    seconds_late: int = 0
    status: int | None = None
    """It answers by itself with this one."""


@asynccontextmanager
async def proxied(port: int, how: Proxy, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a proxy before the server of that port; yields its address."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if how.status is not None:
            return web.Response(status=how.status, text="<html>", headers={"Location": "https://other.example/"})
        if any(len(text) > how.header_max for text in request.headers.values()):
            return web.Response(status=400, text="<html>Request Header Or Cookie Too Large</html>")
        headers = {name: text for name, text in request.headers.items() if name.lower() != "x-forwarded-for"}
        forwarded = request.headers.get("X-Forwarded-For")
        said = {
            "adds": ", ".join(filter(None, (forwarded, CUSTOMER))), "anew": CUSTOMER, "passes": forwarded, None: None,
        }[how.tells]  # fmt: skip
        headers |= {"X-Forwarded-For": said} if said else {}
        if not how.compresses:
            headers["Accept-Encoding"] = "identity"
        url = URL(f"http://127.0.0.1:{port}").with_path(request.path)
        async with ClientSession(auto_decompress=False) as session, session.get(url, headers=headers) as answer:
            kept = {name: text for name, text in answer.headers.items() if name not in ("Transfer-Encoding", "Date")}
            kept["Date"] = format_datetime(clock.now() - timedelta(seconds=how.seconds_late), usegmt=True)
            if how.buffers:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    app = web.Application(handler_args={"max_field_size": 32_000})
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, handler_args=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site that believes its proxy."""
    with stands.opened(portal, cluster, trusted_proxies="127.0.0.1") as stand:
        yield stand


@pytest.fixture
def look(stand: Stand) -> Callable[..., dict[str, Finding]]:
    """Ask through a proxy; returns what was found, by what it is about."""
    keys = secrets_of(stand.site.settings).tokens

    async def work(how: Proxy | None, keys: TokenKeys | None, public_url: str) -> list[Finding]:
        if how is None:
            return await _doctor_outside.look(f"http://127.0.0.1:{stand.port}", keys, public_url=public_url)
        async with proxied(stand.port, how) as url:
            return await _doctor_outside.look(url, keys, public_url=public_url)

    def look(how: Proxy | None, *, keys: TokenKeys | None = keys, public_url: str = "") -> dict[str, Finding]:
        return {found.what: found for found in stand.portal.call(work, how, keys, public_url)}

    return look


def test_a_proxy_that_does_everything_right_is_right(look: Callable[..., dict[str, Finding]]) -> None:
    found = look(Proxy())
    assert {item.level for item in found.values()} == {"ok"}, found
    assert found["callers"].words == f"behind the proxy 127.0.0.1 we count as {CUSTOMER}"
    assert found.keys() == {"address", "its clock", "compression", "headers", "callers", "streams"}


WRONG: dict[str, tuple[Proxy, str, str, str]] = {
    "buffers": (Proxy(buffers=True), "streams", "wrong", "events are held back by a proxy"),
    "does not compress": (Proxy(compresses=False), "compression", "warning", "answers are not compressed"),
    "small headers": (Proxy(header_max=4000), "headers", "wrong", "refused: status 400"),
    "late clock": (Proxy(seconds_late=60), "its clock", "wrong", "s behind ours"),
    "early clock": (Proxy(seconds_late=-60), "its clock", "wrong", "s ahead of ours"),
    "leads on": (Proxy(status=301), "address", "wrong", "leads on to https://other.example/"),
    "leads nowhere": (Proxy(status=502), "address", "wrong", "something else answers"),
    "passes what callers say": (Proxy(tells="passes"), "callers", "warning", "no proxy is on this way"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_proxy_that_does_one_thing_wrong_is_told_by_it(look: Callable[..., dict[str, Finding]], name: str) -> None:
    how, what, level, words = WRONG[name]
    found = look(how)
    assert found[what].level == level, found
    assert words in found[what].words
    assert found[what].fix
    assert not [item for item in found.values() if item.level != "ok" and item.what != what], found


PUBLIC = URL("https://numbers.example.com")
ARRIVALS: dict[str, tuple[Arrived, URL, str, str]] = {
    "believed": (Arrived(FORGED, "10.0.0.2", FORGED, "x"), PUBLIC, "wrong", "callers choose their own address"),
    "a trusted machine": (
        Arrived(FORGED, "10.0.0.2", f"{FORGED}, 10.0.0.9", "x"), PUBLIC, "warning", "10.0.0.9 is trusted",
    ),
    "silent proxy": (
        Arrived("10.0.0.2", "10.0.0.2", FORGED, "x"), PUBLIC, "wrong", "10.0.0.2 does not say who calls",
    ),
    "proxy that is not trusted": (
        Arrived("10.0.0.2", "10.0.0.2", f"{FORGED}, {CUSTOMER}", "x"), PUBLIC, "wrong", "is not believed",
    ),
    "the proxy's own machine": (
        Arrived("127.0.0.1", "127.0.0.1", "127.0.0.1", "x"), PUBLIC, "warning", "are both 127.0.0.1",
    ),
    "no proxy": (
        Arrived("192.0.2.1", "192.0.2.1", FORGED, "x"), URL("http://192.0.2.2:3000"), "ok", "no proxy is in",
    ),
    "right": (Arrived(CUSTOMER, "10.0.0.2", f"{FORGED}, {CUSTOMER}", "x"), PUBLIC, "ok", f"as {CUSTOMER}"),
}  # fmt: skip
"""How a request of ours can arrive, and what that means."""


@pytest.mark.parametrize("name", ARRIVALS)
def test_who_calls_is_known_or_told(name: str) -> None:
    arrived, base, level, words = ARRIVALS[name]
    found = callers(arrived, base)
    assert found.level == level
    assert words in found.words


def test_the_proxy_that_is_to_be_trusted_is_named(portal: BlockingPortal, cluster: Cluster) -> None:
    with stands.opened(portal, cluster) as alone:
        keys = secrets_of(alone.site.settings).tokens

        async def work() -> list[Finding]:
            async with proxied(alone.port, Proxy()) as url:
                return await _doctor_outside.look(url, keys, public_url="https://other.example.com")

        found = {item.what: item for item in portal.call(work)}
    assert found["callers"].fix == "Set TRUSTED_PROXIES=127.0.0.1."
    assert found["links"].words == "links in mails lead to https://other.example.com"


def test_an_address_where_nobody_answers_is_told(stand: Stand) -> None:
    def found(url: str) -> Finding:
        (only,) = stand.portal.call(lambda: _doctor_outside.look(url, None, public_url=""))
        return only

    assert "is not reached: ClientConnectorError" in found("http://127.0.0.1:9").words
    assert "is no address" in found("numbers.example.com").words
    # Our server speaks no TLS itself.
    assert "is not reached" in found(f"https://127.0.0.1:{stand.port}").words


def test_without_our_secrets_nobody_is_told_anything(stand: Stand, look: Callable[..., dict[str, Finding]]) -> None:
    assert look(Proxy(), keys=None)["callers"].level == "warning"
    strangers = TokenKeys(["of somebody else: 0123456789 abcdefghijkl"])
    assert "does not know our secrets (status 404)" in look(Proxy(), keys=strangers)["callers"].words
    keys = secrets_of(stand.site.settings).tokens
    now = int(clock.now().timestamp())
    proof = monitoring.prove(keys, at=now)
    assert monitoring.is_proven(keys, proof, now=now + 100)
    wrong = ("", "x", proof[:-1], f"{now - 1}{proof[10:]}", f"{now}.", "9" * 13 + ".x", "²." + proof[11:], "1.é")
    for bad in (*wrong, monitoring.prove(strangers, at=now), monitoring.prove(keys, at=now - 1000)):
        assert not monitoring.is_proven(keys, bad, now=now), bad
        assert stand.nobody.get("/system/probe", X_Numberdesk_Probe=bad.encode().decode("latin-1")).status == 404


def test_the_command_asks_through_a_proxy_that_encrypts(stand: Stand, tmp_path: Path) -> None:
    tls, _ = tls_contexts(tmp_path)
    settings = stand.site.settings
    names = ("database_url", "api_key_salt", "jwt_secret", "encryption_keys")
    secrets = {name.upper(): getattr(settings, name).get_secret_value() for name in names}
    with stand.portal.wrap_async_context_manager(proxied(stand.port, Proxy(), tls)) as url:
        trusting = child_environment(
            **FIXED, **secrets, SSL_CERT_FILE=str(tmp_path / "mailbox.pem"), PUBLIC_BASE_URL=url,
            TRUSTED_PROXIES="127.0.0.1",
        )  # fmt: skip
        command = [sys.executable, "-m", "numberdesk", "doctor", "--url", url]
        done = subprocess.run(command, env=trusting, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        strict = stand.portal.call(lambda: _doctor_outside.look(url, None, public_url=""))
    lines = {words[1]: line for line in done.stdout.splitlines() if len(words := line.split()) > 2}
    assert "reaches Numberdesk" in lines["address"], done
    assert lines["encryption"].startswith("warning encryption       the certificate is good until 20")
    assert lines["callers"].startswith("ok ")
    assert lines["streams"].startswith("ok ")
    assert done.returncode == 0, done
    assert "ClientConnectorCertificateError" in strict[0].words
