"""What a provider's words mean: worked out from staff's own words, our lists, two letters and names. No SQL here."""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from numberdesk.catalogue.model import Country, Service
from numberdesk.catalogue.service._listing import WORD_MAX
from numberdesk.providers.model import Kind, ProviderId, UpstreamName, WordKind, WordSource
from numberdesk.providers.service import Word

RANKS: Final[Mapping[WordSource, int]] = {"staff": 0, "list": 1, "iso": 2, "name": 3}
"""Whose meaning counts, the first one most."""


class Claim(NamedTuple):
    """A meaning that a word may have, and who says so."""

    code: str
    source: WordSource


@dataclass(frozen=True, slots=True)
class Ours:
    """What is known on our side of one kind of words: codes, a code for two letters, and names that only one has."""

    kind: WordKind
    codes: frozenset[str]
    by_iso: Mapping[str, str]
    by_name: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Theirs:
    """What a provider lists of one kind of words: the stock behind each word, and what it says of its words."""

    stock: Mapping[str, int]
    names: Sequence[UpstreamName]


@dataclass(frozen=True, slots=True)
class Meaning:
    """Every word of one kind that has a meaning now, and the stored ones that have lost theirs."""

    words: tuple[Word, ...]
    gone: tuple[Word, ...]


def our_services(services: Iterable[Service]) -> Ours:
    """Return our side of the words for services."""
    found = list(services)
    codes = frozenset(str(item.code) for item in found)
    return Ours("service", codes, {}, _unique((item.name, str(item.code)) for item in found))


def our_countries(countries: Iterable[Country]) -> Ours:
    """Return our side of the words for countries; of two with the same letters, the default one is meant by them."""
    found = list(countries)
    return Ours(
        "country",
        frozenset(str(item.code) for item in found),
        {item.iso: str(item.code) for item in found if item.iso_default},
        _unique((item.name, str(item.code)) for item in found),
    )


@cache
def listed_words(kind: Kind) -> Mapping[WordKind, Mapping[str, str]]:
    """Return the list that comes with the program for a kind of providers; empty when there is none."""
    found: dict[WordKind, dict[str, str]] = {"service": {}, "country": {}}
    file = resources.files("numberdesk.catalogue").joinpath("data", f"words_{kind.replace('-', '_')}.csv")
    if file.is_file():
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
            found["service" if row["kind"] == "service" else "country"][row["word"]] = row["code"]
    return found


def resolve(
    provider_id: ProviderId,
    ours: Ours,
    theirs: Theirs,
    *,
    listed: Mapping[str, str],
    stored: Sequence[Word],
) -> Meaning:
    """Find out what each of the provider's words means.

    A word means what staff say, else what our list says, else the country of the two letters that the provider tells,
    else what has the same name when nothing else has it on either side. What letters and names said before is kept
    when the provider tells none just now: they cannot always be read. One code has one word: of several the one
    with the better reason, then the one that had it and still has stock, then the one with more stock.

    Args:
        stored: what is known of this kind of words so far.
    """
    known = {word.word: word for word in stored}
    staff = {word.word: word for word in stored if word.source == "staff"}
    taken = {word.code for word in staff.values()}
    told = _told(ours, theirs)
    named: Mapping[WordSource, Collection[str]] = {
        "iso": {item.word for item in theirs.names if item.iso},
        "name": {item.word for item in theirs.names if item.name},
    }
    claims = {
        word: claim
        for word in theirs.stock
        if word not in staff
        and 0 < len(word) <= WORD_MAX
        and (claim := _claim(word, ours, listed, told.get(word), _still(known.get(word), named))) is not None
        and claim.code not in taken
    }

    def place(word: str) -> tuple[int, bool, int, str]:
        former, stock = known.get(word), theirs.stock[word]
        keeps = former is not None and former.code == claims[word].code and stock > 0
        return RANKS[claims[word].source], not keeps, -stock, word

    words: dict[str, Word] = {}
    for word in sorted(claims, key=place):
        code, source = claims[word]
        words.setdefault(code, Word(provider_id, ours.kind, word, code, source))
    # What is not listed just now may still be the word of an open order.
    kept = [
        word
        for word in stored
        if word.word not in theirs.stock
        and word.source != "staff"
        and word.code not in taken
        and word.code not in words
        and (listed.get(word.word) == word.code if word.source == "list" else word.code in ours.codes)
    ]
    meant = (*staff.values(), *words.values(), *kept)
    names = {word.word for word in meant}
    return Meaning(meant, tuple(word for word in stored if word.word not in names))


def _claim(word: str, ours: Ours, listed: Mapping[str, str], told: Claim | None, former: Claim | None) -> Claim | None:
    """Return the best reason for a meaning."""
    code = listed.get(word)
    reasons = [None if code is None else Claim(code, "list"), told, former]
    found = [claim for claim in reasons if claim is not None and claim.code in ours.codes]
    return min(found, key=lambda claim: RANKS[claim.source], default=None)


def _still(former: Word | None, told: Mapping[WordSource, Collection[str]]) -> Claim | None:
    """Return what was found out before, unless the provider now tells what it was found out from."""
    if former is None or former.word in told.get(former.source, (former.word,)):
        return None
    return Claim(former.code, former.source)


def _told(ours: Ours, theirs: Theirs) -> dict[str, Claim]:
    """Return what the letters and names that the provider tells say of its words."""
    words_by_name = _unique((item.name, item.word) for item in theirs.names)
    found = {
        word: Claim(ours.by_name[key], "name") for key, word in words_by_name.items() if key in ours.by_name
    }  # fmt: skip
    return found | {
        item.word: Claim(ours.by_iso[item.iso.upper()], "iso")
        for item in theirs.names
        if item.iso.upper() in ours.by_iso
    }


def name_key(name: str) -> str:
    """Return what two spellings of a name have in common: letters and digits, whatever their case."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _unique(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what each name stands for; a name that stands for two things stands for nothing."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, meaning in named:
        if key := name_key(name):
            found[key].add(meaning)
    return {key: next(iter(meanings)) for key, meanings in found.items() if len(meanings) == 1}
