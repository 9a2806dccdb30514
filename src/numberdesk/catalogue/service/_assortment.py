"""What one account may buy at one moment: prices and stock by service and country, for lists in any form.

It holds nothing that changes, so it may be read in a thread while purchases go on.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from numberdesk.base.money import Paise
from numberdesk.base.rendered import Rendered
from numberdesk.catalogue.model import CountryCode, OfferId, PricedOffer, ServiceCode
from numberdesk.catalogue.service._offers import available, country_on_sale, priced_offers, service_on_sale
from numberdesk.catalogue.service._shelf import Contents, DeliveriesByService, Shelf
from numberdesk.providers.model import ANY_OPERATOR, ProviderId
from numberdesk.wallet.model import is_sandbox


@dataclass(frozen=True, slots=True)
class Assortment:
    """What an account sees. Two that are equal show the same."""

    contents: Contents
    payer: int | None
    phantoms: frozenset[OfferId]

    def service(self, code: str) -> ServiceCode:
        """Return the code of a service that is sold.

        Raises:
            UnknownService, ServiceBlocked, ServiceOff: by the word given.
        """
        return service_on_sale(self.contents, code).code

    def country(self, name: str | int) -> CountryCode:
        """Return the number of a country that is sold, by its number or two letters.

        Raises:
            UnknownCountry, CountryOff: by the word given.
        """
        return country_on_sale(self.contents, name).code

    def stocks(self, *, service: ServiceCode | None = None, country: CountryCode | None = None) -> Iterator["Stock"]:
        """Walk over what somebody offers, by country and service; what is sold out is among it."""
        return self._walk(self._pairs(service, country))

    def stocks_of_operators(self, words: Collection[str], *, country: CountryCode | None = None) -> Iterator["Stock"]:
        """Walk over what some operators, by their names in small letters, are among the operators of."""
        pairs = {pair for word in words for pair in self.contents.pairs_of_operators.get(word, ())}
        return self._walk(sorted(pair for pair in pairs if country is None or pair[0] == country))

    def everybodys(self) -> "Assortment":
        """Return the same at the prices of those who have none of their own."""
        return Assortment(self.contents, None, self.phantoms)

    def _walk(self, pairs: Iterable[tuple[CountryCode, ServiceCode]]) -> Iterator["Stock"]:
        for country, service in pairs:
            offers = self._offers(service, country)
            if offers:
                yield Stock(service, country, lowest(offers), available(offers), offers)

    def _pairs(
        self, service: ServiceCode | None, country: CountryCode | None
    ) -> Iterable[tuple[CountryCode, ServiceCode]]:
        if service is not None and country is not None:
            return [(country, service)] if (service, country) in self.contents.offers else []
        if service is not None:
            return [(place, service) for place in self.contents.sold_in.get(service, ())]
        sold_at = self.contents.sold_at
        places = sold_at if country is None else [country]
        return ((place, code) for place in places for code in sold_at.get(place, ()))

    def _offers(self, service: ServiceCode, country: CountryCode) -> Sequence[PricedOffer]:
        offers = priced_offers(self.contents, self.payer, service, country)
        if not self.phantoms or all(offer.offer_id not in self.phantoms for offer in offers):
            return offers
        return [
            msgspec.structs.replace(offer, stock=0) if offer.offer_id in self.phantoms else offer for offer in offers
        ]


class Stock(msgspec.Struct, frozen=True, gc=False):
    """A service in a country: what a number costs now, how many there are, and whose."""

    service: ServiceCode
    country: CountryCode
    price_paise: Paise
    """The lowest in stock, or the lowest of all when nothing is."""
    count: int
    offers: Sequence[PricedOffer]
    """From the cheapest up; without stock where it is not believed."""

    def by_price(self) -> dict[Paise, int]:
        """Return how many there are at each price; they sum to `count`. Nothing in stock is none at the lowest."""
        found: dict[Paise, int] = {}
        for offers in _by_provider(self.offers).values():
            named = sum(offer.stock for offer in offers if offer.operator != ANY_OPERATOR)
            for offer in offers:
                # What is listed for any operator holds the numbers of its operators, too.
                count = max(0, offer.stock - named) if offer.operator == ANY_OPERATOR else offer.stock
                if count:
                    found[offer.price_paise] = found.get(offer.price_paise, 0) + count
        return dict(sorted(found.items())) or {self.price_paise: 0}

    def by_server(self) -> dict[ProviderId, tuple[Paise, int]]:
        """Return what each server that has any asks, and how many it has; of none the cheapest, with nothing."""
        found = {
            provider_id: (lowest(offers), count)
            for provider_id, offers in sorted(_by_provider(self.offers).items())
            if (count := available(offers))
        }
        return found or {self.offers[0].provider_id: (self.price_paise, 0)}

    def of_operators(self, words: Collection[str]) -> int:
        """Return how many there are of these operators, by their names in small letters; `any` is all of them."""
        if ANY_OPERATOR in words:
            return self.count
        return sum(offer.stock for offer in self.offers if offer.operator.casefold() in words)


def assortment(shelf: Shelf, account_id: int | None) -> Assortment:
    """Return what an account sees now; None sees what everybody pays."""
    contents = shelf.contents_of(account_id)
    phantoms: frozenset[OfferId] = frozenset() if is_sandbox(account_id) else shelf.phantoms
    return Assortment(contents, contents.payer(account_id), phantoms)


async def render(shelf: Shelf, account_id: int | None, form: Hashable, make: Callable[[Assortment], bytes]) -> Rendered:
    """Return a body made of what an account sees: once per change and payer, in a thread, then from memory.

    Args:
        form: tells what `make` makes.
        make: takes nothing but what it is given.
    """
    seen = assortment(shelf, account_id)
    name = form, seen.payer, is_sandbox(account_id)
    return await shelf.renderings.get(name, seen, lambda: make(seen))


def deliveries_by_service(shelf: Shelf) -> DeliveriesByService:
    """Return how much was sold and delivered in the last seven days, by service and country.

    It is put in order once for each change of the statistics.
    """
    known = shelf.by_service
    if known is None or known.source is not shelf.deliveries:
        counts: dict[ServiceCode, dict[CountryCode, tuple[int, int]]] = {}
        for (service, country, _, _), delivery in shelf.deliveries.items():
            of_service = counts.setdefault(service, {})
            n, delivered = of_service.get(country, (0, 0))
            of_service[country] = n + delivery.n, delivered + delivery.delivered
        known = shelf.by_service = DeliveriesByService(shelf.deliveries, counts)
    return known


def lowest(offers: Sequence[PricedOffer]) -> Paise:
    """Return the lowest price in stock, or the lowest of all when nothing is."""
    return min((offer.stock == 0, offer.price_paise) for offer in offers)[1]


def _by_provider(offers: Sequence[PricedOffer]) -> Mapping[ProviderId, Sequence[PricedOffer]]:
    found: dict[ProviderId, list[PricedOffer]] = {}
    for offer in offers:
        found.setdefault(offer.provider_id, []).append(offer)
    return found
