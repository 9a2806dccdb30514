"""Comparing what a provider says is left with what our orders moved. It only tells; it never changes an order.

The books begin with a balance that the provider told, the anchor, and are carried on by what orders booked since: a
number sold, a number taken back. A balance may differ from them by what is in flight just now, which gives an interval.
A balance outside of it is a gap. It is looked at once more after a minute, since a provider may end numbers by itself
and we learn of it a moment later; then it is told.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.money import AMOUNT_MAX, format_rupees
from numberdesk.providers import sql
from numberdesk.providers.adapters import capabilities
from numberdesk.providers.model import MoneyCheck, Provider, ProviderId, ProviderMoney, TopUpKind, Unknown
from numberdesk.providers.service._alerts import close_alert, open_alert
from numberdesk.providers.service._calls import balance
from numberdesk.providers.service._lines import Lines
from numberdesk.providers.sql import Booked, InFlight

log = structlog.get_logger()

CHECK_EVERY: Final = timedelta(minutes=10)
LOOK_AGAIN: Final = timedelta(minutes=1)
CARRIED_AFTER: Final = timedelta(minutes=5)
"""Longer than any transaction: what was booked before will not grow any more."""
NOTE_MAX: Final = 200


async def check_money(lines: Lines, *, every: timedelta = CHECK_EVERY) -> int:
    """Compare the balances of the providers whose turn it is with our books; returns how many were compared."""
    async with lines.db.transaction() as tx:
        await sql.insert_money_rows(tx)
        due = await sql.lease_checks(tx, every=every)
    checked = 0
    for line in map(lines.by_id.get, due):
        if line is not None and capabilities(line.provider).has_balance:
            checked += await _check(lines, line.provider)
    return checked


async def _check(lines: Lines, provider: Provider) -> bool:
    async with lines.db.statement() as tx:
        asked = await sql.now(tx)
    told = await balance(lines, provider.id)
    if isinstance(told, Unknown):
        return False
    async with lines.db.snapshot() as tx:
        moment = await sql.now(tx)
        money = next((row for row in await sql.list_money(tx) if row.provider_id == provider.id), None)
        flight = await sql.sum_in_flight(tx, provider_id=provider.id, asked=asked, told=moment)
        later = moment + timedelta(days=1)
        if money is None or not _has_anchor(money, provider):
            booked = await sql.sum_booked(tx, provider_id=provider.id, since=moment - CARRIED_AFTER, until=later)
            carried = Booked(0, 0, 0)
        else:
            assert money.booked_until is not None
            booked = await sql.sum_booked(tx, provider_id=provider.id, since=money.booked_until, until=later)
            until = max(money.booked_until, moment - CARRIED_AFTER)
            carried = await sql.sum_booked(tx, provider_id=provider.id, since=money.booked_until, until=until)
    async with lines.db.transaction() as tx:
        current = await sql.lock_money(tx, provider_id=provider.id)
        if money is None or _books(current) != _books(money):
            return False  # staff said something meanwhile: the next comparison knows it
        if not _has_anchor(current, provider):
            await _begin(tx, provider, current, told, booked, flight, moment)
            return True
        check = _compare(provider, current, told, booked, flight)
        last = await sql.find_last_check(tx, provider_id=provider.id)
        await sql.insert_check(tx, check=check)
        if check.gap_paise == 0:
            current = _narrow(provider, current, told, booked, flight)
        await sql.set_anchor(tx, money=_carry(current, carried, moment))
        await _judge(tx, provider, check, last)
    return True


def _books(money: ProviderMoney) -> tuple[object, ...]:
    return money.anchored_at, money.booked_until, money.booked_low, money.booked_high


def _has_anchor(money: ProviderMoney, provider: Provider) -> bool:
    """Tell whether there are books in the provider's currency as we value it now."""
    return money.anchored_at is not None and money.paise_per_unit == provider.paise_per_unit


async def _begin(
    tx: Tx, provider: Provider, money: ProviderMoney, told: int, booked: Booked, flight: InFlight, moment: datetime
) -> None:
    """Begin the books where the balance is, as far apart as what is in flight.

    They begin a little before this moment, without what was booked since: a sale whose transaction has not ended
    while it was read is found by the next reading.
    """
    start = told + booked.sold_paise - booked.refunded_paise
    anchor = replace(
        money, anchored_at=moment, booked_until=moment - CARRIED_AFTER, booked_low=start - flight.high_paise,
        booked_high=start - flight.low_paise, booked_count=0, paise_per_unit=provider.paise_per_unit,
    )  # fmt: skip
    await sql.set_anchor(tx, money=anchor)
    log.info("provider_books_begun", provider=provider.name)


def _compare(provider: Provider, money: ProviderMoney, told: int, booked: Booked, flight: InFlight) -> MoneyCheck:
    assert money.booked_low is not None
    assert money.booked_high is not None
    moved = booked.refunded_paise - booked.sold_paise
    slack = _rounding(provider, money.booked_count + booked.count)
    low = money.booked_low + moved + flight.low_paise - slack
    high = money.booked_high + moved + flight.high_paise + slack
    gap = told - low if told < low else told - high if told > high else 0
    return MoneyCheck(provider.id, None, told, low, high, gap, _explain(gap, flight))


