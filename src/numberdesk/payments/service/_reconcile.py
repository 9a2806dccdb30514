"""Comparing our books with what gateways, the bank and the chain say. What is missing is settled or reported.

A comparison proposes nothing by itself but through the same verbs: a payment that a gateway has and we have not is
settled like any other, and told as a difference that was found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from numberdesk.base import clock
from numberdesk.base.db import Database
from numberdesk.base.money import format_rupees
from numberdesk.base.passes import each
from numberdesk.payments import sql
from numberdesk.payments.methods import trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.model import AddressId, RailTotal, Recharge, ReconciledSource, Reconciliation
from numberdesk.payments.service._gateways import look
from numberdesk.payments.service._till import Till

log = structlog.get_logger()

PAGE = 100
AT_ONCE = 5
SHOWN_MAX = 200
MORE = "and more than are listed here"
DAILY = timedelta(hours=24)


@dataclass
class Comparison:
    """What one comparison found; `unclear` is what could not be asked about."""

    source: ReconciledSource
    checked: int = 0
    unclear: int = 0
    differences: list[str] = field(default_factory=list)
    has_more: bool = False
    """There are more differences than are listed."""

    def expect(self, count: int) -> None:
        """Begin to compare so many: each is unclear until it was compared."""
        self.checked += count
        self.unclear += count


async def reconcile(till: Till, *, since: datetime, sources: Sequence[ReconciledSource]) -> list[Comparison]:
    """Compare everything since a moment with the outside, and write down the result."""
    found = []
    for source in sources:
        started = clock.now()
        if source == "gateway":
            comparison = await _with_gateways(till, since)
        elif source == "bank":
            comparison = await _with_bank(till, since)
        else:
            comparison = await _with_chain(till)
        comparison.has_more = len(comparison.differences) > SHOWN_MAX
        comparison.differences = comparison.differences[:SHOWN_MAX]
        async with till.db.statement() as tx:
            await sql.insert_reconciliation(
                tx, source=source, checked=comparison.checked, unclear=comparison.unclear,
                differences=json.dumps([*comparison.differences, *([MORE] if comparison.has_more else [])]),
                started_at=started,
            )  # fmt: skip
        found.append(comparison)
    return found


async def reconcile_daily(till: Till) -> int:
    """Compare the last days with the outside once a day, whichever worker comes first.

    Returns:
        How many sources were compared.
    """
    async with till.db.statement() as tx:
        last = {source: await sql.find_reconciliation(tx, source) for source in _sources(till)}
    now = clock.now()
    due = [source for source, found in last.items() if found is None or found.ended_at < now - DAILY]
    for comparison in await reconcile(till, since=now - timedelta(days=4), sources=due):
        for difference in comparison.differences:
            log.error("reconciliation_difference", source=comparison.source, difference=difference)
    return len(due)


def _sources(till: Till) -> list[ReconciledSource]:
    found: list[ReconciledSource] = ["bank"]
    found += ["gateway"] if till.gateways else []
    found += ["chain"] if till.chain is not None else []
    return found


async def _with_gateways(till: Till, since: datetime) -> Comparison:
    result = Comparison("gateway")
    after = 0
    while True:
        async with till.db.statement() as tx:
            page = await sql.list_at_gateways(tx, rails=sorted(till.gateways), since=since, after=after, limit=PAGE)
        result.expect(len(page))
        await each(page, partial(_compare, till, result), at_once=AT_ONCE)
        if len(page) < PAGE:
            return result
        after = page[-1].id


async def _compare(till: Till, result: Comparison, before: Recharge) -> None:
    answer = await look(till, till.gateways[before.rail], before)
    if isinstance(answer, Trouble):
        return
    async with till.db.statement() as tx:
        now = await sql.get_recharge(tx, before.id)
        payments = await sql.list_payments_of(tx, before.id)
    paid = sum(item.amount_paise for item in answer.payments if item.state == "paid")
    back = sum(item.amount_paise for item in answer.refunds if item.state == "processed")
    if now.credited_paise != before.credited_paise:
        found = format_rupees(now.credited_paise - before.credited_paise)
        result.differences.append(f"{before.ref}: {found} had been paid and not credited; it is credited now")
    booked = sum(item.amount_paise for item in payments)
    if paid != booked:
        result.differences.append(
            f"{before.ref}: {before.rail} says {format_rupees(paid)} paid, our books say {format_rupees(booked)}"
        )
    if back > sum(item.refunded_paise for item in payments):
        result.differences.append(f"{before.ref}: {before.rail} returned {format_rupees(back)}, our books say less")
    result.unclear -= 1


async def _with_bank(till: Till, since: datetime) -> Comparison:
    """Compare within the time that the statements of each address cover; beyond it nothing can be said yet."""
    result = Comparison("bank")
    async with till.db.statement() as tx:
        for covered in await sql.list_covered(tx, since=since):
            result.checked += covered.credits
            result.differences += [
                f"{payment.external_id}: our books say {format_rupees(payment.amount_paise)}, the statement says "
                + ("nothing" if payment.bank_paise is None else format_rupees(payment.bank_paise))
                for payment in await sql.list_unproven(
                    tx, vpa_id=covered.vpa_id, since=covered.first, until=covered.last, limit=SHOWN_MAX + 1
                )
            ]
            result.differences += [
                f"{credit.reference}: {format_rupees(credit.amount_paise)} came in and belongs to nobody yet"
                for credit in await sql.list_bank_without_payment(
                    tx, vpa_id=covered.vpa_id, since=covered.first, until=covered.last, limit=SHOWN_MAX + 1
                )
            ]
    return result


async def _with_chain(till: Till) -> Comparison:
    """Compare what stands at each address with what came in there: more than is known means that a deposit is missing.

    Less means that the operator moved it; only he has the keys.
    """
    result = Comparison("chain")
    if till.chain is None:
        return result
    before: AddressId | None = None
    while True:
        async with till.db.statement() as tx:
            page = await sql.list_balances(tx, before=before, limit=PAGE)
        result.expect(len(page))
        await each(page, partial(_compare_address, till, result), at_once=AT_ONCE)
        if len(page) < PAGE:
            return result
        before = page[-1].id


async def _compare_address(till: Till, result: Comparison, address: sql.AtBalance) -> None:
    assert till.chain is not None
    answer = await trongrid.balances(till.chain.grid, address.address, usdt_contract=till.rules.usdt_contract)
    if isinstance(answer, Trouble):
        return
    expected_sun = (address.balance_sun or 0) + address.known_sun - address.seen_sun
    expected_usdt = (address.balance_usdt or 0) + address.known_usdt - address.seen_usdt
    usdt = answer.usdt_units or 0
    for asset, there, expected in (("TRX", answer.sun, expected_sun), ("USDT", usdt, expected_usdt)):
        if there > expected:
            result.differences.append(
                f"{address.address}: {there - expected} millionths of {asset} more than is known to have come in"
            )
    async with till.db.transaction() as tx:
        # What is not explained is not remembered as known: it is told each day until it is credited.
        await sql.set_balance(tx, address, sun=min(answer.sun, expected_sun), usdt=min(usdt, expected_usdt))
        if answer.sun > expected_sun or usdt > expected_usdt:
            await sql.set_unread(tx, address.id, since=timedelta(days=8))
    result.unclear -= 1


async def totals(db: Database, *, since: datetime, until: datetime) -> list[RailTotal]:
    """Return what came in by day, rail and state."""
    async with db.statement() as tx:
        return await sql.list_totals(tx, since=since, until=until)


async def comparisons(db: Database, *, limit: int = 30) -> list[Reconciliation]:
    """Return the comparisons that were made, newest first."""
    async with db.statement() as tx:
        return await sql.list_reconciliations(tx, limit=limit)
