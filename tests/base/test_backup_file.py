"""The file of a backup: whole or refused, never over another, readable with tools that every machine has."""

import asyncio
import io
import os
import resource
import subprocess
import tarfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from numberdesk.base.backup_file import SUMS, BadBackup, Writer, open_backup
from tests.cli.shell import mode_of

DUMP = bytes(range(256)) * 40
SMALL = b'{"a": 1}'


async def pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    for begin in range(0, len(content), 1000):
        yield content[begin : begin + 1000]


def nothing(_count: int) -> None:
    pass


def written(path: Path) -> Path:
    writer = Writer(path)
    asyncio.run(writer.stream("dump", pieces(DUMP), on_bytes=nothing))
    writer.add("small.json", SMALL)
    assert writer.finish() == path.stat().st_size
    writer.give_up()
    return path


def test_what_was_written_is_read_and_is_its_owners_alone(tmp_path: Path) -> None:
    backup = open_backup(written(tmp_path / "one"))
    counted: list[int] = []
    backup.check(on_bytes=counted.append)
    assert sum(counted) == backup.size == len(DUMP) + len(SMALL)
    assert b"".join(backup.chunks("dump")) == DUMP
    assert backup.read("small.json") == SMALL
    assert mode_of(backup.path) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_tar_and_sha256sum_are_enough_to_take_it_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "one")
    folder = tmp_path / "apart"
    folder.mkdir()
    subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
    assert (folder / "dump").read_bytes() == DUMP
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = (written(tmp_path / "one")).read_bytes()
    cut = tmp_path / "cut"
    end = len(content.rstrip(b"\0"))
    for size in [*range(0, end, 331), end - 1]:
        cut.write_bytes(content[:size])
        with pytest.raises(BadBackup, match=r"is not whole|is no backup|is damaged"):
            open_backup(cut).check(on_bytes=nothing)


def test_a_byte_that_flipped_anywhere_in_a_part_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "one")
    content, parts = path.read_bytes(), open_backup(path).parts.values()
    for place in [part.offset + place for part in parts for place in (0, part.size // 2, part.size - 1)]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BadBackup, match="is damaged"):
            open_backup(path).check(on_bytes=nothing)


def test_a_part_that_was_put_in_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "one")
    content = path.read_bytes()
    for name in ("dump", "more"):
        path.write_bytes(content)
        with tarfile.open(path, "a") as archive:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        with pytest.raises(BadBackup, match="its parts are not those"):
            open_backup(path)


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "one"
    writer = Writer(path)
    path.write_text("precious")
    with pytest.raises(BadBackup, match="made by somebody else meanwhile"):
        writer.finish()
    writer.give_up()
    with pytest.raises(BadBackup, match="exists already"):
        Writer(path)
    assert path.read_text() == "precious"
    assert [item.name for item in tmp_path.iterdir()] == ["one"]


@contextmanager
def file_size_max(size: int) -> Iterator[None]:
    """Let no file of this process get larger: to a writer that is a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "one")
    with file_size_max(20_000), pytest.raises(BadBackup, match="cannot be written: File too large"):
        writer.add("large", DUMP * 100)
    writer.give_up()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadBackup, match="cannot be written: No such file or directory"):
        Writer(tmp_path / "nowhere" / "one")
    with pytest.raises(BadBackup, match="cannot be read: No such file"):
        open_backup(tmp_path / "nothing")
    (tmp_path / "text").write_text("some words")
    with pytest.raises(BadBackup, match="is no backup"):
        open_backup(tmp_path / "text")


def test_what_a_killed_process_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    timed = "numberdesk-20261127T020000Z.backup"
    left = [f".one.{ended.pid}.part", f".{timed}.{ended.pid}.part"]
    stays = [f".one.{os.getppid()}.part", f".two.{ended.pid}.part", ".one.part", ".one.x.part"]
    for name in left + stays:
        (tmp_path / name).touch()
    written(tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == {"one", *stays}
