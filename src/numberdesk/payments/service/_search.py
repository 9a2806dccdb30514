"""What staff find by a word that stands on a customer's screen: a UTR, a transaction of the chain, a gateway's id."""

from collections.abc import Sequence
from dataclasses import dataclass

from numberdesk.base.db import Database
from numberdesk.payments import sql
from numberdesk.payments.model import REF, Payment, Recharge
from numberdesk.payments.sql import BankLine, Claimed

FOUND_MAX = 20


@dataclass(frozen=True, slots=True)
class FoundPayments:
    """Everything about money from outside that a word names."""

    recharges: Sequence[Recharge]
    payments: Sequence[Payment]
    claims: Sequence[Claimed]
    bank: Sequence[BankLine]


async def find_named(db: Database, word: str) -> FoundPayments:
    """Return what a word names, the newest of each kind: no part of a name is enough."""
    async with db.statement() as tx:
        if REF.fullmatch(word):
            recharge = await sql.find_recharge(tx, word, account_id=None)
            if recharge is None:
                return FoundPayments([], [], [], [])
            return FoundPayments([recharge], await sql.list_payments_of(tx, recharge.id), [], [])
        return FoundPayments(
            await sql.list_recharges_at_gateway(tx, word, limit=FOUND_MAX),
            await sql.list_payments_named(tx, word, limit=FOUND_MAX),
            await sql.list_claimed(tx, word, limit=FOUND_MAX),
            await sql.list_bank_credits_named(tx, word, limit=FOUND_MAX),
        )
