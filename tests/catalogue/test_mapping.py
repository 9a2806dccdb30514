"""What a provider's words mean: whose word counts, what is unique, and which of several words has a code."""

from collections.abc import Sequence

import pytest

from numberdesk.catalogue.model import Country, CountryCode, Service, ServiceCode
from numberdesk.catalogue.service._mapping import Ours, Theirs, listed_words, our_countries, our_services, resolve
from numberdesk.providers.model import Kind, ProviderId, UpstreamName, WordKind, WordSource
from numberdesk.providers.service import Word

HERE = ProviderId(7)
SERVICES = our_services(
    Service(ServiceCode(code), name, "messenger", is_on=True)
    for code, name in (("tg", "Telegram"), ("wa", "WhatsApp"), ("x1", "Twin"), ("x2", "TWIN!"), ("go", "Google"))
)
COUNTRIES = our_countries(
    Country(CountryCode(code), iso, name, "1", iso_default=is_default, is_on=True)
    for code, iso, name, is_default in (
        (22, "IN", "India", True),
        (187, "US", "USA", True),
        (12, "US", "USA (virtual)", False),
        (16, "GB", "United Kingdom", True),
    )
)


def word(text: str, code: str, source: WordSource, kind: WordKind = "service") -> Word:
    return Word(HERE, kind, text, code, source)


def meant(
    ours: Ours,
    stock: dict[str, int],
    names: Sequence[UpstreamName] = (),
    *,
    listed: dict[str, str] | None = None,
    stored: Sequence[Word] = (),
) -> dict[str, tuple[str, str]]:
    found = resolve(HERE, ours, Theirs(stock, names), listed=listed or {}, stored=stored)
    assert len({item.code for item in found.words}) == len(found.words)
    assert {item.word for item in found.gone} == {item.word for item in stored} - {item.word for item in found.words}
    return {item.word: (item.code, item.source) for item in found.words}


def test_staff_count_more_than_our_list_the_list_more_than_letters_and_letters_more_than_names() -> None:
    names = [UpstreamName("w", "United Kingdom", "US")]
    steps: list[tuple[dict[str, str], list[Word], list[UpstreamName], tuple[str, str]]] = [
        ({"w": "22"}, [word("w", "12", "staff", "country")], names, ("12", "staff")),
        ({"w": "22"}, [], names, ("22", "list")),
        ({}, [], names, ("187", "iso")),
        ({}, [], [UpstreamName("w", "united-KINGDOM")], ("16", "name")),
    ]
    for listed, stored, told, expected in steps:
        assert meant(COUNTRIES, {"w": 5}, told, listed=listed, stored=stored) == {"w": expected}
    assert meant(COUNTRIES, {"w": 5}) == {}


@pytest.mark.parametrize("letters", ["us", "US"])
def test_two_letters_mean_the_default_country_of_them(letters: str) -> None:
    assert meant(COUNTRIES, {"usa": 1}, [UpstreamName("usa", "?", letters)]) == {"usa": ("187", "iso")}


def test_letters_of_no_country_of_ours_mean_nothing() -> None:
    assert meant(COUNTRIES, {"a": 1, "b": 1}, [UpstreamName("a", "?", "ZZ"), UpstreamName("b", "?", "")]) == {}


def test_names_are_compared_by_letters_and_digits_only() -> None:
    names = [UpstreamName("12", "What's-App"), UpstreamName("13", " tele gram "), UpstreamName("14", "Telegramm")]
    found = meant(SERVICES, {"12": 1, "13": 1, "14": 1}, names)
    assert found == {"12": ("wa", "name"), "13": ("tg", "name")}


def test_a_name_that_two_have_on_either_side_means_nothing() -> None:
    ours_twice = [UpstreamName("5", "twin")]
    theirs_twice = [UpstreamName("6", "Telegram"), UpstreamName("7", "TELEGRAM")]
    signs_only = [UpstreamName("8", "---"), UpstreamName("9", "")]
    stock = dict.fromkeys("56789", 1)
    assert meant(SERVICES, stock, [*ours_twice, *theirs_twice, *signs_only]) == {}


