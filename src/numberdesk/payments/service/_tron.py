"""TRON: reading the histories of customers' addresses, and looking at one transaction that a customer names.

A history says where to look, and nothing more. What credits is the transaction itself, asked for by its id and final.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from numberdesk.base import clock
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.base.passes import each
from numberdesk.payments import sql
from numberdesk.payments.methods import tron_transfers, trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.tron_transfers import Detected, Transfer
from numberdesk.payments.methods.trongrid_parse import HeadTransaction, Missing, SolidTransaction
from numberdesk.payments.model import Asset, Proof, Recharge, TronAddress
from numberdesk.payments.service._errors import MethodClosed, WrongMethod
from numberdesk.payments.service._settle import LATE, settle
from numberdesk.payments.service._till import Chain, Till
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

OVERLAP = timedelta(minutes=30)
"""A history is read again so far back: TronGrid's index lags, and what was seen is known by its id."""
HOT, WARM, COLD = timedelta(seconds=15), timedelta(hours=1), timedelta(days=7)
AT_ONCE = 5
LEASE = timedelta(seconds=60)
FINAL_AFTER = timedelta(seconds=90)
GIVE_UP_AFTER = timedelta(hours=6)
"""A transaction that its node cannot print for so long does not hold up the others of its address for ever."""
HISTORY_MAX = trongrid.PAGES_MAX * trongrid.PAGE_SIZE
TXID_LENGTH = 64
LAG_SECONDS = 300
"""The newest final block is a minute old when all is well."""

Seen = Literal["credited", "known", "waiting", "in_review", "detected", "not_ours", "unknown"]


async def scan_due(till: Till, *, limit: int = 20) -> int:
    """Read the histories of addresses whose turn it is, and settle what is final and ours.

    Returns:
        How many addresses were looked at.
    """
    if till.chain is None:
        return 0
    async with till.db.transaction() as tx:
        taken = await sql.lease_addresses(tx, lease=LEASE, limit=limit)
    await each(taken, partial(_scan_one, till, till.chain), at_once=AT_ONCE)
    return len(taken)


async def _scan_one(till: Till, chain: Chain, address: TronAddress) -> None:
    try:
        read_to = await scan(till, chain, address)
    except Exception:
        log.exception("tron_scan_failed", address_id=address.id)
        read_to = None
    async with till.db.statement() as tx:
        await sql.set_read(tx, address.id, read_to=read_to, hot=HOT, warm=WARM, cold=COLD)


async def scan(till: Till, chain: Chain, address: TronAddress) -> datetime | None:
    """Read the history of one address.

    Returns:
        Up to when it is read now; None when some of it could not be, so that the next look begins where this one did.
    """
    started = clock.now()
    since = int((address.read_to - OVERLAP).timestamp() * 1000)
    txids: dict[str, None] = {}
    cut_after: str | None = None
    for asset in _assets(till):
        found = await trongrid.history(chain.grid, address.address, since_ms=since, asset=asset, with_head=True)
        if isinstance(found, Trouble):
            log.warning("tron_history_failed", address_id=address.id, problem=found.reason)
            return None
        txids |= dict.fromkeys(found)
        cut_after = found[-1] if len(found) >= HISTORY_MAX else cut_after
    async with till.db.statement() as tx:
        known = await sql.list_known_txids(tx, list(txids))
    on_way: list[Detected] = []
    is_whole = True
    for txid in txids:
        if txid in known:
            continue
        seen = await _look(till, chain, txid)
        if isinstance(seen, Trouble):
            log.warning("tron_transaction_not_read", txid=txid, problem=seen.reason)
            is_whole = False
        else:
            on_way += [item for item in seen if isinstance(item, Detected)]
    await _show_detected(till, address, on_way, is_all=is_whole and cut_after is None)
    if cut_after is not None:
        return await _end_of_part(chain, cut_after)
    if not is_whole and started - address.read_to < GIVE_UP_AFTER:
        return None
    if not is_whole:
        log.error("tron_transactions_given_up", address_id=address.id)  # the daily comparison still finds their money
    return started - FINAL_AFTER


async def _end_of_part(chain: Chain, txid: str) -> datetime | None:
    """Return how far a history that is longer than one look was read, by the last transaction of it."""
    last = await trongrid.solid_transaction(chain.grid, txid)
    return last.info.block_at + OVERLAP if isinstance(last, SolidTransaction) else None


async def watch_chain(till: Till) -> None:
    """Say so when the node's newest final block is old: then nothing is credited, and nobody would know why."""
    if till.chain is None:
        return
    age = await trongrid.head_age(till.chain.grid, now=clock.now())
    if isinstance(age, Trouble):
        log.warning("tron_node_not_asked", problem=age.reason)
    elif age > LAG_SECONDS:
        log.error("tron_node_lags", seconds=int(age))


def _assets(till: Till) -> list[Asset]:
    return ["trx"] if till.rules.usdt_contract is None else ["trx", "usdt"]


async def _look(till: Till, chain: Chain, txid: str) -> Sequence[Detected | Transfer] | Trouble:
    """Settle what a transaction brought us, if it is final; else return what is on its way."""
    solid = await trongrid.solid_transaction(chain.grid, txid)
    if isinstance(solid, Trouble):
        return solid
    if isinstance(solid, SolidTransaction):
        transfers = await _ours_in(till, solid)
        outcomes = await settle(till, await _proofs(till, transfers))
        return Trouble("it could not be settled") if any(o.outcome == "failed" for o in outcomes) else transfers
    head = await trongrid.head_transaction(chain.grid, txid)
    if isinstance(head, Missing | Trouble):
        return [] if isinstance(head, Missing) else head
    return await _ours_in_head(till, head)


