"""Say what a family of providers is to the simulator: how its requests are read and how its answers are written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from numberdesk.providers.simulator.activations import Activation, Message
from numberdesk.providers.simulator.answers import Answer
from numberdesk.providers.simulator.profiles import Profile
from numberdesk.providers.simulator.shop import Shop

Intent = Literal["buy", "change", "read"]
"""What a request is about, by which a profile decides whether its fault strikes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came: query and form in one map, names without outer blanks; header names in lower case."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """Hold one request: what was asked, the profile that rules it and its draws of chance."""

    shop: Shop
    asked: Asked
    profile: Profile
    draw: tuple[float, ...]
    # Every profile in force is without stock, so the price list shows none either.
    shows_no_stock: bool

    def get(self, name: str) -> str:
        """Return a parameter, empty if it was not sent."""
        return self.asked.parameters.get(name, "")


class Wire(Protocol):
    """How one family speaks. All reach the same shop through it, so faults and record are the same for all."""

    @property
    def path(self) -> str:
        """What stands behind the host in the full address of this family, empty for those that take a root."""

    @property
    def error_words(self) -> tuple[Answer, ...]:
        """What the profile `error-word` answers in this family: refusals, and words that nobody has listed."""

    def stranger(self, asked: Asked, api_key: bytes) -> Answer | None:
        """Return the refusal of a request that does not carry the key, None for one that does."""

    def intent(self, asked: Asked) -> Intent:
        """Say what a request is about."""

    def answer(self, call: Call) -> Answer:
        """Carry a request out; what the family does not know has an answer too."""

    def swallow(self, call: Call, reason: str) -> None:
        """Write down that a fault kept a purchase or a change of status from taking effect."""


@runtime_checkable
class Pusher(Protocol):
    """What a family adds that posts messages in a form of its own; the others post as SMS-Activate does."""

    def push(self, activation: Activation, message: Message, api_key: str) -> bytes:
        """Write the body that is posted for a message."""

    def is_taken(self, status: int, body: bytes) -> bool:
        """Tell by the answer whether the message was taken."""

    def pauses(self, time_scale: float) -> Iterable[float]:
        """Return the seconds before each further try."""


def integer(text: str) -> int:
    """Read digits as a number, anything else as -1, which names nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
