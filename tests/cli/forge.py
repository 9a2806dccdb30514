"""Makes processes of the command quickly: imports the program once, then forks a fresh process for every line it reads.

A command spends most of a second on its imports; a fork of this process has them behind it and is otherwise the same.
"""

import json
import os
import runpy
import signal
import sys
from typing import Any

import numberdesk.cli

SECONDS = 60


def become(wanted: dict[str, Any]) -> None:
    """Turn this fork into the command; never returns."""
    signal.alarm(SECONDS)
    os.chdir(wanted["folder"])
    os.environ.clear()  # noqa: TID251 - a new process gets its environment here
    os.environ.update(wanted["environment"])  # noqa: TID251
    os.dup2(os.open(wanted["in"], os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for number, name in ((1, wanted["out"]), (2, wanted["err"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["numberdesk", *wanted["words"]]
    code: Any = 0
    try:
        runpy.run_module("numberdesk", run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        code = ending.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def serve() -> None:
    """Answer each line with the exit code of the process it asked for."""
    assert numberdesk.cli.app is not None
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    serve()
