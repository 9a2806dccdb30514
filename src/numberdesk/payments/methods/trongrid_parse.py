"""What TRON's servers answer, as values. Pure, and never raises.

A server of TRON answers 200 for errors too, with an object, an empty one or bare text. What is not exactly a listed
shape is `Unreadable`, and credits nothing.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from numberdesk.payments.methods.tron_address import BadAddress, check_address, from_hex

UNITS_MAX: Final = 2**63 - 1
MEMO_MAX: Final = 2000
"""Characters of a memo that are kept. It is the sender's text, and often advertising or a trap."""
SUCCESS: Final = "SUCCESS"

# The dollar sign would let a newline pass.
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2})*\Z")]
Units = Annotated[int, Meta(ge=0, le=UNITS_MAX)]
Milliseconds = Annotated[int, Meta(ge=1_500_000_000_000, le=4_102_444_800_000)]
"""From 2017, before TRON began, to 2100: within it a datetime can be made."""
Cursor = Annotated[str, Meta(pattern=r"^[!-~]{1,500}\Z")]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An answer of no listed shape; nothing is known. `reason` holds none of the server's words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The server does not know the transaction, or not yet, or no longer."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What a TransferContract moves."""

    from_address: str
    to_address: str
    sun: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as its sender wrote it, with the chain's verdict."""

    txid: str
    contract: str
    has_succeeded: bool
    payment: Payment | None
    """Only of a TransferContract: a TRC10 token's transfer looks the same and is none."""
    memo: str | None
    raw: bytes = field(repr=False)


class Log(Struct, frozen=True):
    """An event of a contract; the address has no `41` in front."""

    address: Hex = ""
    topics: tuple[Hash, ...] = ()
    data: Hex = ""


class CallValue(Struct, frozen=True, rename={"units": "callValue", "token": "tokenId"}):
    """A value that a contract handed on: TRX, or a TRC10 token when one is named."""

    units: Units = 0
    token: str | None = None


class Internal(
    Struct, frozen=True, rename={"to": "transferTo_address", "by": "caller_address", "values": "callValueInfo"}
):
    """What a contract did to another address while it ran."""

    hash: Hash
    by: str = ""
    to: str = ""
    values: tuple[CallValue, ...] = ()
    note: str = ""
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class Info:
    """What became of a transaction in its block."""

    txid: str
    block_at: datetime
    has_failed: bool
    receipt: str | None
    logs: tuple[Log, ...]
    internals: tuple[Internal, ...]
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SolidTransaction:
    """A transaction that can no longer vanish: the only thing that credits."""

    txid: str
    transaction: Transaction
    info: Info


@dataclass(frozen=True, slots=True)
class HeadTransaction:
    """A transaction in a block that may still be undone."""

    txid: str
    transaction: Transaction
    info: Info


@dataclass(frozen=True, slots=True)
class Page:
    """Transactions that are worth a look, and the mark of the next page."""

    txids: tuple[str, ...]
    fingerprint: str | None


class _Parameter(Struct):
    value: dict[str, Any]
    type_url: str


class _Contract(Struct):
    parameter: _Parameter
    type: str


class _RawData(Struct):
    contract: Annotated[list[_Contract], Meta(min_length=1, max_length=1)]
    data: Hex = ""


class _Ret(Struct):
    contractRet: str = ""  # noqa: N815 (the server's word)


class _Transaction(Struct):
    txID: Hash  # noqa: N815
    raw_data: _RawData
    ret: Annotated[list[_Ret], Meta(max_length=1)] = []


class _Payment(Struct):
    owner_address: str
    to_address: str
    amount: Units


class _Receipt(Struct):
    result: str | None = None


class _Info(Struct, rename={"internals": "internal_transactions", "logs": "log", "block_time": "blockTimeStamp"}):
    id: Hash
    blockNumber: Annotated[int, Meta(ge=1, le=UNITS_MAX)]  # noqa: N815
    block_time: Milliseconds
    receipt: _Receipt
    result: str | None = None
    logs: tuple[Log, ...] = ()
    internals: tuple[Internal, ...] = ()


class _Listed(Struct):
    txID: Hash | None = None  # noqa: N815
    tx_id: Hash | None = None
    transaction_id: Hash | None = None


class _Meta(Struct):
    fingerprint: Cursor | None = None


class _Page(Struct):
    data: list[_Listed]
    success: bool
    meta: _Meta


class _Account(Struct):
    address: str
    balance: Units = 0


class _Holder(Struct):
    address: str
    trc20: list[dict[str, str]] = []


class _Holders(Struct):
    data: Annotated[list[_Holder], Meta(max_length=1)]
    success: bool


class _BlockData(Struct):
    timestamp: Milliseconds


class _BlockHeader(Struct):
    raw_data: _BlockData


class _Block(Struct):
    block_header: _BlockHeader


class _Genesis(Struct):
    blockID: Hash  # noqa: N815


