"""Statements of the operator's bank as CSV: how columns are named is data, and a bad row is told and left out."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from numberdesk.base.money import Paise
from numberdesk.payments.methods.statement_cells import (
    BadCell,
    NothingCame,
    bare,
    came_in,
    find_payer,
    has_digit,
    printable,
    read_moment,
    read_utr_cell,
    shown,
)

ROWS_MAX = 100_000
CELL_MAX = 2000
LINE_MAX = 20_000
RECORD_LINES_MAX = 20
"""A quote that is never closed would swallow all rows below it; no bank's text has more lines."""
NARRATION_MAX = 200
HEADER_WITHIN = 40
"""Banks write some lines about the account above the names of the columns."""

Column = Literal["date", "time", "amount", "debit", "utr", "narration", "payer", "status", "kind", "balance"]


class BadStatement(ValueError):
    """The file is no statement that we can read; `str()` ends a sentence that begins with "body"."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How one bank or merchant app names its columns: small letters and digits, one space for all else."""

    name: str
    columns: Mapping[Column, Sequence[str]]
    needs: Sequence[Column]
    """Without one of these a file is not read: failed payments would look like paid ones, debits like credits."""
    narration_utr: re.Pattern[str] | None = None
    """Where the bank, not the payer, puts the UTR into the narration. A bank's own column also holds numbers of
    cheques, so it counts in rows of UPI only; merchant exports and files made by hand have a column for it."""


_BANK: tuple[Column, ...] = ("date", "amount", "debit", "narration")
_MERCHANT: tuple[Column, ...] = ("date", "amount", "utr", "status")

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("generic", {
            "date": ("date",), "utr": ("utr",), "amount": ("amount",), "payer": ("payer",), "narration": ("narration",),
        }, ("date", "amount", "utr")),
        Profile("hdfc", {
            "date": ("date",), "narration": ("narration",), "utr": ("chq ref no", "chq ref number"),
            "debit": ("withdrawal amt", "withdrawal amount", "debit amount"),
            "amount": ("deposit amt", "deposit amount", "credit amount"), "balance": ("closing balance",),
        }, _BANK, re.compile(r"UPI-[^@]{1,90}@[^-]{2,64}-(?:[A-Z]{4}0[0-9A-Z]{6}-)?([0-9]{12})(?:-|$)", re.I)),
        Profile("icici", {
            "date": ("transaction date", "txn date"), "narration": ("transaction remarks", "remarks"),
            "debit": ("withdrawal amount inr", "withdrawal amount", "withdrawal"),
            "amount": ("deposit amount inr", "deposit amount", "deposit"), "balance": ("balance inr", "balance"),
        }, _BANK, re.compile(r"UPI/(?:[^/]{1,60}/[^/]{1,60}@[^/]{2,64}/.{0,60}/[^/]{1,40}/)?([0-9]{12})(?:/|$)", re.I)),
        Profile("sbi", {
            "date": ("txn date",), "narration": ("description",), "utr": ("ref no cheque no",), "debit": ("debit",),
            "amount": ("credit",), "balance": ("balance",),
        }, _BANK, re.compile(r"(?:[A-Z ]{1,20}[0-9]{0,17} ?-? ?)?UPI/CR/([0-9]{12})(?:[/ -]|$)", re.I)),
        Profile("axis", {
            "date": ("tran date", "transaction date"), "narration": ("particulars",), "utr": ("chqno", "chq no"),
            "debit": ("dr", "debit"), "amount": ("cr", "credit"), "balance": ("bal", "balance"),
        }, _BANK, re.compile(r"UPI/(?:P2[AM]/|CR/)?([0-9]{12})(?:/|$)", re.I)),
        Profile("paytm_business", {
            "date": ("transaction date",), "amount": ("amount", "transaction amount"), "status": ("status",),
            # Where there is an RRN, the column "UTR" is the transfer by which many payments were settled.
            "utr": ("rrn", "bank rrn", "bank txn id", "bank transaction id", "utr", "utr no"),
            "kind": ("transaction type",), "payer": ("customer vpa", "payer vpa"), "narration": ("order id",),
        }, _MERCHANT),
        Profile("phonepe_business", {
            "date": ("transaction date", "date"), "time": ("transaction time",),
            "amount": ("total transaction amount", "transaction amount"), "status": ("transaction status",),
            "utr": ("transaction utr", "utr", "rrn"), "kind": ("transaction type",), "payer": ("customer vpa",),
            "narration": ("merchant order id", "merchant transaction id", "transaction note"),
        }, _MERCHANT),
        Profile("bharatpe", {
            "date": ("transaction date", "date"), "time": ("transaction time", "time"), "amount": ("amount",),
            "utr": ("bank reference no", "bank reference number", "bank ref no", "rrn", "utr"), "status": ("status",),
            "kind": ("type", "transaction type"), "payer": ("payer handle", "payer vpa", "payer"),
            "narration": ("notes", "payer name"),
        }, _MERCHANT),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credit:
    """Money that came in."""

    line: int
    rrn: str | None
    amount_paise: Paise
    paid_at: datetime
    """In UTC; noon in India of a day whose hour nobody said."""
    is_exact: bool
    payer: str | None
    narration: str
    reference: str
    """The same for the same row of another export, for payments that have no UTR."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read, and why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that tells of no money that came in."""

    line: int
    why: str


