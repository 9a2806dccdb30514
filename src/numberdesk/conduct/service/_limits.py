"""How fast an account may buy: counted in the transaction that reserves, so that parallel requests cannot pass."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Database, Tx
from numberdesk.conduct import sql
from numberdesk.conduct.model import Counted, Lately, LimitWord, OwnLimits, Purchase, PurchaseRules
from numberdesk.conduct.service._refusal import PurchaseLimited, first_of, refused
from numberdesk.conduct.service._shared import admit_together
from numberdesk.wallet.model import AccountId, is_sandbox

RECOUNT_MAX = 100_000


async def admit(tx: Tx, rules: PurchaseRules | None, items: Sequence[Purchase]) -> list[PurchaseLimited | None]:
    """Count purchases and refuse those above a limit, each alone; in the transaction that writes their orders.

    Locks the counts of the accounts until the end, ascending, before their wallets. What fails later has been counted;
    before it would matter, the orders themselves are counted. Sandboxes have no limits. What none of its own limits
    refuses is counted to what the account shares with others.

    Returns:
        For each item None, or its refusal.
    """
    real = [item for item in items if not is_sandbox(item.account_id)]
    if rules is None or not real:
        return [None] * len(items)
    counted = {row.account_id: row for row in await sql.count_purchases(tx, real)}
    if not counted:
        return [None] * len(items)
    lately = await _lately(tx, rules, counted)
    by_account: dict[AccountId, list[Purchase]] = defaultdict(list)
    for item in real:
        by_account[item.account_id].append(item)
    answers: dict[AccountId, list[PurchaseLimited | None]] = {}
    for account_id, row in counted.items():
        wanted = by_account[account_id]
        own = _Limits.of(rules, row)
        answers[account_id] = _standing(own, lately[account_id], len(wanted)) or [None] * len(wanted)
        if own.is_above(row):
            answers[account_id] = await _recount(tx, own, row, wanted, answers[account_id])
    alone = [answers[item.account_id].pop(0) if item.account_id in answers else None for item in items]
    return await admit_together(tx, rules, items, counted, alone)


async def _lately(tx: Tx, rules: PurchaseRules, counted: dict[AccountId, Counted]) -> dict[AccountId, Lately]:
    most = max((row.open_orders or rules.open_orders or 0) for row in counted.values()) + 1
    found = await sql.list_lately(
        tx, list(counted), open_max=most, cancel_of=rules.cancel_of, cool_down=rules.cool_down
    )
    return {row.account_id: row for row in found}


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of one account."""

    day_word: LimitWord
    per_hour: int
    per_day: int
    countries: int
    open_orders: int
    cancel_percent: int
    cancel_of: int

    @staticmethod
    def of(rules: PurchaseRules, row: Counted) -> "_Limits":
        per_day = first_of(row.per_day, rules.per_day)
        word: LimitWord = "day"
        for days, most in ((1, rules.first_day), (7, rules.first_week)):
            is_new = row.age_days is not None and row.age_days < days
            if is_new and row.per_day is None and most is not None and most < per_day:
                per_day, word = most, "new_account"
        return _Limits(
            word, first_of(row.per_hour, rules.per_hour), per_day, first_of(row.own_countries, rules.countries),
            first_of(row.open_orders, rules.open_orders),
            100 if row.may_cancel else first_of(rules.cancel_percent), rules.cancel_of,
        )  # fmt: skip

    def is_above(self, row: Counted) -> bool:
        return row.in_hour > self.per_hour or row.in_day > self.per_day or len(row.countries) > self.countries


def _standing(own: _Limits, lately: Lately, wanted: int) -> list[PurchaseLimited | None]:
    """Judge by what is open and what was cancelled; empty when nothing is against it."""
    percent = lately.cancelled * 100 // max(lately.ended, 1)
    if lately.ended >= own.cancel_of and lately.cancelled * 100 > own.cancel_percent * lately.ended:
        until = lately.cools_until
        if until is not None:
            return [refused("cancel_ratio", own.cancel_percent, percent, until)] * wanted
    free = own.open_orders - lately.open_orders
    if free >= wanted:
        return []
    refusal = refused("open_orders", own.open_orders, lately.open_orders, lately.next_end_at)
    return [None if place < free else refusal for place in range(wanted)]


async def _recount(
    tx: Tx, own: _Limits, row: Counted, wanted: Sequence[Purchase], answers: list[PurchaseLimited | None]
) -> list[PurchaseLimited | None]:
    """Judge by what was really bought today: what failed does not count; and set the counts to it."""
    bought = await sql.read_day(tx, row.account_id, most=row.in_day)
    in_hour, in_day = sum(is_now for is_now, _ in bought), len(bought)
    countries = {country for _, country in bought}
    judged: list[PurchaseLimited | None] = []
    for item, refusal in zip(wanted, answers, strict=True):
        if refusal is None and in_hour >= own.per_hour:
            refusal = refused("hour", own.per_hour, in_hour, row.hour_ends_at)
        elif refusal is None and in_day >= own.per_day:
            refusal = refused(own.day_word, own.per_day, in_day, row.day_ends_at)
        elif refusal is None and item.country not in countries and len(countries) >= own.countries:
            refusal = refused("countries", own.countries, len(countries), row.day_ends_at)
        if refusal is None:
            in_hour, in_day = in_hour + 1, in_day + 1
            countries.add(item.country)
        judged.append(refusal)
    await sql.set_counts(tx, row.account_id, in_hour=in_hour, in_day=in_day, countries=sorted(countries))
    return judged


async def find_own_limits(db: Database, account_id: AccountId) -> OwnLimits | None:
    """Return what staff allow an account besides the settings, or None."""
    async with db.statement() as tx:
        return await sql.find_own_limits(tx, account_id)


async def set_own_limits(tx: Tx, own: OwnLimits) -> None:
    """Allow an account something of its own from now on, instead of what was allowed before."""
    await sql.upsert_own_limits(tx, [own])
    await sql.recount(tx, own.account_id, most=RECOUNT_MAX)


async def clear_own_limits(tx: Tx, account_id: AccountId) -> bool:
    """Let the settings hold for an account again; False if they did."""
    is_gone = await sql.delete_own_limits(tx, account_id)
    await sql.recount(tx, account_id, most=RECOUNT_MAX)
    return is_gone


async def let_free(tx: Tx, account_ids: Sequence[AccountId], *, reason: str) -> None:
    """Let accounts buy without any limit: for load tests and demonstrations."""
    free = [OwnLimits(account_id, True, None, None, None, None, True, reason) for account_id in account_ids]
    await sql.upsert_own_limits(tx, free)


async def forget_counts(db: Database, *, limit: int = 1000) -> int:
    """Forget counts of days that are over; a pass."""
    async with db.statement() as tx:
        return await sql.delete_old_counts(tx, limit=limit) + await sql.delete_old_shared(tx, limit=limit)
