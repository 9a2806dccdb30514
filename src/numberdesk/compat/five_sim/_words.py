"""What 5sim's clients call our services and countries: its own words where it has one, else our name as one word."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, ServiceCode
from numberdesk.catalogue.service import Contents


@dataclass(frozen=True)
class Names:
    """Words both ways, of one state of the catalogue."""

    contents: Contents
    products: Mapping[ServiceCode, str]
    places: Mapping[CountryCode, str]
    services: Mapping[str, str]
    countries: Mapping[str, str]

    def service(self, word: str) -> str:
        """Return our code of a product; a word that is none stays as it is, since it may be a code of ours."""
        return self.services.get(word.casefold(), word)

    def country(self, word: str) -> str:
        """Return our number of a country as text; our numbers and two letters stay as they are."""
        return self.countries.get(word.casefold(), word)


def names_of(contents: Contents) -> Names:
    """Work out the words for a state of the catalogue."""
    listed = catalogue.listed_words("five-sim")
    services = _words(listed["service"], ((str(item.code), item.name) for item in contents.services.values()))
    countries = _words(listed["country"], ((str(item.code), item.name) for item in contents.countries.values()))
    return Names(
        contents,
        {ServiceCode(code): word for code, word in services.items()},
        {CountryCode(int(code)): word for code, word in countries.items()},
        {word: code for word, code in listed["service"].items() if code in services}
        | {word: code for code, word in services.items()},
        {word: code for word, code in listed["country"].items() if code in countries}
        | {word: code for code, word in countries.items()},
    )


def _words(listed: Mapping[str, str], ours: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one word for each of our codes, no word twice."""
    first: dict[str, str] = {}
    for word, code in listed.items():
        first.setdefault(code, word)
    found: dict[str, str] = {}
    taken = set(listed)
    for code, name in ours:
        if code in first:
            found[code] = first[code]
            continue
        word = catalogue.name_key(name)
        if not word.isascii() or word in taken or not word:
            word = code
        taken.add(word)
        found[code] = word
    return found
