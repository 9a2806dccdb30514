"""The processes of the embedded PostgreSQL: initdb, the server, and what is left of one that was killed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from numberdesk.base.postgres_place import (
    ENVIRONMENT,
    PORT,
    PostgresUnavailable,
    RunAs,
    fingerprint,
    open_private,
    sync_folder,
)

LOG_LIMIT = 10 * 1024 * 1024

_TUNING = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "wal_buffers": "16MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # the detail of an error quotes rows, which may be personal
}
_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
_STOPPING = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Roll back and write out, then drop everything, then no more questions; how long each may take."""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A server as its own `postmaster.pid` describes it; `state` is `starting`, `ready`, `stopping` or empty."""

    pid: int
    socket_folder: Path
    state: str


def _launch(command: Sequence[str | Path], run_as: RunAs, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own list of words and no shell
        command,
        cwd="/",  # the database user may not be allowed into ours
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # an interrupt typed at our terminal is not meant for the server
        umask=0o077,
        user=run_as.uid if run_as.switch else None,
        group=run_as.gid if run_as.switch else None,
        extra_groups=[] if run_as.switch else None,
    )


def initialise(folder: Path, binaries: Path, *, major: int, run_as: RunAs, password: str, durable: bool) -> None:
    """Make `folder/data` with a superuser `postgres`, complete or not at all.

    Raises:
        PostgresUnavailable: initdb failed; the sentence ends with its last lines.
    """
    draft = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
    try:
        password_file = draft / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="utf-8")
        if run_as.switch:
            os.chown(password_file, run_as.uid, run_as.gid)
            os.chown(draft, run_as.uid, run_as.gid)
        command: list[str | Path] = [binaries / "initdb", "-D", draft / "data", f"--pwfile={password_file}"]
        command += ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "-k", "--no-instructions"]
        command += [] if durable else ["--no-sync"]
        _run_initdb(command, major=major, run_as=run_as)
        (draft / "data").rename(folder / "data")
        sync_folder(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_initdb(command: list[str | Path], *, major: int, run_as: RunAs) -> None:
    # From 17 on PostgreSQL has a locale of its own; before, C.UTF-8 is the system's, and not every system has it.
    builtin = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    output = ""
    for locale in [builtin] if major >= 17 else [["--locale=C.UTF-8"], ["--locale=C"]]:
        with _launch([*command, *locale], run_as, subprocess.PIPE) as initdb:
            output = initdb.communicate()[0].decode(errors="replace")
        if initdb.returncode == 0:
            return
        if "locale" not in output:
            break
    raise PostgresUnavailable(f"The database cannot be initialised. The last words of initdb: {_end(output)}")


def start(
    folder: Path, binaries: Path, *, run_as: RunAs, sockets: Path, durable: bool, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server of `folder/data` as our child; return it and where its part of the log begins.

    A thread waits for it, so that it never stays behind as a zombie, which looks alive to the next start.
    """
    options = {**_TUNING, **settings, **dict.fromkeys(_DURABILITY, "on" if durable else "off")}
    options |= {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "cluster_name": _cluster_name(folder),
    }
    command: list[str | Path] = [binaries / "postgres", "-D", folder / "data"]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    output = open_private(folder / "log", os.O_WRONLY | os.O_APPEND)
    try:
        if os.fstat(output).st_size > LOG_LIMIT:
            os.ftruncate(output, 0)
        begin = os.fstat(output).st_size
        process = _launch(command, run_as, output)
    finally:
        os.close(output)
    threading.Thread(target=process.wait, name="postgres-reaper", daemon=True).start()
    return process, begin


def _cluster_name(folder: Path) -> str:
    return f"numberdesk-{fingerprint(folder)}"


def last_lines(folder: Path, *, begin: int) -> str:
    """Return the end of what the server logged since the byte `begin`, as the end of a sentence."""
    with (folder / "log").open("rb") as file:
        file.seek(begin)
        return _end(file.read()[-4000:].decode(errors="replace"))


def _end(output: str) -> str:
    lines = [line.strip()[:300] for line in output.splitlines() if line.strip()]
    problems = [line for line in lines if re.search(r"error|FATAL|PANIC", line)]
    return " / ".join((problems or lines)[-3:]) or "nothing."


