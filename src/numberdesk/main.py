"""The web process: opens the slices and wires them to the framework; `build` gives a plain ASGI application."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, Request
from litestar.di import NamedDependency, Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server

from numberdesk import __version__
from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Answer, Caller
from numberdesk.accounts.service import KeyRing
from numberdesk.base import compress, passes, web
from numberdesk.base.calls import PREFIX, Edge
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, open_database
from numberdesk.base.migrate import folder, refuse_unready
from numberdesk.base.wake import listen
from numberdesk.catalogue import routes as catalogue_routes
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service import Shelf
from numberdesk.console import routes as console_routes
from numberdesk.monitoring import routes as monitoring_routes
from numberdesk.orders import routes as orders_routes
from numberdesk.orders import service as orders
from numberdesk.orders.model import OrderRules
from numberdesk.orders.service import Desk
from numberdesk.providers import service as providers
from numberdesk.settings import BadSettings, Settings
from numberdesk.wallet import routes as wallet_routes
from numberdesk.wallet.model import AccountId

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
    ring: KeyRing
    desk: Desk


def secrets_of(settings: Settings) -> tuple[str, Vault]:
    """Return the pepper of API keys and the vault.

    Raises:
        BadSettings: one of them is not set; a start without them could read nothing that was stored.
    """
    if settings.api_key_salt is None or len(settings.api_key_salt.get_secret_value()) < 16:
        raise BadSettings("API_KEY_SALT: must be set, to at least 16 characters that stay the same.")
    if settings.encryption_keys is None:
        raise BadSettings("ENCRYPTION_KEYS: must be set, to one or more keys (newest first, with commas between).")
    try:
        vault = Vault([key.strip() for key in settings.encryption_keys.get_secret_value().split(",")])
    except ValueError:
        raise BadSettings("ENCRYPTION_KEYS: each must be 32 bytes in URL-safe base64.") from None
    return settings.api_key_salt.get_secret_value(), vault


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """Open what the web process and the worker need, keep it fresh, and close it in the end."""
    if settings.database_url is None:
        raise BadSettings("DATABASE_URL: must be set; `numberdesk demo` and `serve --home` bring their own database.")
    pepper, vault = secrets_of(settings)
    async with AsyncExitStack() as stack:
        db = await open_database(settings.database_url.get_secret_value(), size=settings.database_pool)
        stack.push_async_callback(db.close)
        await refuse_unready(db, folder=folder())
        lines = await providers.open_lines(db, vault)
        stack.push_async_callback(providers.close, lines)
        shelf = await catalogue.open_shelf(db)
        ring = KeyRing(db, pepper=pepper)
        await ring.refresh()
        desk = orders.open_desk(
            db, lines=lines, shelf=shelf, rules=OrderRules(settings.cancel_after, settings.order_lifetime)
        )
        site = Site(settings, db, vault, lines, shelf, ring, desk)
        await stack.enter_async_context(_kept_fresh(site))
        _calm_collector()
        yield site
        desk.board.close()
        await db.drain(timeout=DRAIN_SECONDS)
        await orders.drain(desk)


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
        await desk.board.load()
        connected.set()

    listener = asyncio.create_task(
        listen(site.db, orders.CHANNEL, sender=desk.sender, on_ids=desk.board.read_soon, on_connect=reload)
    )
    steps = (
        passes.Pass("keys", 0.4, site.ring.refresh),
        passes.Pass("shelf", 1.0, lambda: catalogue.refresh(site.db, site.shelf)),
        passes.Pass("lines", 1.0, lambda: providers.refresh(site.lines)),
        passes.Pass("board", 3.0, desk.board.sweep),
    )
    try:
        async with passes.running(steps):
            await connected.wait()
            yield
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


class _Gate:
    """What the calls need of the accounts slice."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.known = site.ring.known
        self.authenticate = site.ring.authenticate
        self.require: Callable[..., None] = accounts.require

    async def claim(self, caller: Caller, key: str, operation: str, body: bytes) -> tuple[int, bytes] | None:
        answer = await accounts.claim(
            self._site.db, account_id=caller.account_id, key=key, operation=operation, body=body
        )
        return None if answer is None else (answer.status, answer.body)

    async def keep(self, caller: Caller, key: str, status: int, body: bytes) -> None:
        await accounts.keep_answer(self._site.db, account_id=caller.account_id, key=key, answer=Answer(status, body))

    async def release(self, caller: Caller, key: str) -> None:
        await accounts.release(self._site.db, account_id=caller.account_id, key=key)


ROUTERS = (
    orders_routes.router,
    wallet_routes.router,
    catalogue_routes.router,
    monitoring_routes.router,
    console_routes.router,
)


def build(site: Site) -> Edge:
    """Wire the slices to the framework."""

    async def caller(request: Request[Any, Any, Any]) -> Caller:
        return await site.ring.authenticate(request.headers.get("x-api-key"))

    async def reader(caller: NamedDependency[Caller]) -> AccountId:
        accounts.require(caller, "read")
        return caller.account_id

    framework = Litestar(
        route_handlers=list(ROUTERS),
        dependencies={
            "caller": Provide(caller),
            "reader": Provide(reader),
            "db": Provide(lambda: site.db, sync_to_thread=False),
            "shelf": Provide(lambda: site.shelf, sync_to_thread=False),
            "desk": Provide(lambda: site.desk, sync_to_thread=False),
        },
        exception_handlers={Exception: web.translate},
        compression_config=compress.config(),
        openapi_config=openapi(),
        request_max_body_size=web.BODY_MAX,
        debug=False,
    )
    return Edge(framework, calls=orders_routes.calls(site.desk), gate=_Gate(site))


def openapi() -> OpenAPIConfig:
    """Describe the API; its page is the console's, so the framework's own pages stay off."""
    return OpenAPIConfig(
        title="Numberdesk",
        version=__version__,
        description="Rent a number, receive its code, pay only if it came.",
        servers=[Server(url=PREFIX), Server(url="/", description="the same calls without a prefix")],
        components=Components(
            security_schemes={"apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header")}
        ),
        security=[{"apiKey": []}],
        render_plugins=[],
        use_handler_docstrings=True,
    )