Row = Credit | BadRow | Skipped


@dataclass(frozen=True, slots=True)
class _Table:
    profile: Profile
    places: Mapping[Column, int]
    width: int
    delimiter: str
    first: int
    """How many lines the file has above the first row."""


def sniff(raw: bytes) -> Profile | None:
    """Find the profile whose columns a file has; of several the one that finds most.

    Raises:
        BadStatement: it is not text.
    """
    table = _find_header(_lines(raw), list(PROFILES.values()))
    return None if table is None else table.profile


def read_rows(raw: bytes, profile: Profile) -> Iterator[Row]:
    """Read a file row by row.

    Raises:
        BadStatement: it is not text, has no header of this profile, or too many rows. The last is known only when
            so many were read.
    """
    lines = _lines(raw)
    table = _find_header(lines, [profile])
    if table is None:
        needed = ", ".join(profile.needs)
        raise BadStatement(f"holds no header row that we know: {profile.name} needs columns for {needed}")
    for count, (line, _, cells) in enumerate(_records(lines, table.first, table.delimiter), 1):
        if count > ROWS_MAX:
            raise BadStatement(f"has more than {ROWS_MAX} rows: divide it")
        try:
            yield _read(table, line, cells)
        except BadCell as problem:
            yield BadRow(line, str(problem))
        except NothingCame as why:
            yield Skipped(line, str(why))


def _lines(raw: bytes) -> list[str]:
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF")):
        raise BadStatement("is not a CSV file: save the statement as CSV first")
    text = _text(raw)
    if not text.strip():
        raise BadStatement("is empty")
    start = text[:4096]
    if sum(sign < " " and sign not in "\t\r\n" for sign in start) * 10 > len(start):
        raise BadStatement("is not text")
    # Unlike splitlines, this breaks at no sign that a payer can type into a note.
    return list(io.StringIO(text, newline=""))


