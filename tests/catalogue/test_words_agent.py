"""The list of agents' words that comes with the program: countries by name, services by our own codes."""

import csv
import re
from collections import Counter
from pathlib import Path

import numberdesk.catalogue
from numberdesk.providers.simulator.agent import COUNTRY_WORDS

DATA = Path(numberdesk.catalogue.__file__).parent / "data"


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


WORDS = table("words_agent.csv")
COUNTRIES = {row["word"]: row["code"] for row in WORDS if row["kind"] == "country"}
SERVICES = {row["word"]: row["code"] for row in WORDS if row["kind"] == "service"}


def test_rows_are_sorted_and_say_one_thing_each() -> None:
    keys = [(row["kind"], row["word"]) for row in WORDS]
    assert keys == sorted(set(keys))
    assert len(COUNTRIES) + len(SERVICES) == len(WORDS)
    for name in ("word", "code"):
        assert [key for key, times in Counter((row["kind"], row[name]) for row in WORDS).items() if times > 1] == []


def test_services_are_our_own_codes() -> None:
    assert {row["code"]: row["code"] for row in table("services.csv")} == SERVICES


def test_every_country_has_a_word_in_small_letters() -> None:
    assert set(COUNTRIES.values()) == {row["code"] for row in table("countries.csv")}
    assert [word for word in COUNTRIES if not re.fullmatch("[a-z]+", word)] == []
    expected = {
        "russia": "0", "india": "22", "england": "16", "usa": "12", "usaphysical": "187", "hongkong": "14",
        "guineabissau": "130", "uae": "95",
    }  # fmt: skip
    assert {word: COUNTRIES[word] for word in expected} == expected


def test_the_simulator_speaks_words_of_the_list() -> None:
    assert {word: str(number) for number, word in COUNTRY_WORDS.items()}.items() <= COUNTRIES.items()
