"""Verbs of the catalogue: the door for other slices."""

from numberdesk.catalogue.service._offers import list_offers, offers_for, price_table
from numberdesk.catalogue.service._prices import (
    DEFAULT_FLOOR_PAISE,
    DEFAULT_MARGIN_BASIS_POINTS,
    DEFAULT_RULE,
    PriceBook,
    price,
    set_price_rule,
)
from numberdesk.catalogue.service._refusals import (
    CountryOff,
    NoStock,
    NotOffered,
    PriceTooLow,
    ServerOff,
    ServiceBlocked,
    ServiceOff,
    UnknownCountry,
    UnknownOperator,
    UnknownServer,
    UnknownService,
)
from numberdesk.catalogue.service._shelf import Shelf, open_shelf, refresh
from numberdesk.catalogue.service._upkeep import set_category_block, set_country, set_service, sync_offers

__all__ = [
    "DEFAULT_FLOOR_PAISE",
    "DEFAULT_MARGIN_BASIS_POINTS",
    "DEFAULT_RULE",
    "CountryOff",
    "NoStock",
    "NotOffered",
    "PriceBook",
    "PriceTooLow",
    "ServerOff",
    "ServiceBlocked",
    "ServiceOff",
    "Shelf",
    "UnknownCountry",
    "UnknownOperator",
    "UnknownServer",
    "UnknownService",
    "list_offers",
    "offers_for",
    "open_shelf",
    "price",
    "price_table",
    "refresh",
    "set_category_block",
    "set_country",
    "set_price_rule",
    "set_service",
    "sync_offers",
]
