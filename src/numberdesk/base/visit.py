"""One request as it arrives: where it comes from, what it shows of who sends it, and how its body travels."""

from dataclasses import dataclass

USER_AGENT_MAX = 200


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request before anything of it is believed."""

    id: str
    ip: str
    """The address of the caller, behind proxies that are trusted."""
    user_agent: str = ""
    key: str | None = None
    """What stands in X-API-Key."""
    token: str | None = None
    """What stands behind `Authorization: Bearer`."""
    is_json: bool = False
    length: int = -1
    """Bytes of the body as announced; -1 when it is sent in parts."""
    once: str | None = None
    """The Idempotency-Key."""


def harmless_agent(text: str) -> str:
    """Return the start of what a program calls itself, without characters that are not text."""
    return "".join(character for character in text[:USER_AGENT_MAX] if character.isprintable())
