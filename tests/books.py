"""Two truths side by side: what the simulated provider wrote down, and what the ledger says, to the paisa."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from numberdesk.base.db import Database, rows, value
from numberdesk.monitoring import service as monitoring
from numberdesk.providers.simulator import Fact


@dataclass
class Sale:
    """One activation as the provider's record tells it."""

    cost_paise: int
    codes: set[str] = field(default_factory=set)
    """Those that came while the activation lived."""
    late: set[str] = field(default_factory=set)
    """Those that came after its end. One that we heard of before we knew of that end is sold like any other."""
    refunded_paise: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One order with its money as the database tells it."""

    order_id: int
    state: str
    price_paise: int
    cost_paise: int
    upstream_id: str | None
    linked: str | None
    held_paise: int
    captured_paise: int
    voided_paise: int
    readable: list[str]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many orders ended how, for the tests that want to have seen something."""

    by_state: dict[str, int]
    sold: int
    revenue_paise: int


def sales_of(facts: Iterable[Fact]) -> dict[str, Sale]:
    """Fold the provider's record into its activations."""
    sales: dict[str, Sale] = {}
    for fact in facts:
        name = str(fact.activation_id)
        if fact.fact == "sold" and not fact.duplicate:
            sales[name] = Sale(fact.cost_paise or 0)
        elif fact.fact == "delivered":
            (sales[name].late if fact.late else sales[name].codes).add(fact.code or "")
        elif fact.fact in ("cancelled", "self_cancelled", "expired"):
            sales[name].refunded_paise = fact.cost_paise or 0
    return sales


async def entries_of(db: Database) -> list[Entry]:
    """Read every order with its money and its readable codes."""
    async with db.statement() as tx:
        found = await rows(
            tx,
            """
            SELECT orders.id, orders.state, price_paise, cost_paise, orders.upstream_id, activations.upstream_id,
                   money.held, money.captured, money.voided,
                   array(SELECT code FROM messages WHERE order_id = orders.id AND NOT is_sealed)
            FROM orders LEFT JOIN activations ON activations.order_id = orders.id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(amount_paise) FILTER (WHERE state = 'held'), 0)::bigint AS held,
                       coalesce(sum(amount_paise) FILTER (WHERE state = 'captured'), 0)::bigint AS captured,
                       coalesce(sum(amount_paise) FILTER (WHERE state = 'voided'), 0)::bigint AS voided
                FROM holds WHERE order_id = orders.id) AS money
            ORDER BY orders.id
            """,
        )
    return [Entry(*row) for row in found]


async def unsettled(db: Database) -> int:
    """Return how much is still to be found out: orders on their way or ending, and numbers that nobody owns.

    A number seen before its purchase was settled leaves a row that says `seen`: what counts is that it has its order.
    """
    async with db.statement() as tx:
        return int(
            await value(
                tx,
                """
                SELECT (SELECT count(*) FROM orders WHERE state IN ('requested', 'unknown', 'cancelling', 'expiring'))
                     + (SELECT count(*) FROM orphans LEFT JOIN activations USING (provider_id, upstream_id)
                        WHERE orphans.state IN ('seen', 'cancelling') AND activations.order_id IS NULL)
                """,
            )
        )


async def waiting(db: Database) -> int:
    """Return how much is unsettled or still waits for its code."""
    async with db.statement() as tx:
        active = await value(tx, "SELECT count(*) FROM orders WHERE state = 'active'")
    return int(active) + await unsettled(db)


async def compare(db: Database, facts: Iterable[Fact]) -> Tally:
    """Compare the provider's record with the ledger, and the ledger with itself; fail naming every difference."""
    sales, entries = sales_of(facts), await entries_of(db)
    wrong = _wrong_sales(sales, entries)
    for entry in entries:
        wrong += _wrong_order(entry, sales)
    async with db.statement() as tx:
        sums = dict(await rows(tx, "SELECT bucket, sum(amount_paise)::bigint FROM entries GROUP BY bucket"))
    captured = sum(entry.captured_paise for entry in entries)
    if captured != sums.get("revenue", 0):
        wrong.append(f"captured {captured}, but the revenue is {sums.get('revenue', 0)}")
    given = -sums.get("adjustments", 0)
    if given != sums.get("available", 0) + sums.get("held", 0) + captured:
        wrong.append(f"{given} was put in, but {sums} is there")
    wrong += [f"{check.invariant} {check.name}: {check.wrong}" for check in await monitoring.verify(db) if not check.ok]
    assert not wrong, "\n".join(wrong)
    by_state: dict[str, int] = defaultdict(int)
    for entry in entries:
        by_state[entry.state] += 1
    return Tally(dict(by_state), len(sales), captured)


def _wrong_sales(sales: dict[str, Sale], entries: list[Entry]) -> list[str]:
    owners: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.linked is not None:
            owners[entry.linked].append(entry.order_id)
    wrong = [f"activation {name} was never sold" for name in owners if name not in sales]
    wrong += [f"activation {name} is of orders {ids}" for name, ids in owners.items() if len(ids) != 1]
    wrong += [
        f"activation {name} belongs to nobody and was not cancelled"
        for name, sale in sales.items()
        if name not in owners and sale.refunded_paise is None
    ]
    kept = sum(sale.cost_paise - (sale.refunded_paise or 0) for sale in sales.values())
    owed = sum(
        entry.cost_paise for entry in entries if entry.linked in sales and sales[entry.linked].refunded_paise is None
    )
    if kept != owed:
        wrong.append(f"the provider keeps {kept}, but orders explain {owed}")
    return wrong


def _wrong_order(entry: Entry, sales: dict[str, Sale]) -> list[str]:
    sale = sales.get(entry.linked or "")
    in_time, late = (sale.codes, sale.late) if sale else (set(), set())
    money = (entry.held_paise > 0, entry.captured_paise > 0, entry.voided_paise > 0)
    match entry.state:
        case "received" | "completed":
            fits = entry.captured_paise == entry.price_paise and entry.held_paise == 0 and bool(in_time | late)
        case "cancelled" | "expired":
            has_refund = sale is not None and sale.refunded_paise is not None
            fits = money == (False, False, True) and not in_time and has_refund
        case "failed":
            fits = money == (False, False, True) and sale is None
        case _:
            fits = entry.held_paise == entry.price_paise and entry.captured_paise == 0 and not in_time
    wrong = [] if fits else [f"{entry} does not fit what the provider wrote: {sale}"]
    if bool(entry.readable) != bool(entry.captured_paise) or not set(entry.readable) <= in_time | late:
        wrong.append(f"{entry} shows codes that are not paid, or hides paid ones: {sale}")
    return wrong
