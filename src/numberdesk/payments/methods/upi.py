"""UPI as text: ids of accounts, numbers of payments, the link that an app opens, and the QR code of it."""

import calendar
import io
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Literal
from urllib.parse import quote, urlencode

import segno

from numberdesk.base.money import Paise, format_rupees

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""India has one time and no summer time, so no list of zones is needed."""

VPA_MIN, VPA_MAX = 5, 100
UTR_DIGITS = 12
UTR_TEXT_MAX = 100
"""Longer than any number that a bank or an app shows, with spaces and a label."""
NAME_MAX, NOTE_MAX, REF_MAX = 99, 50, 35
"""Source: NPCI, UPI Linking Specification: `pn`, `tn` and `tr`."""

_SHAPE = "a UPI id looks like name@bank"
_WHERE = 'open the payment in the app and copy the 12 digits after "UPI Ref No." or "UTR"'
_VPA = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?@[A-Za-z][A-Za-z0-9]{1,63}")
_LONG_ID = re.compile(r"[TP][0-9]{17,34}|AXB[0-9A-Z]{17,32}|[0-9A-Z]{30,35}")
_BANK_ID = re.compile(r"(?=[0-9]*[A-Z])(?:[0-9A-Z]{16}|[0-9A-Z]{22})")
_AMOUNT = re.compile(r"(?:₹|RS\.?|INR)[0-9][0-9,]*(?:\.[0-9]*)?(?:/-?)?|[0-9]+(?:,[0-9]+)+(?:\.[0-9]*)?|[0-9]+\.[0-9]*")
_PHONE = re.compile(r"\+[0-9]{10,14}|[6-9][0-9]{9}")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class BadVpa(ValueError):
    """A text is no UPI id; `str()` ends a sentence that begins with the name of the field."""


class NotAUtr(ValueError):
    """A text is not the 12 digits of a UPI payment; `str()` ends a sentence that begins with the name of the field."""


def read_vpa(text: str) -> str:
    """Return a UPI id in small letters. Which handles exist changes too often to be a reason for refusing one.

    Raises:
        BadVpa: it cannot be one.
    """
    if len(text) > VPA_MAX:
        raise BadVpa(f"is too long; {_SHAPE}")
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        raise BadVpa(f"is empty; {_SHAPE}")
    if plain.count("@") != 1:
        raise BadVpa(f"must hold one @; {_SHAPE}")
    if "." in plain.partition("@")[2]:
        raise BadVpa(f"is an e-mail address; {_SHAPE}")
    if not VPA_MIN <= len(plain) <= VPA_MAX or not _VPA.fullmatch(plain):
        raise BadVpa(f"is not a UPI id; {_SHAPE}")
    return plain.lower()


def read_utr(text: str) -> str:
    """Return the 12 digits that banks know a UPI payment by (UTR or RRN), however they were typed.

    Raises:
        NotAUtr: it is something else; the sentence says what, and where the right number stands.
    """
    if len(text) > UTR_TEXT_MAX:
        raise NotAUtr(f"is too long; {_WHERE}")
    compact = "".join(map(_plain, unicodedata.normalize("NFKC", text))).upper()
    if len(compact) == UTR_DIGITS and compact.isdecimal():
        return compact
    raise NotAUtr(_what_else(compact))


def plausibility(utr: str, *, at: datetime) -> Literal["fits", "unclear", "odd"]:
    """Compare a number with the time of its payment: many, not all, begin with year, day of the year and hour in IST.

    A hint for whoever reviews a claim. Banks that count otherwise are "odd", so it is never a reason to refuse.
    """
    digit, day, hour = int(utr[0]), int(utr[1:4]), int(utr[4:6])
    local = at.astimezone(IST)
    if hour > 23:
        return "odd"
    distances = [
        max(start - local, local - start - _HOUR, timedelta(0))
        for year in range(local.year - 5, local.year + 6)
        if year % 10 == digit and 1 <= day <= 365 + calendar.isleap(year)
        for start in [datetime(year, 1, 1, hour, tzinfo=IST) + _DAY * (day - 1)]
    ]
    if not distances or min(distances) > 2 * _DAY:
        return "odd"
    return "fits" if min(distances) <= _HOUR else "unclear"


def payment_link(*, vpa: str, payee_name: str, amount_paise: Paise, ref: str, note: str) -> str:
    """Return the address that UPI apps open, with everything filled in.

    `mc`, `tid` and `url` are left out: apps refuse a payment over a wrong one.

    Args:
        payee_name: what apps would stumble over is taken out; without a letter left, the id stands for it.
        ref: our reference, at most 35 letters and digits. Apps drop it between private people.

    Raises:
        BadVpa: the payee has no valid id.
    """
    assert amount_paise > 0, "a payment of nothing"
    assert ref.isascii() and ref.isalnum() and len(ref) <= REF_MAX, "a reference that apps refuse"
    payee = read_vpa(vpa)
    fields = {
        "pa": payee,
        "pn": _simple(payee_name, NAME_MAX) or _simple(payee.partition("@")[0], NAME_MAX),
        "am": format_rupees(amount_paise),
        "cu": "INR",
        "tr": ref,
        "tn": _simple(note, NOTE_MAX),
    }
    # Apps show a plus as a plus, so a space is %20; and some do not decode the id.
    return "upi://pay?" + urlencode({key: value for key, value in fields.items() if value}, quote_via=quote, safe="@")


def qr_svg(link: str) -> str:
    """Draw a payment link."""
    return qr_svg_of(link, title="QR code to pay by UPI")


def qr_svg_of(text: str, *, title: str) -> str:
    """Draw any text as an SVG element that needs no style, no script and no other file, and fits its container.

    Args:
        title: what screen readers say.
    """
    drawn = io.BytesIO()
    # The white ground is part of it: on a dark page, black on nothing cannot be scanned.
    segno.make_qr(text, error="m", boost_error=False).save(
        drawn, kind="svg", title=title, light="#fff", xmldecl=False, svgclass=None, lineclass=None, omitsize=True,
        nl=False,
    )  # fmt: skip
    return drawn.getvalue().decode().replace("<svg ", '<svg role="img" ', 1)


def _plain(sign: str) -> str:
    """Return a digit of any script as 0 to 9, and nothing for spaces, dashes and what cannot be seen."""
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    # U+2212 is the minus sign, which some keyboards give for a dash.
    return "" if sign == "\u2212" or unicodedata.category(sign) in ("Pd", "Zs", "Zl", "Zp", "Cc", "Cf") else sign


def _what_else(compact: str) -> str:
    """Say what a text is that is not a UTR."""
    if not compact:
        return f"is empty; {_WHERE}"
    if "@" in compact:
        return f"is a UPI id and not the number of a payment; {_WHERE}"
    if _PHONE.fullmatch(compact):
        return f"is a phone number; {_WHERE}"
    if _AMOUNT.fullmatch(compact):
        return f"is an amount; {_WHERE}"
    if compact.isdecimal():
        digits = len(compact)
        wrong = {11: ", one too few", 13: ", one too many"}.get(digits, "")
        return f"has {digits} digit{'s' if digits > 1 else ''}{wrong}; {_WHERE}"
    if _LONG_ID.fullmatch(compact):
        return f"is the long transaction id of an app, which banks do not know; {_WHERE}"
    if _BANK_ID.fullmatch(compact):
        return "is the number of a NEFT or RTGS transfer; only payments by UPI are taken, and theirs has 12 digits"
    return f"must be 12 digits; {_WHERE}"


def _simple(text: str, longest: int) -> str:
    """Keep letters without accents, digits and single spaces: apps refuse or garble the rest."""
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(sign if sign.isalnum() else " " for sign in decomposed if not unicodedata.combining(sign))
    return " ".join(kept.encode("ascii", "ignore").decode().split())[:longest].strip()
