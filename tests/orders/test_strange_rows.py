"""A row of providers that this process cannot use must not keep it from using, switching off or shutting the others."""

import pytest

from numberdesk.providers import service as providers
from tests.breakers import force_breaker
from tests.orders.world import Play

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE providers SET dialect = 'of-tomorrow', changed_at = clock_timestamp() WHERE name = 'alpha'",
        "UPDATE providers SET url = 'http://[', changed_at = clock_timestamp() WHERE name = 'alpha'",
    ],
)
async def test_a_row_that_cannot_be_used_stops_its_own_purchases_only(play: Play, spoil: str) -> None:
    world = await play(beta="never")
    alpha, beta = world.provider("alpha").id, world.provider("beta").id
    await world.backstage.execute(spoil)
    await providers.set_options(world.db, beta, weight_percent=50)
    await force_breaker(world.db, beta, "open", "the test shuts it")
    await providers.refresh(world.lines)
    assert world.provider("beta").weight_percent == 50
    assert providers.health(world.lines, beta).is_shut
    assert not world.provider("alpha").is_on
    await providers.refresh(world.lines)
    await world.backstage.execute(
        "UPDATE providers SET dialect = 'classic', url = $1, changed_at = clock_timestamp() WHERE name = 'alpha'",
        world.alpha.base_url,
    )
    await providers.refresh(world.lines)
    card = await world.buy()
    assert card.order.provider_id == alpha
