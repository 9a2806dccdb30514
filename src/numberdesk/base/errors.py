"""Expected errors as data: a status, a code, a category, a sentence and named fields.

Concrete errors stand in the module that raises them; `base.web` turns any of them into the wire's envelope.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

Category = Literal["validation", "authentication", "transaction", "provider", "system"]


@dataclass(eq=False)
class AppError(Exception):
    """An expected refusal. The fields of a subclass become `details`; money fields end in `_paise`.

    Not frozen: raising through a context manager must be able to set `__traceback__`.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    category: ClassVar[Category] = "validation"
    message: ClassVar[str] = "The request cannot be carried out."
    retry_after: ClassVar[int | None] = None

    def __str__(self) -> str:
        return self.sentence()

    def retry_seconds(self) -> int | None:
        """Return how long to wait before another try, or None when waiting does not help."""
        return self.retry_after

    def headers(self) -> dict[str, str]:
        """Return headers that belong to the answer, names in small letters."""
        return {}

    def sentence(self) -> str:
        """Return the sentence for people: `message` with the fields filled in."""
        return self.message.format(**self.details())

    def details(self) -> dict[str, object]:
        """Return the named fields that belong in the answer."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(eq=False)
class InvalidFields(AppError):
    """One or more fields of the request are wrong; `fields` maps each name to its sentence."""

    fields: dict[str, str]

    code = "invalid_request"
    message = "Some fields are not valid."

    def sentence(self) -> str:
        return " ".join(f"{name} {problem}." for name, problem in self.fields.items())


@dataclass(eq=False)
class NotFound(AppError):
    """There is no such thing, or it is not the caller's: the answer is the same."""

    what: str

    status = 404
    code = "not_found"
    message = "There is no such {what}."


@dataclass(eq=False)
class Unavailable(AppError):
    """The database or another part that we need is out of reach; nothing was done, or it will be told."""

    status = 503
    code = "unavailable"
    category = "system"
    message = "The service is out of reach for a moment. Try again in a few seconds."
    retry_after = 2
