"""Phone numbers of people: checked and kept in E.164."""

import phonenumbers

from numberdesk.base.errors import InvalidFields

SHOWN = 4
PHONE_MAX = 40


def parse_phone(text: str, *, region: str = "IN") -> str:
    """Return a phone number in E.164; without a country code it is one of `region`.

    Raises:
        InvalidFields: it is no number that anybody can have.
    """
    try:
        found = phonenumbers.parse(text[:PHONE_MAX], region)
    except phonenumbers.NumberParseException:
        found = None
    if found is None or len(text) > PHONE_MAX or not phonenumbers.is_valid_number(found):
        raise InvalidFields({"phone": 'is not a phone number: write it like "+91 98765 43210"'})
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))


def masked(e164: str) -> str:
    """Return a number with its last digits only."""
    return "•" * max(0, len(e164) - SHOWN) + e164[-SHOWN:]
