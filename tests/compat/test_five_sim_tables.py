"""The tables that 5sim's guests read: anybody may ask, so nobody's question may cost the process much."""

import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from numberdesk.catalogue.model import CountryCode, ServiceCode
from numberdesk.compat.five_sim import _guest
from numberdesk.compat.five_sim._words import names_of
from tests.http.stand import Stand

WHOLE = ("/v1/guest/countries", "/v1/guest/prices", "/v1/guest/products/any/any")
PARTS = ("/v1/guest/prices?country=india", "/v1/guest/prices?product=telegram", "/v1/guest/products/any/nosuch")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads in which a table is made, one for each time."""
    names: list[str] = []
    encode = _guest.json_body

    def noting(value: Any) -> bytes:
        names.append(threading.current_thread().name)
        return encode(value)

    monkeypatch.setattr(_guest, "json_body", noting)
    return names


@pytest.mark.parametrize("path", WHOLE)
def test_a_whole_table_is_made_once_in_a_thread_and_has_a_tag(stand: Stand, made: list[str], path: str) -> None:
    first, second = stand.nobody.get(path), stand.nobody.get(path, Accept_Encoding="gzip")
    assert first.headers["content-type"] == second.headers["content-type"] == "application/json"
    assert first.json
    assert stand.nobody.get(path, If_None_Match=first.headers["etag"]).status == 304
    assert len(made) <= 1
    loop = stand.portal.call(_thread)
    assert loop not in made


@pytest.mark.parametrize("path", PARTS)
def test_a_part_is_made_in_a_thread(stand: Stand, made: list[str], path: str) -> None:
    assert stand.nobody.get(path).status == 200
    assert len(made) == 1
    assert made[0] != stand.portal.call(_thread)


def test_a_price_at_which_nothing_is_left_is_not_shown_while_there_is_another(stand: Stand) -> None:
    shelf = stand.site.desk.shelf
    names, market = names_of(shelf.contents), _guest._market(shelf)
    stock = next(market.seen.stocks(service=ServiceCode("tg"), country=CountryCode(22)))
    offer = stock.offers[0]
    gone = msgspec.structs.replace(offer, price_paise=100, stock=0)
    left = msgspec.structs.replace(offer, price_paise=300, stock=5)
    dear = msgspec.structs.replace(offer, price_paise=400, stock=2)
    for offers, price, count in (
        ((gone, left, dear), "3.00", 7),
        ((dear, left, gone), "3.00", 7),
        ((gone,), "1.00", 0),
    ):
        shown = SimpleNamespace(stocks=lambda offers=offers, **_: [msgspec.structs.replace(stock, offers=offers)])
        crafted = SimpleNamespace(seen=shown, counted=market.counted)
        row = _guest._products(crafted, names, "any", "any")["telegram"]  # type: ignore[arg-type]
        assert (bytes(row["Price"]).decode(), row["Qty"]) == (price, count)
        row = _guest._prices(crafted, names, "", "")["india"]["telegram"][offer.operator]  # type: ignore[arg-type]
        assert (bytes(row["cost"]).decode(), row["count"]) == (price, count)


async def _thread() -> str:
    return threading.current_thread().name
