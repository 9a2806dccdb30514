"""Describe how a simulated provider behaves or misbehaves: named profiles, and mixtures of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from types import MappingProxyType
from typing import Final, Literal

Fault = Literal["none", "drop", "http-500", "garbage", "error-word", "big-body", "drip", "gzip-bomb", "redirect"]
Scope = Literal["purchases", "status-changes", "everything"]
Seconds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """Say how one request is answered, and what becomes of the activation it buys.

    Pairs of seconds are bounds between which a delay is drawn; `None` means that the thing never happens.
    The life of an activation is multiplied by the simulator's time scale; `answer_delay` and `drip_interval` are not,
    because they are measured against a real client's deadlines.
    """

    name: str
    fault: Fault = "none"
    fault_on: Scope = "everything"
    # Whether a request that meets the fault still takes effect: before the answer's delay, after it, or not at all.
    # `garbage` ignores this: a cut answer took effect, any other rubbish did not.
    acts: Literal["at-once", "late", "never"] = "at-once"
    answer_delay: float = 0.0
    drip_interval: float = 1.0
    # The first code, and how many purchases of a hundred get one. `early_codes` bends delays towards the lower bound.
    code_after: Seconds | None = (0.2, 1.0)
    code_percent: int = 100
    early_codes: bool = False
    # One more code after status 3, and one that nobody asked for after the first.
    retry_code_after: Seconds | None = (0.2, 1.0)
    unasked_code_after: Seconds | None = None
    # A code after the activation was cancelled or had expired.
    late_code_after: Seconds | None = None
    self_cancel_after: Seconds | None = None
    out_of_stock: bool = False
    duplicate: Literal["no", "activation", "number"] = "no"
    # Sell at this many percent of the ceiling or the list price, whichever is higher; 0 keeps to the list.
    over_price_percent: int = 0

    def strikes(self, intent: Literal["buy", "change", "read"]) -> bool:
        """Say whether the fault and the delay of this profile apply to a request about that."""
        match self.fault_on:
            case "everything":
                return True
            case "purchases":
                return intent == "buy"
            case "status-changes":
                return intent == "change"


_ALL: Final = (
    Profile("instant", code_after=(0.0, 0.0), retry_code_after=(0.0, 0.0)),
    Profile("fast"),
    Profile("prompt", code_after=(3.0, 8.0), retry_code_after=(3.0, 8.0)),
    Profile("realistic", code_after=(3.0, 40.0), code_percent=70, early_codes=True, retry_code_after=(3.0, 40.0)),
    Profile("no-stock", out_of_stock=True),
    Profile("slow", answer_delay=8.0),
    Profile("late-sale", fault_on="purchases", acts="late", answer_delay=8.0),
    Profile("garbage", fault="garbage"),
    Profile("http-500", fault="http-500", acts="never"),
    Profile("error-word", fault="error-word", acts="never"),
    Profile("sold-then-dropped", fault="drop", fault_on="purchases"),
    Profile("sold-then-500", fault="http-500", fault_on="purchases"),
    Profile("dropped-not-sold", fault="drop", fault_on="purchases", acts="never"),
    Profile("status-then-dropped", fault="drop", fault_on="status-changes"),
    Profile("duplicate-number", duplicate="activation"),
    Profile("reused-number", duplicate="number"),
    Profile("over-price", over_price_percent=150, code_after=None),
    Profile("self-cancel", code_after=None, self_cancel_after=(1.0, 3.0)),
    Profile("second-code", unasked_code_after=(1.0, 3.0)),
    Profile("late-code", code_after=None, late_code_after=(0.5, 2.0)),
    Profile("never", code_after=None, retry_code_after=None),
    Profile("big-body", fault="big-body", acts="never"),
    Profile("drip", fault="drip"),
    Profile("gzip-bomb", fault="gzip-bomb", acts="never"),
    Profile("redirect", fault="redirect", acts="never"),
)
PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({profile.name: profile for profile in _ALL})


@dataclass(frozen=True, slots=True)
class Mixture:
    """Hold the profiles that requests are spread over; one profile alone is a mixture of one."""

    name: str
    parts: tuple[Profile, ...]
    weights: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if (
            not self.parts
            or len(self.parts) != len(self.weights)
            or not all(0 < weight < inf for weight in self.weights)
        ):
            raise ValueError(f"The mixture {self.name!r} needs at least one profile, each with a weight above zero.")

    def pick(self, draw: float) -> Profile:
        """Choose a part; `draw` is in [0, 1)."""
        if len(self.parts) == 1:
            return self.parts[0]
        mark = draw * sum(self.weights)
        for part, reach in zip(self.parts, accumulate(self.weights), strict=True):
            if mark < reach:
                return part
        return self.parts[-1]

    @property
    def sells_nothing(self) -> bool:
        """Say whether the price list should show empty shelves: only when no part has any stock."""
        return all(part.out_of_stock for part in self.parts)


def mixture_of(profile: "str | Profile | Mixture") -> Mixture:
    """Read a profile's name, `mix:NAME=WEIGHT,NAME=WEIGHT`, or take a profile built by hand.

    Raises:
        ValueError: a name is unknown or a weight is not a number above zero.
    """
    match profile:
        case Mixture():
            return profile
        case Profile():
            return Mixture(profile.name, (profile,))
        case str() if profile.startswith("mix:"):
            named = [part.partition("=") for part in profile.removeprefix("mix:").split(",")]
            parts = tuple(_named(name) for name, _, _ in named)
            return Mixture(profile, parts, tuple(float(weight) for _, _, weight in named))
        case _:
            return Mixture(profile, (_named(profile),))


def _named(name: str) -> Profile:
    try:
        return PROFILES[name.strip()]
    except KeyError:
        raise ValueError(f"No profile is called {name!r}; there are: {', '.join(PROFILES)}.") from None
