"""Webhooks: one POST to an address that a customer chose, so that neither the address nor the answer can hurt anybody.

What a customer names may be a door into our own network. So a name is looked up once for each POST, every address of it
must be public, and the connection goes to one of those addresses: a name that leads elsewhere a moment later changes
nothing. No redirect is followed, no proxy of the environment is used, and of the answer only its status counts.
"""

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from numberdesk.base import clock
from numberdesk.notifications.model import BadWebhookAddress, NotPosted, Posted

log = structlog.get_logger()

DEADLINE = 5.0
"""Seconds for everything up to the status: looking the name up, connecting, sending, waiting."""
ANSWER_MAX = 64 * 1024
ANSWER_SECONDS = 1.0
"""Of an answer's body so many bytes are read, for so long, and dropped: a receiver that is cut off at once may take it
for our failure. The status is known by then, and trouble with the body changes nothing."""
LOOKUPS_MAX = 300
"""Names that are looked up at the same time; each takes a thread, which may outlast the POST that it is for."""
URL_MAX = 2000
HTTPS_PORT = 443

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""Returns every address of a name; raises OSError when there is none."""

_VISIBLE = re.compile(r"[!-~]+")
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\.?$)(?:{_LABEL}\.)+{_LABEL}\.?", re.I)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\.?", re.I)

_PUBLIC_V6 = ip_network("2000::/3")
_NOT_PUBLIC = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3",
        # Teredo and other protocols of their own, documentation, 6to4, documentation again.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip
"""What Python's own list of addresses leaves out, or has only in its newer versions."""


