"""A whole site on loopback for the tests of the wire, and a client that sees every byte of its answers."""

import itertools
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, LiteralString

import structlog
from anyio.from_thread import BlockingPortal

from numberdesk import worker
from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import CUSTOMER_SCOPES, Dialect, Role, Scope
from numberdesk.base import crypto
from numberdesk.base.db import Database, open_database, run, value
from numberdesk.base.money import Paise, parse_rupees
from numberdesk.base.postgres import Cluster
from numberdesk.base.visit import Visit
from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._providers import sync_provider
from numberdesk.cli._serve import free_port, mailer_of, serving
from numberdesk.main import Site, open_site, secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.model import RENTAL, is_rental
from numberdesk.providers.simulator import Simulator
from numberdesk.settings import Settings, load
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit
from tests import postgres
from tests.base.proxy import Proxy, proxied

HOST = "127.0.0.1"
NOBODY = AccountId(0)
PEPPER = "pepper-of-the-tests-of-the-wire"
PASSWORD = "monsoon-mango-lassi"
JWT_SECRET = "signs the tokens of the tests of the wire: 0123456789"
TELEGRAM = {"service": "tg", "country": "IN"}
PRICE = "21.30"
"""What a Telegram number of India costs: 17.75 at the simulator, and a fifth more."""

STATUSES = frozenset({200, 304, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503})
"""All that the contract knows; no test of this folder ever gets another one."""
SECURITY = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}
"""What every answer carries; a page for people has a policy of its own."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What a success holds."""
        assert self.status == 200, (self.status, self.body)
        assert self.json.keys() == {"success", "data"}
        assert self.json["success"] is True
        return self.json["data"]

    @property
    def details(self) -> dict[str, Any]:
        """What a refusal holds, once its envelope is as it must be."""
        shown = self.json
        assert shown.keys() == {"success", "error", "details"}, shown
        assert shown["success"] is False
        assert isinstance(shown["error"], str)
        assert shown["error"]
        assert shown["details"]["category"] in ("validation", "authentication", "transaction", "provider", "system")
        assert shown["details"]["requestId"] == self.headers["x-request-id"]
        return dict(shown["details"])

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.details["code"]


@dataclass(frozen=True)
class Client:
    """Sends requests, each on a connection of its own, as whoever holds `key`."""

    port: int
    key: str | None = None
    account_id: AccountId = NOBODY
    prefix: str = ""
    token: str | None = None
    """An access token, for whoever has signed in instead."""
    others: frozenset[int] = frozenset()
    """Statuses that a foreign protocol has besides those of the contract."""

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """Send exactly these headers, the key and what HTTP needs; an iterator of bytes travels in chunks."""
        with closing(HTTPConnection(HOST, self.port, timeout=30)) as connection:
            connection.putrequest(method, self.prefix + path, skip_accept_encoding=True)
            if self.key is not None:
                connection.putheader("X-API-Key", self.key)
            if self.token is not None:
                connection.putheader("Authorization", f"Bearer {self.token}")
            for name, text in (headers or {}).items():
                connection.putheader(name, text)
            if isinstance(body, bytes):
                connection.putheader("Content-Length", str(len(body)))
            elif body is not None:
                connection.putheader("Transfer-Encoding", "chunked")
            with suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before the body is through
                connection.endheaders(body, encode_chunked=body is not None and not isinstance(body, bytes))
            raw = connection.getresponse()
            told = {name.lower(): text for name, text in raw.getheaders()}
            # A stream has no end, so its start is read.
            is_stream = told.get("content-type", "").startswith("text/event-stream")
            answer = Answer(raw.status, told, raw.read1(65_536) if is_stream else raw.read())
        assert answer.status in STATUSES | self.others, answer
        assert answer.headers.keys() >= {"x-request-id", "cache-control", *SECURITY}, answer
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def post(self, path: str, data: object, **headers: str) -> Answer:
        """Post JSON; `data` as bytes is sent as it is."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.send("POST", path, body=body, headers={"Content-Type": "application/json"} | named)

    def buy(self, **wish: object) -> int:
        """Rent a number and return the order's id."""
        return int(self.post("/auth/get-number", TELEGRAM | wish).data["orderId"])

    def under(self, prefix: str) -> "Client":
        return replace(self, prefix=prefix)


