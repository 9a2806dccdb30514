"""Named places between two steps of something that must survive a kill between them.

In service they do nothing. A proof puts a killer into `reached` and shows that a death at each name loses and doubles
nothing (`tests/faults/test_settle_killed.py`).
"""

from collections.abc import Callable


def _go_on(_name: str) -> None:
    """Do nothing."""


reached: Callable[[str], None] = _go_on


def crash_point(name: str) -> None:
    """Say that the place of this name is reached."""
    reached(name)
