"""What a message looks like: pure rules over its text and its sender, with a preference for letting messages through.

A message is withheld when something that only a bank, a payment service or an authority says stands in it, and it does
not say that it is of the service that was ordered. A text that says nothing (`Your code is 1234`) is never withheld.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from numberdesk.conduct.model import Kind, Sign
from numberdesk.conduct.words import BANKS, GOVERNMENT, PAYMENTS, PHRASES, SENDERS

PROTECTED: Final = frozenset({"bank", "payment", "government", "crypto"})
"""Categories of services whose own codes look like this: an order for one of them is not looked at."""

LOOKED_AT: Final = 2_000
"""Letters of a text that are looked at: more than any message has."""

_HEADER = re.compile(r"(?:[A-Z]{2}-)?([A-Z0-9]{5,9})(?:-[STPG])?")
_HIDDEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_CODE = re.compile(
    r"\d{4,8}|\b\d{3}[ -]\d{3}\b|otp|one.time|password|passcode|verification|код|código|codice|kod|कोड|ओटीपी", re.I
)
_MONEY: Final = (
    re.compile(r"(?:\binr|\brs\.?|₹|\busd|\$|€|\beur|\bgbp|£|руб|₽|\btry)\s?\d|\d\s?(?:руб|₽|€|\btl\b|р\.)"),
    re.compile(r"\b(?:a/c|ac|acct|account|card|card no\.?)"
               r"\s*(?:no\.?|number|ending|ending with|ending in|in)?\s*[:.]?\s*[x*•.]{0,12}\d{3,4}\b"),
    re.compile(r"\b(?:txn|transaction|transfer|debited|credited|payee|beneficiary|payment of|purchase)\b"),
    re.compile(r"\b(?:debit|credit)\s+card\b|\bcard\s+(?:ending|xx)"),
    re.compile(r"\bnet\s?banking\b|\b(?:internet|mobile) banking\b|\bupi\b|\bmpin\b|\bneft\b|\bimps\b"),
)  # fmt: skip
_AS_MERCHANT = r"(?:\bat|\bto|\btowards|@|\bfor|\bon|\bvia|\bfrom|\bin favou?r of)\s+(?:m/s\.?\s+)?"


def looks_protected(text: str, *, sender: str = "", names: Sequence[str] = ()) -> Sign | None:
    """Return what a message looks like when it is not of the service that was ordered; None lets it through.

    Args:
        sender: as the network shows it; empty when a provider does not pass it on.
        names: of the ordered service. A message that says one of them is let through, unless a bank says it of a
            payment: `OTP for INR 500 at AMAZON on HDFC Bank card ending 1234`.
    """
    text = text[:LOOKED_AT]
    said = _plain(text)
    header = _header(sender)
    if header is not None:
        return None if _names_itself(f"{sender}\n{text}", names) and not _is_payment(said, names) else header
    if not _CODE.search(text):
        return None
    sign = _find(said, _plain(sender))
    if sign is None or (_names_itself(f"{sender}\n{text}", names) and not _is_payment(said, names)):
        return None
    return sign


def _find(said: str, sender: str) -> Sign | None:
    by_sender = _words_in(f"{sender} ") if sender else None
    found = by_sender or _words_in(said)
    if found is not None:
        return found
    words = _first_in(_PHRASES, said)
    # One such word may be an advert in a shop's message; with a second one it is about money.
    if words is not None and (_money(said) > 1 or words in _ALONE):
        return Sign("bank", words)
    return None


_ALONE: Final = frozenset({
    "net banking", "netbanking", "internet banking", "mobile banking", "upi pin", "upi registration", "set upi", "mpin",
    "atm pin", "онлайн-банк", "banque en ligne", "onlinebanking", "online-banking", "internet bankacılığı", "demat",
})  # fmt: skip


def _words_in(said: str) -> Sign | None:
    """Return the weightiest words that name a sender: authorities before payments before banks."""
    found = [(rank, words) for rank, index in enumerate(_INDEXES) if (words := _first_in(index, said)) is not None]
    return Sign(_KINDS[found[0][0]], found[0][1]) if found else None


def _first_in(index: Mapping[str, Sequence[str]], said: str) -> str | None:
    """Return the first words of an index that stand in a text, the longest of those that begin at one place."""
    for match in _TOKEN.finditer(said):
        for words in index.get(match[0], ()):
            end = match.start() + len(words)
            if said.startswith(words, match.start()) and not said[end : end + 1].isalnum():
                return words
    return None


def _header(sender: str) -> Sign | None:
    match = _HEADER.fullmatch(sender.strip().upper())
    if match is None or match[1] not in SENDERS:
        return None
    return Sign(cast(Kind, SENDERS[match[1]]), match[1])


def _is_payment(said: str, names: Iterable[str]) -> bool:
    """Tell whether a message is a bank's about a payment, and names the service only as who is paid."""
    if _money(said) < 2 or _words_in(said) is None:
        return False
    for name in map(_plain, names):
        if not name:
            continue
        all_of_it = len(re.findall(_bounded(name), said))
        as_merchant = len(re.findall(_AS_MERCHANT + _bounded(name), said))
        if all_of_it > as_merchant:
            return False
    return True


def _money(said: str) -> int:
    return sum(pattern.search(said) is not None for pattern in _MONEY)


def _names_itself(text: str, names: Sequence[str]) -> bool:
    said = _plain(text)
    for name in names:
        # Short names are words too ("ok", "x"): they count as they are written only.
        if len(name) > 2 and re.search(_bounded(_plain(name)), said):
            return True
        if 0 < len(name) <= 2 and re.search(_bounded(name), text):
            return True
    return False


def names_of(name: str) -> tuple[str, ...]:
    """Return the names that a service of the catalogue goes by: `Google,youtube,Gmail` are three."""
    parts = [part.strip() for part in re.split(r"[,/+()]", name)]
    # A name in several words is also written as one, and without what only companies write.
    more = [re.sub(r"\s+", "", part) for part in parts if " " in part]
    short = [re.sub(r"\s*(?:\.com|\.in|\.ru|app|inc|messenger)$", "", part, flags=re.I) for part in parts]
    return tuple(dict.fromkeys(part for part in (*parts, *more, *short) if part))


def _plain(text: str) -> str:
    """Return a text without the tricks of writing: one form of each letter, no hidden ones, single blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_HIDDEN).casefold().split())


def _bounded(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"


def _index(words: Sequence[str]) -> dict[str, list[str]]:
    """Return words by their first token, the longest first."""
    found: dict[str, list[str]] = {}
    for plain in sorted({_plain(word) for word in words}, key=len, reverse=True):
        token = _TOKEN.match(plain)
        assert token is not None, plain
        found.setdefault(token[0], []).append(plain)
    return found


_TOKEN: Final = re.compile(r"\w+")
_KINDS: Final[tuple[Kind, ...]] = ("government", "payment", "bank")
_INDEXES: Final = (_index(GOVERNMENT), _index(PAYMENTS), _index(BANKS))
_PHRASES: Final = _index(PHRASES)
