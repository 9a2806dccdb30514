"""What was said on the wire, kept for staff: without our key, and without the codes of customers.

A provider may put anything anywhere, and may say our key back to us. So the key is looked for everywhere in every way
of writing it, of headers only the names are kept, and whatever may be a message is made unreadable. Phone numbers
stay where an order is bought or ended: staff search for them.
"""

import html
import json
import re
from functools import lru_cache
from typing import Final

from numberdesk.base.http_client import CLOSED, NO_TIME, Answer, NoAnswer
from numberdesk.providers.line import BUSY, Heard, Question
from numberdesk.providers.model import ProviderId
from numberdesk.providers.sql import Said

KEPT_ACTIONS: Final = frozenset({"rent", "prolong", "cancel", "finish", "another_code"})
"""Calls of which everything is kept; of the others, what could not be read or failed."""
SUBJECT_MAX: Final = 200
ASKED_MAX: Final = 1000
ANSWER_MAX: Final = 1000
RAW_MAX: Final = 4000
"""Bytes of a body that are looked at."""
NEVER_ASKED: Final = (BUSY, NO_TIME, CLOSED)
KEY: Final = "[key]"

_JSON_NAME = re.compile(r'"([\w-]+)"\s*:')
_JSON_FIELD = re.compile(
    r'"(?P<name>[\w-]+)"\s*:\s*(?P<value>"(?:[^"\\]|\\.)*+"?|\[(?:[^\[\]{}]|\[[^\[\]{}]*\]?)*+\]?|[^\s,"{}\[\]]+)'
)
_MAY_HOLD_A_MESSAGE = re.compile(
    r"(?!(?:country|country_?phone|phone|service|order|operator)_?code$|can_?get_?another_?sms$)"
    r"[\w-]*(?:sms|code|text|otp|pin|content|body|message|msg|error|title|details?)[\w-]*|\d+",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"\b(?P<word>STATUS_OK|STATUS_WAIT_RETRY|FULL_SMS|SMS|CODE)\s*:(?P<value>.*)", re.DOTALL)
_SPOKEN = frozenset({"message", "msg", "error", "title", "details", "code"})
"""Fields with which providers also say what is wrong: words of them can be read, numbers cannot."""
_LETTER = re.compile(r"\w")
_DIGIT = re.compile(r"\d")


def said_of(provider_id: ProviderId, api_key: str, heard: Heard, *, at: float) -> Said:
    """Write down a question and its answer, said at a moment on this process's count of seconds."""
    question, answer = heard.question, heard.answer
    return Said(
        provider_id,
        question.action,
        _clean(_without_key(question.subject, api_key))[:SUBJECT_MAX],
        _asked(question, api_key),
        answer.status if isinstance(answer, Answer) else None,
        _answered(question.action, answer, api_key),
        round(heard.seconds * 1000),
        at,
    )


def _asked(question: Question, api_key: str) -> str:
    pairs = "&".join([f"{name}={KEY if value == api_key else value}" for name, value in question.params.items()])
    query = "&".join(filter(None, (question.url.raw_query_string, pairs)))
    text = f"{question.method} {question.url.raw_path}{'?' if query else ''}{query}"
    if question.headers:
        text += f"\n{', '.join(question.headers)}"
    if question.body:
        text += "\n" + question.body[:RAW_MAX].decode(errors="replace")
        return _clean(_whole(_without_key(text, api_key), api_key, is_cut=len(question.body) > RAW_MAX))[:ASKED_MAX]
    return _clean(_without_key(text, api_key))[:ASKED_MAX]


def _answered(action: str, answer: Answer | NoAnswer, api_key: str) -> str:
    if isinstance(answer, NoAnswer):
        return answer.reason
    text = _without_key(answer.body[:RAW_MAX].decode(errors="replace"), api_key)
    text = _whole(text, api_key, is_cut=len(answer.body) > RAW_MAX)
    return _clean(without_codes(action, text))[:ANSWER_MAX]


def without_codes(action: str, text: str) -> str:
    """Make what may be a message unreadable in an answer, or in a part of one."""
    shown = text.lstrip("\ufeff \t\r\n")
    if shown.startswith(("{", "[")):
        if any(map(_is_hidden, _JSON_NAME.findall(text))):
            text = _JSON_FIELD.sub(_hide_field, text)
    elif found := _PLAIN.search(text):
        text = text[: found.start("value")] + _LETTER.sub("*", found["value"])
    if action == "rent" or (action in KEPT_ACTIONS and shown.startswith(("{", "ACCESS_"))):
        return text
    # Of what stands in a shape that nobody knows, no number is needed.
    return _DIGIT.sub("*", text)


@lru_cache(maxsize=1000)
def _is_hidden(name: str) -> bool:
    return _MAY_HOLD_A_MESSAGE.fullmatch(name) is not None


def _hide_field(found: "re.Match[str]") -> str:
    value, name = found["value"], found["name"].lower()
    if value in ("null", "true", "false") or not _is_hidden(found["name"]):
        return found[0]
    before = found[0][: len(found[0]) - len(value)]
    if name not in _SPOKEN or (name == "code" and _DIGIT.search(value)):
        return before + _LETTER.sub("*", value)
    return before + _DIGIT.sub("*", value)


def _without_key(text: str, api_key: str) -> str:
    # Letters and digits are written in one way only, so a text without their longest run holds no key.
    run, pattern = _key_pattern(api_key)
    return pattern.sub(KEY, text) if run in text.lower() else text


def _whole(text: str, api_key: str, *, is_cut: bool) -> str:
    """Take away the end of a text that was cut: the beginning of a key may stand there."""
    return text[: -6 * len(api_key)] if is_cut else text


@lru_cache(maxsize=1000)
def _key_pattern(api_key: str) -> "tuple[str, re.Pattern[str]]":
    """Return the longest run of letters and digits in a key, in small letters, and what finds the whole of it."""
    run = max(re.split(r"[^a-z0-9]+", api_key.lower()), key=len)
    return run, re.compile("".join(map(_forms, api_key)), re.IGNORECASE)


def _forms(letter: str) -> str:
    """Return a pattern for a letter as it stands in plain text, an address, JSON or HTML."""
    if letter.isalnum():
        return letter
    in_json = json.dumps(letter)[1:-1]
    in_address = f"%{ord(letter):02x}", f"%25{ord(letter):02x}"
    forms = [letter, *in_address, in_json, f"\\{letter}", f"\\u{ord(letter):04x}", html.escape(letter)]
    numbered = rf"&#(?:0*{ord(letter)}|x0*{ord(letter):x});"
    return f"(?:{'|'.join([*map(re.escape, sorted(set(forms), key=len, reverse=True)), numbered])})"


def _clean(text: str) -> str:
    """Take out what the database does not store."""
    return text.replace("\x00", "\ufffd")
