"""The web process: opens the slices and wires them to the framework; `build` gives a plain ASGI application."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.routes import HTTPRoute
from pydantic import SecretStr

from numberdesk import __version__
from numberdesk.accounts import routes as accounts_routes
from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller
from numberdesk.admin import routes as admin_routes
from numberdesk.base import compress, http_client, passes, web
from numberdesk.base.calls import PREFIX, Call, Door, Edge, pass_gate
from numberdesk.base.client_ip import TrustedProxies
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, open_database
from numberdesk.base.limits import ApiLimiter, Limiter, LimitName
from numberdesk.base.migrate import folder, refuse_unready
from numberdesk.base.wake import listen
from numberdesk.catalogue import routes as catalogue_routes
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service import Shelf
from numberdesk.compat import routes as compat_routes
from numberdesk.conduct import routes as conduct_routes
from numberdesk.conduct.model import PurchaseRules
from numberdesk.console import routes as console_routes
from numberdesk.gate import ApiGate, ProtocolGate
from numberdesk.maintenance import routes as maintenance_routes
from numberdesk.maintenance import service as maintenance
from numberdesk.monitoring import jobs as monitoring_jobs
from numberdesk.monitoring import routes as monitoring_routes
from numberdesk.monitoring import service as monitoring
from numberdesk.notifications.jobs import tell_errors
from numberdesk.orders import routes as orders_routes
from numberdesk.orders import service as orders
from numberdesk.orders.model import OrderRules
from numberdesk.orders.service import Desk
from numberdesk.payments import routes as payments_routes
from numberdesk.payments.service import Till
from numberdesk.providers import service as providers
from numberdesk.settings import BadSettings, Settings
from numberdesk.support import routes as support_routes
from numberdesk.support.model import SupportRules
from numberdesk.support.service import HelpDesk
from numberdesk.till import open_till, staff_rules
from numberdesk.wallet import routes as wallet_routes
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks import routes as webhooks_routes
from numberdesk.webhooks import service as webhooks
from numberdesk.webhooks.service import Courier

COLLECT_AFTER = (20_000, 20, 50)
"""New objects, young and middle rounds between two rounds of the garbage collector."""
DRAIN_SECONDS = 1.0
"""For work that nobody waits for any more; what is not done by then is found out after the next start."""


@dataclass(frozen=True)
class Site:
    """Everything one process works with."""

    settings: Settings
    db: Database
    vault: Vault
    lines: providers.Lines
    shelf: Shelf
    people: accounts.People
    desk: Desk
    till: Till
    courier: Courier
    switches: maintenance.Switches
    help_desk: HelpDesk
    api_limit: ApiLimiter
    protocol_limit: ApiLimiter
    watch: monitoring.Watch


@dataclass(frozen=True)
class Secrets:
    """What is not in the database: each kind newest first."""

    peppers: tuple[str, ...]
    vault: Vault
    tokens: accounts.TokenKeys


def secrets_of(settings: Settings) -> Secrets:
    """Return the secrets of an installation.

    Raises:
        BadSettings: one of them is not set or weak; a start without them could read nothing that was stored.
    """
    peppers = _several(settings.api_key_salt)
    if not peppers or min(map(len, peppers)) < 16:
        raise BadSettings("API_KEY_SALT: must be set, to at least 16 characters that stay the same.")
    signing = _several(settings.jwt_secret)
    if not signing:
        raise BadSettings("JWT_SECRET: must be set, to at least 32 bytes from a generator.")
    for secret in signing:
        if settings.app_env != "demo" and (reason := accounts.weak_secret(secret)) is not None:
            raise BadSettings(f"JWT_SECRET: {reason}. Take 32 bytes from a generator.")
    try:
        vault = Vault(_several(settings.encryption_keys))
    except IndexError:
        raise BadSettings(
            "ENCRYPTION_KEYS: must be set, to one or more keys (newest first, with commas between)."
        ) from None
    except ValueError:
        raise BadSettings("ENCRYPTION_KEYS: each must be 32 bytes in URL-safe base64.") from None
    if set(signing) & {*peppers, *_several(settings.encryption_keys)}:
        raise BadSettings("JWT_SECRET: must be another secret than API_KEY_SALT and ENCRYPTION_KEYS.")
    return Secrets(tuple(peppers), vault, accounts.TokenKeys(signing))


def _several(secret: SecretStr | None) -> list[str]:
    return [] if secret is None else [part.strip() for part in secret.get_secret_value().split(",") if part.strip()]


def open_people(
    db: Database, settings: Settings, secrets: Secrets, switches: maintenance.Switches | None = None
) -> accounts.People:
    """Return what the verbs of people work with."""
    return accounts.People(
        db=db,
        vault=secrets.vault,
        hasher=accounts.Hasher(memory_kib=settings.password_memory, time_cost=settings.password_rounds),
        tokens=secrets.tokens,
        limiter=Limiter(db, numbers=settings.limits),
        ring=accounts.Ring(db, peppers=secrets.peppers, tokens=secrets.tokens),
        rules=accounts.PeopleRules(
            passwords=accounts.PasswordRules(settings.password_min_length, settings.password_complexity),
            access_lifetime=timedelta(milliseconds=settings.access_token_timeout),
            session_idle=timedelta(milliseconds=settings.session_idle_timeout),
            session_lifetime=timedelta(milliseconds=settings.session_timeout),
            public_url=settings.base_url,
            allows_test_addresses=settings.app_env == "demo",
            staff=staff_rules(settings),
        ),
        switches=switches or maintenance.Switches(),
    )


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """Open what the web process and the worker need, keep it fresh, and close it in the end."""
    if settings.database_url is None:
        raise BadSettings("DATABASE_URL: must be set; `numberdesk demo` and `serve --home` bring their own database.")
    secrets = secrets_of(settings)
    async with AsyncExitStack() as stack:
        db = await open_database(settings.database_url.get_secret_value(), size=settings.database_pool)
        stack.push_async_callback(db.close)
        await refuse_unready(db, folder=folder())
        lines = await providers.open_lines(db, secrets.vault)
        stack.push_async_callback(providers.close, lines)
        shelf = await catalogue.open_shelf(db)
        switches = maintenance.Switches()
        await maintenance.refresh(db, switches)
        people = open_people(db, settings, secrets, switches)
        await people.ring.refresh()
        api_limit = limiter_of(settings, "api", settings.rate_limit_api)
        stack.push_async_callback(api_limit.close)
        protocol_limit = limiter_of(settings, "protocol", settings.rate_limit_protocol)
        stack.push_async_callback(protocol_limit.close)
        desk = orders.open_desk(
            db,
            lines=lines,
            shelf=shelf,
            rules=OrderRules(settings.cancel_after, settings.order_lifetime, settings.route),
            switches=switches,
            limits=_purchase_rules(settings),
            withholds=settings.quarantine,
            vault=secrets.vault,
        )
        session = await stack.enter_async_context(http_client.session())
        till = await open_till(
            db, settings, vault=secrets.vault, limiter=people.limiter, session=session, switches=switches
        )
        courier = webhooks.open_courier(db, secrets.vault, allows_loopback=settings.webhook_loopback)
        stack.push_async_callback(webhooks.close, courier)
        help_desk = HelpDesk(db, secrets.vault, people.limiter, SupportRules.in_days(*settings.support_days), switches)
        watch = monitoring.open_watch(db, shelf, token=settings.secret("metrics_token"))
        site = Site(
            settings, db, secrets.vault, lines, shelf, people, desk, till, courier, switches, help_desk, api_limit,
            protocol_limit, watch,
        )  # fmt: skip
        await stack.enter_async_context(_kept_fresh(site))
        _calm_collector()
        yield site
        desk.end_waits()
        await db.drain(timeout=DRAIN_SECONDS)
        await orders.drain(desk)
        await monitoring_jobs.end(site.watch)


def _purchase_rules(settings: Settings) -> PurchaseRules:
    return PurchaseRules(
        settings.orders_first_day, settings.orders_first_week, settings.orders_per_hour, settings.orders_per_day,
        settings.countries_per_day, settings.orders_open, settings.cancel_ratio,
        cool_down=timedelta(milliseconds=settings.cancel_pause),
    )  # fmt: skip


def _calm_collector() -> None:
    """Have the garbage collector look at what is new, and less often: left alone it took a seventh of a purchase."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@asynccontextmanager
