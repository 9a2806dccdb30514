"""`doctor --url`: what the public address looks like from outside, through every proxy on the way."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from numberdesk.accounts.service import TokenKeys
from numberdesk.base import clock, http_client
from numberdesk.cli._findings import Finding, ok, warning, wrong
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.model import PROBE_PATH, PROBE_PAUSE, PROBE_PROOF, Arrived

TIMEOUT = ClientTimeout(total=15)
SKEW_MAX = 2.0
PADDING = 6000
"""Bytes of a header line that must come through: an access token has up to 2,048, cookies and others come on top."""
FORGED = "203.0.113.77"
"""An address that nobody has (RFC 5737): if we are taken for it, callers choose their addresses."""
TOGETHER = PROBE_PAUSE / 2
CERTIFICATE_SECONDS = 10.0
CERTIFICATE_DAYS = 14


@dataclass
class _Asked:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    arrivals: list[float] = field(default_factory=list)
    """When each part of the body came, in seconds after the first."""
    certificate: Mapping[str, Any] | None = None


async def look(url: str, keys: TokenKeys | None, *, public_url: str) -> list[Finding]:
    """Ask the public address, and return what is found.

    Args:
        keys: those of the installation; without them it does not tell how requests arrive.
        public_url: PUBLIC_BASE_URL, which links in mails lead to.
    """
    base = URL(url.rstrip("/"))
    if base.scheme not in ("http", "https") or not base.host:
        return [wrong("address", f"{url} is no address", "Write it as https://example.com.")]
    async with http_client.session() as session:
        alive = await _ask(session, base / "healthz")
        if isinstance(alive, str):
            fix = "Is it spelled right, does its name lead here, and do proxy and firewall let it through?"
            return [wrong("address", f"{base} is not reached: {alive}", fix)]
        found = [_alive(base, alive), *_encrypted(base, alive), _clock(alive)]
        if found[0].level != "ok":
            return found
        plain, large, padded = await asyncio.gather(
            _ask(session, base.with_scheme("http").with_port(None) / "healthz"),
            _ask(session, base / "openapi.json", {"Accept-Encoding": "gzip"}),
            _ask(session, base / "healthz", {"X-Numberdesk-Padding": "x" * PADDING}),
        )
        found += [_compressed(large), _padded(padded)]
        if base.scheme == "https" and not isinstance(plain, str) and plain.status == 200:
            found.append(warning("encryption", "it also answers without encryption", "Redirect http to https."))
        if public_url and URL(public_url).host != base.host:
            found.append(warning("links", f"links in mails lead to {public_url}", "Set PUBLIC_BASE_URL to this one."))
        found += await _from_inside(session, base, keys)
    return found


async def _from_inside(session: ClientSession, base: URL, keys: TokenKeys | None) -> list[Finding]:
    """Have the server itself say how a request arrives, and watch whether its stream flows."""
    if keys is None:
        return [warning("callers", "how requests arrive is not known", "Run this with the installation's secrets.")]
    headers = {PROBE_PROOF: monitoring.prove(keys, at=int(clock.now().timestamp())), "X-Forwarded-For": FORGED}
    answer = await _ask(session, base / PROBE_PATH.lstrip("/"), headers)
    if isinstance(answer, str):
        return [wrong("streams", f"the stream breaks: {answer}", "Let the proxy pass answers on as they come.")]
    if answer.status != 200:
        fix = "Is it another installation that answers there, one with other secrets, or a clock that is wrong?"
        return [wrong("callers", f"the server there does not know our secrets (status {answer.status})", fix)]
    frames = [line.removeprefix(b"data: ") for line in answer.body.split(b"\n\n") if line.startswith(b"data: ")]
    try:
        arrived = json.loads(frames[0])
        facts = Arrived(*(str(arrived[name]) for name in ("ip", "peer", "forwarded", "host")))
    except (IndexError, KeyError, TypeError, ValueError):
        return [wrong("streams", "the stream was changed on the way", "Let the proxy pass answers on unchanged.")]
    return [callers(facts, base), _flowing(answer)]


def callers(arrived: Arrived, base: URL) -> Finding:
    """Return whether the server knows who calls, from how our request arrived, which said it were of `FORGED`."""
    if arrived.ip == FORGED:
        hops = [hop.strip() for hop in arrived.forwarded.split(",")]
        if len(hops) > 1:
            words = f"{hops[-1]} is trusted as a proxy, so what it says of its caller is believed"
            fix = "If this machine is a proxy, ask from another one; if it is not, narrow TRUSTED_PROXIES."
            return warning("callers", words, fix)
        if _is_local(base.host or ""):
            return warning("callers", "no proxy is on this way", "Name the public address, as customers do.")
        return wrong(
            "callers",
            "callers choose their own address: a forged X-Forwarded-For was believed",
            "Let the proxy add to X-Forwarded-For, or write it anew (nginx: $proxy_add_x_forwarded_for), and let "
            "TRUSTED_PROXIES name proxies only.",
        )
    if arrived.forwarded == FORGED:
        if base.scheme == "http":
            return ok("callers", f"no proxy is in between: we count as {arrived.ip}")
        return wrong(
            "callers",
            f"the proxy {arrived.peer} does not say who calls: all customers share one limit",
            "Let it add the caller to X-Forwarded-For (nginx: $proxy_add_x_forwarded_for).",
        )
    if arrived.ip == arrived.peer and arrived.forwarded.rpartition(",")[2].strip() == arrived.peer:
        words = f"this machine and the proxy are both {arrived.peer}, so whether the proxy is believed cannot be told"
        return warning("callers", words, "Ask from another machine.")
    if arrived.ip == arrived.peer:
        return wrong(
            "callers",
            f"the proxy {arrived.peer} is not believed: all customers count as one",
            f"Set TRUSTED_PROXIES={arrived.peer}.",
        )
    return ok("callers", f"behind the proxy {arrived.peer} we count as {arrived.ip}")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _alive(base: URL, answer: _Asked) -> Finding:
    names = {name.lower() for name in answer.headers}
    is_ours = answer.body.startswith(b'{"success":true,"data":{"status":"alive"') and "x-request-id" in names
    if answer.status == 200 and is_ours:
        return ok("address", f"{base} reaches Numberdesk ({answer.seconds * 1000:.0f} ms)")
    if 300 <= answer.status < 400:
        target = next((text for name, text in answer.headers.items() if name.lower() == "location"), "elsewhere")
        return wrong("address", f"{base} leads on to {target}", "Name the address where it ends: calls do not follow.")
    words = f"something else answers at {base} (status {answer.status})"
    return wrong("address", words, "Does the proxy lead to HOST and PORT, and does the server run?")


def _encrypted(base: URL, answer: _Asked) -> list[Finding]:
    if base.scheme == "http":
        if _is_local(base.host or ""):
            return []
        return [wrong("encryption", "keys and logins travel readable", "Put a proxy with a certificate before it.")]
    ends = _end_of(answer.certificate)
    if ends is None:
        return [ok("encryption", "the certificate is good")]
    days = (ends - clock.now()).days
    words = f"the certificate is good until {ends:%Y-%m-%d}"
    if days < CERTIFICATE_DAYS:
        return [warning("encryption", words, "Does its renewal work?")]
    return [ok("encryption", words)]


def _end_of(certificate: Mapping[str, Any] | None) -> datetime | None:
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def _clock(answer: _Asked) -> Finding:
    date = next((text for name, text in answer.headers.items() if name.lower() == "date"), None)
    if date is None:
        return warning("its clock", "its answers have no Date", "Let the proxy leave it.")
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return warning("its clock", "the Date of its answers is no time")
    # The header has whole seconds, and the answer took its time.
    skew = (clock.now() - there).total_seconds() - 0.5
    if abs(skew) > SKEW_MAX + answer.seconds:
        return wrong(
            "its clock", f"it is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} ours", "Run NTP on both."
        )
    return ok("its clock", "it agrees with ours")


def _compressed(answer: "_Asked | str") -> Finding:
    if isinstance(answer, str) or answer.status != 200:
        why = answer if isinstance(answer, str) else f"status {answer.status}"
        return wrong("large answers", f"/openapi.json does not come: {why}", "Does the proxy cut answers off?")
    names = {name.lower(): text for name, text in answer.headers.items()}
    if "content-encoding" in names:
        return ok("compression", f"answers are compressed ({names['content-encoding']})")
    return warning("compression", "answers are not compressed", "Let the proxy pass Accept-Encoding on.")


def _padded(answer: "_Asked | str") -> Finding:
    if isinstance(answer, str) or answer.status != 200:
        why = answer if isinstance(answer, str) else f"status {answer.status}"
        fix = "Raise the proxy's limit (nginx: large_client_header_buffers 4 16k)."
        return wrong("headers", f"a header of {PADDING:,} bytes is refused: {why}", fix)
    return ok("headers", f"a header of {PADDING:,} bytes comes through")


def _flowing(answer: _Asked) -> Finding:
    if len(answer.arrivals) > 1 and answer.arrivals[-1] > TOGETHER:
        return ok("streams", "events come as they happen")
    fix = "Switch buffering off for text/event-stream (nginx: proxy_buffering off, or leave X-Accel-Buffering alone)."
    return wrong("streams", "events are held back by a proxy", fix)


async def _certificate(url: URL) -> Mapping[str, Any] | None:
    """Return what the address shows, by a connection for this alone: one that has answered may be gone already."""
    try:
        async with asyncio.timeout(CERTIFICATE_SECONDS):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=ssl.create_default_context())
            try:
                found: Mapping[str, Any] | None = writer.get_extra_info("peercert")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return None  # the address was asked before, and that it is reached is told there
    return found


async def _ask(session: ClientSession, url: URL, headers: Mapping[str, str] | None = None) -> "_Asked | str":
    """Ask once; returns why, if there is no whole answer."""
    began = clock.seconds()
    try:
        async with session.get(url, headers=headers, allow_redirects=False, timeout=TIMEOUT) as response:
            seconds = clock.seconds() - began
            body, arrivals, first = bytearray(), [], clock.seconds()
            async for chunk in response.content.iter_any():
                body += chunk
                arrivals.append(clock.seconds() - first)
        certificate = await _certificate(url) if url.scheme == "https" else None
        return _Asked(response.status, dict(response.headers), bytes(body), seconds, arrivals, certificate)
    except TimeoutError:
        return "no answer in time"
    except (ClientError, OSError) as problem:
        return type(problem).__name__
