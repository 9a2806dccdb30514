"""UPI as text: ids, numbers of payments, links and codes; what is typed wrong is told by name."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.payments.methods.upi import (
    IST,
    BadVpa,
    NotAUtr,
    payment_link,
    plausibility,
    qr_svg,
    qr_svg_of,
    read_utr,
    read_vpa,
)

SVG = "{http://www.w3.org/2000/svg}"
LINK = "upi://pay?pa=merchant@ybl&pn=Acme%20Numbers&am=250.37&cu=INR&tr=R01J9ZK3Q7M&tn=Wallet%20R01J9ZK3Q7M"


def link(**changed: object) -> str:
    fields: dict[str, object] = {
        "vpa": "merchant@ybl", "payee_name": "Acme Numbers", "amount_paise": Paise(250_37), "ref": "R01J9ZK3Q7M",
        "note": "Wallet R01J9ZK3Q7M",
    }  # fmt: skip
    return payment_link(**fields | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("asha", "one @"),
        ("asha@@ybl", "one @"),
        ("asha@example.com", "e-mail"),
        ("a@yb", "not a UPI id"),
        ("@ybl1", "not a UPI id"),
        ("asha@", "not a UPI id"),
        (".asha@ybl", "not a UPI id"),
        ("asha.@ybl", "not a UPI id"),
        ("as ha@ybl", "not a UPI id"),
        ("asha@1bl", "not a UPI id"),
        ("asha@yb-l", "not a UPI id"),
        ("аsha@ybl", "not a UPI id"),  # noqa: RUF001 - its first letter is Cyrillic
        ("asha@ybl&am=1", "not a UPI id"),
        ("asha@ybl\n&x", "not a UPI id"),
        ("a" * 98 + "@ybl", "too long"),
    ],
)
def test_what_is_no_upi_id_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(BadVpa, match=says):
        read_vpa(text)


@given(st.text(max_size=120) | st.from_regex(r"[a-z.]{1,9}@[a-z.]{1,9}", fullmatch=True))
def test_any_text_is_a_upi_id_or_refused(text: str) -> None:
    try:
        vpa = read_vpa(text)
    except BadVpa:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*@[a-z][a-z0-9]+", vpa)
    assert read_vpa(vpa) == vpa


@pytest.mark.parametrize(
    ("text", "vpa"),
    [
        (" Asha.D@OkAxis ", "asha.d@okaxis"), ("9876543210@ybl", "9876543210@ybl"), ("a-b_c.d@upi", "a-b_c.d@upi"),
        ("asha\uff20ybl", "asha@ybl"), ("q999@brandnewhandle", "q999@brandnewhandle"),
    ],
)  # fmt: skip
def test_a_upi_id_is_returned_in_small_letters_whatever_its_handle(text: str, vpa: str) -> None:
    assert read_vpa(text) == vpa


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" - ", "is empty"),
        ("asha@ybl", "is a UPI id"),
        ("9876543210", "phone number"),
        ("+91 98765 43210", "phone number"),
        ("250.37", "amount"),
        ("₹250", "amount"),
        ("Rs. 1,250.00", "amount"),
        ("63311234567", "has 11 digits, one too few"),
        ("6331123456789", "has 13 digits, one too many"),
        ("1", "has 1 digit;"),
        ("T2401151012345678901234", "long transaction id of an app"),
        ("AXB0123456789ABCDEF0123456789ABCDEF", "long transaction id of an app"),
        ("N330261234567890", "NEFT or RTGS"),
        ("HDFCR52026112612345678", "NEFT or RTGS"),
        ("UTR633112345678", "must be 12 digits"),
        ("6331l2345678", "must be 12 digits"),
        ("6" * 101, "too long"),
    ],
)
def test_every_wrong_kind_of_number_is_told_apart(text: str, says: str) -> None:
    with pytest.raises(NotAUtr, match=re.escape(says)):
        read_utr(text)


@given(st.text(max_size=120))
def test_any_text_is_a_utr_or_refused_with_the_end_of_a_sentence(text: str) -> None:
    try:
        utr = read_utr(text)
    except NotAUtr as refused:
        assert str(refused).startswith(("is ", "has ", "must "))  # noqa: PT017 - what is refused is the point
    else:
        assert re.fullmatch(r"[0-9]{12}", utr)


@pytest.mark.parametrize(
    ("text", "utr"),
    [
        ("633112345678", "633112345678"), (" 6331-1234 5678\n", "633112345678"), ("001234567890", "001234567890"),
        ("\uff16\uff13\uff13\uff11\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "633112345678"),
        ("\u096c\u0969\u0969\u0967\u0967\u0968\u0969\u096a\u096b\u096c\u096d\u096e", "633112345678"),
        ("6331\u22121234\u200b5678", "633112345678"),
    ],
)  # fmt: skip
def test_a_utr_is_read_however_it_was_typed_and_keeps_its_zeros(text: str, utr: str) -> None:
    assert read_utr(text) == utr


@pytest.mark.parametrize(
    ("utr", "at", "how"),
    [
        ("116812981837", datetime.fromtimestamp(1623914419, UTC), "fits"),
        ("116514257019", datetime(2021, 6, 14, 14, 30, tzinfo=IST), "fits"),
        ("116514090501", datetime(2021, 6, 14, 14, 5, tzinfo=IST), "fits"),
        ("103608848276", datetime(2025, 2, 5, 8, 30, tzinfo=IST), "odd"),
        ("116514257019", datetime(2021, 6, 15, 14, 30, tzinfo=IST), "unclear"),
        ("116514257019", datetime(2021, 6, 18, 14, 30, tzinfo=IST), "odd"),
        ("116524257019", datetime(2021, 6, 14, 23, 59, tzinfo=IST), "odd"),
        ("100000257019", datetime(2021, 1, 1, 0, 5, tzinfo=IST), "odd"),
        ("136623257019", datetime(2021, 12, 31, 23, 30, tzinfo=IST), "odd"),
        ("436623257019", datetime(2024, 12, 31, 23, 30, tzinfo=IST), "fits"),
        ("036523257019", datetime(2031, 1, 1, 0, 10, tzinfo=IST), "fits"),
    ],
)
def test_the_beginning_of_a_number_is_compared_with_year_day_and_hour(utr: str, at: datetime, how: str) -> None:
    assert plausibility(utr, at=at) == how
    assert plausibility(utr, at=at.astimezone(UTC)) == how


@given(st.from_regex(r"[0-9]{12}", fullmatch=True), st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - bounds of clocks without a zone
def test_no_number_breaks_the_comparison(utr: str, at: datetime) -> None:
    assert plausibility(utr, at=at.replace(tzinfo=UTC)) in ("fits", "unclear", "odd")


def test_a_link_without_a_payee_or_with_a_wrong_reference_is_not_made() -> None:
    with pytest.raises(BadVpa):
        link(vpa="merchant@example.com")
    for changed in ({"amount_paise": 0}, {"amount_paise": -1}, {"ref": "R-1"}, {"ref": ""}, {"ref": "R" * 36}):
        with pytest.raises(AssertionError):
            link(**changed)


def test_a_link_is_exactly_what_apps_expect() -> None:
    assert link() == LINK


def test_spaces_are_no_plus_the_at_sign_stays_and_nothing_is_escaped_for_html() -> None:
    assert "+" not in link(payee_name="A + B & C", note="a+b c")
    assert "pa=merchant@ybl&pn=A%20B%20C&" in link(payee_name="A + B & C")
    assert "&amp;" not in link(note="<b>&amp;</b>")
    assert dict(parse_qsl(urlsplit(link(note="x&am=1.00&pa=thief@ybl")).query))["am"] == "250.37"


@pytest.mark.parametrize(
    ("paise", "text"), [(1, "0.01"), (5_00, "5.00"), (100_000_00, "100000.00"), (250_30, "250.30")]
)
def test_amounts_have_two_decimals_and_no_separators(paise: int, text: str) -> None:
    assert f"&am={text}&" in link(amount_paise=paise)


def test_names_and_notes_are_made_plain_and_cut_and_an_empty_name_is_replaced() -> None:
    fields = dict(parse_qsl(urlsplit(link(payee_name="Café “Zoë” №1", note="n" * 60)).query))
    assert fields["pn"] == "Cafe Zoe No1"
    assert len(fields["tn"]) == 50
    assert dict(parse_qsl(urlsplit(link(payee_name="आशा")).query))["pn"] == "merchant"
    assert "tn=" not in link(note="***")
    assert not {"mc", "tid", "url", "mam", "sign"} & dict(parse_qsl(urlsplit(link()).query)).keys()


def test_a_code_holds_nothing_that_a_page_must_forbid() -> None:
    svg = qr_svg_of("</svg><script>alert(1)</script>", title="<script>&\"'</script>")
    assert "<script" not in svg
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        assert element.tag in {SVG + "svg", SVG + "path", SVG + "title"}
        assert not {"style", "class", "href", "onload"} & set(element.attrib)
        assert not any("url(" in value or "http" in value for value in element.attrib.values())


def modules(svg: str) -> list[list[bool]]:
    """Draw the dark path of a code again: moves, and lines to the right of one unit's height."""
    root = ElementTree.fromstring(svg)
    width, height = (int(part) for part in root.attrib["viewBox"].split()[2:])
    dark = root.findall(f"{SVG}path")[-1].attrib["d"]
    grid = [[False] * width for _ in range(height)]
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-0-9. ]+)", dark):
        steps = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if command == "h":
            for place in range(int(steps[0])):
                grid[int(y)][int(x) + place] = True
            x += steps[0]
        else:
            x, y = (steps[0], steps[1]) if command == "M" else (x + steps[0], y + steps[1])
    return grid


def test_a_code_is_square_with_a_quiet_zone_three_eyes_and_a_white_ground() -> None:
    svg = qr_svg(LINK)
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert "width" not in root.attrib
    assert [title.text for title in root.iter(f"{SVG}title")] == ["QR code to pay by UPI"]
    assert root.findall(f"{SVG}path")[0].attrib["fill"] == "#fff"
    grid = modules(svg)
    size = len(grid)
    assert {len(row) for row in grid} == {size}
    assert (size - 8 - 17) % 4 == 0
    assert not any(any(row) for row in (*grid[:4], *grid[-4:]))
    eye = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
    for top, left in ((4, 4), (4, size - 11), (size - 11, 4)):
        assert ["".join("01"[cell] for cell in row[left : left + 7]) for row in grid[top : top + 7]] == eye
    assert grid != modules(qr_svg(LINK.replace("250.37", "250.38")))


def test_india_is_five_and_a_half_hours_ahead_all_year() -> None:
    for month in (1, 7):
        assert datetime(2026, month, 1, tzinfo=IST).utcoffset() == timedelta(hours=5, minutes=30)
