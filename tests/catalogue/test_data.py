"""The catalogue's tables are well-formed, agree with each other and hold the values that clients rely on."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "src" / "numberdesk" / "catalogue" / "data"
COLUMNS = {
    "countries.csv": ["code", "iso", "name", "calling_code", "iso_default"],
    "services.csv": ["code", "name", "category"],
    "blocked_categories.csv": ["category", "reason"],
}
CATEGORIES = {
    "ai",
    "any_other",
    "bank",
    "children",
    "cloud",
    "crypto",
    "dating",
    "food",
    "gambling",
    "games",
    "government",
    "mail",
    "media",
    "messenger",
    "other",
    "payment",
    "shopping",
    "social",
    "telecom",
    "transport",
    "travel",
    "work",
}
# Some clients look for these anywhere in an answer, so a name that contains one would read as a refusal.
ERROR_WORD = re.compile(r"[A-Z]{2,}_[A-Z]|BANNED|FORBIDDEN|CANCEL")

Row = dict[str, str]


def table(name: str) -> list[Row]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture
def countries() -> list[Row]:
    return table("countries.csv")


@pytest.fixture
def services() -> list[Row]:
    return table("services.csv")


@pytest.fixture
def blocked() -> list[Row]:
    return table("blocked_categories.csv")


def repeated(values: list[str]) -> list[str]:
    return sorted(value for value, times in Counter(values).items() if times > 1)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_file_is_plain_utf8_with_its_columns_and_no_empty_or_padded_cell(name: str) -> None:
    raw = (DATA / name).read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert not raw.endswith(b"\n\n")
    lines = list(csv.reader(raw.decode("utf-8").splitlines(), strict=True))
    assert lines[0] == COLUMNS[name]
    assert [line for line in lines if len(line) != len(COLUMNS[name])] == []
    assert [line for line in lines for cell in line if cell.strip() != cell or not cell] == []


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_file_names_no_address(name: str) -> None:
    text = (DATA / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "www." not in text


def test_no_code_stands_twice(countries: list[Row], services: list[Row], blocked: list[Row]) -> None:
    assert repeated([row["code"] for row in countries]) == []
    assert repeated([row["code"] for row in services]) == []
    assert repeated([row["category"] for row in blocked]) == []


def test_no_name_belongs_to_two_codes(countries: list[Row], services: list[Row]) -> None:
    assert repeated([row["name"].casefold() for row in countries]) == []
    assert repeated([row["name"].casefold() for row in services]) == []


def test_no_name_can_be_taken_for_a_part_of_the_protocol(countries: list[Row], services: list[Row]) -> None:
    names = [row["name"] for row in countries + services]
    assert [name for name in names if ":" in name or ERROR_WORD.search(name) or not name.isprintable()] == []
    assert ERROR_WORD.search("NO_NUMBERS")
    assert ERROR_WORD.search("EARLY_CANCEL_DENIED")


def test_countries_are_sorted_by_number_and_services_by_text(
    countries: list[Row], services: list[Row], blocked: list[Row]
) -> None:
    numbers = [int(row["code"]) for row in countries]
    assert numbers == sorted(numbers)
    assert [row["code"] for row in countries] == [str(number) for number in numbers]
    codes = [row["code"] for row in services]
    assert codes == sorted(codes)
    categories = [row["category"] for row in blocked]
    assert categories == sorted(categories)


def test_a_country_has_an_iso_and_a_calling_code_of_the_right_form(countries: list[Row]) -> None:
    assert [row for row in countries if not re.fullmatch(r"[A-Z]{2}", row["iso"])] == []
    assert [row for row in countries if not re.fullmatch(r"[1-9][0-9]{0,3}", row["calling_code"])] == []


def test_an_iso_code_leads_to_exactly_one_country(countries: list[Row]) -> None:
    assert {row["iso_default"] for row in countries} == {"0", "1"}
    defaults = [row["iso"] for row in countries if row["iso_default"] == "1"]
    assert repeated(defaults) == []
    assert set(defaults) == {row["iso"] for row in countries}
    assert repeated([row["iso"] for row in countries]) == ["US"]


def test_rows_of_one_iso_code_share_the_calling_code(countries: list[Row]) -> None:
    pairs = {(row["iso"], row["calling_code"]) for row in countries}
    assert repeated([iso for iso, _ in pairs]) == []


def test_a_service_code_is_what_the_protocol_can_carry(services: list[Row]) -> None:
    assert [row for row in services if not re.fullmatch(r"[a-z0-9]{2,4}", row["code"])] == []


def test_every_category_is_known_and_none_is_without_a_service(services: list[Row]) -> None:
    assert {row["category"] for row in services} == CATEGORIES


def test_every_blocked_category_has_services_and_a_reason(services: list[Row], blocked: list[Row]) -> None:
    assert {row["category"] for row in blocked} <= {row["category"] for row in services}
    assert [row for row in blocked if not re.fullmatch(r"[A-Z].{30,}\.", row["reason"])] == []


def test_what_could_do_most_harm_is_blocked_by_default(blocked: list[Row]) -> None:
    assert {row["category"] for row in blocked} == {
        "any_other",
        "bank",
        "children",
        "crypto",
        "gambling",
        "government",
        "payment",
        "telecom",
    }


def test_any_other_is_a_category_of_its_own(services: list[Row]) -> None:
    assert [row["code"] for row in services if row["category"] == "any_other"] == ["ot"]


@pytest.mark.parametrize(
    "code",
    ["ot", "ts", "ge", "asp", "fo", "hw", "re", "aon", "abn", "agp", "ij", "us", "afe", "zl", "gf", "ve", "pc", "aiw"],
)
def test_a_service_that_needs_blocking_is_in_a_blocked_category(
    code: str, services: list[Row], blocked: list[Row]
) -> None:
    category = next(row["category"] for row in services if row["code"] == code)
    assert category in {row["category"] for row in blocked}


@pytest.mark.parametrize("code", ["tg", "wa", "go", "ig", "fb", "ds", "am", "jx", "dy", "xt", "nl", "ly", "oi", "dr"])
def test_a_service_of_daily_use_is_not_blocked(code: str, services: list[Row], blocked: list[Row]) -> None:
    category = next(row["category"] for row in services if row["code"] == code)
    assert category not in {row["category"] for row in blocked}


def test_the_tables_are_as_large_as_a_customer_expects(countries: list[Row], services: list[Row]) -> None:
    assert len({row["iso"] for row in countries}) >= 185
    assert len(services) >= 150


@pytest.mark.parametrize(
    ("code", "iso", "calling_code", "iso_default"),
    [
        ("0", "RU", "7", "1"),
        ("1", "UA", "380", "1"),
        ("2", "KZ", "7", "1"),
        ("6", "ID", "62", "1"),
        ("12", "US", "1", "0"),
        ("14", "HK", "852", "1"),
        ("16", "GB", "44", "1"),
        ("18", "CD", "243", "1"),
        ("22", "IN", "91", "1"),
        ("36", "CA", "1", "1"),
        ("73", "BR", "55", "1"),
        ("79", "PG", "675", "1"),
        ("95", "AE", "971", "1"),
        ("150", "CG", "242", "1"),
        ("158", "BT", "975", "1"),
        ("187", "US", "1", "1"),
        ("196", "SG", "65", "1"),
        ("203", "XK", "383", "1"),
    ],
)
def test_a_country_number_means_what_the_protocol_says(
    code: str, iso: str, calling_code: str, iso_default: str, countries: list[Row]
) -> None:
    row = next(row for row in countries if row["code"] == code)
    assert (row["iso"], row["calling_code"], row["iso_default"]) == (iso, calling_code, iso_default)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("tg", "Telegram"),
        ("wa", "WhatsApp"),
        ("go", "Google"),
        ("ig", "Instagram"),
        ("fb", "Facebook"),
        ("vi", "Viber"),
        ("ds", "Discord"),
        ("tw", "Twitter"),
        ("am", "Amazon"),
        ("mm", "Microsoft"),
        ("nf", "Netflix"),
        ("ub", "Uber"),
        ("ot", "Any other"),
        ("lf", "TikTok"),
        ("oi", "Tinder"),
        ("ts", "PayPal"),
        ("re", "Coinbase"),
        ("aon", "Binance"),
        ("jg", "Grab"),
        ("ge", "Paytm"),
        ("asp", "PhonePe"),
        ("jx", "Swiggy"),
        ("dy", "Zomato"),
        ("xt", "Flipkart"),
        ("aay", "JioMart"),
        ("ly", "Ola Cabs"),
        ("nl", "Myntra"),
        ("aqj", "BigBasket"),
        ("ln", "Blinkit (Grofers)"),
        ("adi", "Zepto"),
    ],
)
def test_a_service_code_means_what_the_protocol_says(code: str, name: str, services: list[Row]) -> None:
    assert next(row["name"] for row in services if row["code"] == code) == name


def test_the_readme_counts_the_rows_as_they_are() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for name in COLUMNS:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert line.rstrip(" |").rsplit("|", 1)[-1].strip() == str(len(table(name)))
