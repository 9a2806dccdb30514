"""Structured logs: colour on a terminal, JSON lines elsewhere; secrets blanked, people masked.

What a line is about (request, account, order, pass, provider) is bound where the work begins and stands in every line
that is written meanwhile, also by tasks that the work starts. Lines about answered requests are gathered and written by
a thread: a sink that is blocked holds nobody up, and costs lines, never requests.
"""

import asyncio
import logging
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Any, Final, Literal

import msgspec
import structlog
from structlog.types import EventDict, WrappedLogger

from numberdesk.base import clock, troubles
from numberdesk.base.metrics import LOG_DROPPED

Form = Literal["auto", "json", "text"]
AccessLines = Literal["all", "errors", "off"]
About = dict[str, object]
Reporter = Callable[[dict[str, Any], BaseException | None], None]

_SECRET_NAMES: Final = re.compile(
    r"(password|secret|token|api_?key|authorization|cookie|otp|totp|sms_?text|^code$|^text$)", re.I
)
_PERSON_NAMES: Final = re.compile(r"(^|_)(number|phone|mobile|msisdn|vpa|payer)$", re.I)
_ID_NAMES: Final = re.compile(r"(^|_)(ids?|at|ref|reference|version)$", re.I)
_BLANK: Final = "[hidden]"
_IN_TEXT: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    ("=", re.compile(r"((?:api_?key|token|secret|password|sign(?:ature)?)=)[^&\s\"']+", re.I), rf"\1{_BLANK}"),
    ("/webhooks/", re.compile(r"(/webhooks/provider/[^/\s\"']*/)[^/\s\"'?]+"), rf"\1{_BLANK}"),
    ("bot", re.compile(r"(\bbot)\d+:[A-Za-z0-9_-]+"), rf"\1{_BLANK}"),
    (" ", re.compile(r"\b(bearer|basic|apikey) +[A-Za-z0-9._~+/=:-]{8,}", re.I), rf"\1 {_BLANK}"),
    ("nd_", re.compile(r"\bnd_[a-z]+_[A-Za-z0-9_]{8,}"), _BLANK),
    ("://", re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@"), rf"\1{_BLANK}@"),
    ("@", re.compile(r"\b([A-Za-z0-9])[A-Za-z0-9._%+-]*@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})\b"), r"\1***@\2"),
    ("+", re.compile(r"\+\d{6,13}(\d\d)(?!\d)"), r"+***\1"),
)
"""What stands in texts: a sign that it may be there, how it looks, and what is written instead."""
_LONG_NUMBER: Final = re.compile(r"(?<![\w.:/-])\d{8,13}(\d\d)(?![\w:/-])")
"""A run of 10 to 15 digits is how phone numbers look."""

WAITING_MAX: Final = 20_000
"""Access lines that may wait for the thread that writes them."""
FAILED: Final = 500
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask every few seconds; a line is written only when it fails."""

_about: ContextVar[About | None] = ContextVar("numberdesk_about", default=None)


def begin(about: About) -> Token[About | None]:
    """Bind what the work that begins here is about; `end` takes the token."""
    return _about.set(about)


def end(token: Token[About | None]) -> None:
    """Bind again what was bound before."""
    _about.reset(token)


def note(**known: object) -> None:
    """Add what became known of the work that runs, such as who asks for it."""
    about = _about.get()
    if about is not None:
        about.update(known)


def note_one(name: str, value: object) -> None:
    """Add one thing, where that must cost next to nothing."""
    about = _about.get()
    if about is not None:
        about[name] = value


@contextmanager
def about(**known: object) -> Iterator[None]:
    """Bind what a block is about, on top of what is bound already."""
    token = _about.set({**(_about.get() or {}), **known})
    try:
        yield
    finally:
        _about.reset(token)


def bound() -> About:
    """Return what is bound."""
    return dict(_about.get() or {})


def tell_about(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put what is bound into a line; what the line says itself stays."""
    for name, value in (_about.get() or {}).items():
        event.setdefault(name, value)
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank every field named like a secret and every secret inside a text, and mask addresses and phone numbers."""
    for name, value in event.items():
        if name != "event" or isinstance(value, str):
            event[name] = redacted(name, value)
    return event


def redacted(name: str, value: Any) -> Any:
    """Return a value as it may be written under that name."""
    if _SECRET_NAMES.search(name):
        return _BLANK
    if isinstance(value, str):
        return _masked_person(value) if _PERSON_NAMES.search(name) else clean(value, is_id=bool(_ID_NAMES.search(name)))
    if isinstance(value, bytes):
        return clean(value.decode(errors="replace"))
    if isinstance(value, dict):
        return {key: redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(name, item) for item in value]
    return value


def clean(text: str, *, is_id: bool = False) -> str:
    """Return a text without secrets, e-mail addresses and phone numbers.

    Args:
        is_id: whether the text is a name for something, in which a long number is no phone number.
    """
    for sign, pattern, instead in _IN_TEXT:
        if sign in text:
            text = pattern.sub(instead, text)
    return text if is_id else _LONG_NUMBER.sub(r"***\1", text)


def _masked_person(text: str) -> str:
    return "***" + text[-2:] if len(text) > 4 else "***"


class _Bridge(logging.Handler):
    """Says what libraries log in our form, with the same masks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            structlog.get_logger().log(
                record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None
            )
        except Exception:  # a line that cannot be written is no reason to fail
            self.handleError(record)


