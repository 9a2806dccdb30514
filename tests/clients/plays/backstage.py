"""The line between a client in its own environment and the test that opened the server: one JSON value a line.

Runs where only the clients are installed, so it needs nothing of ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

ROOT = os.environ["DESK_URL"]
"""The server, without a path."""
CLASSIC = f"{ROOT}/stubs/handler_api.php"
HERO = f"{ROOT}/hero/stubs/handler_api.php"
KEY = os.environ["DESK_KEY"]
"""Of a customer with a thousand rupees."""
POOR_KEY = os.environ["DESK_POOR_KEY"]
"""Of a customer without money."""
WRONG_KEY = "no-such-key"
_out = sys.stdout
sys.stdout = sys.stderr  # what a client prints is not for the line


def ask(verb: str, *args: Any) -> Any:
    """Have the test do something behind the scenes, and return what it says."""
    _out.write(json.dumps({"ask": verb, "args": args}) + "\n")
    _out.flush()
    return json.loads(sys.stdin.readline())


def saw(name: str, value: Any) -> None:
    """Tell the test what the client made of an answer."""
    _out.write(json.dumps({"saw": name, "value": value}, default=str) + "\n")
    _out.flush()


def raised(call: Callable[..., Any], *args: Any, **named: Any) -> str:
    """Return the class and the text of what a call raises."""
    try:
        answer = call(*args, **named)
    except BaseException as problem:  # some clients derive theirs from it
        return _told(problem)
    return f"nothing raised: {answer!r}"


async def raised_by(awaitable: Any) -> str:
    """Return the class and the text of what an awaitable raises."""
    try:
        answer = await awaitable
    except BaseException as problem:
        return _told(problem)
    return f"nothing raised: {answer!r}"


def until(wanted: Any, call: Callable[..., Any], *args: Any) -> Any:
    """Ask until the wanted answer comes, and return the last one."""
    for _ in range(600):
        if (answer := call(*args)) == wanted:
            break
        time.sleep(0.05)
    return answer


def _told(problem: BaseException) -> str:
    if isinstance(problem, KeyboardInterrupt):
        raise problem
    return f"{type(problem).__name__}: {problem} {getattr(problem, 'code', '')}"
