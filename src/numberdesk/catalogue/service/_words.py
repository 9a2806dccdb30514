"""Words of providers by hand: what staff say they mean, and what nobody knows yet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.catalogue import sql
from numberdesk.catalogue.model import UnmappedWord
from numberdesk.catalogue.service._listing import WORD_MAX
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId, WordKind
from numberdesk.providers.service import Word


@dataclass(frozen=True, slots=True)
class WordList:
    """What is known of a provider's words, and the words that it sells by and nobody knows."""

    known: list[Word]
    unmapped: list[UnmappedWord]


async def map_words(
    tx: Tx, *, provider_id: ProviderId, services: Mapping[str, str], countries: Mapping[str, str]
) -> list[Word]:
    """Write what staff say that words mean; it counts more than any list, and the next sync sells by it.

    Args:
        services: our code by the provider's word.
        countries: our number, or two letters, by the provider's word.

    Raises:
        InvalidFields: a word cannot be one, a code is none of ours, or two words would mean the same.
        NotFound: there is no such provider.
    """
    if not await sql.lock_provider(tx, provider_id):
        raise NotFound("provider")
    numbers = {name: await sql.find_country(tx, name) for name in set(countries.values())}
    codes = set(await sql.list_service_codes(tx))
    meant = {
        "service": {word: code if code in codes else None for word, code in services.items()},
        "country": {
            word: None if (found := numbers[name]) is None else str(found.code) for word, name in countries.items()
        },
    }
    problems = {
        kind: problem
        for kind, given in (("service", services), ("country", countries))
        if (problem := _problem(given, meant[kind]))
    }
    if problems:
        raise InvalidFields(problems)
    kinds: tuple[WordKind, ...] = ("service", "country")
    words = [
        Word(provider_id, kind, word, code, "staff")
        for kind in kinds
        for word, code in meant[kind].items()
        if code is not None
    ]
    await providers.set_words(tx, words, provider_id=provider_id)
    for kind in kinds:
        await sql.delete_unmapped(tx, provider_id, kind, list(meant[kind]))
    return words


async def list_words(db: Database, provider_id: ProviderId) -> WordList:
    """Return what is known of a provider's words and what is not."""
    async with db.transaction() as tx:
        return WordList(
            await providers.list_words(tx, provider_id=provider_id), await sql.list_unmapped_words(tx, provider_id)
        )


def _problem(given: Mapping[str, str], meant: Mapping[str, str | None]) -> str:
    """Return what is wrong with the words of one kind; empty if nothing is."""
    for word, code in given.items():
        if not (0 < len(word) <= WORD_MAX and word.isprintable()):
            return f"must have a word of 1 to {WORD_MAX} printable characters before the sign ="
        if meant[word] is None:
            return f"'{code[:WORD_MAX]}' is none of our codes (for the word '{word}')"
    return "must not give one code to two words" if _has_twice(list(meant.values())) else ""


def _has_twice(codes: Collection[str | None]) -> bool:
    return len(set(codes)) < len(codes)