async def _ours_in(till: Till, solid: SolidTransaction) -> list[Transfer]:
    everything = tron_transfers.transfers_to(
        solid, ours=lambda _address: True, usdt_contract=till.rules.usdt_contract, with_internal=True
    )
    named = [name for item in everything for name in (item.to_address, item.from_address) if name is not None]
    ours = {item.address for item in await _our_addresses(till, named)}
    # What the operator sends himself is nobody's payment.
    own = ours | till.rules.own_addresses
    return [item for item in everything if item.to_address in ours and item.from_address not in own]


async def _ours_in_head(till: Till, head: HeadTransaction) -> list[Detected]:
    everything = tron_transfers.detected_in(
        head, ours=lambda _address: True, usdt_contract=till.rules.usdt_contract, with_internal=True
    )
    ours = {item.address for item in await _our_addresses(till, (item.to_address for item in everything))}
    return [item for item in everything if item.to_address in ours]


async def _our_addresses(till: Till, addresses: Iterable[str]) -> list[TronAddress]:
    wanted = sorted(set(addresses))
    if not wanted:
        return []
    async with till.db.statement() as tx:
        return await sql.find_by_address(tx, wanted)


async def _proofs(till: Till, transfers: Sequence[Transfer]) -> list[Proof]:
    ours = {item.address: item for item in await _our_addresses(till, (item.to_address for item in transfers))}
    return [
        Proof(
            rail=item.asset, external_id=item.external_id, kind="chain", paid_at=item.block_at, units=item.units,
            account_id=ours[item.to_address].account_id, address_id=ours[item.to_address].id,
            raw=item.raw.decode("utf-8", "replace"),
        )
        for item in transfers
    ]  # fmt: skip


async def _show_detected(till: Till, address: TronAddress, on_way: Sequence[Detected], *, is_all: bool) -> None:
    """Show customers what is on its way, and take it back from the time line when it vanished.

    Args:
        is_all: nothing else is on its way to this address; otherwise nothing can be said to have vanished.
    """
    assets = {item.asset for item in on_way if item.to_address == address.address}
    async with till.db.transaction() as tx:
        waiting = await sql.list_open_at(tx, [address.id], late=LATE)
        locked = await sql.lock_recharges(tx, sorted(item.id for item in waiting))
        for recharge in locked:
            if recharge.method in assets:
                if await sql.set_detected(tx, recharge.id):
                    await sql.insert_event(tx, recharge.id, "detected")
            elif is_all and recharge.status == "detected" and await sql.set_vanished(tx, recharge.id):
                await sql.insert_event(tx, recharge.id, "vanished")


async def claim_txid(till: Till, *, account_id: AccountId, ref: str, txid: str) -> tuple[Recharge, Seen]:
    """Look at a transaction that a customer names; money in it is credited to the owner of its address, nobody else.

    Raises:
        InvalidFields: it is no transaction's id.
        NotFound: there is no such recharge of this account.
        WrongMethod: it is not paid on this chain.
        MethodClosed: the chain is not set up any more.
        TooMany: too many claims in an hour.
    """
    wanted = _txid(txid)
    async with till.db.statement() as tx:
        recharge = await sql.find_recharge(tx, ref, account_id=account_id)
    if recharge is None:
        raise NotFound(what="recharge")
    if recharge.address_id is None:
        raise WrongMethod(method=recharge.rail)
    if till.chain is None:
        raise MethodClosed(method=recharge.method, reason="it is not set up any more")
    await till.limiter.admit("claim", str(account_id))
    async with till.db.statement() as tx:
        address = await sql.get_address(tx, recharge.address_id)
        await sql.set_hot(tx, address.id, lasting=timedelta(minutes=30))
    found = await till.db.to_the_end(_look(till, till.chain, wanted))
    if isinstance(found, Trouble):
        log.warning("tron_look_failed", problem=found.reason)
        return recharge, "unknown"
    mine = [item for item in found if item.to_address == address.address]
    on_way = [item for item in mine if isinstance(item, Detected)]
    if on_way:
        await _show_detected(till, address, on_way, is_all=False)
    async with till.db.statement() as tx:
        now = await sql.get_recharge(tx, recharge.id)
        keys = [(item.asset, item.external_id) for item in mine if isinstance(item, Transfer)]
        payments = await sql.find_payments(tx, keys) if keys else []
    if on_way:
        return now, "detected"
    states = {item.state for item in payments}
    if not states:
        return now, "not_ours" if found else "unknown"
    words: dict[str, Seen] = {
        "credited": "credited",
        "waiting": "waiting",
        "suspense": "in_review",
        "returned": "known",
    }
    return now, words[next(iter(sorted(states)))]


def _txid(text: str) -> str:
    """Return a transaction's id as it was typed, in small letters.

    Raises:
        InvalidFields: it is none; says what it is instead.
    """
    cleaned = text.strip().lower().removeprefix("0x")
    if len(cleaned) == TXID_LENGTH and all(sign in "0123456789abcdef" for sign in cleaned):
        return cleaned
    if text.strip().startswith("T") and len(text.strip()) == 34:
        raise InvalidFields({"txid": "is an address: the transaction's id (hash) has 64 characters of 0-9 and a-f"})
    raise InvalidFields({"txid": "must be the transaction's id (hash): 64 characters of 0-9 and a-f"})
