"""The embedded PostgreSQL: closed to others, shared by processes, recovered after every kind of kill."""

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from numberdesk.base import postgres, postgres_process
from tests.base.postgres_homes import (
    ANOTHER_PROCESS,
    another_process,
    ask,
    children,
    environment_of,
    first_answer,
    is_running,
    is_there,
    kill_with_children,
    make_parent,
    mode_of,
    number_after,
    open_sockets,
    owner_of,
    reap,
    remove,
    tcp_sockets,
    until,
)

pytestmark = pytest.mark.anyio


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


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    folder = make_parent()
    asyncio.run(first_answer(folder / "desk"))
    yield folder / "desk"
    shutil.rmtree(folder)


@pytest.fixture
def used_home(home: Path, template: Path) -> Path:
    """A home with a database, copied because that is faster than making one."""
    subprocess.run(["cp", "-a", template, home], check=True)
    return home


# What is refused


async def test_data_of_another_version_is_refused_naming_both(used_home: Path) -> None:
    version = (await first_answer(used_home)).version
    (used_home / "pg" / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(postgres.PostgresUnavailable, match=f"made by PostgreSQL 14, but .* holds version {version}"):
        await first_answer(used_home)


async def test_lost_passwords_are_named_and_not_made_anew(used_home: Path) -> None:
    folder = (await first_answer(used_home)).folder
    (folder / "passwords.json").unlink()
    with pytest.raises(postgres.PostgresUnavailable, match=r"cannot be read from .*passwords\.json"):
        await first_answer(used_home)


async def test_a_server_that_will_not_start_is_quoted(home: Path) -> None:
    with pytest.raises(postgres.PostgresUnavailable, match=r"Its last words: .*work_mem"):
        async with postgres.running(home, durable=False, settings={"work_mem": "plenty"}):
            pass


# Privacy


async def test_a_wrong_password_is_refused(used_home: Path) -> None:
    async with postgres.running(used_home, durable=False) as cluster:
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


async def test_durability_cannot_be_switched_off_by_settings(used_home: Path) -> None:
    wishes = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "work_mem": "7MB"}
    async with postgres.running(used_home, settings=wishes) as cluster:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await ask(cluster.app_url, "SELECT current_setting($1)", name) == "on"
        assert await ask(cluster.app_url, "SHOW work_mem") == "7MB"


async def test_a_durable_start_does_not_share_a_server_that_forgets(used_home: Path) -> None:
    async with another_process(used_home) as (process, pid):
        with pytest.raises(postgres.PostgresUnavailable, match="without durability"):
            async with postgres.running(used_home):
                pass
        process.kill()
    async with postgres.running(used_home) as cluster:
        assert cluster.pid != pid
        assert await ask(cluster.app_url, "SHOW fsync") == "on"


# Sharing


async def test_the_last_to_leave_stops_the_server_of_another_process(used_home: Path) -> None:
    async with another_process(used_home) as (_, pid):
        async with postgres.running(used_home, durable=False) as cluster:
            assert cluster.pid == pid
        assert is_running(pid)
        sharing = postgres.running(used_home, durable=False)
        cluster = await sharing.__aenter__()
    assert await ask(cluster.app_url, "SELECT 1") == 1
    await sharing.__aexit__(None, None, None)
    assert not is_running(pid)