async def _kept_fresh(site: Site) -> AsyncIterator[None]:
    desk = site.desk
    connected = asyncio.Event()

    async def reload() -> None:
        await desk.load()
        connected.set()

    listener = asyncio.create_task(
        listen(site.db, orders.CHANNEL, sender=desk.sender, on_ids=desk.board.read_soon, on_connect=reload)
    )
    steps = (
        passes.Pass("callers", 0.4, site.people.ring.refresh),
        passes.Pass("uses", 10.0, site.people.ring.write_uses),
        passes.Pass("maintenance", 0.5, lambda: maintenance.refresh(site.db, site.switches)),
        passes.Pass("shelf", 1.0, lambda: catalogue.refresh(site.db, site.shelf)),
        passes.Pass("observations", 1.0, lambda: catalogue.flush_observations(site.db, site.shelf)),
        passes.Pass("statistics", 30.0, lambda: catalogue.refresh_statistics(site.db, site.shelf)),
        passes.Pass("lines", 1.0, lambda: providers.refresh(site.lines)),
        passes.Pass("gate", 0.5, lambda: providers.flush(site.lines)),
        passes.Pass("spending", 2.0, lambda: providers.watch_spending(site.lines)),
        passes.Pass("board", 3.0, desk.board.sweep),
        passes.Pass("feed", 3.0, desk.feed.sweep),
        *monitoring_jobs.steps(site.watch),
        passes.Pass("errors", 5.0, lambda: tell_errors(site.db, site.vault)),
    )
    try:
        async with passes.running(steps):
            await connected.wait()
            yield
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def limiter_of(settings: Settings, name: LimitName, number: str) -> ApiLimiter:
    """Return the counter of requests, which several processes share by Redis if there is one.

    Raises:
        BadSettings: the address of Redis cannot be used, or the package for it is missing.
    """
    redis_url = None if settings.redis_url is None else settings.redis_url.get_secret_value()
    try:
        return ApiLimiter(number, name=name, processes=settings.web_processes, redis_url=redis_url)
    except ValueError as problem:
        raise BadSettings(f"REDIS_URL: {problem}.") from None


