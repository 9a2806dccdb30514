"""GST as arithmetic: numbers of taxpayers, the tax inside a price, financial years and the numbers of receipts.

Source: CGST Rules 46 and 50. What applies is the operator's to decide; this only counts.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from numberdesk.base.money import Paise
from numberdesk.payments.methods.upi import IST

RECEIPT_NUMBER_MAX = 16
"""Source: CGST Rule 46(b), which also names the signs."""

_GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]")
_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RECEIPT_NUMBER = re.compile(r"[A-Za-z0-9/-]+")
_WHOLE_BPS = 10_000
_APRIL = 4


class NotAGstin(ValueError):
    """A text is no GSTIN; `str()` ends a sentence that begins with the name of the field."""


class NoReceiptNumber(ValueError):
    """A series has no number for this receipt that the law allows."""


@dataclass(frozen=True, slots=True)
class Taxes:
    """A price taken apart; the four sum to it."""

    taxable_paise: Paise
    cgst_paise: Paise
    sgst_paise: Paise
    igst_paise: Paise


def check_gstin(text: str) -> str:
    """Return a GSTIN in capitals, without spaces around it.

    Raises:
        NotAGstin: its form or its check digit is wrong.
    """
    gstin = text.strip().upper()
    if not _GSTIN.fullmatch(gstin):
        raise NotAGstin('is not a GSTIN: 15 signs such as "27AAPFU0939F1ZV"')
    if gstin[-1] != _check_sign(gstin[:-1]):
        raise NotAGstin("has a wrong last sign, so another sign of it was mistyped")
    return gstin


def split_inclusive(total_paise: int, *, rate_bps: int, same_state: bool) -> Taxes:
    """Take the tax out of a price that holds it. The tax is rounded half up; an odd paisa of it is SGST.

    Args:
        rate_bps: hundredths of a percent, 1800 for 18 %.
        same_state: the place of supply is in the supplier's state, so that the tax is shared.
    """
    assert total_paise >= 0, "a receipt of less than nothing"
    assert rate_bps >= 0, "a tax of less than nothing"
    whole = _WHOLE_BPS + rate_bps
    tax = (2 * total_paise * rate_bps + whole) // (2 * whole)
    half = tax // 2
    shared = (half, tax - half, 0) if same_state else (0, 0, tax)
    return Taxes(Paise(total_paise - tax), *map(Paise, shared))


def fiscal_year(moment: datetime) -> str:
    """Return the financial year of India that an instant falls in, such as `26-27`: it begins on 1 April in IST."""
    local = moment.astimezone(IST)
    first = local.year if local.month >= _APRIL else local.year - 1
    return f"{first % 100:02}-{(first + 1) % 100:02}"


def receipt_number(series: str, *, fiscal_year: str, serial: int) -> str:
    """Return the number that stands on a receipt, such as `R/26-27/000123`.

    Raises:
        NoReceiptNumber: it would be longer than the law allows, or hold a sign that the law does not.
    """
    number = f"{series}/{fiscal_year}/{serial:06}"
    if serial < 1 or not series or not _RECEIPT_NUMBER.fullmatch(number):
        raise NoReceiptNumber(f"{number} is not a number for a receipt: letters, digits, dashes and slashes, from 1 on")
    if len(number) > RECEIPT_NUMBER_MAX:
        raise NoReceiptNumber(f"{number} has more than {RECEIPT_NUMBER_MAX} signs: shorten the name of the series")
    return number


def _check_sign(body: str) -> str:
    """Weigh the signs by 1 and 2 in turn, and add what is before and behind the point in base 36."""
    total = 0
    for place, sign in enumerate(body):
        product = _SIGNS.index(sign) * (1 + place % 2)
        total += product // 36 + product % 36
    return _SIGNS[-total % 36]
