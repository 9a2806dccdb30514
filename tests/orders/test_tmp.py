"""Try."""
import time
import pytest
from tests.orders.world import World, MONEY, PRICE
pytestmark = pytest.mark.anyio

@pytest.mark.parametrize("n", range(5))
async def test_a(world: World, n: int) -> None:
    t = time.monotonic()
    card = await world.buy()
    assert await world.money() == (MONEY - PRICE, PRICE)
    world.deliver(card, "12345")
    await world.watch()
    card = await world.check(card)
    assert card.messages[0].code == "12345"
    print(time.monotonic() - t)
