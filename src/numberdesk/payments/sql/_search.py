"""Statements by which staff find payments: each by an index of its own."""

from dataclasses import dataclass
from typing import get_args

from numberdesk.base.db import Tx, many
from numberdesk.base.money import Paise
from numberdesk.payments.model import Payment, Rail, Recharge
from numberdesk.wallet.model import AccountId


@dataclass(frozen=True, slots=True)
class Claimed:
    """A UTR that a customer named for a recharge."""

    ref: str
    account_id: AccountId
    rrn: str
    state: str


@dataclass(frozen=True, slots=True)
class BankLine:
    """A credit on the bank's statement."""

    id: int
    reference: str
    amount_paise: Paise
    state: str


async def list_payments_named(tx: Tx, word: str, *, limit: int) -> list[Payment]:
    """Return payments by their UTR, their id at the gateway, or their transaction on the chain, newest first."""
    return await many(
        tx,
        Payment,
        """
        SELECT * FROM external_payments WHERE rrn = $1
        UNION SELECT * FROM external_payments WHERE rail = ANY($2::text[]) AND external_id = $1
        UNION SELECT * FROM external_payments WHERE units IS NOT NULL AND split_part(external_id, ':', 2) = $1
        ORDER BY id DESC LIMIT $3
        """,
        word,
        list(get_args(Rail)),
        limit,
    )


async def list_claimed(tx: Tx, rrn: str, *, limit: int) -> list[Claimed]:
    """Return what customers claimed with a UTR, newest first."""
    return await many(
        tx,
        Claimed,
        """
        SELECT recharge.ref, claim.account_id, claim.rrn, claim.state
        FROM utr_claims AS claim JOIN recharges AS recharge ON recharge.id = claim.recharge_id
        WHERE claim.vpa_id IN (SELECT id FROM vpas) AND claim.rrn = $1 ORDER BY claim.id DESC LIMIT $2
        """,
        rrn,
        limit,
    )


async def list_bank_credits_named(tx: Tx, reference: str, *, limit: int) -> list[BankLine]:
    """Return what the bank's statement shows under a reference, newest first."""
    return await many(
        tx,
        BankLine,
        """
        SELECT id, reference, amount_paise, state FROM bank_credits
        WHERE vpa_id IN (SELECT id FROM vpas) AND reference = $1 ORDER BY id DESC LIMIT $2
        """,
        reference,
        limit,
    )


async def list_recharges_at_gateway(tx: Tx, gateway_id: str, *, limit: int) -> list[Recharge]:
    """Return recharges by the name that a gateway gave them."""
    return await many(
        tx, Recharge, "SELECT * FROM recharges WHERE gateway_id = $1 ORDER BY id DESC LIMIT $2", gateway_id, limit
    )
