"""Verbs of the audit slice: write down what happened, read it, seal it and check the seals.

Rows are sealed by a pass, a moment after their commit: a chain that each transaction appended to would make all of them
wait for each other. Until then a row can be changed unseen by whoever may change the table at all, which the
application may not.
"""

from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
import structlog

from numberdesk.audit import sql
from numberdesk.audit.model import ChainCheck, Event, Recorded, Seal
from numberdesk.base.db import Database, Tx

log = structlog.get_logger()

LIST_MAX = 200
SEALED_WITHIN = timedelta(minutes=10)
"""After so long a row without a seal is a break: the pass is down, or the row came another way."""
BREAKS_MAX = 20
_PAGE = 1000
_START = bytes(32)


async def record(tx: Tx, *events: Event) -> None:
    """Write events in the transaction of what they tell: both are committed, or neither."""
    await sql.insert_events(tx, events)


async def list_events(
    db: Database,
    *,
    account_id: int | None = None,
    action: str | None = None,
    actor_id: int | None = None,
    request_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: int | None = None,
    limit: int = 50,
) -> list[Recorded]:
    """Return the newest events, before the id `cursor`; with an account, those it caused or that concern it.

    Args:
        actor_id: the person who acted.
        request_id: of the request that made them happen.
    """
    async with db.transaction() as tx:
        if request_id is not None:
            return await sql.list_events_of_request(tx, request_id, limit=limit)
        await sql.plan_for_values(tx)
        return await sql.list_events(
            tx, account_id=account_id, action=action, actor_id=actor_id, since=since, until=until, before=cursor,
            limit=limit,
        )  # fmt: skip


async def seal(db: Database, *, limit: int = 500) -> int:
    """Seal what is committed and not sealed yet; a pass. Returns how many rows."""
    async with db.transaction() as tx:
        await sql.lock_chain(tx)
        recorded = await sql.list_unsealed(tx, limit=limit)
        if not recorded:
            return 0
        head = await sql.find_head(tx)
        seq, last = (0, _START) if head is None else (head.seq, head.hash)
        seals = []
        for row in recorded:
            seq, last = seq + 1, _hash(last, row)
            seals.append(Seal(seq, row.id, last))
        await sql.insert_seals(tx, seals)
    return len(seals)


def _hash(before: bytes, row: Recorded) -> bytes:
    told = [
        row.id, row.at.isoformat(timespec="microseconds"), row.action, row.actor_kind, row.actor_id, row.account_id,
        row.ip, row.request_id, row.details,
    ]  # fmt: skip
    return sha256(before + msgspec.json.encode(told)).digest()


async def check(db: Database, *, head: str | None = None) -> ChainCheck:
    """Go through the whole chain at one moment of the database, and say where it is broken.

    Args:
        head: a hash that was noted before, as 64 hexadecimal digits: it must be in the chain. Without one nobody can
            tell a chain whose end was cut off.
    """
    breaks: list[str] = []
    last, seq, is_seen = _START, 0, head is None
    async with db.snapshot() as tx:
        while page := await sql.list_sealed(tx, after=seq, limit=_PAGE):
            for seal_, row in page:
                if seal_.seq != seq + 1:
                    breaks.append(f"seals {seq + 1} to {seal_.seq - 1} are gone")
                if row is None:
                    breaks.append(f"row {seal_.audit_id} is gone")
                elif _hash(last, row) != seal_.hash:
                    breaks.append(f"row {seal_.audit_id} was changed")
                # What follows is checked against the stored hash, so that one change is one break.
                last, seq = seal_.hash, seal_.seq
                is_seen = is_seen or last.hex() == head
            if len(breaks) > BREAKS_MAX:
                break
        breaks += [f"row {id_} has no seal" for id_ in await sql.list_strays(
            tx, older_than=SEALED_WITHIN, limit=BREAKS_MAX)]  # fmt: skip
    if not is_seen:
        breaks.append(f"the hash {head} is not in the chain: its end was cut off, or rows were sealed anew")
    return ChainCheck(seq, last.hex(), breaks[:BREAKS_MAX])
