"""HTTP face of the catalogue: what can be bought, and at what price."""

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Struct

from numberdesk.base.compress import AS_IT_IS
from numberdesk.base.money import format_rupees
from numberdesk.base.web import ACCESS, Items, Ok, encode
from numberdesk.catalogue import service
from numberdesk.catalogue.model import CountryCode, Delivery, PricedOffer, ServiceCode
from numberdesk.catalogue.service import Contents, Shelf
from numberdesk.providers import service as providers
from numberdesk.wallet.model import AccountId

PAGE_MAX = 500


class DeliveryView(Struct, rename="camel", frozen=True):
    """How often a number of this offer got its first code: the rate, and between what it lies with 95 % certainty.

    `n` counts numbers of the last `windowHours` that got a code or ended without one, also those that their customer
    gave up.
    """

    rate: float
    low: float
    high: float
    n: int
    window_hours: int


class OfferView(Struct, rename="camel", frozen=True):
    """One offer at the caller's price. `server` is what `get-number` takes to insist on it.

    With `hours` it is a rental: the price is for all of them, whatever comes.
    """

    service: str
    service_name: str
    country: int
    country_name: str
    iso: str
    server: int
    server_name: str
    operator: str
    price: str
    extend_per_minute: str | None
    """Price of one more minute; None when this server's numbers cannot be extended."""
    can_get_next: bool
    """Whether its numbers can receive more than one code."""
    stock: int
    delivery: DeliveryView | None
    """None while fewer than 5 numbers were sold: too few say nothing."""
    median_seconds: int | None
    """Half of the codes came within this; None as `delivery`, or when none came."""
    p90_seconds: int | None
    """Nine of ten codes came within this."""
    hours: int | None
    """For how long the number is rented; None for a number for one code."""


class PricesView(Struct, rename="camel", frozen=True):
    """Every lowest price: country -> service -> [price, stock]."""

    prices: dict[str, dict[str, tuple[str, int]]]


def _view(shelf: Shelf, contents: Contents, offer: PricedOffer) -> OfferView:
    country = contents.countries[CountryCode(offer.country)]
    delivery = shelf.deliveries.get((offer.service, offer.country, offer.provider_id, offer.operator))
    # What is known of how codes come is known of numbers for one code.
    if offer.hours is not None or (delivery is not None and delivery.n < service.SHOWN_MIN):
        delivery = None
    return OfferView(
        service=offer.service,
        service_name=contents.services[ServiceCode(offer.service)].name,
        country=offer.country,
        country_name=country.name,
        iso=country.iso,
        server=offer.server,
        server_name=offer.provider_name,
        operator=offer.operator,
        price=format_rupees(offer.price_paise),
        extend_per_minute=(
            None if offer.extend_paise_per_minute is None else format_rupees(offer.extend_paise_per_minute)
        ),
        can_get_next=(
            offer.hours is not None or providers.capabilities(contents.servers[offer.provider_id]).has_next_code
        ),
        stock=0 if offer.offer_id in shelf.phantoms else offer.stock,
        delivery=None if delivery is None else _delivery_view(delivery),
        median_seconds=None if delivery is None else delivery.median_seconds,
        p90_seconds=None if delivery is None else delivery.p90_seconds,
        hours=offer.hours,
    )


def _delivery_view(delivery: Delivery) -> DeliveryView:
    rate, low, high = service.shown_rates(delivery)
    return DeliveryView(rate=rate, low=low, high=high, n=delivery.n, window_hours=delivery.window_hours)


@get("/services", summary="List offers", opt={ACCESS: "read"})
async def list_offers(
    reader: NamedDependency[AccountId],
    shelf: NamedDependency[Shelf],
    wanted: Annotated[str | None, QueryParameter(name="service", max_length=40)] = None,
    country: Annotated[str | None, QueryParameter(max_length=40)] = None,
    q: Annotated[str | None, QueryParameter(max_length=80)] = None,
    hours: Annotated[
        int | None,
        QueryParameter(
            ge=1, le=service.HOURS_MAX, description="List numbers that are rented for so many hours, not for one code."
        ),
    ] = None,
    cursor: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)] = 100,
) -> Ok[Items[OfferView]]:
    """List what is on sale, by names of service and country, then by price; `q` searches in the names.

    With `hours` it is what is rented for exactly so long; the refusal `unknown_hours` names the times there are.
    """
    if hours is None:
        offers = service.list_offers(shelf, account_id=reader, service=wanted, country=country, q=q)
    else:
        offers = service.list_rentals(shelf, account_id=reader, hours=hours, service=wanted, country=country, q=q)
    page = offers[cursor : cursor + limit]
    following = str(cursor + limit) if cursor + limit < len(offers) else None
    contents = shelf.contents_of(reader)
    return Ok(data=Items([_view(shelf, contents, offer) for offer in page], following))


@get(
    "/services/prices",
    summary="Read the whole price table",
    opt={ACCESS: "read", AS_IT_IS: True},
    responses={
        200: ResponseSpec(Ok[PricesView], generate_examples=False, description="Country, service, price and stock"),
        304: ResponseSpec(None, description="As the ETag says"),
    },
)
async def prices(
    request: Request[Any, Any, Any], reader: NamedDependency[AccountId], shelf: NamedDependency[Shelf]
) -> Response[bytes]:
    """Read every price at once, with an ETag: ask with If-None-Match and get 304 while nothing changed."""
    rendered = await service.render(shelf, reader, "table", lambda _: _encoded_table(shelf, reader))
    asked = request.headers
    sent = await rendered.answer(
        accept_encoding=asked.get("accept-encoding", ""), if_none_match=asked.get("if-none-match", "")
    )
    headers = {name.decode(): text.decode() for name, text in sent.headers}
    return Response(sent.body, status_code=sent.status, headers=headers, media_type="application/json")


def _encoded_table(shelf: Shelf, reader: AccountId) -> bytes:
    table = service.price_table(shelf, reader)
    return encode(PricesView({str(country): dict(row) for country, row in table.prices.items()}))  # type: ignore[arg-type]


router = Router(path="/", route_handlers=[list_offers, prices], tags=["services"])
