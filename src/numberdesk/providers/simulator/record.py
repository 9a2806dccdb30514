"""Keep the simulator's own truth: an append-only file of what it sold, delivered and cancelled, one fact a line."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

FactName = Literal[
    "sold",
    "rented",
    "prolonged",
    "delivered",
    "retry",
    "finished",
    "cancelled",
    "self_cancelled",
    "expired",
    "refused",
    "redirect_followed",
]
# The place of every 512th line is remembered, so that `since` need not read a long file from its beginning.
_MARK_EVERY: Final = 512
_BLOCK: Final = 256 * 1024


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Say what will become of an activation, in seconds; written with the sale, so that a restart keeps to it."""

    code_after: float | None = None
    retry_code_after: float | None = None
    unasked_code_after: float | None = None
    late_code_after: float | None = None
    self_cancel_after: float | None = None


class Fact(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Hold one line of the record; `n` counts lines from 1, and the `cost_paise` of an ending is the refund.

    Facts about numbers for hours or days have a `rental_id` instead of an `activation_id`, and begin with `rented`.
    """

    at: datetime
    n: int
    fact: FactName
    activation_id: int | None = None
    rental_id: int | None = None
    # For how long it was rented, or prolonged.
    hours: int | None = None
    phone: str | None = None
    service: str | None = None
    country: int | None = None
    operator: str | None = None
    cost_paise: int | None = None
    order_ref: str | None = None
    code: str | None = None
    text: str | None = None
    # The order of a message within its activation, from 1.
    message: int | None = None
    # What was asked (`getNumber`, `setStatus`), and the wire word of the refusal or the fault that swallowed it.
    action: str | None = None
    reason: str | None = None
    # The profile that ruled the purchase, so that a run can count which faults it really met.
    profile: str | None = None
    # A message for an activation that had already ended.
    late: bool = False
    # The same activation was handed out once more; nothing was charged for it.
    duplicate: bool = False
    # The lifetime ended it, not the buyer.
    automatic: bool = False
    plan: Plan | None = None


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Fact)


def utc_now() -> datetime:
    """Read the clock; the simulator stands alone and so has a reader of its own."""
    return datetime.now(UTC)  # noqa: TID251 (base.clock is not within its reach)


def read_record(path: Path) -> list[Fact]:
    """Read a record that another process writes; a last line still being written is left out."""
    with path.open("rb") as lines:
        return [_decoder.decode(line) for line in lines if line.endswith(b"\n")]


class Record:
    """Append facts to a file and read them back.

    Lines gather in memory until `flush`, which hands them to the operating system in one write: the caller flushes
    before an answer leaves, so the kill of this process loses no fact that anybody was told.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is None:
            with tempfile.TemporaryFile() as unnamed:
                self._file = os.dup(unnamed.fileno())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        # The file stays readable for as long as somebody holds the record, also after the simulator stopped.
        weakref.finalize(self, os.close, self._file)
        self.count = 0
        self._size = 0
        self._waiting = bytearray()
        self._marks = [0]

    def replay(self) -> Iterator[Fact]:
        """Yield what an earlier run wrote, then cut off a last line that was only half written.

        Raises:
            ValueError: a line is not a fact; nothing is changed in the file.
        """
        end = os.fstat(self._file).st_size
        for line in self._lines(0, end):
            try:
                fact = _decoder.decode(line)
            except msgspec.MsgspecError as damage:
                raise ValueError(f"Line {self.count + 1} of {self.path} is not a fact: {damage}.") from damage
            self._count_line(len(line))
            yield fact
        if self._size < end:
            os.ftruncate(self._file, self._size)

    def append(self, fact: Fact) -> None:
        """Take a fact for the next flush; its `n` is `count + 1`."""
        line = _encoder.encode(fact) + b"\n"
        self._waiting += line
        self._count_line(len(line))

    def flush(self) -> None:
        """Hand all waiting lines to the operating system; on an error what is not written stays waiting."""
        while self._waiting:
            written = os.pwrite(self._file, self._waiting, self._size - len(self._waiting))
            del self._waiting[:written]

    def since(self, number: int) -> Iterator[bytes]:
        """Yield the lines numbered above `number` in blocks of whole lines, up to the end as it is now."""
        self.flush()
        number = max(0, number)
        if number >= self.count:
            return
        mark = number // _MARK_EVERY
        skip = number - mark * _MARK_EVERY
        block = bytearray()
        for line in self._lines(self._marks[mark], self._size):
            if skip:
                skip -= 1
                continue
            block += line
            if len(block) >= _BLOCK:
                yield bytes(block)
                block.clear()
        if block:
            yield bytes(block)

    def facts(self, since: int = 0) -> list[Fact]:
        """Return the facts numbered above `since`."""
        return [_decoder.decode(line) for block in self.since(since) for line in block.splitlines()]

    def _count_line(self, length: int) -> None:
        self.count += 1
        self._size += length
        if self.count % _MARK_EVERY == 0:
            self._marks.append(self._size)

    def _lines(self, start: int, end: int) -> Iterator[bytes]:
        rest = b""
        while start < end:
            block = os.pread(self._file, min(_BLOCK, end - start), start)
            if not block:
                return
            start += len(block)
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield from (whole + newline).splitlines(keepends=True)
