"""The file of a backup: a tar archive of few parts, whose last one holds the SHA-256 of the others.

Any `tar` takes it apart and `sha256sum --check SHA256SUMS` checks it, so that nobody
needs this program to get at the data. It is written under another name and gets its own when it is whole; it never
takes the place of a file.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from numberdesk.base import clock
from numberdesk.base.postgres_place import sync_folder

BLOCK = tarfile.BLOCKSIZE
SUMS = "SHA256SUMS"
CHUNK = 256 * 1024
SMALL_MAX = 1024 * 1024
"""Bytes of a part that is read at once."""

_DRAFT = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,9})\.part", re.ASCII)
_TIMED = re.compile(r"numberdesk-\d{8}T\d{6}Z\.backup", re.ASCII)

OnBytes = Callable[[int], None]
"""Told how many more bytes were worked on."""


class BadBackup(RuntimeError):
    """A backup cannot be written or cannot be used; `str()` is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a backup, and where its bytes stand in the file."""

    name: str
    size: int
    sha256: str
    offset: int = 0


class Writer:
    """Writes a backup part by part; `finish` gives it its name, `give_up` leaves nothing."""

    def __init__(self, path: Path) -> None:
        """Begin.

        Raises:
            BadBackup: there is such a file already, or the folder cannot be written.
        """
        self.path = path
        self.parts: list[Part] = []
        self._draft = path.parent / f".{path.name}.{os.getpid()}.part"
        _remove_abandoned(path)
        if path.exists() or path.is_symlink():
            raise BadBackup(f"{path} exists already, and no backup is written over: take another name.")
        try:
            descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as problem:
            raise BadBackup(f"{path} cannot be written: {problem.strerror}.") from problem
        self._file: BinaryIO = os.fdopen(descriptor, "wb")

    async def stream(self, name: str, chunks: AsyncGenerator[bytes, None], *, on_bytes: OnBytes) -> Part:
        """Write a part whose size is known at its end only; whatever happens, its source is ended.

        Raises:
            BadBackup: the disk is full, or the file cannot be written for another reason.
        """
        begin = self._file.tell()
        self._write(b"\0" * BLOCK)
        digest, size = hashlib.sha256(), 0
        async with aclosing(chunks):
            async for chunk in chunks:
                self._write(chunk)
                digest.update(chunk)
                size += len(chunk)
                on_bytes(len(chunk))
        return self._close_part(name, begin, size, digest.hexdigest())

    def add(self, name: str, content: bytes) -> Part:
        """Write a small part.

        Raises:
            BadBackup: as in `stream`.
        """
        begin = self._file.tell()
        self._write(b"\0" * BLOCK)
        self._write(content)
        return self._close_part(name, begin, len(content), hashlib.sha256(content).hexdigest())

    def finish(self) -> int:
        """End the file, have it reach its disk, and give it its name; returns its size.

        Raises:
            BadBackup: as in `stream`, or somebody else made such a file meanwhile.
        """
        self.add(SUMS, "".join(f"{part.sha256}  {part.name}\n" for part in self.parts).encode())
        self._write(b"\0" * BLOCK * 2)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            size = self._file.tell()
            self._file.close()
            self._take_name()
            sync_folder(self.path.parent)
        except OSError as problem:
            raise self._failed(problem) from problem
        return size

    def give_up(self) -> None:
        """Remove what was written; after `finish` this does nothing."""
        with suppress(OSError):
            self._file.close()
        self._draft.unlink(missing_ok=True)

    def _take_name(self) -> None:
        try:
            os.link(self._draft, self.path)  # unlike a rename, this never takes the place of a file
        except FileExistsError:
            raise BadBackup(f"{self.path} was made by somebody else meanwhile: take another name.") from None
        except OSError:  # a disk without links
            if self.path.exists():
                raise BadBackup(f"{self.path} was made by somebody else meanwhile: take another name.") from None
            self._draft.rename(self.path)
            return
        self._draft.unlink()

    def _close_part(self, name: str, begin: int, size: int, sha256: str) -> Part:
        self._write(b"\0" * (-size % BLOCK))
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = size, 0o600, int(clock.now().timestamp())
        try:
            end = self._file.tell()
            self._file.seek(begin)
            self._file.write(header.tobuf(tarfile.GNU_FORMAT))
            self._file.seek(end)
        except OSError as problem:
            raise self._failed(problem) from problem
        self.parts.append(Part(name, size, sha256, begin + BLOCK))
        return self.parts[-1]

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
        except OSError as problem:
            raise self._failed(problem) from problem

    def _failed(self, problem: OSError) -> BadBackup:
        return BadBackup(f"{self.path} cannot be written: {problem.strerror}. Nothing was kept of it.")


@dataclass(frozen=True, slots=True)
class Reader:
    """An existing backup whose parts are all there; whether they are right says `check`."""

    path: Path
    parts: dict[str, Part] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return sum(part.size for part in self.parts.values())

    def check(self, *, on_bytes: OnBytes) -> None:
        """Read the whole file and compare every part with its sum.

        Raises:
            BadBackup: a part is not what was written.
        """
        for part in self.parts.values():
            digest = hashlib.sha256()
            for chunk in self.chunks(part.name):
                digest.update(chunk)
                on_bytes(len(chunk))
            if digest.hexdigest() != part.sha256:
                raise BadBackup(f"{self.path} is damaged: {part.name} is not what was written. Take another backup.")

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            BadBackup: the file ends too early or cannot be read.
        """
        part = self.parts[name]
        try:
            with self.path.open("rb") as file:
                file.seek(part.offset)
                left = part.size
                while left:
                    chunk = file.read(min(CHUNK, left))
                    if not chunk:
                        raise _truncated(self.path)
                    left -= len(chunk)
                    yield chunk
        except OSError as problem:
            raise BadBackup(f"{self.path} cannot be read: {problem.strerror}.") from problem

    def read(self, name: str) -> bytes:
        """Return a small part."""
        if self.parts[name].size > SMALL_MAX:
            raise BadBackup(f"{self.path} is damaged: {name} is far larger than it can be.")
        return b"".join(self.chunks(name))