def test_a_code_of_our_list_that_we_no_longer_have_means_nothing() -> None:
    assert meant(SERVICES, {"a": 1}, listed={"a": "nothing"}) == {}
    named = [UpstreamName("a", "Telegram")]
    assert meant(SERVICES, {"a": 1}, named, listed={"a": "nothing"}) == {"a": ("tg", "name")}


def test_of_several_words_for_one_code_the_better_reason_counts_and_then_the_stock() -> None:
    listed = {"a": "22", "b": "22"}
    names = [UpstreamName("c", "?", "IN"), UpstreamName("d", "India")]
    assert meant(COUNTRIES, {"a": 1, "b": 9, "c": 50, "d": 70}, names, listed=listed) == {"b": ("22", "list")}
    assert meant(COUNTRIES, {"a": 9, "b": 1, "c": 50, "d": 70}, names, listed=listed) == {"a": ("22", "list")}
    assert meant(COUNTRIES, {"c": 1, "d": 70}, names, listed=listed) == {"c": ("22", "iso")}
    assert meant(COUNTRIES, {"a": 4, "b": 4}, listed=listed) == {"a": ("22", "list")}


def test_a_word_that_has_a_code_keeps_it_while_it_has_stock() -> None:
    listed, stored = {"a": "tg", "b": "tg"}, [word("a", "tg", "list")]
    assert meant(SERVICES, {"a": 1, "b": 99}, listed=listed, stored=stored) == {"a": ("tg", "list")}
    assert meant(SERVICES, {"a": 0, "b": 99}, listed=listed, stored=stored) == {"b": ("tg", "list")}


def test_no_word_takes_a_code_from_one_of_staff_and_none_is_given_to_it_besides() -> None:
    stored = [word("odd", "tg", "staff"), word("telegram", "tg", "name")]
    names = [UpstreamName("telegram", "Telegram")]
    for stock in ({"odd": 1, "telegram": 99}, {"telegram": 99}):
        found = resolve(HERE, SERVICES, Theirs(stock, names), listed={"telegram": "tg"}, stored=stored)
        assert (found.words, found.gone) == ((stored[0],), (stored[1],))


def test_what_names_and_letters_said_is_kept_while_none_are_told() -> None:
    stored = [word("in", "22", "iso", "country"), word("us", "187", "name", "country")]
    stock = {"in": 1, "us": 1}
    assert meant(COUNTRIES, stock, stored=stored) == {"in": ("22", "iso"), "us": ("187", "name")}
    told = [UpstreamName("in", "?", "GB"), UpstreamName("us", "Elsewhere")]
    assert meant(COUNTRIES, stock, told, stored=stored) == {"in": ("16", "iso")}


def test_a_word_that_is_not_listed_now_keeps_its_code_unless_another_needs_it() -> None:
    stored = [word("old", "tg", "name"), word("older", "wa", "list"), word("wrong", "go", "list")]
    listed = {"older": "wa"}
    assert meant(SERVICES, {}, listed=listed, stored=stored) == {"old": ("tg", "name"), "older": ("wa", "list")}
    assert meant(SERVICES, {"new": 1}, [UpstreamName("new", "Telegram")], listed=listed, stored=stored) == {
        "new": ("tg", "name"),
        "older": ("wa", "list"),
    }


def test_two_words_may_change_places() -> None:
    stored = [word("a", "tg", "name"), word("b", "wa", "name")]
    names = [UpstreamName("a", "WhatsApp"), UpstreamName("b", "Telegram")]
    assert meant(SERVICES, {"a": 1, "b": 1}, names, stored=stored) == {"a": ("wa", "name"), "b": ("tg", "name")}


@pytest.mark.parametrize(("kind", "services", "countries"), [("five-sim", 300, 180), ("sms-pool", 250, 0)])
def test_a_kind_with_a_list_has_it_and_others_have_none(kind: Kind, services: int, countries: int) -> None:
    found = listed_words(kind)
    assert len(found["service"]) >= services
    assert len(found["country"]) >= countries
    assert listed_words("sms-activate") == {"service": {}, "country": {}}
