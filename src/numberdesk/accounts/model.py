"""Nouns of the accounts slice."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from numberdesk.wallet.model import AccountId

KeyId = NewType("KeyId", int)
AccountState = Literal["active", "limited", "frozen", "banned"]
Scope = Literal["read", "order"]
SCOPES: tuple[Scope, ...] = ("read", "order")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an account, by one of its keys."""

    account_id: AccountId
    key_id: KeyId
    scopes: tuple[Scope, ...]
    state: AccountState
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once; only its hash is stored."""

    id: KeyId
    account_id: AccountId
    secret: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to an Idempotency-Key, to be given again."""

    status: int
    body: bytes
