"""Rentals as somebody sees them who looks for money that is taken twice, for nothing, or held for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from numberdesk.orders import service as orders
from tests.orders import renting
from tests.orders.renting import HOURS, PRICE, RENTAL, let_window_end, prolong, prolonged
from tests.orders.test_prolonging import doubt_ends, sale
from tests.orders.world import Play, World, scripted

pytestmark = pytest.mark.anyio

PRICED = b'{"status":"success","price":35.5}'
WAITING = b'{"status":"error","message":"STATUS_WAIT_CODE"}'
NUMBER = "919812345678"


@pytest.fixture
async def named(play: Play) -> World:
    return await renting.opened(play)


def rentals(*ids: int, number: str = NUMBER) -> bytes:
    """Return a provider's list of rentals of one number, as most write it: id and number."""
    values = {str(place): {"id": str(name), "phone": number} for place, name in enumerate(ids)}
    return msgspec.json.encode({"status": "success", "values": values})


# One number that is rented for two services.


async def test_the_same_number_for_another_service_is_not_the_rental_under_a_new_id(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(
        named, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING, continueRentInfo=PRICED, continueRentNumber=None,
    ) as script:  # fmt: skip
        one = await named.buy(RENTAL)
        script.answers["getRentNumber"] = sale(NUMBER, 2)
        await named.buy(replace(RENTAL, service="wa"))
        await let_window_end(named)
        script.answers["getRentList"] = rentals(1, 2)
        await prolong(named, one)
        await doubt_ends(named)
        assert await prolonged(named, one) == ["unknown"]
        script.answers["getRentList"] = rentals(2, 3)
        await doubt_ends(named, times=1)
    assert await prolonged(named, one) == ["done"]
    assert (await named.read(one)).upstream_id == "rent:3"


async def test_an_id_of_somebody_else_leaves_a_rental_its_own(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(named, getRentNumber=sale(NUMBER, 1), continueRentInfo=PRICED) as script:
        one = await named.buy(RENTAL)
        script.answers |= {"getRentNumber": sale(NUMBER, 2), "continueRentNumber": sale(NUMBER, 2)}
        await named.buy(replace(RENTAL, service="wa"))
        with pytest.raises(orders.CannotProlong):
            await prolong(named, one)
    assert await prolonged(named, one) == ["refused"]
    rows = await named.backstage.fetch("SELECT upstream_id, order_id, is_former FROM activations ORDER BY order_id")
    assert [(row[0], row[2]) for row in rows] == [("rent:1", False), ("rent:2", False)]


async def test_a_purchase_in_doubt_is_found_though_another_rental_has_its_number(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with scripted(named, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING) as script:
        await named.buy(RENTAL)
        script.answers |= {"getRentNumber": None, "getRentList": rentals(1, 2)}
        other = await named.buy(replace(RENTAL, service="wa"))
        assert other.order.state == "unknown"
        await named.resolve()
    assert (await named.read(other)).upstream_id == "rent:2"


# Ends that a provider tells wrong.


def sold_until(rental_id: int, ends_at: datetime) -> bytes:
    phone = {"id": rental_id, "number": NUMBER, "endDate": ends_at.isoformat()}
    return msgspec.json.encode({"status": "success", "phone": phone})


async def test_a_rental_lives_for_what_was_bought_whatever_less_its_provider_says(named: World) -> None:
    begun = datetime.now(UTC)
    async with scripted(named, getRentNumber=sold_until(1, begun + timedelta(hours=1))) as script:
        card = await named.buy(RENTAL)
        assert card.order.expires_at == card.order.last_expiry_at == card.order.sent_at + timedelta(hours=HOURS)
        await named.cancel(card)
        later = begun + timedelta(hours=HOURS, minutes=1)
        script.answers["getRentNumber"] = sold_until(2, later)
        assert (await named.buy(RENTAL)).order.expires_at == later


async def test_the_former_end_told_again_is_not_the_end_of_a_prolonged_rental(named: World) -> None:
    ends = datetime.now(UTC) + timedelta(hours=HOURS)
    async with scripted(
        named, getRentNumber=sold_until(1, ends), continueRentInfo=PRICED,
        continueRentNumber=sold_until(1, ends + timedelta(seconds=3)),
    ):  # fmt: skip
        card = await prolong(named, await named.buy(RENTAL))
    assert card.order.expires_at == ends + timedelta(hours=HOURS)
