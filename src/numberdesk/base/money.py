"""Money as integers: paise inside, decimal rupees as text at the edge."""

import re
from decimal import Decimal, InvalidOperation
from typing import NewType

Paise = NewType("Paise", int)
"""One hundredth of a rupee."""

PAISE_PER_RUPEE = 100
AMOUNT_MAX = Paise(100_000_000_00)
"""Ten crore rupees: above it an amount is a typing error, and sums stay far from the end of a bigint."""

_RUPEES = re.compile(r"[0-9]{1,21}(\.[0-9]{1,2})?")


class NotAnAmount(ValueError):
    """The text or number is not an amount of rupees with at most two decimals; `str()` says what is wrong."""


def parse_rupees(value: str | int | float | Decimal) -> Paise:
    """Read rupees as a caller wrote them: `"12.50"`, `12.5` or `12`.

    A JSON number arrives as int or float; a float is read by its shortest decimal form, which is what the caller
    typed, and never enters a calculation.

    Raises:
        NotAnAmount: not a plain decimal, negative, zero, more than two decimals, or above `AMOUNT_MAX`.
    """
    if isinstance(value, bool):
        raise NotAnAmount("is not an amount")
    text = value.strip() if isinstance(value, str) else _plain(value)
    if text.startswith("-"):
        raise NotAnAmount("must not be negative")
    if not _RUPEES.fullmatch(text):
        raise NotAnAmount('must be rupees with at most two decimals, such as "12.50"')
    rupees, _, decimals = text.partition(".")
    paise = int(rupees) * PAISE_PER_RUPEE + int((decimals + "00")[:2])
    if paise == 0:
        raise NotAnAmount("must be more than zero")
    if paise > AMOUNT_MAX:
        raise NotAnAmount("is too large")
    return Paise(paise)


def format_rupees(amount: int) -> str:
    """Write paise as rupees with two decimals: 1250 is `"12.50"`, -5 is `"-0.05"`."""
    sign = "-" if amount < 0 else ""
    rupees, paise = divmod(abs(amount), PAISE_PER_RUPEE)
    return f"{sign}{rupees}.{paise:02}"


def _plain(value: float | int | Decimal) -> str:
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):  # Python writes no integer of more than 4,300 digits
        return "?"
    if not number.is_finite() or abs(number.adjusted()) > 20:
        return "?"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
