"""Past orders whose money really moved, at times of our choosing; and the plain way to count them all."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from numberdesk.accounts import service as accounts
from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.base.money import Paise
from numberdesk.catalogue.service import WAIT_BOUNDS_MS
from numberdesk.orders.model import UpstreamRefund
from numberdesk.reports.model import Zone
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import SANDBOX_OFFSET, AccountId, Credit, HoldWanted, Unowned
from tests.catalogue.market import Market

ZONES: dict[Zone, ZoneInfo] = {"ist": ZoneInfo("Asia/Kolkata"), "utc": ZoneInfo("UTC")}
PROOFS = [word for word in get_args(UpstreamRefund) if word != "none"]
Rows = dict[tuple[Any, ...], dict[str, Any]]


@dataclass
class Books:
    """A customer, his sandbox, and what was sold to both."""

    market: Market
    backstage: Any
    """A superuser's connection in the mode in which append-only triggers do not fire: it moves clocks."""
    account_id: AccountId
    draw: random.Random
    open_ids: list[int] = field(default_factory=list)
    paid_ids: list[int] = field(default_factory=list)
    ended_ids: list[int] = field(default_factory=list)
    next_id: int = 1

    @property
    def db(self) -> Database:
        return self.market.db

    async def order(self, made: datetime, *, sandbox: bool = False) -> int:
        """Write an order whose number waits for its code; its money is held, as of when it was made."""
        order_id, self.next_id = self.next_id, self.next_id + 1
        owner = AccountId(self.account_id + SANDBOX_OFFSET) if sandbox else self.account_id
        price = self.draw.randint(200, 3000)
        await self.backstage.execute(
            """
            INSERT INTO orders (id, account_id, service, country, operator, provider_id, price_paise, cost_paise, state,
                                request_key, request_item, request_token, upstream_id, number, created_at, sent_at,
                                activated_at, expires_at, changed_at, attempt, charged_paise)
            OVERRIDING SYSTEM VALUE
            VALUES ($1::bigint, $2, $3, $4, $5, $6, $7, $8, 'active', $1::text, 0, 0, $1::text, $9, $10::timestamptz,
                    $10, $10 + interval '2 seconds', $10 + interval '1 hour', clock_timestamp(), $11, $12)
            """,
            order_id, owner, self.draw.choice(("tg", "wa")), self.draw.choice((0, 22)),
            self.draw.choice(("any", "airtel")), self.draw.choice((self.market.alpha, self.market.beta)), price,
            price - 100, f"91{order_id:010}", made, self.draw.choice((1, 1, 2)),
            self.draw.choice((None, None, price - 90)),
        )  # fmt: skip
        attempt = await self.backstage.fetchval("SELECT attempt FROM orders WHERE id = $1", order_id)
        async with self.db.transaction() as tx:
            for number in range(1, attempt):  # an offer that was sold out, and given back at once
                await wallet.hold(tx, [HoldWanted(owner, order_id, f"number:{number}", Paise(price + 1))])
                await wallet.void(tx, [order_id])
            wanted = [HoldWanted(owner, order_id, f"number:{attempt}", Paise(price))]
            if self.draw.random() < 0.2:
                wanted.append(HoldWanted(owner, order_id, "extend:1", Paise(150)))
                await self.backstage.execute("UPDATE orders SET extensions = 1 WHERE id = $1", order_id)
            assert await wallet.hold(tx, wanted) == [None] * len(wanted)
        await self.shift(order_id, made + timedelta(seconds=1))
        self.open_ids.append(order_id)
        return order_id

    async def deliver(self, order_id: int, at: datetime | None = None) -> None:
        """Let the code come: the money is taken, at that time or now."""
        async with self.db.transaction() as tx:
            assert await wallet.capture(tx, [order_id])
        await self.backstage.execute(
            """
            UPDATE orders SET state = 'completed', received_at = moment, ended_at = moment, upstream_refund = 'none',
                              changed_at = clock_timestamp()
            FROM (SELECT coalesce($2, clock_timestamp()) AS moment) AS clock WHERE id = $1
            """,
            order_id,
            at,
        )
        if at is not None:
            await self.shift(order_id, at, kinds=("capture",))
        self.open_ids.remove(order_id)
        self.paid_ids.append(order_id)

    async def prolong(self, order_id: int, *, state: str = "done") -> None:
        """Let more hours be bought for an order that is paid, or refused."""
        price = Paise(self.draw.randint(200, 3000))
        prolongation_id = await self.backstage.fetchval(
            """
            INSERT INTO prolongations (order_id, request_key, hours, price_paise, cost_paise, state, provider_id,
                                       upstream_id, ended_before, sent_at, settled_at)
            SELECT id, random()::text, 4, $2::bigint, $2 - 60, $3, provider_id, upstream_id, expires_at, now(), now()
            FROM orders WHERE id = $1 RETURNING id
            """,
            order_id, price, state,
        )  # fmt: skip
        purpose = f"prolong:{prolongation_id}"
        owner = await self.backstage.fetchval("SELECT account_id FROM orders WHERE id = $1", order_id)
        async with self.db.transaction() as tx:
            await wallet.hold(tx, [HoldWanted(owner, order_id, purpose, price)])
            settle = wallet.capture if state == "done" else wallet.void
            assert await settle(tx, [order_id], purpose=purpose)

    async def end(self, order_id: int, proof: str, at: datetime | None = None) -> None:
        """End it without a code: the customer's money is given back, at that time or now."""
        async with self.db.transaction() as tx:
            assert await wallet.void(tx, [order_id])
        await self.backstage.execute(
            """
            UPDATE orders SET state = $4, ended_at = coalesce($3, clock_timestamp()), upstream_refund = $2,
                              changed_at = clock_timestamp()
            WHERE id = $1
            """,
            order_id, proof, at, self.draw.choice(("cancelled", "expired")),
        )  # fmt: skip
        if at is not None:
            await self.shift(order_id, at, kinds=("void",))
        self.open_ids.remove(order_id)
        self.ended_ids.append(order_id)

    async def prove(self, order_id: int, proof: str) -> None:
        """Let a provider say later what it gives back."""
        await self.backstage.execute(
            "UPDATE orders SET upstream_refund = $2, changed_at = clock_timestamp() WHERE id = $1", order_id, proof
        )

    async def refund(self, order_id: int) -> None:
        """Give a captured payment back."""
        purpose = await self.backstage.fetchval(
            "SELECT purpose FROM holds WHERE order_id = $1 AND state = 'captured' ORDER BY purpose LIMIT 1", order_id
        )
        async with self.db.transaction() as tx:
            await wallet.refund(tx, order_id=order_id, purpose=purpose)
        self.paid_ids.remove(order_id)

    async def top_up(self, rail: str, paise: int, cause: str, at: datetime | None = None) -> None:
        """Credit a recharge."""
        async with self.db.transaction() as tx:
            await wallet.credit(tx, [Credit(self.account_id, Paise(paise), "recharge", f"{rail}:{cause}")])
        if at is not None:
            await self._shift_cause(f"{rail}:{cause}", at)

    async def suspend(self, rail: str, paise: int, cause: str) -> None:
        async with self.db.transaction() as tx:
            await wallet.suspend(tx, [Unowned(Paise(paise), f"{rail}:{cause}")])

    async def shift(self, order_id: int, at: datetime, *, kinds: tuple[str, ...] = ("hold", "void")) -> None:
        """Move postings that were just made for an order, and their entries, to another time."""
        found = await self.backstage.fetch(
            "SELECT id FROM postings WHERE cause_type = 'order' AND split_part(cause_id, ':', 1) = $1 AND kind"
            " = ANY($2) AND at > clock_timestamp() - interval '10 seconds' ORDER BY id",
            str(order_id), list(kinds),
        )  # fmt: skip
        await self._move([row["id"] for row in found], at)

    async def _shift_cause(self, cause: str, at: datetime) -> None:
        found = await self.backstage.fetch("SELECT id FROM postings WHERE cause_id = $1", cause)
        await self._move([row["id"] for row in found], at)

    async def _move(self, ids: list[int], at: datetime) -> None:
        await self.backstage.execute("UPDATE postings SET at = $2 WHERE id = ANY($1)", ids, at)
        await self.backstage.execute("UPDATE entries SET at = $2 WHERE posting_id = ANY($1)", ids, at)

    async def something(self) -> None:
        """Do one thing by chance, as of now."""
        choice = self.draw.random()
        if choice < 0.3 or not self.open_ids:
            made = clock.now() - timedelta(hours=self.draw.choice((0, 0, 1, 30, 300)))
            await self.order(made, sandbox=self.draw.random() < 0.1)
        elif choice < 0.5:
            await self.deliver(self.draw.choice(self.open_ids))
        elif choice < 0.7:
            await self.end(self.draw.choice(self.open_ids), self.draw.choice(PROOFS))
        elif choice < 0.8 and self.ended_ids:
            await self.prove(self.draw.choice(self.ended_ids), self.draw.choice(PROOFS))
        elif choice < 0.85 and self.paid_ids:
            await self.prolong(self.draw.choice(self.paid_ids), state=self.draw.choice(("done", "done", "refused")))
        elif choice < 0.92 and self.paid_ids:
            await self.refund(self.draw.choice(self.paid_ids))
        else:
            await self.top_up(
                self.draw.choice(("razorpay", "trx")), self.draw.randint(1, 9999), str(self.draw.random())
            )


