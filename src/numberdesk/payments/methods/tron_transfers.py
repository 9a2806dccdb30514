"""Which money a transaction of TRON proves to have come to us: pure rules over what its servers answered by id."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from numberdesk.payments.methods.trongrid_parse import (
    SUCCESS,
    UNITS_MAX,
    HeadTransaction,
    Info,
    Log,
    SolidTransaction,
    Transaction,
    address_in,
)

TRANSFER_TOPIC: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
VALUE_NOTES: Final = frozenset({b"call".hex(), b"suicide".hex()})
"""Notes of internal transactions that move TRX to the named address. A contract that lends out energy or freezes
writes one with a value and a receiver too (`delegateResourceOfEnergy`), and nobody gets that value."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came to an address; `external_id` is the same for ever, whoever asks."""

    txid: str
    asset: Literal["trx", "usdt"]
    kind: Literal["transfer", "internal", "token"]
    external_id: str
    to_address: str
    units: int
    """Sun, or millionths of a USDT."""
    block_at: datetime
    """The block's time: the sender chooses the transaction's own."""
    memo: str | None
    """The sender's text: kept as evidence, never shown as anything but plain text."""
    raw: bytes = field(repr=False)
    from_address: str | None = None
    """Who sent it: an operator's own moves are known by it. Never offered to anybody as an address to pay to."""


@dataclass(frozen=True, slots=True)
class Detected:
    """A transfer that is on its way: to be shown, never to be credited."""

    txid: str
    asset: Literal["trx", "usdt"]
    to_address: str
    units: int


def transfers_to(
    solid: SolidTransaction, *, ours: Callable[[str], bool], usdt_contract: str | None, with_internal: bool
) -> list[Transfer]:
    """Return what a solid transaction proves to have come to our addresses.

    Args:
        ours: says whether an address is ours. It is asked for the few addresses of the transaction only.
        usdt_contract: the address of the one contract whose token is USDT; None credits no token.
        with_internal: whether TRX that a contract sent counts.
    """
    found = _found(solid.transaction, solid.info, usdt_contract, with_internal)
    return [item for item in found if item.units > 0 and ours(item.to_address)]


def detected_in(
    head: HeadTransaction, *, ours: Callable[[str], bool], usdt_contract: str | None, with_internal: bool
) -> list[Detected]:
    """Return what seems to come to our addresses, by the same rules; it may still vanish."""
    found = _found(head.transaction, head.info, usdt_contract, with_internal)
    return [
        Detected(item.txid, item.asset, item.to_address, item.units)
        for item in found
        if item.units > 0 and ours(item.to_address)
    ]


def _found(transaction: Transaction, info: Info, usdt_contract: str | None, with_internal: bool) -> Iterator[Transfer]:
    if transaction.txid != info.txid or not transaction.has_succeeded or info.has_failed:
        return
    raw = transaction.raw + b"\n" + info.raw
    txid, memo, at = info.txid, transaction.memo, info.block_at
    if transaction.payment and info.receipt in (None, SUCCESS):
        paid = transaction.payment
        yield Transfer(
            txid, "trx", "transfer", f"trx:{txid}", paid.to_address, paid.sun, at, memo, raw, paid.from_address
        )
    # What follows is the work of a contract, whose receipt has its own verdict.
    if info.receipt != SUCCESS:
        return
    for item in info.internals if with_internal else ():
        units = sum(value.units for value in item.values if not value.token)
        to = address_in(item.to)
        if item.rejected or item.note not in VALUE_NOTES or to is None or units > UNITS_MAX:
            continue
        key = f"trxint:{txid}:{item.hash}"
        yield Transfer(txid, "trx", "internal", key, to, units, at, memo, raw, address_in(item.by))
    for place, log in enumerate(info.logs):
        if usdt_contract and address_in("41" + log.address) == usdt_contract:
            yield from _token(log, Transfer(txid, "usdt", "token", f"trc20:{txid}:{place}", "", 0, at, memo, raw))


def _token(log: Log, blank: Transfer) -> Iterator[Transfer]:
    if len(log.topics) != 3 or log.topics[0] != TRANSFER_TOPIC or len(log.data) != 64:
        return
    units, sender, to = int(log.data, 16), _topic(log.topics[1]), _topic(log.topics[2])
    if to is not None and units <= UNITS_MAX:
        yield replace(blank, to_address=to, units=units, from_address=sender)


def _topic(topic: str) -> str | None:
    return address_in("41" + topic[24:]) if topic[:24] == "0" * 24 else None
