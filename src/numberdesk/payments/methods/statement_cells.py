"""The cells of a bank's statement: text as banks and spreadsheets write it, read exactly or named as wrong."""

import re
from datetime import UTC, datetime, timedelta, timezone

from numberdesk.base.money import NotAnAmount, Paise, parse_rupees
from numberdesk.payments.methods.upi import IST, UTR_DIGITS

SHOWN_MAX = 30
NOON = 12

_PAYER = re.compile(r"(?<![\w.@-])[A-Za-z0-9][A-Za-z0-9._-]{1,60}@[A-Za-z][A-Za-z0-9]{1,30}(?![\w@]|\.[A-Za-z0-9])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")

_MONEY = re.compile(
    r"(?P<sign>[+-]?) ?(?:₹|Rs\.?|INR)? ?(?P<minus>-?)"
    r"(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3})?(?:\.(?P<decimals>[0-9]*))? ?(?:INR)? ?(?P<kind>Cr|Dr)?\.?",
    re.I,
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MOMENT = re.compile(
    r"(?:(?P<d>[0-9]{1,2})(?P<gap>[/.-])(?P<m>[0-9]{1,2})(?P=gap)(?P<y>[0-9]{4}|[0-9]{2})"
    r"|(?P<d2>[0-9]{1,2})[ /-]?(?P<word>[A-Za-z]{3,9})[ /,-]{0,2}(?P<y2>[0-9]{4}|[0-9]{2})"
    r"|(?P<y3>[0-9]{4})[/-](?P<m3>[0-9]{1,2})[/-](?P<d3>[0-9]{1,2}))"
    r"(?:(?:T|,? {1,3})(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r" ?(?P<half>[AP]M)? ?(?:IST|(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?)?",
    re.I,
)


class BadCell(ValueError):
    """What is wrong with a row."""


class NothingCame(ValueError):
    """Why a row tells of no money."""


def bare(cell: str) -> str:
    """Take off what spreadsheets and exports put around a number to keep it text."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    return text.strip("' \t\r\n\xa0")


def printable(text: str) -> str:
    """Return a text of others without what cannot be seen, on one line."""
    return " ".join(_CONTROL.sub(" ", text).split())


def shown(text: str) -> str:
    """Return enough of a cell to recognise it by."""
    return printable(text)[:SHOWN_MAX]


def has_digit(text: str) -> bool:
    """Say whether there is a number in a cell at all; "-" and "NA" are none."""
    return any(sign.isdigit() for sign in text)


def find_payer(text: str) -> str | None:
    """Return the first UPI id in a text, in small letters."""
    # Where a bank separates by dashes, one would bring the last word of the name along.
    found = _PAYER.search(text.replace("-", " ") if text[:4].upper() == "UPI-" else text)
    return None if found is None else found[0].lower()


def came_in(text: str, *, debit: str) -> Paise:
    """Read how much came in.

    Args:
        debit: the cell beside it that says what went out, if there is one.

    Raises:
        NothingCame: it went out, or is zero.
        BadCell: it is no amount of rupees.
    """
    went_out = re.search(r"[1-9]", debit) is not None
    if not has_digit(text):
        if went_out:
            raise NothingCame("debit")
        raise BadCell(f"has an amount that is none: {shown(text)}" if text.strip("- ") else "has no amount")
    found = _MONEY.fullmatch(text.replace("\xa0", " ").replace("\u2212", "-"))
    if text.startswith("(") or (found and "-" in found["sign"] + found["minus"]):
        raise BadCell(f"has a negative amount: {shown(text)}")
    if found is None or not found["whole"]:
        raise BadCell(f"has an amount that is none: {shown(text)}")
    decimals = found["decimals"] or ""
    if len(decimals) > 2:
        raise BadCell(f"has an amount with more than two decimals: {shown(text)}")
    if (found["kind"] or "").casefold() == "dr":
        raise NothingCame("debit")
    whole = found["whole"].replace(",", "")
    if not (whole + decimals).strip("0"):
        raise NothingCame("debit" if went_out else "nothing came in")
    if went_out:
        raise BadCell("says that money came in and went out")
    try:
        return parse_rupees(f"{whole}.{decimals or '0'}")
    except NotAnAmount as problem:
        raise BadCell(f"has an amount that {problem}") from None


def read_utr_cell(column: str, *, narration: str, in_narration: re.Pattern[str] | None) -> str | None:
    """Return the UTR of a payment by UPI.

    Args:
        in_narration: where a bank writes it; the column then holds numbers of cheques too, and zeros before the UTR.

    Raises:
        BadCell: the number lost digits. A guess would credit somebody else's payment.
    """
    told = in_narration and in_narration.match(narration)
    if in_narration and not re.search(r"\bUPI[-/]", narration[:45], re.I):
        return None
    digits = re.sub(r"[ \xa0-]", "", column)
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?E\+?[0-9]{1,3}", digits, re.I):
        raise BadCell(f"has the UTR {shown(column)}, which a spreadsheet rounded: format its column as text")
    # A program that took the column for numbers adds a point and zeros, and loses nothing by it.
    digits = re.sub(r"\.0+$", "", digits)
    if not re.fullmatch(r"[0-9]+", digits) or not digits.strip("0"):
        return told[1] if told else None
    if in_narration and len(digits) > UTR_DIGITS and not digits[:-UTR_DIGITS].strip("0"):
        digits = digits[-UTR_DIGITS:]
    if len(digits) != UTR_DIGITS:
        raise BadCell(f"UTR has {len(digits)} digits, it must have {UTR_DIGITS}")
    return digits


def read_moment(date: str, *, clock: str) -> tuple[datetime, bool]:
    """Return when a payment was made, and whether that is its time and not only its day. Days come before months.

    Args:
        clock: the time of the day, where it has a column of its own.

    Raises:
        BadCell: there is no such moment.
    """
    text = f"{date} {clock}".strip()
    if not date:
        raise BadCell("has no date")
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise BadCell(f"has a date that is none: {shown(text)}")
    year, month, day = _day(found)
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if found["half"]:
        if not 1 <= hour <= 12:
            raise BadCell(f"has a time that is none: {shown(text)}")
        hour = hour % 12 + 12 * (found["half"].casefold() == "pm")
    # Programs that know no date without a time write midnight.
    is_exact = bool(hour or minute or second or found["zone"])
    try:
        local = datetime(year, month, day, hour if is_exact else NOON, minute, second, tzinfo=_zone(found["zone"]))
    except ValueError:
        raise BadCell(f"has a date or a time that does not exist: {shown(text)}") from None
    if not 2000 <= local.year <= 2100:
        raise BadCell(f"has a date that is none: {shown(text)}")
    return local.astimezone(UTC), is_exact


def _day(found: re.Match[str]) -> tuple[int, int, int]:
    year = found["y"] or found["y2"] or found["y3"]
    word = (found["word"] or "")[:3].casefold()
    month = _MONTHS.index(word) + 1 if word in _MONTHS else int(found["m"] or found["m3"] or 0)
    return int(year) + 2000 * (len(year) == 2), month, int(found["d"] or found["d2"] or found["d3"])


def _zone(text: str | None) -> timezone:
    if text is None:
        return IST
    if text.upper() in ("Z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "")
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))
