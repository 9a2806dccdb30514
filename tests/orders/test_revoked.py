"""Paid rentals that their provider ends before their time: what goes back by itself, and what staff decide."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from numberdesk.base import crypto
from numberdesk.base.crypto import Vault
from numberdesk.base.db import value
from numberdesk.orders import jobs
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import Wanted
from numberdesk.providers import service as providers
from numberdesk.providers.simulator import PROFILES
from tests.orders import renting
from tests.orders.renting import PRICE, RENTAL, events, let_window_end, look, prolong
from tests.orders.test_prolonging import sale
from tests.orders.test_provider_money import compare, gap
from tests.orders.world import MONEY, Play, World, scripted, until

pytestmark = pytest.mark.anyio

NUMBER = "919812345678"
WAITING = b'{"status":"error","message":"STATUS_WAIT_CODE"}'
ONE = b'{"status":"success","quantity":"1","values":{"0":{"phoneFrom":"","text":"Telegram code 11111","date":"1"}}}'
PRICED = b'{"status":"success","price":35.5}'


def word(text: str) -> bytes:
    return msgspec.json.encode({"status": "error", "message": text})


@pytest.fixture
async def named(play: Play) -> World:
    world = await renting.opened(play)
    world.desk = replace(world.desk, vault=Vault([crypto.new_key()]))
    return world


@asynccontextmanager
async def kept(world: World, **answers: Any) -> AsyncIterator[tuple[Card, dict[str, Any]]]:
    """Rent a number, and let the time be over in which it may be given back."""
    async with scripted(world, getRentNumber=sale(NUMBER, 1), getRentStatus=WAITING, **answers) as script:
        card = await world.buy(RENTAL)
        await let_window_end(world)
        yield card, script.answers


async def five_minutes_later(world: World) -> None:
    await world.run("UPDATE orders SET revoked_at = revoked_at - interval '5 minutes'")


async def alerts(world: World) -> list[str]:
    await orders.raise_alarms(world.desk)
    return [alert.kind for alert in await providers.list_alerts(world.db) if alert.closed_at is None]


async def mails(world: World) -> int:
    async with world.db.statement() as tx:
        return int(await value(tx, "SELECT count(*) FROM outbox WHERE template = 'order_refunded'"))


async def test_what_received_nothing_and_is_taken_back_is_given_back_in_full(named: World) -> None:
    await named.give(named.alice, 10 * PRICE)
    async with kept(named, continueRentInfo=PRICED, continueRentNumber=sale(NUMBER, 1)) as (card, says):
        await prolong(named, card)
        assert await named.revenue() == 2 * PRICE
        says["getRentStatus"] = word("STATUS_REVOKE")
        card = await look(named, card)
        assert card.order.state == "received"
        assert await alerts(named) == []
        await five_minutes_later(named)
        card = await look(named, card)
    assert (card.order.state, card.order.failure, card.order.upstream_refund) == (
        "completed", "provider_cancelled", "assumed",
    )  # fmt: skip
    assert card.refund is not None
    assert card.refund.amount_paise == 2 * PRICE
    assert await named.money() == (MONEY + 10 * PRICE, 0)
    assert await named.revenue() == 0
    assert (await events(named, card))[-2:] == ["completed", "refunded"]
    assert await alerts(named) == []
    assert await mails(named) == 1


async def test_of_what_received_something_and_is_taken_back_staff_decide(named: World) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = ONE
        await look(named, card)
        says["getRentStatus"] = word("STATUS_CANCEL")
        await look(named, card)
        await five_minutes_later(named)
        card = await look(named, card)
    assert (card.order.state, card.order.failure, card.refund) == ("completed", "provider_cancelled", None)
    assert (await events(named, card))[-1] == "completed"
    assert await named.money() == (MONEY - PRICE, 0)
    assert await alerts(named) == ["rental_revoked"]
    found = await orders.find_orders(named.db, Wanted(is_revoked=True))
    assert [order.id for order in found] == [card.order.id]
    async with named.db.transaction() as tx:
        card, amount = await orders.refund(tx, card.order.id)
    assert amount == PRICE
    assert await named.money() == (MONEY, 0)
    assert await alerts(named) == []
    assert await orders.find_orders(named.db, Wanted(is_revoked=True)) == []


async def test_staff_are_told_for_three_days(named: World) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = ONE
        await look(named, card)
        says["getRentStatus"] = word("STATUS_REVOKE")
        await look(named, card)
        await five_minutes_later(named)
        card = await look(named, card)
    assert await alerts(named) == ["rental_revoked"]
    await named.run("UPDATE orders SET ended_at = ended_at - interval '3 days'")
    assert await alerts(named) == []
    await named.run("UPDATE orders SET ended_at = ended_at + interval '3 days'")


@pytest.mark.parametrize("told", ["STATUS_FINISH", "RENT_DIE", "NO_ID_RENT"])
async def test_what_its_provider_only_does_not_know_goes_on_and_staff_hear_of_it(named: World, told: str) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = word(told)
        await look(named, card)
        await five_minutes_later(named)
        card = await look(named, card)
        assert (card.order.state, card.refund) == ("received", None)
        assert await alerts(named) == ["rental_revoked"]
        says["getRentStatus"] = ONE
        card = await look(named, card)
        assert [message.code for message in card.messages] == ["11111"]
        assert (await named.read(card)).revoked_at is None
    assert await alerts(named) == []


async def test_a_provider_that_takes_its_word_back_ends_nothing(named: World) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = word("STATUS_REVOKE")
        await look(named, card)
        says["getRentStatus"] = WAITING
        await look(named, card)
        says["getRentStatus"] = word("STATUS_REVOKE")
        await five_minutes_later(named)
        card = await look(named, card)
    assert card.order.state == "received"
    assert await named.money() == (MONEY - PRICE, 0)


async def test_staff_who_ask_the_provider_are_told_what_the_watch_would_find(named: World) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = word("STATUS_REVOKE")
        order = await orders.ask_provider(named.desk, card.order.id)
        assert order.revoked_at is not None
        assert order.state == "received"
        await five_minutes_later(named)
        order = await orders.ask_provider(named.desk, card.order.id)
    assert (order.state, order.failure) == ("completed", "provider_cancelled")
    assert order.refunded_at is not None


async def test_a_rental_at_its_end_is_completed_as_usual(named: World) -> None:
    async with kept(named) as (card, says):
        says["getRentStatus"] = word("STATUS_FINISH")
        await look(named, card)
        await named.age(timedelta(hours=renting.HOURS))
        assert await jobs.end_due(named.desk) == 1
        order = await named.read(card)
    assert (order.state, order.failure) == ("completed", None)
    assert await alerts(named) == []


async def test_what_the_provider_gives_back_for_it_is_in_its_books(play: Play) -> None:
    world = await renting.opened(play)
    world.alpha.set_profile(replace(PROFILES["never"], name="revoking", self_cancel_after=(2.0, 2.0)))
    card = await world.buy(RENTAL)
    await let_window_end(world)
    await compare(world)  # the books begin here
    assert await gap(world) == 0
    await until(lambda: bool(world.alpha.facts("self_cancelled")))
    await look(world, card)
    await five_minutes_later(world)
    card = await look(world, card)
    assert (card.order.state, card.order.failure) == ("completed", "provider_cancelled")
    assert await gap(world) == 0
    assert await world.money() == (MONEY, 0)