async def open_books(market: Market, backstage: Any, seed: int) -> Books:
    """Open an account with much money, and its sandbox."""
    async with market.db.transaction() as tx:
        account_id = (await accounts.create(tx, emails=["books@example.com"], names=["Books"]))[0]
        await wallet.credit(tx, [Credit(account_id, Paise(10**9), "admin_credit", "books")])
    sandbox = account_id + SANDBOX_OFFSET
    await backstage.execute(
        "INSERT INTO accounts (id, email, email_key, sandbox_of) OVERRIDING SYSTEM VALUE VALUES ($1, 's', 's', $2)",
        sandbox, account_id,
    )  # fmt: skip
    async with market.db.transaction() as tx:
        await wallet.open_sandboxes(tx, [AccountId(sandbox)])
    return Books(market, backstage, account_id, random.Random(seed))


async def naive(connection: Any, zone: Zone) -> tuple[Rows, Rows]:
    """Count orders and money by the days of a zone: every row is read, and added up one by one."""
    orders = {row["id"]: row for row in await connection.fetch("SELECT * FROM orders")}
    holds = {(row["order_id"], row["purpose"]): row for row in await connection.fetch("SELECT * FROM holds")}
    longer = {
        (row["order_id"], f"prolong:{row['id']}"): row["cost_paise"]
        for row in await connection.fetch("SELECT * FROM prolongations")
    }
    of_orders: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    waits: dict[Any, list[int]] = defaultdict(list)
    for order in orders.values():
        if order["account_id"] < SANDBOX_OFFSET:
            key = _key(order, order["created_at"], zone)
            _count_made(of_orders[key], waits[key], order)
    of_money: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    lines = await connection.fetch(
        "SELECT entries.*, kind, cause_type, cause_id FROM entries JOIN postings ON id = posting_id"
    )
    for line in lines:
        if line["bucket"] == "sandbox" or (line["account_id"] or 0) >= SANDBOX_OFFSET:
            continue
        rail = line["cause_id"].split(":")[0] if line["cause_type"] == "recharge" else ""
        counts = of_money[day_of(line["at"], zone), line["kind"], line["bucket"], rail]
        counts["lines"] += 1
        counts["amount_paise"] += line["amount_paise"]
    for posting in await connection.fetch("SELECT * FROM postings WHERE kind IN ('capture', 'void', 'refund')"):
        number, _, purpose = posting["cause_id"].partition(":")
        order, hold = orders[int(number)], holds[int(number), purpose]
        if order["account_id"] < SANDBOX_OFFSET:
            key = _key(order, posting["at"], zone)
            _count_moved(of_orders, key, posting["kind"], order, hold)
            if posting["kind"] == "capture":
                of_orders[key]["cost_paise"] += longer.get((int(number), purpose), 0)
    for key, places in waits.items():
        of_orders[key]["waits"] = [places.count(place) for place in range(max(places, default=-1) + 1)]
    return {key: dict(counts) for key, counts in of_orders.items() if counts}, {k: dict(v) for k, v in of_money.items()}