def transaction(body: bytes) -> Transaction | Missing | Unreadable:
    """Read the answer to gettransactionbyid."""
    found = _read(body, _Transaction, may_be_empty=True)
    if found is None:
        return Missing()
    if isinstance(found, Unreadable):
        return found
    (contract,) = found.raw_data.contract
    payment = None
    if contract.type == "TransferContract" and contract.parameter.type_url.rpartition(".")[2] == contract.type:
        payment = _payment(contract.parameter.value)
        if payment is None:
            return Unreadable("a TransferContract without its fields")
    has_succeeded = [item.contractRet for item in found.ret] == [SUCCESS]
    return Transaction(found.txID, contract.type, has_succeeded, payment, _memo(found.raw_data.data), body)


def info(body: bytes) -> Info | Missing | Unreadable:
    """Read the answer to gettransactioninfobyid."""
    found = _read(body, _Info, may_be_empty=True)
    if found is None:
        return Missing()
    if isinstance(found, Unreadable):
        return found
    if len({item.hash for item in found.internals}) != len(found.internals):
        return Unreadable("two internal transactions of one hash")
    # The node leaves out a word that is the default, which it spells SUCESS.
    has_failed = found.result not in (None, "SUCESS", SUCCESS)
    return Info(
        found.id, _instant(found.block_time), has_failed, found.receipt.result, found.logs, found.internals, body
    )


def page(body: bytes) -> Page | Unreadable:
    """Read a page of an account's history, whatever its entries are: only their ids count."""
    found = _read(body, _Page)
    if found is None or isinstance(found, Unreadable):
        return found or Unreadable("an empty object")
    txids = [item.txID or item.tx_id or item.transaction_id for item in found.data]
    if not found.success or None in txids:
        return Unreadable("a history without success or with an entry that names no transaction")
    return Page(tuple(dict.fromkeys(txid for txid in txids if txid)), found.meta.fingerprint)


def balance(body: bytes, *, address: str) -> int | Unreadable:
    """Read the sun in the answer to getaccount; an account that was never used is an empty object."""
    found = _read(body, _Account, may_be_empty=True)
    if found is None:
        return 0
    if isinstance(found, Unreadable):
        return found
    return found.balance if address_in(found.address) == address else Unreadable("the account of another address")


def token_balance(body: bytes, *, address: str, contract: str) -> int | Unreadable:
    """Read the units of one TRC20 token in the answer to /v1/accounts."""
    found = _read(body, _Holders)
    if found is None or isinstance(found, Unreadable):
        return found or Unreadable("an empty object")
    if not found.success or any(address_in(item.address) != address for item in found.data):
        return Unreadable("no success, or the account of another address")
    units = [item[contract] for holder in found.data for item in holder.trc20 if contract in item]
    if len(units) > 1:
        return Unreadable("two balances of one token")
    return _number(units[0]) if units else 0


def block_at(body: bytes) -> datetime | Unreadable:
    """Read the time of the block that getnowblock answers."""
    found = _read(body, _Block)
    if found is None or isinstance(found, Unreadable):
        return found or Unreadable("an empty object")
    return _instant(found.block_header.raw_data.timestamp)


def genesis(body: bytes) -> str | Unreadable:
    """Read the id of the block that getblockbynum answers."""
    found = _read(body, _Genesis)
    if found is None or isinstance(found, Unreadable):
        return found or Unreadable("an empty object")
    return found.blockID


def _read(body: bytes, shape: type[T], *, may_be_empty: bool = False) -> T | Unreadable | None:
    """Return the body as that shape, or None for an empty object where that is an answer."""
    try:
        # Python's reader, because it tells of a name that stands twice, of which others silently take the last one.
        found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_inexact)
    except (ValueError, RecursionError):
        return Unreadable("not JSON")
    if not isinstance(found, dict):
        return Unreadable("not an object")
    if not found and may_be_empty:
        return None
    if "Error" in found or "error" in found:
        return Unreadable("the server reports an error")
    try:
        return msgspec.convert(found, shape)
    except (ValueError, RecursionError):
        return Unreadable("an object of another shape")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _inexact(_text: str) -> object:
    """Return what no shape takes, so that a fraction does no harm where nobody looks and is refused elsewhere."""
    return ...


def _payment(value: dict[str, Any]) -> Payment | None:
    try:
        found = msgspec.convert(value, _Payment)
    except ValueError:
        return None
    sender, to = address_in(found.owner_address), address_in(found.to_address)
    return Payment(sender, to, found.amount) if sender and to else None


def _memo(data: str) -> str | None:
    text = bytes.fromhex(data).decode(errors="replace").replace("\0", "\ufffd")
    return text[:MEMO_MAX] or None


def address_in(text: str) -> str | None:
    """Return an address in the form with T, whichever of the two forms it came in, or None."""
    try:
        return from_hex(text) if text[:2] == "41" else check_address(text)
    except BadAddress:
        return None


def _number(text: str) -> int | Unreadable:
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) > UNITS_MAX:
        return Unreadable("a balance that is no number")
    return int(text)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
