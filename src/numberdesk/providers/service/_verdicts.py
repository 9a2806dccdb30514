"""What a call says of a provider's health, by what was on the wire and what the adapter read in it."""

from typing import Final, NamedTuple

import msgspec

from numberdesk.base.http_client import TOO_LATE, NoAnswer
from numberdesk.providers.adapters.reading import text_of
from numberdesk.providers.line import IN_THREAD_ABOVE, Heard
from numberdesk.providers.model import Refused, Unknown
from numberdesk.providers.service._breaker import Verdict
from numberdesk.providers.service._transcripts import NEVER_ASKED

SENTENCE_MAX: Final = 300


class Finding(NamedTuple):
    """A verdict. `kind` tells one unknown outcome from another, `what` names a failure to people."""

    verdict: Verdict
    kind: str = ""
    what: str = ""


GOOD: Final = Finding("good")
NOTHING: Final = Finding("none")
NOT_ASKED: Final = Finding("none", "busy")
UNLISTED: Final = Finding("none", "unlisted")
UNREADABLE: Final = Finding("bad", "unreadable", "an answer that cannot be read")


def judge(answer: object, heard: list[Heard]) -> Finding:
    """Judge a call. A sure answer is health, whatever it says; a strange word says nothing; the rest is failure.

    Args:
        answer: what the adapter made of it; None if the call was interrupted.
        heard: what was asked, of which the last counts; nothing when nothing needed asking.
    """
    if answer is None or not heard:
        return NOTHING
    last = heard[-1].answer
    if isinstance(last, NoAnswer):
        if last in NEVER_ASKED:
            return NOT_ASKED
        kind = "unreachable" if not last.sent else "late" if last is TOO_LATE else "cut"
        # A call of several steps may have its sure answer from an earlier one.
        return Finding("bad", kind, last.reason) if isinstance(answer, Unknown | Refused) else GOOD
    if not isinstance(answer, Unknown):
        return GOOD
    if last.status >= 500:
        return Finding("bad", "http_5xx", f"HTTP {last.status}")
    if 300 <= last.status < 400 or not is_readable(last.body):
        return UNREADABLE
    return UNLISTED


def is_readable(body: bytes) -> bool:
    """Tell whether a body is whole JSON or a short plain sentence, as an answer of any known protocol is."""
    if len(body) > IN_THREAD_ABOVE:
        return body.strip()[-1:] in (b"}", b"]")
    text = text_of(body)
    if text.startswith(("{", "[")):
        try:
            msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=msgspec.Raw)
        except (ValueError, RecursionError):
            return False
        return True
    return 0 < len(text) <= SENTENCE_MAX and not text.startswith("<") and text.replace("\n", " ").isprintable()