def stop(folder: Path, *, pid: int | None = None) -> None:
    """Stop the server of `folder/data`, whoever started it, and return when it is gone with all its processes.

    `pid` names it where the folder cannot do so any more.
    """
    if pid is None:
        server = live_postmaster(folder / "data")
        pid = server.pid if server else 0
    is_gone = partial(_is_gone, pid, folder / "data")
    for number, patience in _STOPPING:
        if not pid or is_gone():
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        _wait_until(is_gone, patience=patience)
    _kill_leftovers(folder)


def read_postmaster(data: Path) -> Postmaster | None:
    """Return what `postmaster.pid` says, alive or not; None if the file is missing or says nothing.

    Source: PostgreSQL's `utils/pidfile.h` for the meaning of the lines.
    """
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    lines += [""] * 8
    if not lines[0].strip().isdigit():
        return None
    return Postmaster(pid=int(lines[0]), socket_folder=Path(lines[4]), state=lines[7].strip())


def live_postmaster(data: Path) -> Postmaster | None:
    """Return the running server of this data folder, whoever started it."""
    found = read_postmaster(data)
    return found if found and _is_postmaster(found.pid, data) == "yes" else None


def is_durable(data: Path) -> bool:
    """Say whether the server was last started with every durability setting on."""
    options = (data / "postmaster.opts").read_text(encoding="utf-8")
    return not any(f'"{name}=off"' in options for name in _DURABILITY)


def _is_postmaster(pid: int, data: Path) -> Literal["yes", "no", "unknown"]:
    # By the command line and not by the working folder: root in a container may not read that of another user.
    if not Path("/proc/self/cmdline").exists():
        return "yes" if _is_alive(pid) else "no"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return "no"
    if os.path.basename(words[0]) not in (b"postgres", b"postmaster"):
        return "no"  # a zombie has no command line
    named = os.fsdecode(words[words.index(b"-D") + 1]) if b"-D" in words[:-1] else ""
    if not os.path.isabs(named) or not os.path.exists(named):
        return "unknown"  # started by hand from inside the folder, or seen from another mount of it
    return "yes" if os.path.samefile(named, data) else "no"


def _is_gone(pid: int, data: Path) -> bool:
    return _is_postmaster(pid, data) == "no"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clear_remnants(folder: Path, *, sockets: Path) -> None:
    """Remove what a killed server or initdb left; there must be no live server.

    PostgreSQL itself takes any living process with the old id for the old server and refuses to start. In a container
    ids come back quickly, and where nobody waits for a killed server its zombie keeps the id.
    """
    _kill_leftovers(folder)
    for draft in folder.glob("new-*"):
        shutil.rmtree(draft, ignore_errors=True)
    pid_file = folder / "data" / "postmaster.pid"
    found = read_postmaster(folder / "data")
    if found and _is_postmaster(found.pid, folder / "data") == "unknown":
        return  # PostgreSQL decides, and says what it thinks
    if found is None or _is_alive(found.pid):
        pid_file.unlink(missing_ok=True)
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (sockets / name).unlink(missing_ok=True)


def _kill_leftovers(folder: Path) -> None:
    # Sessions of a killed server notice its death only when they wait next; until then they keep its shared memory,
    # and no new server may start. Each is in a process group of its own.
    for pid in _leftovers(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_until(lambda: not _leftovers(folder), patience=5)


def _leftovers(folder: Path) -> list[int]:
    """Return what still runs of a server that is gone or has not yet written its `postmaster.pid`, and of an initdb."""
    title = f"postgres: {_cluster_name(folder)}: ".encode()
    data, draft = os.fsencode(folder / "data"), os.fsencode(folder / "new-")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            program = os.path.basename(words[0])
            is_server = program == b"postgres" and data in words
            is_initdb = program == b"initdb" and any(word.startswith(draft) for word in words)
            if is_server or is_initdb or words[0].startswith(title):
                found.append(int(entry.name))
    return found


def _wait_until(condition: Callable[[], bool], *, patience: float) -> bool:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
