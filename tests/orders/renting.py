"""What the tests of rentals share: numbers that are rented out for four hours, and what they cost."""

from datetime import timedelta
from typing import Any

from numberdesk.catalogue import service as catalogue
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import Wish
from tests.orders.world import INDIA, Play, World

HOURS = 4
RENTAL = Wish("tg", INDIA, hours=HOURS)
COST, PRICE = 3550, 4260
"""Four hours of a Telegram number of India, and the same with our 20 percent."""
WINDOW = timedelta(minutes=20)


async def opened(play: Play, *, dialect: str = "numberdesk", **chosen: Any) -> World:
    """Open a world whose provider rents numbers out, in a dialect that tells when a rental ends, or not."""
    family = "sms-activate" if dialect == "classic" else dialect
    world = await play(family=family, options={"dialect": dialect}, **chosen)
    await rent_out(world)
    return world


async def rent_out(world: World, *, name: str = "alpha", hours: int = HOURS, cost: int = COST) -> None:
    """Let a provider's numbers be on offer for so many hours, as its list would."""
    await world.run(
        """
        WITH next AS (UPDATE rental_version SET version = version + 1 RETURNING version)
        INSERT INTO rental_offers (service, country, provider_id, hours, cost_paise, stock, version)
        SELECT unnest('{tg,wa}'::text[]), $1, $2, $3, $4, 50, version FROM next
        """,
        INDIA, world.provider(name).id, hours, cost,
    )  # fmt: skip
    await catalogue.refresh(world.db, world.shelf)


def deliver(world: World, card: Card, code: str, text: str | None = None) -> None:
    """Let an SMS arrive on a rental at the provider."""
    assert card.order.upstream_id is not None
    rental_id = int(card.order.upstream_id.removeprefix("rent:"))
    world.alpha.deliver_rental(rental_id, text or f"Telegram code {code}", code=code)


async def look(world: World, card: Card) -> Card:
    """Look at a rental as the watch does when it is due, and read it."""
    await world.run("UPDATE orders SET next_try_at = NULL WHERE id = $1", card.order.id)
    await world.watch()
    return await world.check(card)


async def let_window_end(world: World) -> None:
    """Let the time be over in which rentals can be cancelled."""
    await world.age(WINDOW)
    await jobs.keep_rentals(world.desk)


async def prolong(world: World, card: Card, *, hours: int = HOURS, key: str | None = None) -> Card:
    return await orders.prolong(
        world.desk, account_id=world.alice, order_id=card.order.id, hours=hours, request_key=key
    )


async def prolonged(world: World, card: Card) -> list[str]:
    """Return the states of an order's prolongations, oldest first."""
    query = "SELECT state FROM prolongations WHERE order_id = $1 ORDER BY id"
    return [row[0] for row in await world.backstage.fetch(query, card.order.id)]


async def events(world: World, card: Card) -> list[str]:
    query = "SELECT type FROM order_events WHERE order_id = $1 ORDER BY seq"
    return [row[0] for row in await world.backstage.fetch(query, card.order.id)]
