"""Draw repeatable numbers from a seed and a counter, so that a run of the simulator can be replayed."""

import struct
from hashlib import blake2b

_EIGHT = struct.Struct("<8Q")


def draws(seed: int, counter: int, *, purpose: str) -> tuple[float, ...]:
    """Return eight numbers in [0, 1) that depend on the three arguments alone.

    A digest is used in place of a generator: it keeps no state, so a restarted simulator draws the same numbers.
    """
    words = _EIGHT.unpack(blake2b(f"{seed}:{counter}:{purpose}".encode()).digest())
    return tuple((word >> 11) * 2.0**-53 for word in words)


def between(bounds: tuple[float, float], draw: float) -> float:
    """Place a draw between two bounds."""
    low, high = bounds
    return low + (high - low) * draw
