"""The `numberdesk` command as a shell runs it: in a process of its own, with output, errors and exit code apart."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numberdesk
from numberdesk.settings import child_environment

SECONDS = 60.0
SOURCES = Path(numberdesk.__file__).resolve().parents[1]
ROOT = Path(__file__).resolve().parents[2]
# Wide, so that no line is broken, and without a terminal's colours.
FIXED = {"PYTHONPATH": f"{SOURCES}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1", "COLUMNS": "250", "TERM": "dumb"}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence of a command that failed as it should: nothing else is written, and no traceback."""
        assert self.code == 1, self
        assert self.out.count("Customers") == self.out.count("\n"), self
        assert self.err.startswith("numberdesk: "), self
        assert self.err.count("\n") == 1, self
        assert self.err.endswith(".\n"), self
        return self.err.removeprefix("numberdesk: ").removesuffix("\n")


@dataclass
class Service:
    """A command that goes on until it is stopped."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def says(self, pattern: str) -> "re.Match[str]":
        """Wait until it has written something."""
        end = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.said)) is None:
            assert self.popen.poll() is None, f"it ended with {self.popen.returncode}: {self.said}"
            assert time.monotonic() < end, self.said
            time.sleep(0.02)
        return found

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.popen.send_signal(signal.SIGINT)
        return self.popen.wait(timeout=20)


@dataclass
class Forge:
    """The process of `tests.cli.forge`."""

    popen: "subprocess.Popen[str]"

    def run(self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str], typed: str | None) -> Ended:
        given, out, err = (folder.with_name(f"{folder.name}.{name}") for name in ("in", "out", "err"))
        if typed is not None:
            given.write_text(typed, encoding="utf-8")
        wanted = {
            "words": words, "folder": str(folder), "environment": dict(environment), "out": str(out), "err": str(err),
            "in": os.devnull if typed is None else str(given),
        }  # fmt: skip
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(json.dumps(wanted) + "\n")
        self.popen.stdin.flush()
        code = int(self.popen.stdout.readline())
        return Ended(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@contextmanager
def forged() -> Iterator[Forge]:
    """Start the process that makes commands."""
    popen = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forge"], env=child_environment(**FIXED), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with popen:
        yield Forge(popen)


@dataclass(frozen=True)
class Shell:
    """A folder and an environment to run commands in."""

    forge: Forge
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str, typed: str | None = None, **settings: str) -> Ended:
        """Run a command to its end; an empty setting counts as none, and `typed` comes to its standard input."""
        return self.forge.run(words, self.folder, self.environment(settings), typed)

    def succeed(self, *words: str, typed: str | None = None, **settings: str) -> str:
        """Run a command that must succeed without a word of complaint; returns what it wrote."""
        done = self.run(*words, typed=typed, **settings)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    @contextmanager
    def started(self, *words: str, **settings: str) -> Iterator[Service]:
        """Run a command, from the very start of Python, for as long as the block lasts."""
        log = self.folder.with_name(f"{self.folder.name}-{words[0]}-{time.monotonic_ns()}.log")
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "numberdesk", *words], env=self.environment(settings), cwd=self.folder,
                stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        service = Service(popen, log)
        try:
            yield service
        finally:
            if popen.poll() is None:
                service.stop()

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return what a command finds in its environment."""
        return child_environment(**{**FIXED, **self.settings, **settings})


def mode_of(path: Path) -> int:
    """Return who may read and write a file, as in `chmod`."""
    return os.stat(path).st_mode & 0o777