def _text(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    # Some programs leave the mark out. Text in Latin letters has a zero in every second byte then.
    pairs = raw[:200]
    for codec, zeros in (("utf-16-le", pairs[1::2]), ("utf-16-be", pairs[::2])):
        if len(zeros) > 9 and zeros.count(0) == len(zeros) and pairs.count(0) == len(zeros):
            return raw.decode(codec, "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _find_header(lines: Sequence[str], profiles: Sequence[Profile]) -> _Table | None:
    for delimiter in ",;\t|":
        for line, following, cells in _records(lines[: HEADER_WITHIN + RECORD_LINES_MAX], 0, delimiter):
            if line > HEADER_WITHIN:
                break
            found = [
                _Table(profile, places, len(cells or ()), delimiter, following)
                for profile in profiles
                if (places := _places(cells or (), profile)).keys() >= set(profile.needs)
            ]
            if found:
                return max(found, key=lambda table: len(table.places))
    return None


def _places(cells: Sequence[str], profile: Profile) -> dict[Column, int]:
    names = [" ".join(re.findall(r"[a-z0-9]+", cell[:CELL_MAX].casefold())) for cell in cells]
    return {
        column: names.index(known[0])
        for column, wanted in profile.columns.items()
        if (known := [name for name in wanted if name in names])
    }


def _records(lines: Sequence[str], first: int, delimiter: str) -> Iterator[tuple[int, int, list[str] | None]]:
    """Split lines into cells, with where the row begins, counted from 1, and where the next does, from 0.

    No cells where that is impossible; then it goes on with the very next line.
    """
    place = first
    while place < len(lines):
        reader = csv.reader(lines[place : place + RECORD_LINES_MAX], delimiter=delimiter, strict=True)
        try:
            if len(lines[place]) > LINE_MAX:
                raise csv.Error
            cells: list[str] | None = next(reader)
            used = reader.line_num
        except csv.Error:
            cells, used = None, 1
        yield place + 1, place + used, cells
        place += used


def _read(table: _Table, line: int, cells: list[str] | None) -> Credit:
    if cells is None:
        raise BadCell("has a quote that is not closed, text behind a quote, or is too long")
    if not any(cell.strip() for cell in cells):
        raise NothingCame("blank")
    if any("\0" in cell for cell in cells):
        raise BadCell("holds a NUL sign")
    if any(len(cell) > CELL_MAX for cell in cells):
        raise BadCell(f"has a cell of more than {CELL_MAX} signs")
    values = {column: bare(cells[place]) for column, place in table.places.items() if place < len(cells)}

    def cell(column: Column) -> str:
        return values.get(column, "")

    narration = printable(cell("narration"))
    _check_row_of_payment(cell, narration)
    if any(extra.strip() for extra in cells[table.width :]):
        raise BadCell("has more columns than the header: a text with a comma needs quotes")
    _check_paid(table, cell)
    paise = came_in(cell("amount"), debit=cell("debit"))
    paid_at, is_exact = read_moment(cell("date"), clock=cell("time"))
    told = (paid_at.isoformat(), str(paise), cell("utr"), narration, re.sub(r"[^0-9]", "", cell("balance")))
    return Credit(
        line=line,
        rrn=read_utr_cell(cell("utr"), narration=narration, in_narration=table.profile.narration_utr),
        amount_paise=paise,
        paid_at=paid_at,
        is_exact=is_exact,
        payer=find_payer(cell("payer")) or find_payer(narration),
        narration=narration[:NARRATION_MAX],
        # The letter keeps it apart from every UTR.
        reference="h" + hashlib.sha256("\x1f".join(told).encode("utf-8", "replace")).hexdigest()[:30],
    )


_BALANCE = re.compile(
    r"(?:opening|closing) balance|b/?f|brought forward|c/?f|carried forward|(?:grand |sub ?)?totals?", re.I
)
_PAID = frozenset({
    "success", "successful", "succeeded", "completed", "complete", "settled", "credited", "captured", "paid",
    "received", "txn_success",
})  # fmt: skip
_UNPAID = frozenset({
    "failed", "failure", "fail", "unsuccessful", "pending", "initiated", "processing", "created", "timeout", "expired",
    "declined", "rejected", "dropped", "aborted", "cancelled", "canceled", "refunded", "reversed", "txn_failure",
})  # fmt: skip
_IN = frozenset({
    "cr", "credit", "c", "payment", "payments", "sale", "acquiring", "received", "receive", "collect", "upi", "qr",
})  # fmt: skip
_OUT = frozenset({
    "dr", "debit", "d", "refund", "refunds", "chargeback", "settlement", "payout", "reversal", "withdrawal", "transfer",
})  # fmt: skip


def _check_row_of_payment(cell: Callable[[Column], str], narration: str) -> None:
    """Leave out lines that banks write between and below payments."""
    if not any(map(has_digit, (cell("date"), cell("amount"), cell("utr")))):
        raise NothingCame("no payment")
    words = narration or cell("date")
    if not has_digit(cell("utr")) and _BALANCE.fullmatch(words.rstrip(" :-.")):
        raise NothingCame("balance or total")


def _check_paid(table: _Table, cell: Callable[[Column], str]) -> None:
    """Let only rows through that say in a known word that they were paid."""
    status, kind = cell("status").casefold(), cell("kind").casefold()
    if "status" in table.places and status not in _PAID:
        if status in _UNPAID:
            raise NothingCame(f"not paid: {status}")
        raise BadCell(f"has a status that we do not know: {shown(status)}")
    if "kind" in table.places and kind not in _IN:
        if kind in _OUT:
            raise NothingCame(f"no payment: {kind}")
        raise BadCell(f"has a type that we do not know: {shown(kind)}")