@dataclass(frozen=True)
class SignedIn:
    """A person with a session."""

    client: Client
    refresh: str
    account_id: AccountId


@dataclass(frozen=True)
class Stand:
    """A site that answers, its provider, and the loop in which both live."""

    portal: BlockingPortal
    site: Site
    provider: Simulator
    port: int
    admin_url: str
    proxy: Proxy | None

    @property
    def nobody(self) -> Client:
        return Client(self.port)

    def customer(self, rupees: str = "1000") -> Client:
        """Open an account with money and a key."""
        return self.portal.call(self._open_account, rupees)

    async def _open_account(self, rupees: str) -> Client:
        number = next(_numbers)
        async with self.site.db.transaction() as tx:
            account_ids = await accounts.create(tx, emails=[f"c{number}@example.com"], names=[f"Customer {number}"])
            if rupees != "0":
                paise = parse_rupees(rupees)
                await wallet.credit(tx, [Credit(account_ids[0], paise, "admin_credit", f"test-{number}")])
            keys = await accounts.issue_keys(tx, account_ids=account_ids, name="test", pepper=PEPPER)
        return Client(self.port, keys[0].secret, account_ids[0])

    def another_key(self, client: Client, *scopes: Scope, dialect: Dialect | None = None) -> Client:
        """Give an account one more key; without scopes it may do what every key may."""

        async def work() -> str:
            async with self.site.db.transaction() as tx:
                (key,) = await accounts.issue_keys(
                    tx, account_ids=[client.account_id], name="other", pepper=PEPPER,
                    scopes=scopes or CUSTOMER_SCOPES, dialect=dialect,
                )  # fmt: skip
            return key.secret

        return replace(client, key=self.portal.call(work))

    def signed_in(self, email: str, *, role: Role = "customer", password: str = PASSWORD) -> "SignedIn":
        """Make a person whose address is proven, with a password, and log in."""
        return self.portal.call(self._sign_in, email, role, password)

    async def _sign_in(self, email: str, role: Role, password: str) -> "SignedIn":
        people = self.site.people
        async with self.site.db.transaction() as tx:
            (account_id,) = await accounts.create(tx, emails=[email], names=["Asha"])
        await accounts.set_password_from_shell(people, account_id, password)
        if role != "customer":
            await accounts.set_role(self.site.db, account_id, role)
        visit = Visit("a-login-of-the-tests", "127.0.0.1", "tests")
        tokens, _ = await accounts.login(people, visit, email=email, password=password, totp=None)
        return SignedIn(Client(self.port, token=tokens.access, account_id=account_id), tokens.refresh, account_id)

    def credit(self, client: Client, *paise: int) -> None:
        """Put money into a wallet, one line of the statement for each amount."""

        async def work() -> None:
            causes = [
                Credit(client.account_id, Paise(item), "admin_credit", f"line-{next(_numbers)}") for item in paise
            ]
            async with self.site.db.transaction() as tx:
                await wallet.credit(tx, causes)

        self.portal.call(work)

    def deliver(self, order_id: int, code: str) -> None:
        """Have the provider receive an SMS for an order."""
        upstream_id = str(self.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
        take_in = self.provider.deliver_rental if is_rental(upstream_id) else self.provider.deliver
        known_as = int(upstream_id.removeprefix(RENTAL))
        self.portal.call(lambda: take_in(known_as, f"Telegram code {code}", code=code))

    def received(self, client: Client, code: str = "12345") -> int:
        """Rent a number and have its code; returns the order's id."""
        order_id = client.buy()
        self.deliver(order_id, code)
        seen = client.post("/auth/check-otp", {"orderId": order_id, "wait": 10}).data
        assert (seen["status"], seen["otp"]) == ("received", code)
        return order_id

    def ripen(self, order_id: int) -> None:
        """Make an order old enough to be cancelled; the provider of a stand does not mind the age."""
        self.change(
            "UPDATE orders SET cancel_allowed_at = clock_timestamp(), changed_at = clock_timestamp() WHERE id = $1",
            order_id,
        )

    def cut_database(self) -> None:
        """Break every connection to the database and refuse new ones; needs a stand with a proxy."""

        async def work() -> None:
            assert self.proxy is not None
            self.proxy.refuse_next = 1_000_000
            for writer in list(self.proxy.writers):
                writer.transport.abort()

        self.portal.call(work)

    def mend_database(self) -> None:
        assert self.proxy is not None
        self.proxy.refuse_next = 0

    def verify_ledger(self) -> None:
        """Check every invariant of the money."""
        checks = self.portal.call(monitoring.verify, self.site.db)
        assert [(check.name, check.wrong) for check in checks if not check.ok] == []

    def ask(self, query: LiteralString, *args: object) -> Any:
        async def work() -> Any:
            async with self.site.db.statement() as tx:
                return await value(tx, query, *args)

        return self.portal.call(work)

    def change(self, query: LiteralString, *args: object, as_admin: bool = False) -> None:
        async def work() -> None:
            db = await open_database(self.admin_url, size=1, role=None) if as_admin else self.site.db
            try:
                async with db.statement() as tx:
                    await run(tx, query, *args)
            finally:
                if as_admin:
                    await db.close()

        self.portal.call(work)


@contextmanager
def opened(
    portal: BlockingPortal, cluster: Cluster, *, proxy_folder: Path | None = None, **changes: Any
) -> Iterator[Stand]:
    """Run a site with a database and a provider of its own.

    Args:
        proxy_folder: the site reaches its database through a proxy that listens here, so that it can be cut off.
        changes: settings that are to be others.
    """
    told = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        with portal.wrap_async_context_manager(_opened(portal, cluster, proxy_folder, changes)) as stand:
            yield stand
    finally:
        structlog.configure(wrapper_class=told)


@contextmanager
def joined(stand: Stand) -> Iterator[int]:
    """Open the site a second time on the same database, as another process would, and give its port."""
    with stand.portal.wrap_async_context_manager(_joined(stand.site.settings)) as port:
        yield port


@asynccontextmanager
async def _joined(settings: Settings) -> AsyncIterator[int]:
    async with open_site(settings) as site:
        port = free_port(HOST, 0)
        async with serving(site, HOST, port):
            yield port


@asynccontextmanager
async def _opened(
    portal: BlockingPortal, cluster: Cluster, proxy_folder: Path | None, changes: dict[str, Any]
) -> AsyncIterator[Stand]:
    name = f"numberdesk_{os.getpid()}_wire_{next(_numbers)}"
    await postgres.make_database(cluster, name, template=postgres.TEMPLATE)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgres.drop_database, cluster, name)
        url, proxy = postgres.in_database(cluster.app_url, name), None
        if proxy_folder is not None:
            proxy = await stack.enter_async_context(proxied(url, proxy_folder))
        settings = load(
            database_url=url if proxy is None else proxy.url,
            api_key_salt=PEPPER,
            encryption_keys=crypto.new_key(),
            jwt_secret=JWT_SECRET,
            password_memory=64,
            password_rounds=1,
            **({"rate_limit_api": "off"} | changes),
        )
        provider = await simulator.start(
            api_key="simulator-key", record_path=None, profile="never", min_cancel_age=timedelta()
        )
        stack.push_async_callback(provider.stop)
        await _add_provider(settings, provider)
        site = await stack.enter_async_context(open_site(settings))
        await _sync(site)
        port = free_port(HOST, 0)
        await stack.enter_async_context(serving(site, HOST, port))
        await stack.enter_async_context(worker.running(site, mailer_of(settings)))
        yield Stand(portal, site, provider, port, postgres.in_database(cluster.admin_url, name), proxy)


async def _add_provider(settings: Settings, provider: Simulator) -> None:
    assert settings.database_url is not None
    db: Database = await open_database(settings.database_url.get_secret_value(), size=2)
    try:
        await reference.load(db)
        await providers.add(
            db, secrets_of(settings).vault, name="alpha", kind="sms-activate", url=provider.url,
            api_key="simulator-key", poll_ms=100, calls_per_second=10_000, cancel_after_ms=0, lifetime_ms=3_600_000,
            extend_paise_per_minute=20,
        )  # fmt: skip
    finally:
        await db.close()


async def _sync(site: Site) -> None:
    for line in list(site.lines.by_id.values()):
        if line.provider.kind == "sandbox":
            continue  # is never synced
        await sync_provider(site.db, site.lines, line.provider)
    await catalogue.refresh(site.db, site.shelf)
