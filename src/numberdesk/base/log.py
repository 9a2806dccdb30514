"""Structured logs: colour on a terminal, JSON lines elsewhere, secrets blanked."""

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.types import EventDict, WrappedLogger

_SECRET_NAMES = re.compile(
    r"(password|secret|token|api_?key|authorization|cookie|otp|totp|sms_?text|^code$|^text$)", re.I
)
_SECRET_QUERY = re.compile(r"((?:api_?key|token|secret|password)=)[^&\s\"']+", re.I)
_SECRET_PATH = re.compile(r"(/webhooks/provider/[^/\s\"']*/)[^/\s\"'?]+")
_BLANK = "[hidden]"


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank every field named like a secret and every secret inside an address."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = _BLANK
        elif isinstance(value, str):
            if "=" in value:
                value = _SECRET_QUERY.sub(rf"\1{_BLANK}", value)
            event[name] = _SECRET_PATH.sub(rf"\1{_BLANK}", value) if "/webhooks/" in value else value
    return event


def configure(*, level: str = "info", form: Literal["auto", "json", "text"] = "auto") -> None:
    """Set up logging of this process once, to standard error."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # While the server is away the pool says so with a traceback every time; we say it in a line.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
