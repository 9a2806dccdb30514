"""Nouns of the audit slice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

ActorKind = Literal["person", "key", "shell", "system"]
Detail = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: an account, or nobody in particular, was acted upon.

    `details` hold words and numbers that everybody on the staff may read: never a secret, a code or a message.
    """

    action: str
    account_id: int | None = None
    actor_kind: ActorKind = "system"
    actor_id: int | None = None
    """The account that acted, or the id of the key, by `actor_kind`."""
    ip: str | None = None
    request_id: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log."""

    id: int
    at: datetime
    action: str
    actor_kind: ActorKind
    actor_id: int | None
    account_id: int | None
    ip: str | None
    request_id: str | None
    details: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The hash of one row and of all that were sealed before it."""

    seq: int
    audit_id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What came of going through the chain: how many rows it holds, its newest hash, and every break, in words."""

    counted: int
    head: str
    breaks: list[str]