def _key(order: Any, at: datetime, zone: Zone) -> tuple[Any, ...]:
    return day_of(at, zone), order["service"], order["country"], order["provider_id"]


def day_of(at: datetime, zone: Zone) -> date:
    return at.astimezone(ZONES[zone]).date()


def _count_made(counts: dict[str, Any], waits: list[int], order: Any) -> None:
    is_sold = order["activated_at"] is not None and (order["received_at"] or order["ended_at"]) is not None
    is_delivered = order["activated_at"] is not None and order["received_at"] is not None
    counts["made"] += 1
    counts["sold"] += is_sold
    counts["delivered"] += is_delivered
    counts["cancelled"] += is_sold and not is_delivered and order["state"] == "cancelled" and not order["failure"]
    if is_delivered:
        taken = (order["received_at"] - order["activated_at"]) / timedelta(milliseconds=1)
        waits.append(sum(int(max(taken, 0)) >= bound for bound in WAIT_BOUNDS_MS))


def _count_moved(of_orders: Any, key: Any, kind: str, order: Any, hold: Any) -> None:
    is_number = hold["purpose"] == f"number:{order['attempt']}"
    cost = order["cost_paise"] if order["charged_paise"] is None else order["charged_paise"]
    if kind == "void":
        if order["received_at"] is not None or not (is_number or hold["purpose"].startswith("extend:")):
            return
        if order["activated_at"] is None and order["upstream_refund"] == "none":
            return
    counts = of_orders[key]
    if kind == "capture":
        counts["revenue_paise"] += hold["amount_paise"]
        counts["paid"] += is_number
        counts["cost_paise"] += cost * is_number
    elif kind == "refund":
        counts["refunded"] += 1
        counts["refunded_paise"] += hold["amount_paise"]
    else:
        counts["released_paise"] += hold["amount_paise"]
        if is_number:
            proof = order["upstream_refund"].replace("none", "due")
            counts["released"] += 1
            counts[proof] += 1
            counts[f"{proof}_paise"] += cost