async def test_our_server_lives_on_while_another_process_needs_it(used_home: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with postgres.running(used_home, durable=False) as cluster:
            _, pid = await stack.enter_async_context(another_process(used_home))
        assert cluster.pid == pid
        assert await ask(cluster.app_url, "SELECT 1") == 1
    assert not is_running(pid)


async def test_two_processes_that_start_together_share_one_server(home: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        both = await asyncio.gather(*(stack.enter_async_context(another_process(home)) for _ in range(2)))
        assert both[0][1] == both[1][1]
    assert not is_running(both[0][1])


async def test_a_forked_child_does_not_keep_the_server(used_home: Path) -> None:
    # As the web processes of a killed master do: they live on for a while, with all that they inherited.
    async with another_process(used_home) as (process, pid):
        assert process.stdin
        process.stdin.write(b"fork\n")
        child = await number_after(b"child", process)
        process.kill()
        async with postgres.running(used_home, durable=False) as cluster:
            assert cluster.pid == pid
        server_runs = is_running(pid)
        os.kill(child, signal.SIGKILL)
    assert not server_runs


async def test_an_interrupt_at_the_terminal_does_not_hit_the_server(used_home: Path) -> None:
    async with another_process(used_home) as (process, pid), postgres.running(used_home, durable=False) as cluster:
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdin
        process.stdin.close()
        await process.wait()
        assert await ask(cluster.app_url, "SELECT 1") == 1
        assert is_running(pid)


async def test_a_home_deleted_under_us_takes_its_server_along(used_home: Path) -> None:
    async with postgres.running(used_home, durable=False) as cluster:
        shutil.rmtree(used_home)
    assert not is_running(cluster.pid)


# Kills


async def test_a_killed_server_recovers_what_was_committed(used_home: Path) -> None:
    async with postgres.running(used_home) as cluster:
        await ask(cluster.owner_url, "CREATE TABLE public.notes AS SELECT 'paid' AS note")
        sleeper = asyncio.ensure_future(ask(cluster.owner_url, "SELECT count(*) FROM generate_series(1, 1000000000)"))
        await asyncio.sleep(0.1)
        kill_with_children(cluster.pid)
        async with postgres.running(used_home) as again:
            assert again.pid != cluster.pid
            assert await ask(cluster.owner_url, "SELECT note FROM public.notes") == "paid"
        assert await ask(again.owner_url, "SELECT note FROM public.notes") == "paid"
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeper
    assert not is_running(again.pid)


async def test_sessions_that_outlive_their_server_do_not_stop_the_next_start(used_home: Path) -> None:
    async with postgres.running(used_home, durable=False) as cluster:
        question = "SELECT count(*) FROM generate_series(1, 10000000000)"
        sleeper = asyncio.ensure_future(ask(cluster.owner_url, question))
        await asyncio.sleep(0.2)
        sessions = children(cluster.pid)
        os.kill(cluster.pid, signal.SIGKILL)
        async with postgres.running(used_home, durable=False) as again:
            assert await ask(again.app_url, "SELECT 1") == 1
            assert not [pid for pid in sessions if is_running(pid)]
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeper


async def test_a_server_left_by_a_killed_process_is_taken_over(used_home: Path) -> None:
    async with another_process(used_home) as (process, pid):
        process.kill()
        await process.wait()
        assert is_running(pid)
        async with postgres.running(used_home, durable=False) as cluster:
            assert cluster.pid == pid
    assert not is_running(pid)


async def test_a_server_that_lost_its_pid_file_is_replaced(used_home: Path) -> None:
    # The same is seen for a moment when a process is killed just after it started the server.
    async with another_process(used_home) as (process, pid):
        process.kill()
        (used_home / "pg" / "data" / "postmaster.pid").unlink()
        async with postgres.running(used_home, durable=False) as cluster:
            assert await ask(cluster.app_url, "SELECT 1") == 1
            assert not is_running(pid)


async def test_a_zombie_of_the_old_server_does_not_stop_the_next_start(used_home: Path) -> None:
    # As in a container whose first process waits for nobody: we become the parent of orphans, and do not wait.
    be_subreaper = ctypes.CDLL(None).prctl
    be_subreaper(36, 1, 0, 0, 0)
    try:
        async with another_process(used_home) as (process, pid):
            process.kill()
            await process.wait()
        orphans = [pid, *children(pid)]
        kill_with_children(pid)
        await until(lambda: not is_running(pid))
        assert is_there(Path(f"/proc/{pid}"))
        async with postgres.running(used_home, durable=False) as cluster:
            assert cluster.pid != pid
    finally:
        be_subreaper(36, 0, 0, 0, 0)
    for orphan in orphans:
        reap(orphan)


@pytest.mark.parametrize("content", ["", "{pid}\n/nowhere\n1\n5432\n/nowhere\n\n  1 2\nready   \n"])
async def test_a_stale_pid_file_does_not_stop_the_next_start(used_home: Path, content: str) -> None:
    data = (await first_answer(used_home)).folder / "data"
    bystander = await asyncio.create_subprocess_exec("sleep", "60", user=data.stat().st_uid)
    (data / "postmaster.pid").write_text(content.format(pid=bystander.pid))
    async with postgres.running(used_home, durable=False) as cluster:
        assert cluster.pid != bystander.pid
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


@pytest.mark.parametrize("victims", ["ours", "all"])
async def test_a_first_start_killed_in_the_middle_is_begun_again(home: Path, victims: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ANOTHER_PROCESS, home, ":".join(sys.path)),
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
