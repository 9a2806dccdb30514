"""Sentry and OpenTelemetry, for who has them: imported only when they are set, and nothing leaves with a secret in it.

Both are extras of the package. Without their settings this module does nothing.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from numberdesk.base import log
from numberdesk.base.observed import ROUTE

_SHOWN_TAGS: Final = ("request_id", "account_id", "order_id", "step", "provider", "action")
_tracing: dict[str, Any] = {}
"""The tracer of this process, while spans are wanted."""


class ExtraMissing(ValueError):
    """A setting asks for a package that is not installed; `str()` says how to get it."""


def find_sentry(dsn: str) -> Any:
    """Return the package that reports to Sentry.

    Raises:
        ExtraMissing: it is not there, or the address is none.
    """
    sentry = _module("sentry_sdk", extra="sentry", setting="SENTRY_DSN")
    try:
        sentry.utils.Dsn(dsn)
    except sentry.utils.BadDsn:
        raise ExtraMissing("SENTRY_DSN: is no address of Sentry's; it looks like https://key@host/number.") from None
    return sentry


def open_sentry(dsn: str, *, environment: str, release: str) -> None:
    """Report errors that are logged to Sentry, or to what speaks its protocol, from here on.

    Raises:
        ExtraMissing: the package is not there, or the address is none.
    """
    sentry = find_sentry(dsn)
    sentry.init(
        dsn=dsn, environment=environment, release=f"numberdesk@{release}", send_default_pii=False,
        include_local_variables=False, max_request_body_size="never", auto_enabling_integrations=False,
        default_integrations=False, max_breadcrumbs=0, before_send=lambda event, _hint: scrubbed(event),
    )  # fmt: skip

    def report(line: Mapping[str, Any], problem: BaseException | None) -> None:
        with sentry.new_scope() as scope:
            for name in _SHOWN_TAGS:
                if name in line:
                    scope.set_tag(name, str(line[name]))
            scope.set_context("line", {name: log.redacted(name, value) for name, value in line.items()})
            if problem is not None:
                sentry.capture_exception(problem)
            else:
                sentry.capture_message(str(line.get("event", "")), level="error")

    log.report_to(report)


def scrubbed(event: dict[str, Any]) -> Any:
    """Return what would leave without secrets, addresses and phone numbers, however deep they stand."""
    return log.redacted("", event)


def find_tracing() -> None:
    """Refuse to go on without the packages that send spans.

    Raises:
        ExtraMissing: one of them is not there.
    """
    for name in (
        "opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.trace",
        "opentelemetry.instrumentation.asyncpg",
    ):  # fmt: skip
        _module(name, extra="otel", setting="OTEL_EXPORTER_OTLP_ENDPOINT")


def open_tracing(*, service: str, version: str) -> None:
    """Send spans of requests and statements as the environment says (`OTEL_…`, read by the SDK itself).

    Raises:
        ExtraMissing: one of the packages is not there.
    """
    find_tracing()
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    api = importlib.import_module("opentelemetry.trace")
    asyncpg = importlib.import_module("opentelemetry.instrumentation.asyncpg")
    resource = resources.Resource.create({"service.name": service, "service.version": version})
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    api.set_tracer_provider(provider)
    # Statements are literals of the program; what travels beside them as parameters is not told.
    asyncpg.AsyncPGInstrumentor(capture_parameters=False).instrument(tracer_provider=provider)
    _tracing.update(tracer=provider.get_tracer("numberdesk", version), kind=api.SpanKind.SERVER, provider=provider)


def traced(app: Any) -> Any:
    """Return an application whose requests are spans, when spans are wanted; else the same.

    A span has the route, not the address: keys may stand in addresses.
    """
    return Traced(app, _tracing["tracer"], _tracing["kind"]) if _tracing else app


class Traced:
    """An application whose requests are spans."""

    def __init__(self, app: Any, tracer: Any, kind: Any) -> None:
        self._app = app
        self._tracer = tracer
        self._kind = kind
        self._extract = importlib.import_module("opentelemetry.propagate").extract

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = (b"traceparent", b"tracestate")
        carrier = {name.decode(): text.decode("latin-1") for name, text in scope["headers"] if name in wanted}
        with self._tracer.start_as_current_span("request", context=self._extract(carrier), kind=self._kind) as span:

            async def send_and_note(message: Any) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    given = dict(message["headers"]).get(b"x-request-id", b"")
                    span.set_attribute("numberdesk.request_id", given.decode("latin-1"))
                await send(message)

            try:
                await self._app(scope, receive, send_and_note)
            finally:
                route = scope.get(ROUTE) or scope.get("path_template") or "unmatched"
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.route", route)


def _module(name: str, *, extra: str, setting: str) -> Any:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ExtraMissing(
            f"{setting}: needs packages that are missing: install numberdesk[{extra}], or leave the setting empty."
        )
    return importlib.import_module(name)