async def stored(connection: Any, span: str) -> tuple[Rows, Rows]:
    """Return what the rollups say of the days of a zone, or of their sums."""
    found: list[Rows] = []
    zone: Zone = "ist" if span.startswith("ist") else "utc"
    for table, keys in (
        ("report_orders", ("service", "country", "provider_id")), ("report_money", ("kind", "bucket", "rail")),
    ):  # fmt: skip
        rows: Rows = {}
        for row in await connection.fetch(f"SELECT * FROM {table} WHERE span = $1", span):
            numbers = {name: number for name, number in row.items() if name not in ("span", "starts_at", *keys)}
            assert row["starts_at"].astimezone(ZONES[zone]).time().isoformat() == "00:00:00"
            rows[day_of(row["starts_at"], zone), *(row[name] for name in keys)] = numbers
        found.append(rows)
    return found[0], found[1]


def same(ours: Rows, plain: Rows) -> bool:
    """Compare, where what is missing is zero, and a line of zeros only is none."""

    def whole(rows: Rows) -> Rows:
        shown = {key: {name: number for name, number in row.items() if number} for key, row in rows.items()}
        return {key: row for key, row in shown.items() if row}

    assert whole(ours) == whole(plain)
    return True


def edges(day: date) -> list[datetime]:
    """Return the moments around the midnights of both zones on a day."""
    found = []
    for zone in ZONES.values():
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        found += [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(microseconds=1)]
    return found