def open_backup(path: Path) -> Reader:
    """Open a backup.

    Raises:
        BadBackup: it cannot be read, is none, or ends too early.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = archive.getmembers()
    except tarfile.ReadError as problem:
        if "unexpected end" in str(problem):
            raise _truncated(path) from problem
        raise BadBackup(f"{path} is no backup of Numberdesk, or its beginning is damaged.") from problem
    except OSError as problem:
        raise BadBackup(f"{path} cannot be read: {problem.strerror}.") from problem
    found = {member.name: Part(member.name, member.size, "", member.offset_data) for member in members}
    if SUMS not in found:
        raise _truncated(path)
    reader = Reader(path, found)
    sums = _sums(reader)
    if (
        len(found) != len(members)
        or not all(member.isreg() for member in members)
        or sums.keys() != found.keys() - {SUMS}
    ):
        raise BadBackup(f"{path} is damaged: its parts are not those that {SUMS} names.")
    return Reader(path, {name: Part(name, found[name].size, sums[name], found[name].offset) for name in sums})


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed have left of backups with this name or with one made of a time."""
    for draft in path.parent.glob(".*.part"):
        found = _DRAFT.fullmatch(draft.name)
        if found and (found["name"] == path.name or _TIMED.fullmatch(found["name"])) and not _runs(int(found["pid"])):
            with suppress(OSError):
                draft.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sums(reader: Reader) -> dict[str, str]:
    lines = reader.read(SUMS).decode(errors="replace").splitlines()
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def _truncated(path: Path) -> BadBackup:
    return BadBackup(f"{path} is not whole: its end is missing. Take another backup, or copy this one again.")
