"""Outgoing HTTP: one request with a total deadline and a capped body, whose outcome is a value and never an exception.

No reason and no log line holds the query of an address, because keys travel there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import structlog
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    NonHttpUrlClientError,
    TCPConnector,
)
from yarl import URL

log = structlog.get_logger()

CONNECTIONS_MAX = 1000
KEEP_ALIVE = 4.0
"""Seconds an idle connection is kept: less than the 5 of Node.js, the shortest that servers commonly have. A request
written to a connection that the other side is just closing counts as sent, and a purchase would end as unknown."""
DNS_SECONDS = 60
NOTHING: Mapping[str, str] = {}
CONNECT_SHARE = 0.8
"""Part of the deadline in which a connection must stand; when it does not, the request was surely never sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status; `body` is decompressed."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No whole answer came. `sent` is false only when the request surely never left this machine."""

    reason: str
    sent: bool


TOO_LATE = NoAnswer("no answer before the deadline", sent=True)
TOO_LARGE = NoAnswer("the body is above its cap", sent=True)
NO_TIME = NoAnswer("no time was left to ask", sent=False)
CLOSED = NoAnswer("this process is closing its connections", sent=False)

_NEVER_SENT = (
    ConnectionTimeoutError,
    ClientConnectorError,
    ClientConnectorCertificateError,
    InvalidURL,
    NonHttpUrlClientError,
)


def session(*, connections_max: int = CONNECTIONS_MAX) -> ClientSession:
    """Open a session for `get`: no cookies, nothing from the environment, nothing sent twice.

    Must be called inside a running event loop; the caller closes it.
    """
    opened = ClientSession(
        connector=TCPConnector(limit=connections_max, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=DNS_SECONDS),
        cookie_jar=DummyCookieJar(),
        trust_env=False,
        timeout=ClientTimeout(total=None),
        headers={"Accept-Encoding": "gzip", "User-Agent": "numberdesk"},
    )
    # aiohttp sends a GET once more when a reused connection breaks under it. A purchase is a GET, and the first one
    # may have been carried out. There is no public switch; test_http_client.py proves that this one works.
    opened._retry_connection = False
    return opened


async def get(
    session: ClientSession, url: URL | str, *, params: Mapping[str, str], deadline: float, body_max: int
) -> Answer | NoAnswer:
    """Ask once by GET, as `send` does."""
    return await send(session, "GET", url, params=params, deadline=deadline, body_max=body_max)


async def send(
    session: ClientSession,
    method: Literal["GET", "POST"],
    url: URL | str,
    *,
    params: Mapping[str, str] = NOTHING,
    headers: Mapping[str, str] = NOTHING,
    body: bytes | None = None,
    deadline: float,
    body_max: int,
) -> Answer | NoAnswer:
    """Ask once. Redirects are not followed: a 3xx is an answer like any other.

    Args:
        body: sent as it is; its type stands in `headers`.
        deadline: seconds for everything together, from resolving the name to the last byte of the body.
        body_max: bytes of the body after decompression; reading stops there.
    """
    if deadline <= 0:
        return NO_TIME
    if session.closed:
        return CLOSED
    try:
        async with (
            asyncio.timeout(deadline),
            session.request(
                method,
                url,
                params=params,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=ClientTimeout(total=None, connect=deadline * CONNECT_SHARE),
            ) as response,
        ):
            return await _whole(response, body_max)
    except _NEVER_SENT as problem:
        return NoAnswer(f"it cannot be reached ({type(problem).__name__})", sent=False)
    except TimeoutError:
        return TOO_LATE
    except (ClientError, OSError) as problem:
        return NoAnswer(type(problem).__name__, sent=True)
    except Exception as problem:
        # A parser tripped over something nobody foresaw. The request has left, so its effect is as unknown as after
        # a cut connection, and an exception would hide that from the caller.
        log.warning("http_answer_unreadable", problem=type(problem).__name__)
        return NoAnswer(type(problem).__name__, sent=True)


async def _whole(response: ClientResponse, body_max: int) -> Answer | NoAnswer:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > body_max:
            response.close()
            return TOO_LARGE
    return Answer(response.status, response.headers.get("Content-Type", ""), bytes(body))