def is_public(text: str) -> bool:
    """Tell whether an address is one of the open Internet.

    An IPv6 address that stands for an IPv4 one (`::ffff:`, NAT64, 6to4, Teredo) is not: what it leads to is decided
    elsewhere. Multicast, documentation and everything with a zone are not either.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (address.scope_id is not None or address not in _PUBLIC_V6):
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _is_loopback(text: str) -> bool:
    return (address := _literal(text)) is not None and address.is_loopback


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def parse(url: str, *, allows_loopback: bool = False) -> URL:
    """Return an address that may be posted to as far as its text tells.

    Raises:
        BadWebhookAddress: it may not; the sentence says why.
    """
    if not (url.isascii() and _VISIBLE.fullmatch(url)) or len(url) > URL_MAX or set(url) & set("\\<>\"'`{}|^"):
        raise BadWebhookAddress(f"must be an address of at most {URL_MAX} visible ASCII characters")
    try:
        target = URL(url)
        host, port = target.raw_host, target.port
    except ValueError:
        raise BadWebhookAddress("must be an address such as https://example.com/hook") from None
    schemes = ("https", "http") if allows_loopback else ("https",)
    if target.scheme not in schemes or not host:
        raise BadWebhookAddress("must begin with https:// and name a host")
    authority = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise BadWebhookAddress("must not contain a user or a password")
    if target.raw_fragment or "#" in url:
        raise BadWebhookAddress("must not contain a fragment")
    if port != HTTPS_PORT and not allows_loopback:
        raise BadWebhookAddress("must use port 443")
    if (literal := _literal(host)) is not None:
        _refuse(host, [str(literal)], port=port, allows_loopback=allows_loopback)
    elif allows_loopback and host == "localhost":
        return target
    elif "[" in authority or not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        # A last part that is a number makes the whole an address in disguise: 0x7f.1, 2130706433, 0177.0.0.1.
        raise BadWebhookAddress("must name its host by a full domain name, or by a public IP address")
    return target


def _refuse(host: str, addresses: Sequence[str], *, port: int | None, allows_loopback: bool) -> None:
    """Refuse a host unless every address of it may be connected to."""
    for address in addresses:
        if is_public(address) and port == HTTPS_PORT:
            continue
        if not (allows_loopback and _is_loopback(address)):
            log.info("webhook_address_refused", host=host)
            raise BadWebhookAddress("leads to an address that is not public")
    if not addresses:
        raise BadWebhookAddress("names a host that has no address")


async def look_up(host: str) -> Sequence[str]:
    """Return every address of a name as the system knows it.

    Each name has a thread of its own, so that slow ones hold up nobody: neither others, nor the end of the process.
    """
    if len(_looking) >= LOOKUPS_MAX:
        raise OSError("too many names are being looked up")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[str]] = loop.create_future()

    def tell(addresses: Sequence[str], problem: OSError | None) -> None:
        if found.done():
            return
        if problem is None:
            found.set_result(addresses)
        else:
            found.set_exception(problem)

    def work() -> None:
        addresses, problem = [], None
        try:
            infos = socket.getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as trouble:
            problem = OSError(str(trouble))
        finally:
            _looking.discard(thread)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, addresses, problem)

    thread = threading.Thread(target=work, name=f"look up {host}"[:60], daemon=True)
    _looking.add(thread)
    thread.start()
    return await found


_looking: set[threading.Thread] = set()


class _Guard(AbstractResolver):
    """What the connections of a poster learn of names: addresses that were all checked, or a refusal."""

    def __init__(self, look_up: LookUp, *, allows_loopback: bool) -> None:
        self._look_up = look_up
        self._allows_loopback = allows_loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._look_up(host.rstrip("."))
        _refuse(host, addresses, port=port, allows_loopback=self._allows_loopback)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=socket.AI_NUMERICHOST,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            )
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""


class Poster:
    """Posts to addresses that customers chose. Must be made inside a running event loop; the caller closes it."""

    def __init__(
        self, *, allows_loopback: bool = False, look_up: LookUp = look_up, tls: ssl.SSLContext | None = None
    ) -> None:
        """Open it.

        Args:
            allows_loopback: also post to this machine, by http and on any port: for tests and demonstrations.
            tls: whose certificates are believed; None for the system's.
        """
        self._allows_loopback = allows_loopback
        self._guard = _Guard(look_up, allows_loopback=allows_loopback)
        self._session = ClientSession(
            # Each POST has its own connection, and with it its own look at where the name leads.
            connector=TCPConnector(
                limit=0, force_close=True, use_dns_cache=False, resolver=self._guard,
                ssl=tls or ssl.create_default_context(),
            ),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=ClientTimeout(total=None),
            headers={"User-Agent": "numberdesk", "Accept-Encoding": "identity"},
        )  # fmt: skip
        self._session._retry_connection = False

    async def check(self, url: str) -> None:
        """Refuse an address that would not be posted to now.

        Raises:
            BadWebhookAddress: with the reason, for the person who named it.
        """
        target = parse(url, allows_loopback=self._allows_loopback)
        host = target.raw_host or ""
        if _literal(host) is not None:
            return
        try:
            async with asyncio.timeout(DEADLINE):
                await self._guard.resolve(host, target.port or 0)
        except (OSError, TimeoutError):
            raise BadWebhookAddress("names a host that cannot be found") from None

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Posted | NotPosted:
        """Post once; whatever happens is an outcome. A redirect is an answer like any other."""
        began = clock.seconds()

        def took() -> int:
            return round((clock.seconds() - began) * 1000)

        try:
            target = parse(url, allows_loopback=self._allows_loopback)
            async with asyncio.timeout(DEADLINE):
                response = await self._session.post(target, data=body, headers=headers, allow_redirects=False)
        except BadWebhookAddress as problem:
            return NotPosted(f"the address {problem}", took())
        except TimeoutError:
            return NotPosted(f"no answer within {DEADLINE:.0f} seconds", took())
        except Exception as problem:
            return NotPosted(_reason(problem), took())
        outcome = Posted(response.status, took())
        try:
            await _drop(response)
        finally:
            response.close()
        return outcome

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


async def _drop(response: ClientResponse) -> None:
    """Read the start of a body and forget it."""
    with suppress(ClientError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(ANSWER_SECONDS):
            left = ANSWER_MAX
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)


def _reason(problem: Exception) -> str:
    """Say what went wrong in our own words: the receiver's would be an answer shown."""
    match problem:
        case ClientConnectorCertificateError():
            return "its certificate is not valid for this address"
        case ClientConnectorDNSError():
            return "its host cannot be found"
        case ClientSSLError():
            return "no secure connection"
        case ClientConnectorError():
            return "no connection"
        case ClientError() | OSError():
            return "the connection ended before an answer"
        case _:
            log.warning("webhook_not_posted", problem=type(problem).__name__)
            return "the answer is not HTTP"
