"""Errors that nobody foresaw, counted in this process until a pass takes them to the staff.

What is kept is the name of the event, the kind of the exception and the place in the code: never its words, which may
hold what a person typed.
"""

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from threading import Lock

KINDS_MAX = 200
"""Different errors that one process remembers between two passes."""

_OURS = str(PurePath(__file__).parents[1])
_lock = Lock()
_seen: "dict[str, Trouble]" = {}


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error, and how often it was met."""

    fingerprint: str
    happened: str
    place: str
    count: int


def note(event: str, problem: BaseException | None) -> None:
    """Count an error; cheap, and never in the way."""
    kind = "" if problem is None else type(problem).__name__
    place = _place(problem)
    fingerprint = hashlib.sha256(f"{event}|{kind}|{place}".encode()).hexdigest()[:12]
    with _lock:
        known = _seen.get(fingerprint)
        if known is not None:
            _seen[fingerprint] = replace(known, count=known.count + 1)
        elif len(_seen) < KINDS_MAX:
            _seen[fingerprint] = Trouble(fingerprint, f"{event[:80]} {kind}".strip(), place, 1)


def take() -> list[Trouble]:
    """Return what was met since the last time."""
    with _lock:
        found = list(_seen.values())
        _seen.clear()
    return found


def put_back(troubles: Sequence[Trouble]) -> None:
    """Have what could not be told be taken again."""
    with _lock:
        for item in troubles:
            known = _seen.get(item.fingerprint)
            _seen[item.fingerprint] = item if known is None else replace(known, count=known.count + item.count)


def _place(problem: BaseException | None) -> str:
    """Return the innermost line of ours that an error passed, or the innermost of all."""
    if problem is None or problem.__traceback__ is None:
        return ""
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_OURS)]
    frame = (ours or frames)[-1]
    return f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} in {frame.name}"
