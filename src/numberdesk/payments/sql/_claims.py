"""Statements on the operator's UPI addresses, and on claims of customers who say that they paid to one."""

from collections.abc import Sequence
from datetime import timedelta

from numberdesk.base.db import Tx, many, one, run, value
from numberdesk.payments.model import Claim, Recharge, RechargeId, Vpa, VpaId, VpaKind
from numberdesk.wallet.model import AccountId


async def list_vpas(tx: Tx) -> list[Vpa]:
    """Return the operator's UPI addresses."""
    return await many(tx, Vpa, "SELECT * FROM vpas ORDER BY id")


async def insert_vpa(tx: Tx, *, vpa: str, payee_name: str, kind: VpaKind) -> Vpa:
    """Write an address, or open a known one again under a new name."""
    return await one(
        tx,
        Vpa,
        """
        INSERT INTO vpas (vpa, payee_name, kind) VALUES ($1, $2, $3)
        ON CONFLICT (vpa) DO UPDATE SET payee_name = excluded.payee_name, kind = excluded.kind, is_open = true
        RETURNING *
        """,
        vpa,
        payee_name,
        kind,
    )


async def set_vpa_closed(tx: Tx, vpa: str) -> bool:
    """Close an address for new recharges; False if there is none."""
    return await run(tx, "UPDATE vpas SET is_open = false WHERE vpa = $1", vpa) == 1


async def set_claim_refused(tx: Tx, recharge_id: RechargeId, rrn: str) -> None:
    """waiting -> refused."""
    await run(
        tx, "UPDATE utr_claims SET state = 'refused' WHERE recharge_id = $1 AND rrn = $2 AND state = 'waiting'",
        recharge_id, rrn,
    )  # fmt: skip


async def insert_claim(tx: Tx, recharge: Recharge, *, rrn: str, payer: bytes | None) -> bool:
    """Write a claim, which waits; False when this recharge claimed that UTR before."""
    return (
        await run(
            tx,
            """
            INSERT INTO utr_claims (recharge_id, account_id, vpa_id, rrn, payer, state)
            VALUES ($1, $2, $3, $4, $5, 'waiting') ON CONFLICT (recharge_id, rrn) DO NOTHING
            """,
            recharge.id,
            recharge.account_id,
            recharge.vpa_id,
            rrn,
            payer,
        )
        == 1
    )


async def count_refused_claims(tx: Tx, account_id: AccountId, *, since: timedelta) -> int:
    """Count claims of UTRs that had been used by somebody."""
    found: int = await value(
        tx,
        """
        SELECT count(*) FROM utr_claims
        WHERE account_id = $1 AND state = 'refused' AND created_at > clock_timestamp() - $2::interval
        """,
        account_id,
        since,
    )
    return found


async def list_claims(tx: Tx, *, vpa_id: VpaId, rrns: Sequence[str]) -> list[Claim]:
    """Return all claims of some UTRs at an address."""
    return await many(
        tx, Claim, "SELECT * FROM utr_claims WHERE vpa_id = $1 AND rrn = ANY($2::text[]) ORDER BY id", vpa_id, rrns
    )


async def list_claims_of(tx: Tx, recharge_ids: Sequence[RechargeId]) -> list[Claim]:
    """Return the claims for some recharges."""
    return await many(
        tx, Claim, "SELECT * FROM utr_claims WHERE recharge_id = ANY($1::bigint[]) ORDER BY id", recharge_ids
    )


async def set_claims_credited(tx: Tx, claims: Sequence[tuple[RechargeId, str]]) -> None:
    """waiting -> credited, for (recharge, UTR)."""
    await run(
        tx,
        """
        UPDATE utr_claims SET state = 'credited'
        FROM unnest($1::bigint[], $2::text[]) AS paid (recharge_id, rrn)
        WHERE utr_claims.recharge_id = paid.recharge_id AND utr_claims.rrn = paid.rrn AND state = 'waiting'
        """,
        [recharge_id for recharge_id, _ in claims],
        [rrn for _, rrn in claims],
    )
