"""How much accounts may buy together that share a network or a payer: many accounts of one person are one customer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

from numberdesk.base.client_ip import network_of
from numberdesk.base.db import Tx
from numberdesk.conduct import sql
from numberdesk.conduct.model import Added, Counted, LimitWord, Purchase, PurchaseRules, Shared, SharedKind, Spent
from numberdesk.conduct.service._refusal import NO_LIMIT, PurchaseLimited, first_of, refused
from numberdesk.wallet.model import AccountId

NEW_FOR = timedelta(days=7)
_Key = tuple[SharedKind, str]
_WORDS: dict[SharedKind, dict[Literal["new", "hour", "day"], LimitWord]] = {
    "network": {"new": "network_new", "hour": "network_hour", "day": "network_day"},
    "payer": {"new": "payer_new", "hour": "payer_hour", "day": "payer_day"},
}


async def admit_together(
    tx: Tx,
    rules: PurchaseRules,
    items: Sequence[Purchase],
    counted: Mapping[AccountId, Counted],
    answers: Sequence[PurchaseLimited | None],
) -> list[PurchaseLimited | None]:
    """Count purchases that nothing is against so far to what their accounts share, and refuse those above a limit.

    Accounts whose speed staff decided about are left out. Locks the counts until the end, ascending, after those of
    the accounts and before their wallets.

    Args:
        counted: of each account that has limits.
        answers: of each item so far.
    """
    if (rules.per_hour, rules.per_day, rules.first_week) == (None, None, None):
        return list(answers)
    keys = [
        _keys(item, counted.get(item.account_id)) if answer is None else ()
        for item, answer in zip(items, answers, strict=True)
    ]
    added: dict[_Key, list[bool]] = defaultdict(list)
    for item, its in zip(items, keys, strict=True):
        for key in its:
            added[key].append(_is_new(counted[item.account_id]))
    if not added:
        return list(answers)
    wanted = [Added(kind, key, len(news), sum(news)) for (kind, key), news in added.items()]
    standing = {
        (row.kind, row.key): _Standing.before(row, added[row.kind, row.key]) for row in await sql.add_shared(tx, wanted)
    }
    judged: list[PurchaseLimited | None] = []
    over: list[Spent] = []
    for item, its, answer in zip(items, keys, answers, strict=True):
        refusal = answer
        if its:
            is_new = _is_new(counted[item.account_id])
            refusal = next((found for key in its if (found := standing[key].refusal(rules, is_new=is_new))), None)
            if refusal is None:
                for key in its:
                    standing[key].add(is_new=is_new)
            else:
                over.append(Spent(item.account_id, item.ip))
        judged.append(refusal)
    await take_back(tx, over)
    return judged


async def take_back(tx: Tx, items: Sequence[Spent]) -> None:
    """Count purchases no more that came to nothing; their wallets are not locked yet, or by whoever counted them."""
    if items:
        networks = [shared_network(item.ip) for item in items]
        await sql.take_back(tx, items, networks=networks, new_for=NEW_FOR)


@lru_cache(maxsize=16_384)
def shared_network(ip: str | None) -> str | None:
    """Return the address of a caller, or the /64 of an IPv6; None for one of a private network, which tells nothing."""
    return network_of(ip) if ip is not None and ip_address(ip).is_global else None


@dataclass(slots=True)
class _Standing:
    """What was bought together so far, the items that were judged included."""

    row: Shared
    in_hour: int
    in_day: int
    new_in_day: int

    @staticmethod
    def before(row: Shared, added: Sequence[bool]) -> "_Standing":
        return _Standing(row, row.in_hour - len(added), row.in_day - len(added), row.new_in_day - sum(added))

    def refusal(self, rules: PurchaseRules, *, is_new: bool) -> PurchaseLimited | None:
        words = _WORDS[self.row.kind]
        limits: list[tuple[LimitWord, int, int, datetime]] = [
            (words["hour"], self.in_hour, first_of(rules.per_hour), self.row.hour_ends_at),
            (words["day"], self.in_day, first_of(rules.per_day), self.row.day_ends_at),
            (words["new"], self.new_in_day, first_of(rules.first_week) if is_new else NO_LIMIT, self.row.day_ends_at),
        ]
        # What others bought is nobody's business: it is only told that the limit is reached.
        return next((refused(word, most, most, until) for word, bought, most, until in limits if bought >= most), None)

    def add(self, *, is_new: bool) -> None:
        self.in_hour, self.in_day, self.new_in_day = self.in_hour + 1, self.in_day + 1, self.new_in_day + is_new


def _keys(item: Purchase, row: Counted | None) -> Sequence[_Key]:
    if row is None or row.per_hour is not None or row.per_day is not None:
        return ()
    network = shared_network(item.ip)
    found: list[_Key] = [] if network is None else [("network", network)]
    return [*found, *(("payer", payer) for payer in row.payers)]


def _is_new(row: Counted) -> bool:
    return row.age_days is not None and row.age_days < NEW_FOR.days
