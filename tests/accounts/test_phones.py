"""Phone numbers: what is none, and the one form that is kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numberdesk.accounts import phones
from numberdesk.base.errors import InvalidFields


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "+", "12", "+91", "112", "0000000000", "+91 00000 00000", "+9198765432101234", "9" * 41,
        "9" * 100_000, "1800FLOWERS", "+91 98765 4321O", "<b>+919876543210", "tel:+919876543210",
        "+91 98765 43210 ext 5", "+91 98765 43210 x5", "+919876543210;ext=5", "+91\x009876543210", "+999 12345678",
        "+91 98765 43210, 98765 43211", "+919876543210#5",
    ],
)  # fmt: skip
def test_what_is_no_phone_number_of_anybody_is_refused(text: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        phones.parse_phone(text)
    assert list(caught.value.fields) == ["phone"]


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("98765 43210", "IN", "+919876543210"),
        ("098765-43210", "IN", "+919876543210"),
        ("+91 (98765) 43210", "IN", "+919876543210"),
        ("\u202a+91 98765 43210\u202c", "IN", "+919876543210"),
        ("\uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12\uff11\uff10", "IN", "+919876543210"),
        ("+1 202 555 0123", "IN", "+12025550123"),
        ("202 555 0123", "US", "+12025550123"),
        ("+39 06 698 12345", "IN", "+390669812345"),
    ],
)
def test_a_number_is_kept_in_one_form(text: str, region: str, number: str) -> None:
    assert phones.parse_phone(text, region=region) == number
    assert phones.parse_phone(number) == number


@given(st.text(st.characters(), max_size=50))
@settings(deadline=None, max_examples=100)
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        number = phones.parse_phone(text)
    except InvalidFields:
        return
    assert number[0] == "+"
    assert number[1:].isdecimal()