ROUTERS = (
    accounts_routes.router,
    admin_routes.router,
    orders_routes.router,
    payments_routes.router,
    support_routes.router,
    wallet_routes.router,
    catalogue_routes.router,
    maintenance_routes.router,
    conduct_routes.router,
    monitoring_routes.router,
    webhooks_routes.router,
    console_routes.router,
)


def calls(site: Site) -> list[Call[Any]]:
    """Return every call that is answered without the framework."""
    return [
        *accounts_routes.calls(site.people),
        *orders_routes.calls(site.desk),
        *payments_routes.calls(site.till),
        *support_routes.calls(site.help_desk),
        *admin_routes.calls(site.people, site.till, site.shelf, site.desk, site.help_desk),
        *webhooks_routes.calls(site.courier),
    ]


def build(site: Site) -> Edge:
    """Wire the slices to the framework.

    Raises:
        AssertionError: a route does not declare who may use it.
    """
    gate = ApiGate(site.db, site.people, site.api_limit)
    site.watch.heart.has_web = True

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if connection.scope.get("method") == "OPTIONS":
            return  # says which methods there are, and nothing else
        if web.ACCESS not in handler.opt:
            raise NotFoundException  # the framework's own pages
        state = connection.scope["state"]
        state["caller"] = await pass_gate(gate, state["visit"], handler.opt[web.ACCESS], state["told"])

    framework = Litestar(
        route_handlers=list(ROUTERS),
        guards=[guard],
        dependencies={
            "caller": Provide(_caller, sync_to_thread=False),
            "reader": Provide(_reader, sync_to_thread=False),
            "db": Provide(lambda: site.db, sync_to_thread=False),
            "shelf": Provide(lambda: site.shelf, sync_to_thread=False),
            "desk": Provide(lambda: site.desk, sync_to_thread=False),
            "people": Provide(lambda: site.people, sync_to_thread=False),
            "till": Provide(lambda: site.till, sync_to_thread=False),
            "help_desk": Provide(lambda: site.help_desk, sync_to_thread=False),
            "courier": Provide(lambda: site.courier, sync_to_thread=False),
            "abuse_contact": Provide(lambda: site.settings.abuse_contact, sync_to_thread=False),
            "switches": Provide(lambda: site.switches, sync_to_thread=False),
            "settings": Provide(lambda: site.settings, sync_to_thread=False),
            "watch": Provide(lambda: site.watch, sync_to_thread=False),
        },
        exception_handlers={Exception: web.translate},
        compression_config=compress.config(),
        openapi_config=openapi(),
        request_max_body_size=web.BODY_MAX,
        debug=False,
    )
    undeclared = [path for path, access in declared(framework) if access is None]
    assert not undeclared, f"routes without an access: {undeclared}"
    return Edge(
        framework, calls=calls(site), gate=gate, proxies=TrustedProxies(site.settings.trusted_proxies),
        doors=doors(site),
    )  # fmt: skip


def doors(site: Site) -> list[Door]:
    """Return the protocols of others that are spoken here."""
    return compat_routes.doors(site.desk, ProtocolGate(site.db, site.people, site.api_limit, site.protocol_limit))


def declared(framework: Litestar) -> list[tuple[str, web.Access | None]]:
    """Return every route of ours with who may use it; the framework's pages below /schema answer nobody."""
    return [
        (f"{method} {route.path_format}", handler.opt.get(web.ACCESS))
        for route in framework.routes
        if isinstance(route, HTTPRoute) and not route.path_format.startswith("/schema")
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


def _caller(request: Request[Any, Any, Any]) -> Caller:
    found: Caller = request.scope["state"]["caller"]
    return found


def _reader(request: Request[Any, Any, Any]) -> AccountId:
    return _caller(request).account_id


def openapi() -> OpenAPIConfig:
    """Describe the API; its page is the console's, so the framework's own pages stay off."""
    return OpenAPIConfig(
        title="Numberdesk",
        version=__version__,
        description="Rent a number, receive its code, pay only if it came.",
        servers=[Server(url=PREFIX), Server(url="/", description="the same calls without a prefix")],
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
                "session": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
            }
        ),
        security=[{"apiKey": []}, {"session": []}],
        render_plugins=[],
        use_handler_docstrings=True,
    )