def _narrow(provider: Provider, money: ProviderMoney, told: int, booked: Booked, flight: InFlight) -> ProviderMoney:
    """Learn from a balance that adds up where the books stood.

    What was in flight when they began is long settled, and what rounding may have moved has an end too; left as far
    apart as that, they would hide a loss of as much for ever.
    """
    assert money.booked_low is not None
    assert money.booked_high is not None
    was_low, was_high = money.booked_low, money.booked_high
    start = told + booked.sold_paise - booked.refunded_paise
    slack, rounded = _rounding(provider, booked.count), 0
    if provider.paise_per_unit != 100:
        money, rounded = replace(money, booked_count=0), money.booked_count
    return replace(
        money, booked_low=max(was_low - rounded, start - flight.high_paise - slack),
        booked_high=min(was_high + rounded, start - flight.low_paise + slack),
    )  # fmt: skip


def _rounding(provider: Provider, count: int) -> int:
    """Return what rounding may have moved where a unit is no rupee: a paisa a booking, and a cent of the balance."""
    return 0 if provider.paise_per_unit == 100 else count + provider.paise_per_unit // 100 + 1


def _explain(gap: int, flight: InFlight) -> str:
    amount = format_rupees(abs(gap))
    if gap < 0:
        said = f"{amount} rupees less than our orders explain: charged above its list, or not given back."
    elif gap > 0:
        said = f"{amount} rupees more than our orders explain. If it was a top-up, confirm it."
    else:
        said = "It adds up."
    if flight.orphans:
        said += f" Without an order, and being cancelled: {flight.orphans}."
    return f"{said} Orders in flight: {flight.count}." if flight.count else said


def _carry(money: ProviderMoney, carried: Booked, moment: datetime) -> ProviderMoney:
    """Carry the books on to a moment after which everything is committed, so that the next reading is short."""
    assert money.booked_until is not None
    assert money.booked_low is not None
    assert money.booked_high is not None
    moved = carried.refunded_paise - carried.sold_paise
    return replace(
        money, booked_until=max(money.booked_until, moment - CARRIED_AFTER), booked_low=money.booked_low + moved,
        booked_high=money.booked_high + moved, booked_count=money.booked_count + carried.count,
    )  # fmt: skip


async def _judge(tx: Tx, provider: Provider, check: MoneyCheck, last: MoneyCheck | None) -> None:
    if check.gap_paise == 0:
        await close_alert(tx, provider_id=provider.id, kind="money_gap")
    elif last is not None and last.gap_paise * check.gap_paise > 0 and not await _explained_since(tx, provider, last):
        await open_alert(tx, provider_id=provider.id, kind="money_gap", detail=check.explained)
    else:
        await sql.set_check_due(tx, provider_id=provider.id, within=LOOK_AGAIN)


async def _explained_since(tx: Tx, provider: Provider, last: MoneyCheck) -> bool:
    """Tell whether numbers that a provider ended by itself explain a gap, of which we learned after the comparison.

    On a busy day there are some at every look, other ones each time.
    """
    if last.gap_paise <= 0 or last.at is None:
        return False
    return last.gap_paise <= await sql.sum_ended_upstream(tx, provider_id=provider.id, after=last.at)


async def record_top_up(tx: Tx, provider_id: ProviderId, *, paise: int, note: str) -> None:
    """Take over that our money with a provider grew, or shrank, by so much besides purchases.

    The alert closes with the next comparison, if the amount explains it.

    Raises:
        InvalidFields: no amount, or no note.
    """
    await _move(tx, provider_id, "top_up", paise, note)
    await sql.set_check_due(tx, provider_id=provider_id, within=timedelta(0))


async def settle_gap(tx: Tx, provider_id: ProviderId, *, note: str) -> int:
    """Accept the gap of the newest comparison: the books move by it, and the alert closes. Returns the gap in paise.

    Raises:
        NotFound: there is no gap.
        InvalidFields: no note.
    """
    await sql.lock_money(tx, provider_id=provider_id)
    last = await sql.find_last_check(tx, provider_id=provider_id)
    if last is None or last.gap_paise == 0:
        raise NotFound(what="gap")
    await _move(tx, provider_id, "settled_gap", last.gap_paise, note)
    settled = replace(last, gap_paise=0, explained=f"Settled by staff: {note}")
    await sql.insert_check(tx, check=settled)
    await close_alert(tx, provider_id=provider_id, kind="money_gap")
    return last.gap_paise


async def _move(tx: Tx, provider_id: ProviderId, kind: TopUpKind, paise: int, note: str) -> None:
    problems = {}
    if not 0 < abs(paise) <= AMOUNT_MAX:
        problems["amount"] = f"must not be 0, and at most {format_rupees(AMOUNT_MAX)} rupees"
    if not 3 <= len(note) <= NOTE_MAX:
        problems["note"] = f"must be 3 to {NOTE_MAX} characters"
    if problems:
        raise InvalidFields(problems)
    money = await sql.lock_money(tx, provider_id=provider_id)
    await sql.insert_top_up(tx, provider_id=provider_id, kind=kind, amount_paise=paise, note=note)
    if money.booked_low is not None and money.booked_high is not None:
        moved = replace(money, booked_low=money.booked_low + paise, booked_high=money.booked_high + paise)
        await sql.set_anchor(tx, money=moved)


async def last_check(db: Database, provider_id: ProviderId) -> MoneyCheck | None:
    """Return the newest comparison of our money with a provider."""
    async with db.statement() as tx:
        return await sql.find_last_check(tx, provider_id=provider_id)
