"""The numbers of an SMSPool provider's services that come with the program: each means one code of ours."""

import csv
from collections import Counter
from pathlib import Path

import numberdesk.catalogue
from numberdesk.providers.simulator.sms_pool import SERVICE_IDS

DATA = Path(numberdesk.catalogue.__file__).parent / "data"


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


WORDS = table("words_sms_pool.csv")
CODES = {row["word"]: row["code"] for row in WORDS}


def test_every_row_is_the_number_of_a_service_and_they_are_sorted() -> None:
    assert [row for row in WORDS if list(row) != ["kind", "word", "code"] or row["kind"] != "service"] == []
    words = [row["word"] for row in WORDS]
    assert [word for word in words if not word.isdecimal() or word.startswith("0")] == []
    assert words == sorted(words)
    raw = (DATA / "words_sms_pool.csv").read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")


def test_no_number_and_no_code_stands_twice_and_every_code_is_ours() -> None:
    for name in ("word", "code"):
        assert [key for key, times in Counter(row[name] for row in WORDS).items() if times > 1] == []
    assert set(CODES.values()) <= {row["code"] for row in table("services.csv")}
    assert len(CODES) > 250


def test_numbers_whose_names_are_not_ours_mean_the_right_service() -> None:
    expected = {
        "39": "am",
        "35": "hw",
        "33": "ab",
        "395": "go",
        "396": "gf",
        "659": "ok",
        "671": "dr",
        "948": "tw",
        "951": "ub",
        "1072": "mm",
        "817": "ot",
    }
    assert {word: CODES[word] for word in expected} == expected
    # Two companies have this name.
    assert "1020" not in CODES


def test_the_simulator_speaks_numbers_of_the_list() -> None:
    assert {str(number): code for code, number in SERVICE_IDS.items()}.items() <= CODES.items()
