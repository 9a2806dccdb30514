"""Phone numbers of people: checked and kept in E.164."""

import contextlib

import phonenumbers

from numberdesk.base.errors import InvalidFields

PHONE_MAX = 40


def parse_phone(text: str, *, region: str = "IN") -> str:
    """Return a phone number in E.164; without a country code it is one of `region`.

    Raises:
        InvalidFields: it is no number that anybody can have.
    """
    # The library skips what stands before a number, reads letters as keys and E.164 has no place for an extension.
    found = None
    if len(text) <= PHONE_MAX and not any(sign.isalpha() for sign in text):
        with contextlib.suppress(phonenumbers.NumberParseException):
            found = phonenumbers.parse(text, region)
    if found is None or found.extension or not phonenumbers.is_valid_number(found):
        raise InvalidFields({"phone": 'is not a phone number: write it like "+91 98765 43210"'})
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
