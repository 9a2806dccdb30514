"""The list of a 5sim provider's words that comes with the program: each means one code of ours, and none means two."""

import csv
import re
from collections import Counter
from pathlib import Path

import numberdesk.catalogue
from numberdesk.providers.simulator.five_sim import PLACES, PRODUCTS

DATA = Path(numberdesk.catalogue.__file__).parent / "data"


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


WORDS = table("words_five_sim.csv")


def pairs(kind: str) -> dict[str, str]:
    return {row["word"]: row["code"] for row in WORDS if row["kind"] == kind}


def test_every_row_has_a_kind_a_word_and_a_code() -> None:
    assert {row["kind"] for row in WORDS} == {"country", "service"}
    assert [row for row in WORDS if list(row) != ["kind", "word", "code"]] == []
    assert [row for row in WORDS if not re.fullmatch(r"[a-z0-9]{2,30}", row["word"])] == []
    raw = (DATA / "words_five_sim.csv").read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")


def test_rows_are_sorted_by_kind_and_word() -> None:
    keys = [(row["kind"], row["word"]) for row in WORDS]
    assert keys == sorted(keys)


def test_no_word_and_no_code_stands_twice_in_a_kind() -> None:
    for name in ("word", "code"):
        counted = Counter((row["kind"], row[name]) for row in WORDS)
        assert [key for key, times in counted.items() if times > 1] == []


def test_every_code_is_one_of_ours() -> None:
    countries = {row["code"] for row in table("countries.csv")}
    services = {row["code"] for row in table("services.csv")}
    assert set(pairs("country").values()) <= countries
    assert set(pairs("service").values()) <= services
    assert len(pairs("country")) >= 180
    assert len(pairs("service")) >= 300


def test_words_that_are_easily_taken_for_another_mean_the_right_country() -> None:
    found = pairs("country")
    expected = {
        "england": "16",
        "usa": "187",
        "dominica": "126",
        "dominicana": "109",
        "guinea": "68",
        "guineabissau": "130",
        "equatorialguinea": "167",
        "papuanewguinea": "79",
        "niger": "139",
        "nigeria": "19",
        "salvador": "101",
        "samoa": "198",
        "tit": "104",
        "bih": "108",
        "bhutane": "158",
        "swaziland": "106",
        "macau": "20",
        "georgia": "128",
        "ireland": "23",
        "iran": "57",
    }
    assert {word: found[word] for word in expected} == expected
    # One copy takes it for the Democratic Republic, another for the Republic: its two letters have to decide.
    assert "congo" not in found


def test_words_that_are_no_name_mean_the_right_service() -> None:
    found = pairs("service")
    expected = {
        "telegram": "tg",
        "vkontakte": "vk",
        "odnoklassniki": "ok",
        "other": "ot",
        "grabtaxi": "jg",
        "alipay": "hw",
        "pof": "pf",
        "jd": "za",
        "163som": "wp",
        "indriver": "rl",
    }
    assert {word: found[word] for word in expected} == expected


def test_the_simulator_speaks_words_of_the_list() -> None:
    assert {word: code for code, word in PRODUCTS.items()}.items() <= pairs("service").items()
    assert {word: str(number) for number, (word, _) in PLACES.items()}.items() <= pairs("country").items()
