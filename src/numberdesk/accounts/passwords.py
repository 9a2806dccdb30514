"""What a password must be like, and its slow hash.

Source: ASVS 5.0, 6.2; NIST SP 800-63B-4, 3.1.1.2.
"""

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any, TypeVar

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError

from numberdesk.base.errors import AppError, InvalidFields

log = structlog.get_logger()
T = TypeVar("T")

MAX_BYTES = 1024
"""Longer ones are refused before any work: nobody types them, and work grows with length."""
DIFFERENT_MIN = 4
CONTEXT_WORD_MIN = 4
"""Shorter words, such as "com" or "raj", stand in too many good passwords."""
OWN_PART_MIN = 6
"""Characters that must be left when what others know about the person is taken out."""
SERVICE = "numberdesk"

# Read when the program starts: a missing file must stop the start, not the first request.
_COMMON = frozenset(
    resources.files("numberdesk.accounts").joinpath("data", "common_passwords.txt").read_text(encoding="utf-8").split()
)
_WORDS = (re.compile(r"[^\W_]+"), re.compile(r"[^\W\d_]+"))
"""In "ravi1990@example.com": with the digits, and without them."""


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What the operator asks of a password."""

    min_length: int = 10
    """In characters."""
    complexity: bool = False
    """Also ask for a small letter, a capital letter, a digit and a symbol. ASVS 5.0, 6.2.5, advises against it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a password gave."""

    is_right: bool
    needs_rehash: bool
    """It is right, but was hashed with other parameters than today's: hash it again."""


@dataclass(eq=False)
class Busy(AppError):
    """Too many passwords are being hashed at once."""

    status = 503
    code = "busy"
    category = "system"
    message = "Too many people are signing in at the moment. Try again in a few seconds."
    retry_after = 2


def refuse_weak(password: str, *, rules: PasswordRules, context: Sequence[str], field: str = "password") -> None:
    """Refuse a password that is guessed early.

    Args:
        context: what others know about the person: e-mail address, name.
        field: the name of the request's field.

    Raises:
        InvalidFields: with everything that is wrong about it.
    """
    if not _is_short_enough(password):
        raise InvalidFields({field: f"is longer than {MAX_BYTES} bytes"})
    plain = _normal(password)
    problems = [
        problem
        for is_wrong, problem in (
            # The shorter of both: one character may become eighteen, and two become one.
            (min(len(password), len(plain)) < rules.min_length, f"is shorter than {rules.min_length} characters"),
            (len(set(plain)) < DIFFERENT_MIN, f"has fewer than {DIFFERENT_MIN} different characters"),
            (_is_common(plain), "is one of the passwords that are tried first"),
            (_is_about(plain, context), "is little more than your name, your address or the name of this service"),
        )
        if is_wrong
    ]
    if rules.complexity and (missing := _missing_kinds(plain)):
        problems.append(f"lacks {_listed(missing)}")
    if problems:
        raise InvalidFields({field: _listed(problems)})


def _is_short_enough(password: str) -> bool:
    return len(password) <= MAX_BYTES and len(_encoded(password)) <= MAX_BYTES


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _normal(password: str) -> str:
    """Return the same text for the same keys on every keyboard. Source: NIST SP 800-63B-4, 3.1.1.2."""
    return unicodedata.normalize("NFKC", password)


def _is_common(plain: str) -> bool:
    folded = plain.casefold()
    word = folded.rstrip("0123456789!.")
    return folded in _COMMON or (word in _COMMON and len(word) * 2 > len(folded))


def _is_about(plain: str, context: Sequence[str]) -> bool:
    """Tell whether little is left without the words of the context. A word counts wherever it stands."""
    known = " ".join(_normal(text).casefold() for text in (*context, SERVICE))
    words = {word for pattern in _WORDS for word in pattern.findall(known) if len(word) >= CONTEXT_WORD_MIN}
    folded = left = plain.casefold()
    for word in sorted(words, key=lambda word: (-len(word), word)):
        left = left.replace(word, "")
    return left != folded and len(left) < OWN_PART_MIN


def _missing_kinds(plain: str) -> list[str]:
    kinds: tuple[tuple[Callable[[str], bool], str], ...] = (
        (str.islower, "a small letter"),
        (str.isupper, "a capital letter"),
        (str.isdecimal, "a digit"),
        (lambda character: not character.isalnum(), "a symbol"),
    )
    return [name for is_of_kind, name in kinds if not any(map(is_of_kind, plain))]


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


class Hasher:
    """Hashes passwords with argon2id, a few at a time: each takes the memory and a processor for tens of milliseconds.

    One per process. Source of the defaults: OWASP, Password Storage Cheat Sheet (19 MiB, 2 rounds, 1 lane).
    """

    def __init__(
        self,
        *,
        memory_kib: int = 19_456,
        time_cost: int = 2,
        parallelism: int = 1,
        places: int = 2,
        wait_seconds: float = 5.0,
    ) -> None:
        self._argon2 = PasswordHasher(memory_cost=memory_kib, time_cost=time_cost, parallelism=parallelism)
        self._nobodys = self._argon2.hash(secrets.token_bytes(32))
        self._places = asyncio.Semaphore(places)
        # Threads of our own: the loop's are also needed to look up names.
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="password")
        self._wait_seconds = wait_seconds

    async def hash(self, password: str) -> str:
        """Return what is stored for a password that `refuse_weak` let through.

        Raises:
            Busy: no place became free in time.
        """
        assert _is_short_enough(password), "refuse_weak comes before hash"
        return await self._run(self._argon2.hash, _encoded(_normal(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Tell whether a password is the one that was stored.

        Args:
            stored: None for a person that is not known, who is never right; it takes as long as for one who is.

        Raises:
            Busy: no place became free in time.
        """
        if not _is_short_enough(password):
            return Verdict(is_right=False, needs_rehash=False)
        verdict = await self._run(self._judge, stored, _encoded(_normal(password)))
        if verdict is None:
            log.warning("stored_hash_unreadable")
        return verdict or Verdict(is_right=False, needs_rehash=False)

    def _judge(self, stored: str | None, password: bytes) -> Verdict | None:
        """Return None when what is stored is no hash of ours."""
        try:
            if stored is not None:
                needs_rehash = self._argon2.check_needs_rehash(stored)
                self._argon2.verify(stored, password)
                return Verdict(is_right=True, needs_rehash=needs_rehash)
        except VerifyMismatchError:
            return Verdict(is_right=False, needs_rehash=False)
        except (VerificationError, ValueError):
            self._spend(password)
            return None
        self._spend(password)
        return Verdict(is_right=False, needs_rehash=False)

    def _spend(self, password: bytes) -> None:
        """Work as hard as for a person with a password."""
        try:
            self._argon2.verify(self._nobodys, password)
        except VerifyMismatchError:
            return

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """Run work in a thread once there is a place, and keep the place until its end, even when nobody waits."""
        try:
            # Not `wait_for`: before Python 3.12 it can swallow a cancellation that comes with the place.
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args))
        except BaseException:
            self._places.release()
            raise
        running.add_done_callback(lambda _: self._places.release())
        return await asyncio.shield(running)
