"""The acceptance list of the protocol: what clients of others must find right, and which test proves which line."""

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

LINES = {
    1: "the balance is read to the paisa",
    2: "a wrong key is recognised",
    3: "no numbers and no balance are recognised",
    4: "`getNumber`: id and digits",
    5: "`getNumberV2`: the object",
    6: "wait, code, one more code, finish",
    7: "cancel: too early, then with the whole amount back",
    8: "expiry gives the money back without a call",
    9: "repeats of finish and cancel answer alike and move no money",
    10: "somebody else's activation is none",
    11: "a ceiling that is too low is answered with the lowest price",
    12: "one `orderId`, one activation",
    13: "catalogue: countries, services, prices, operators, top list",
    14: "lists: active, history",
    15: "`getStatusV2` while it waits",
    16: "rent: list, buy, status, finish, extend",
    17: "POST is as good as GET, and blanks in names do not count",
    18: "an answer that came too late: one charge, and the number on the next try",
    19: "the provider's 5xx never comes through",
    20: "one poll a second is never throttled",
    21: "5sim: profile, catalogue, buy, check, finish, no cancel after the code",
    22: "the same against two of our servers in a row",
}
"""By number. `docs/clients.md` says the same, and a test compares them."""


def proves(*lines: int) -> Callable[[Test], Test]:
    """Say which lines a test proves for the client of its module, which stands there as `CLIENT`."""
    assert lines
    assert set(lines) <= LINES.keys()

    def note(test: Test) -> Test:
        test.lines = lines  # type: ignore[attr-defined]
        return test

    return note