_reporters: list[Reporter] = []


def report_to(reporter: Reporter) -> None:
    """Have errors told to somebody else too, with their exception."""
    _reporters.append(reporter)


def report(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Tell the reporters of an error; what they cannot take is no reason to fail."""
    if _reporters and method in ("error", "exception", "critical"):
        given = event.get("exc_info")
        problem = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
        line = {name: value for name, value in event.items() if name != "exc_info"}
        for reporter in _reporters:
            with suppress(Exception):
                reporter(line, problem if isinstance(problem, BaseException) else None)
    return event


def count_troubles(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Note errors that nobody foresaw, which are those that are logged with their exception."""
    problem = event.get("exc_info")
    if problem and method in ("error", "exception", "critical"):
        problem = problem if isinstance(problem, BaseException) else sys.exc_info()[1]
        troubles.note(str(event.get("event", "")), problem)
    return event


def processors(*, as_text: bool) -> list[Any]:
    """Return what a line goes through until it is written."""
    return [
        structlog.contextvars.merge_contextvars,
        tell_about,
        report,
        count_troubles,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if as_text else structlog.processors.JSONRenderer(),
    ]


def configure(*, level: str = "info", form: Form = "auto", access: AccessLines = "off") -> None:
    """Set up logging of this process once, to standard error.

    Args:
        access: which answered requests get a line.
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors(as_text=as_text),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    ACCESS.lines = "off" if number > logging.INFO and access == "all" else access
    ACCESS.as_text = as_text
    # While the server is away the pool says so with a traceback every time; we say it in a line.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()])


class Access:
    """Lines about answered requests, until they are written."""

    def __init__(self) -> None:
        self.lines: AccessLines = "off"
        self.as_text = False
        self._waiting: deque[tuple[float, About, str, str, int, float]] = deque()

    def note(self, about: About, method: str, route: str, status: int, seconds: float) -> None:
        """Keep a line for an answered request, if such requests get one."""
        if self.lines == "off" or (self.lines == "errors" and status < FAILED) or (route in QUIET and status < FAILED):
            return
        if len(self._waiting) >= WAITING_MAX:
            LOG_DROPPED.inc()
            return
        self._waiting.append((clock.timestamp(), about, method, route, status, seconds))

    def taken(self) -> bytes:
        """Return the lines that wait, and keep none of them."""
        parts = []
        for _ in range(len(self._waiting)):
            at, about, method, route, status, seconds = self._waiting.popleft()
            line = {
                "event": "request", "level": "info", "timestamp": clock.iso(at), **about, "method": method,
                "route": route, "status": status, "ms": round(seconds * 1000, 1),
            }  # fmt: skip
            parts.append(_text(line) if self.as_text else msgspec.json.encode(line))
        return b"".join(part + b"\n" for part in parts)

    async def write(self) -> None:
        """Write what waits, in a thread: meant for a few times a second."""
        if self._waiting:
            await asyncio.to_thread(_write, self.taken())

    def write_rest(self) -> None:
        """Write what waits, at the end of a process."""
        if self._waiting:
            _write(self.taken())


def _text(line: dict[str, Any]) -> bytes:
    head = f"{line.pop('timestamp')} [{line.pop('level')}] {line.pop('event')}"
    return " ".join([head, *(f"{name}={value}" for name, value in line.items())]).encode()


def _write(lines: bytes) -> None:
    sys.stderr.write(lines.decode())
    sys.stderr.flush()


ACCESS: Final = Access()
"""Of this process."""
