"""From what a provider lists to what differs from our rows. Pure; the parts are small enough to be taken in steps."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from numberdesk.base.money import AMOUNT_MAX, Paise
from numberdesk.catalogue.model import CountryCode, Offer, OfferId, ServiceCode
from numberdesk.catalogue.sql import Change
from numberdesk.providers.model import UpstreamOffer, Words

STOCK_MAX: Final = 2**31 - 1
"""The end of the column; a larger count means "plenty" just as well."""
WORD_MAX: Final = 64


class Key(NamedTuple):
    """What no provider has two offers of."""

    service: ServiceCode
    country: CountryCode
    operator: str


class Asked(NamedTuple):
    """What is asked for an offer, and how many there are."""

    cost_paise: Paise
    stock: int


def is_usable(offer: UpstreamOffer) -> bool:
    """Tell whether an offer can be meant as it is listed."""
    return (
        0 < offer.cost_paise <= AMOUNT_MAX
        and offer.stock >= 0
        and all(
            0 < len(word) <= WORD_MAX and word.isprintable() for word in (offer.service, offer.country, offer.operator)
        )
    )


@dataclass
class Translated:
    """A provider's offers in our codes, and the words that have none. Offers are added a few at a time."""

    words: Words
    services: Collection[str]
    countries: Collection[int]
    offers: dict[Key, Asked] = field(default_factory=dict)
    unmapped_services: set[str] = field(default_factory=set)
    unmapped_countries: set[str] = field(default_factory=set)
    _service_codes: dict[str, ServiceCode | None] = field(default_factory=dict)
    _country_codes: dict[str, CountryCode | None] = field(default_factory=dict)

    def add(self, offers: Iterable[UpstreamOffer]) -> None:
        """Translate offers, all of them usable; of two alike the cheaper one with stock counts."""
        for offer in offers:
            service, country = self._service(offer.service), self._country(offer.country)
            if service is None or country is None:
                continue
            key, asked = Key(service, country, offer.operator), Asked(offer.cost_paise, min(offer.stock, STOCK_MAX))
            other = self.offers.get(key)
            if other is None or (asked.stock == 0, asked.cost_paise) < (other.stock == 0, other.cost_paise):
                self.offers[key] = asked

    def _service(self, word: str) -> ServiceCode | None:
        if word not in self._service_codes:
            code = self.words.service(word)
            # What would be bought under another word must not be sold by the price of this one.
            is_ours = code is not None and code in self.services and self.words.service_word(code) == word
            self._service_codes[word] = ServiceCode(code) if code is not None and is_ours else None
        if self._service_codes[word] is None:
            self.unmapped_services.add(word)
        return self._service_codes[word]

    def _country(self, word: str) -> CountryCode | None:
        if word not in self._country_codes:
            code = self.words.country(word)
            is_ours = code is not None and code in self.countries and self.words.country_word(code) == word
            self._country_codes[word] = CountryCode(code) if code is not None and is_ours else None
        if self._country_codes[word] is None:
            self.unmapped_countries.add(word)
        return self._country_codes[word]


@dataclass
class Difference:
    """What must be written so that our offers of a provider are those it lists."""

    listed: Mapping[Key, Asked]
    in_stock: int = 0
    """Offers with stock that we had."""
    known: set[Key] = field(default_factory=set)
    changed: list[Change] = field(default_factory=list)
    gone: list[OfferId] = field(default_factory=list)

    def add(self, offers: Iterable[Offer]) -> None:
        """Compare some of our offers, each once."""
        for offer in offers:
            key = Key(offer.service, offer.country, offer.operator)
            asked = self.listed.get(key)
            self.known.add(key)
            self.in_stock += offer.stock > 0
            if asked is None:
                if offer.stock > 0:
                    self.gone.append(offer.id)
            elif asked != (offer.cost_paise, offer.stock):
                self.changed.append(Change(offer.id, *asked))

    def added(self) -> list[Key]:
        """Return what we have no row of, once all our offers were compared."""
        return [key for key in self.listed if key not in self.known]

    def listed_in_stock(self) -> int:
        """Return how many offers with stock are listed."""
        return sum(asked.stock > 0 for asked in self.listed.values())


def digest(keys: Iterable[Key]) -> str:
    """Return what two lists of the same offers have in common, whatever they ask for them."""
    told = sorted(f"{key.service}\t{key.country}\t{key.operator}" for key in keys)
    return sha256("\n".join(told).encode()).hexdigest()[:32]
