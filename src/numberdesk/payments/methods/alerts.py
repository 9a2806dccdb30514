"""Messages of the operator's bank that his own device forwards: who sent them, and what they say came in."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from numberdesk.base.money import NotAnAmount, Paise, parse_rupees

CLOCKS = timedelta(seconds=300)
"""A phone's clock is rarely further off, and a message that was overheard is soon worth nothing."""
TEXT_MAX = 2000
"""A long SMS has some 1,500 signs."""

# What follows an amount must not be a part of it: 250.375 is no amount of rupees, and not 250.37 either.
_MONEY = (
    r"(?:Rs\.?|INR|₹)\s?([0-9]{1,12}(?:\.[0-9]{1,2})?|[0-9]{1,3}(?:,[0-9]{2,3}){0,3},[0-9]{3}(?:\.[0-9]{1,2})?)"
    r"(?![.,]?[0-9])"
)
_ACCOUNT = r"(?:A/c|Acct|Account|AC)(?: no\.?| ending)? ?[X*x0-9.]{2,20}"

WORDINGS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(text, re.I)
    for name, text in {
        "hdfc": rf"{_MONEY} (?:is |has been )?credited to (?:your )?HDFC Bank ",
        "icici": rf"{_ACCOUNT} (?:is |has been )?credited (?:with|for|by) {_MONEY}",
        "sbi": rf"{_ACCOUNT} ?- ?credited by {_MONEY}",
        "axis": rf"{_MONEY} (?:was |is |has been )?credited (?:to )?(?:your )?{_ACCOUNT}",
        "kotak": rf"\bReceived {_MONEY} (?:on [0-9A-Za-z-]{{6,11}} )?in your Kotak Bank ",
        "paytm": rf"\bReceived {_MONEY} (?:from|in your Paytm)\b",
        "generic": rf"{_MONEY} (?:is |was |has been |successfully ){{0,2}}(?:credited|received|deposited)\b",
        "generic, amount last": rf"\b(?:credited|received|deposited)(?: with| by| for)?:? {_MONEY}",
    }.items()
}
"""How banks say that money came in. A message may fit several; what counts is that all name one amount."""

_OTHER = re.compile(
    r"\b(?:debited|spent|withdrawn|sent|paid to|OTP|one[- ]time password|verification code|request(?:ed|s|ing)?|collect"
    r"|mandate|autopay|due|overdue|(?:will|to|can|not|get|yet|could not) (?:be )?credited|failed|declined|unsuccessful"
    r"|revers(?:ed|al)|refund(?:ed)?|cashback|offers?|loans?|apply|eligible|pre-?approved|win|won|reward"
    r"|credit card)\b",
    re.I,
)
"""What a message of a payment to us never says. A payer of such a name is left to the statement."""

# What follows must not make it the beginning of a payer's address, which a payer chooses.
_RRN = re.compile(
    r"\b(?:UPI|Ref|Refno|RRN|UTR)\b(?:/P2[AM]|/CR)?[ A-Za-z.:#/-]{0,16}(?<![0-9A-Za-z])([0-9]{12})"
    r"(?![0-9A-Za-z@]|[._-][0-9A-Za-z._-]{0,60}@)",
    re.I,
)
_VPA = re.compile(r"(?<![\w.@-])[A-Za-z0-9][A-Za-z0-9._-]{1,60}@[A-Za-z][A-Za-z0-9]{1,30}(?![\w@-]|\.[A-Za-z0-9])")


class BadAlert(ValueError):
    """A message that is none of the operator's devices', or too old. `str()` says which."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What a message says came in."""

    amount_paise: Paise
    rrn: str | None
    payer: str | None


def check_signature(secret: str, *, timestamp: str, raw: bytes, signature: str, now: datetime) -> None:
    """Check that a device with this secret sent a message, just now.

    Args:
        secret: an empty one fits nothing, so that a device without a key cannot be spoken for.
        timestamp: Unix seconds.
        signature: the hex HMAC-SHA256 over `timestamp`, a dot and the raw body.

    Raises:
        BadAlert: it did not.
    """
    if not secret:
        raise BadAlert("no such device")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadAlert("the timestamp is not in Unix seconds")
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    # Bytes, because text that is not ASCII cannot be compared in constant time.
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise BadAlert("the signature is wrong")
    if abs(int(now.timestamp()) - int(timestamp)) > CLOCKS.total_seconds():
        raise BadAlert("the timestamp is too far from now")


def read_alert(text: str) -> Alert | None:
    """Read what came in; None for a debit, a code, an offer, a request, and for what could be read in two ways."""
    if len(text) > TEXT_MAX:
        return None
    line = " ".join(text.split())
    if _OTHER.search(line):
        return None
    amounts = {found[1].replace(",", "") for pattern in WORDINGS.values() for found in pattern.finditer(line)}
    try:
        credited = {parse_rupees(amount) for amount in amounts}
    except NotAnAmount:
        return None
    numbers = {found[1] for found in _RRN.finditer(line)}
    if len(credited) != 1 or len(numbers) > 1:
        return None
    payers = {found[0].lower() for found in _VPA.finditer(line)}
    return Alert(
        amount_paise=credited.pop(),
        rrn=numbers.pop() if numbers else None,
        payer=payers.pop() if len(payers) == 1 else None,
    )
