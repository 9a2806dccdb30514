"""Checking the ledger's promises on the rows themselves.

What `verify` checks, by invariant:

| invariant | what must hold |
|---|---|
| I1 | every posting has entries, none of zero, and they sum to zero; every entry has its posting; all sum to zero |
| I1 | play money and other money never meet: what sandboxes have and their bucket sum to zero, and are no revenue |
| I2 | a wallet's balances are the sums of its entries and their last balances; versions run from 1 without a gap |
| I2 | a system account's balance and waiting changes are the sum of its entries |
| I3 | nothing is negative: no wallet, and no balance after any entry |
| I4 | a hold is set aside once and ends once, each time by its amount; held money is what live holds sum to |
| I4 | waiting orders have a live hold, paid ones a captured one, given-up ones none; so do prolongations |
| I5 | a readable message is on an order whose hold is captured, and came before its money went back |
| I6 | one effect per cause; a recharge or credit goes into one wallet once |
| I6 | a payment from outside has its posting, its receipt and its part of a recharge once, or is in suspense |
| I7 | an activation of a provider belongs to one order, which says the same; a live number is on one order |
| I13 | what ended has its time and stays ended; postings and entries cannot be changed or removed |
| I15 | voids and refunds are of holds, refunds of captured ones and of no more than was captured |
| I15 | a refunded order got all of it back; what staff moved by hand is what was asked for and decided, once |

Not visible in rows and proved by tests instead: I8 to I12, I14 and I16.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from numberdesk.base.db import Database, Tx
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Check
from numberdesk.monitoring.sql import Found

Part = Callable[[Tx], Awaitable[Found]]


@dataclass(frozen=True, slots=True)
class _Rule:
    invariant: str
    name: str
    counted: str
    parts: tuple[Part, ...]


def _constraints(*wanted: tuple[str, str]) -> Part:
    return partial(sql.find_lost_constraints, constraints=wanted)


_RULES = (
    _Rule("I1", "every posting has entries that sum to zero", "postings", (sql.find_unbalanced,)),
    _Rule(
        "I1", "every entry has its posting, and all together sum to zero", "entries",
        (sql.find_stray_entries, sql.find_total, _constraints(("entries", "CHECK ((amount_paise <> 0))"))),
    ),
    _Rule("I1", "revenue never meets a sandbox account", "postings", (sql.find_mixed_money,)),
    _Rule("I2", "wallets are the sum of their entries", "wallets", (sql.find_bad_wallets,)),
    _Rule("I2", "versions of a wallet run from 1 without a gap", "wallet entries", (sql.find_gaps,)),
    _Rule("I2", "each balance follows from the one before", "wallet entries", (sql.find_bad_chains,)),
    _Rule("I2", "system accounts are the sum of their entries", "system buckets", (sql.find_bad_system_balances,)),
    _Rule(
        "I3", "nothing is negative, at any entry", "wallet entries",
        (
            sql.find_negative_wallets,
            sql.find_negative_entries,
            _constraints(
                ("wallets", "CHECK ((available_paise >= 0))"), ("wallets", "CHECK ((held_paise >= 0))"),
                ("entries", "CHECK ((balance_after_paise >= 0))"), ("holds", "CHECK ((amount_paise > 0))"),
            ),
        ),
    ),
    _Rule(
        "I4", "each hold is set aside once and ends once, by its amount", "holds",
        (
            sql.find_broken_holds,
            partial(sql.find_unheld_ends, kinds=["hold", "capture"]),
            _constraints(("holds", "PRIMARY KEY (order_id, purpose)")),
        ),
    ),
    _Rule("I4", "held money is what live holds sum to", "wallets", (sql.find_wrong_held,)),
    _Rule(
        "I4", "the holds of every order fit its state", "orders",
        (sql.find_wrongly_paid_orders, sql.find_stray_holds),
    ),
    _Rule(
        "I4", "the hold of every prolongation fits its state", "orders", (sql.find_wrongly_paid_prolongations,)
    ),
    _Rule("I5", "readable messages are on paid orders", "messages", (sql.find_free_codes,)),
    _Rule(
        "I6", "every cause has its effect once", "postings",
        (
            sql.find_repeated_causes,
            sql.find_bad_credits,
            _constraints(("postings", "UNIQUE (kind, cause_type, cause_id)")),
        ),
    ),
    _Rule(
        "I6", "every credited payment is posted once, to its account", "payments",
        (sql.find_unposted_payments, _constraints(("external_payments", "UNIQUE (rail, external_id)"))),
    ),
    _Rule("I6", "every posting from outside has its payment", "postings from outside", (sql.find_unpaid_postings,)),
    _Rule(
        "I6", "recharges are the sum of their payments and refunds", "recharges",
        (sql.find_wrong_recharges, sql.find_wrong_refunds),
    ),
    _Rule("I6", "suspense is what belongs to nobody yet", "payments", (sql.find_wrong_suspense,)),
    _Rule(
        "I6", "every credited payment has one receipt, and their numbers have no gap", "receipts",
        (
            sql.find_wrong_receipts,
            sql.find_number_gaps,
            _constraints(("receipts", "UNIQUE (series, year, serial)")),
        ),
    ),
    _Rule("I6", "a payment that waits says why", "payments", (sql.find_unexplained_waits,)),
    _Rule(
        "I7", "every activation and live number is of one order", "activations",
        (
            sql.find_bad_activations,
            sql.find_unlinked_orders,
            sql.find_shared_numbers,
            _constraints(("activations", "PRIMARY KEY (provider_id, upstream_id)")),
            sql.find_lost_indexes,
        ),
    ),
    _Rule("I13", "what ended has its time and stays ended", "orders", (sql.find_bad_ends,)),
    _Rule("I13", "postings and entries cannot be changed", "postings", (sql.find_lost_triggers, sql.find_rights)),
    _Rule(
        "I15", "voids and refunds are of holds, and of no more", "refunds and voids",
        (partial(sql.find_unheld_ends, kinds=["void"]), sql.find_bad_refunds, sql.find_unpaid_refunds),
    ),
    _Rule("I15", "what staff moved by hand is what was asked for", "requests", (sql.find_wrong_by_hand,)),
)  # fmt: skip


async def verify(db: Database, *, on_check: Callable[[Check], None] | None = None) -> list[Check]:
    """Check every invariant that rows can show, at one moment of the database and without holding up its traffic.

    Args:
        on_check: told of each check as it is done.

    Raises:
        Unavailable: the database was lost, or a statement took longer than a snapshot may.
    """
    checks: list[Check] = []
    async with db.snapshot() as tx:
        counts = await sql.count_all(tx)
        for rule in _RULES:
            found = [await part(tx) for part in rule.parts]
            wrong = [sentence for part in found for sentence in part.sentences][: sql.NAMED_MAX]
            total = sum(part.count for part in found)
            more = total - len(wrong)
            if more:
                wrong.append(f"and {more:,} more")
            checks.append(Check(rule.invariant, rule.name, not wrong, counts[rule.counted], wrong, total))
            if on_check is not None:
                on_check(checks[-1])
    return checks
