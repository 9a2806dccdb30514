"""Codes go to the chats of those who want them there, once each, from when they wanted it on."""

import json

import pytest

from numberdesk.base.db import rows, run
from numberdesk.notifications import service as notifications
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card, Delivery
from numberdesk.providers.model import Received
from numberdesk.wallet.model import AccountId
from tests.orders.world import World

pytestmark = pytest.mark.anyio


async def receive(world: World, card: Card, code: str) -> None:
    assert card.order.upstream_id is not None
    message = Received(code, f"Telegram code {code}")
    await world.desk.receive.call(Delivery(card.order.provider_id, card.order.upstream_id, (message,)))


async def want(world: World, account: AccountId, *, is_wanted: bool = True) -> None:
    async with world.db.transaction() as tx:
        await notifications.set_switches(tx, account, {("telegram", "code"): is_wanted})


async def link(world: World, account: AccountId, chat_id: int) -> None:
    async with world.db.transaction() as tx:
        await run(tx, "INSERT INTO telegram_channel (bot_name) VALUES ('bot') ON CONFLICT DO NOTHING")
        await run(tx, "INSERT INTO telegram_links (account_id, chat_id) VALUES ($1, $2)", account, chat_id)
        await run(tx, "UPDATE accounts SET notify_by_telegram = true WHERE id = $1", account)


async def told(world: World) -> list[tuple[int, str]]:
    """Return account and code of everything that waits for a chat."""
    await orders.tell_codes(world.db, world.vault)
    async with world.db.statement() as tx:
        statement = "SELECT account_id, dedupe_key, payload FROM outbox WHERE template = 'order_code' ORDER BY id"
        found = await rows(tx, statement)
    return [
        (account, json.loads(world.vault.open(payload, about=f"outbox:{key}"))["data"]["code"])
        for account, key, payload in found
    ]


async def test_codes_are_told_once_from_when_they_are_wanted_on_and_to_their_owner(world: World) -> None:
    await world.give(world.bob, 100_00)
    early = await world.buy()
    await receive(world, early, "11111")
    await link(world, world.alice, 1)
    await link(world, world.bob, 2)
    assert await told(world) == []
    await want(world, world.alice)
    await want(world, world.alice)
    card, others = await world.buy(), await world.buy(account=world.bob)
    await receive(world, card, "22222")
    await receive(world, card, "33333")
    await receive(world, others, "44444")
    assert sorted(await told(world)) == [(world.alice, "22222"), (world.alice, "33333")]
    assert len(await told(world)) == 2
    await want(world, world.alice, is_wanted=False)
    await receive(world, card, "55555")
    await want(world, world.alice)
    assert len(await told(world)) == 2


async def test_a_code_that_nobody_paid_for_is_not_told(world: World) -> None:
    await link(world, world.alice, 1)
    await want(world, world.alice)
    card = await world.buy()
    await world.cancel(card)
    await receive(world, card, "12345")
    assert await told(world) == []


async def test_many_codes_of_one_account_are_all_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numberdesk.orders.service._codes.CODES_AT_ONCE", 2)
    await link(world, world.alice, 1)
    await want(world, world.alice)
    card = await world.buy()
    for number in range(5):
        await receive(world, card, f"1000{number}")
    for turn in (2, 4, 5, 5):
        assert len(await told(world)) == turn


async def test_a_code_never_goes_by_mail(world: World) -> None:
    await want(world, world.alice)
    await receive(world, await world.buy(), "22222")
    await orders.tell_codes(world.db, world.vault)
    async with world.db.statement() as tx:
        assert await rows(tx, "SELECT channel FROM outbox WHERE template = 'order_code'") == []


@pytest.mark.parametrize("state", ["banned", "closed"])
async def test_a_chat_of_an_account_that_is_shut_gets_no_codes(world: World, state: str) -> None:
    await link(world, world.alice, 1)
    await want(world, world.alice)
    await receive(world, await world.buy(), "12345")
    await world.run("UPDATE accounts SET state = $2 WHERE id = $1", world.alice, state)
    assert await told(world) == []
    await world.run("UPDATE accounts SET state = 'active' WHERE id = $1", world.alice)
    assert await told(world) == [(world.alice, "12345")]
