"""The watch and the passes do what each provider can: no list, no look, messages that are posted, late sales."""

from datetime import timedelta

import msgspec
import pytest

from numberdesk.base.money import Paise
from numberdesk.catalogue import service as catalogue
from numberdesk.orders import jobs, sql
from numberdesk.orders import service as orders
from numberdesk.orders.model import Card
from numberdesk.orders.service import NoMoreCodes, Wish
from numberdesk.providers import service as providers
from numberdesk.providers.model import UpstreamOffer
from numberdesk.providers.simulator import Profile
from tests.catalogue.market import take_over
from tests.orders.world import COST, MONEY, NOT_SOLD, PATIENCE, PRICE, SOLD, Play, World
from tests.providers.line_desk import words_listed

pytestmark = pytest.mark.anyio

USA = 187
LOST = {
    "taken": Profile("taken", fault="drop", fault_on="status-changes", code_after=None),
    "not taken": Profile("not-taken", fault="drop", fault_on="status-changes", acts="never", code_after=None),
    "500": Profile("500", fault="http-500", fault_on="status-changes", acts="never", code_after=None),
}


@pytest.fixture
async def listless(play: Play) -> World:
    """A world whose provider lists nothing and sends one code, and sells numbers of the USA only."""
    world = await play(family="daisysms", options={"kind": "sms-activate", "dialect": "daisysms"})
    offer = UpstreamOffer(service="tg", country=str(USA), operator="any", cost_paise=Paise(9_000), stock=5)
    await take_over(world.db, world.provider().id, [offer])
    await catalogue.refresh(world.db, world.shelf)
    await world.give(world.alice, 100_000)
    return world


@pytest.fixture
async def agent(play: Play) -> World:
    """A world whose provider is an agent."""
    world = await play(family="agent", options={"kind": "agent"})
    async with world.db.transaction() as tx:
        await providers.set_words(tx, words_listed("agent", world.provider().id), provider_id=world.provider().id)
    await providers.refresh(world.lines)
    return world


async def calls(world: World) -> set[str]:
    """Return what was asked of providers so far, counted where it is asked, also when nothing left."""
    await providers.flush(world.lines)
    return {row[0] for row in await world.backstage.fetch("SELECT DISTINCT action FROM provider_calls")}


async def push(world: World, card: Card, code: str) -> None:
    """Let a message be posted by the agent, or by a provider of SMS-Activate's family."""
    provider = world.provider()
    token = (await providers.hook_path(world.db, world.vault, provider)).rpartition("/")[2]
    body: dict[str, object] = {"activationId": int(card.order.upstream_id or 0), "code": code, "text": ""}
    if provider.kind == "agent":
        key, number = providers.line(world.lines, provider.id).api_key, int(card.order.number or 0)
        body = {"action": "PUSH_SMS", "key": key, "smsId": int(code), "phone": number, "text": f"Code {code}"}
    taken = await orders.take_push(world.desk, name="alpha", token=token, body=msgspec.json.encode(body))
    await orders.deliver_inbound(world.desk, taken.fresh)


# No list.


async def test_without_a_list_each_order_is_looked_at_at_growing_intervals(listless: World) -> None:
    card = await listless.buy(Wish("tg", USA))
    asked = listless.alpha.asked
    pauses = []
    for turn in range(1, 7):
        await listless.watch()
        await listless.watch()
        assert listless.alpha.asked == asked + turn
        pauses.append(
            await listless.backstage.fetchval(
                "SELECT round(extract(epoch FROM next_try_at - clock_timestamp())) FROM orders"
            )
        )
        await listless.run("UPDATE orders SET next_try_at = clock_timestamp() - interval '1 ms'")
    assert pauses == [2, 3, 5, 8, 13, 20]
    listless.deliver(card, "48213")
    await listless.watch()
    card = await listless.check(card)
    assert [message.code for message in card.messages] == ["48213"]
    assert await calls(listless) == {"rent", "look"}


async def test_without_a_list_nothing_is_asked_when_no_order_waits(listless: World) -> None:
    assert await listless.watch() == 0
    assert listless.alpha.asked == 0
    assert await calls(listless) == set()


async def test_many_orders_without_a_list_are_all_looked_at_in_one_turn(listless: World) -> None:
    cards = await orders.buy(listless.desk, account_id=listless.alice, wish=Wish("tg", USA), quantity=5)
    cards += await orders.buy(listless.desk, account_id=listless.alice, wish=Wish("tg", USA), quantity=4)
    for card in cards:
        listless.deliver(card, "48213")
    await listless.watch()
    assert [(await listless.check(card)).order.state for card in cards] == ["received"] * 9


async def test_where_a_number_gets_one_code_no_more_is_asked_for(listless: World) -> None:
    card = await listless.buy(Wish("tg", USA))
    listless.deliver(card, "48213")
    await listless.watch()
    await listless.run("UPDATE orders SET can_get_next = true, changed_at = clock_timestamp()")
    await listless.desk.board.load()
    await listless.desk.board.sweep()
    asked = listless.alpha.asked
    with pytest.raises(NoMoreCodes):
        await orders.next_code(listless.desk, account_id=listless.alice, order_id=card.order.id)
    assert listless.alpha.asked == asked
    assert "another_code" not in await calls(listless)


# Messages that come by themselves.


async def test_a_provider_that_posts_messages_is_listed_less_often(world: World) -> None:
    card, other = await world.buy(), await world.buy()
    await world.watch()
    await push(world, card, "48213")
    asked = world.alpha.asked
    for _ in range(5):
        assert await world.watch() == 1
    assert world.alpha.asked == asked
    # The list stays the floor: what is not posted still comes.
    world.deliver(other, "99001")
    world.desk.listed_at[world.provider().id] -= jobs.PUSHED_PAUSE
    await world.watch()
    assert world.alpha.asked > asked
    assert (await world.check(other)).order.state == "received"


async def test_a_provider_that_stopped_posting_is_listed_as_often_as_before(world: World) -> None:
    card, _ = await world.buy(), await world.buy()
    await world.watch()
    await push(world, card, "48213")
    await world.run("UPDATE inbound_messages SET settled_at = settled_at - $1::interval", jobs.PUSHED_LATELY)
    asked = world.alpha.asked
    await jobs.watch(world.desk, world.provider(), is_idle_turn=False)
    assert world.alpha.asked == asked + 1


async def test_a_doubt_is_resolved_at_once_although_messages_are_posted(world: World) -> None:
    card = await world.buy()
    await world.watch()
    await push(world, card, "48213")
    await world.buy_unclearly(SOLD["sold-then-500"])
    asked = world.alpha.asked
    await world.watch()
    assert world.alpha.asked > asked


# Agents: nothing is owed before the finish.


@pytest.mark.parametrize("name", sorted(SOLD | NOT_SOLD))
async def test_an_unanswered_purchase_at_an_agent_is_no_sale_once_it_is_over(agent: World, name: str) -> None:
    card = await agent.buy_unclearly((SOLD | NOT_SOLD)[name])
    asked = agent.alpha.asked
    await agent.watch()
    assert (await agent.read(card)).state == "unknown"
    assert await agent.money() == (MONEY - PRICE, PRICE)
    await agent.age(PATIENCE * 2)
    await agent.watch()
    order = await agent.read(card)
    assert (order.state, order.failure, order.upstream_refund) == ("failed", "never_sold", "none")
    assert await agent.money() == (MONEY, 0)
    # `late-sale` and `slow` may still be on their way to the simulator; nothing is asked by the watch.
    assert agent.alpha.asked <= asked + 1


async def test_a_cancel_at_an_agent_gives_the_number_and_the_money_back(agent: World) -> None:
    card = await agent.cancel(await agent.buy())
    assert card.order.state == "cancelled"
    assert [str(fact.activation_id) for fact in agent.alpha.cancelled] == agent.sold_ids()
    assert await agent.money() == (MONEY, 0)


async def finished(world: World) -> Card:
    """Buy, receive and finish, without telling the provider yet."""
    card = await world.buy()
    world.deliver(card, "48213")
    await push(world, card, "48213")
    card = await orders.finish(world.desk, account_id=world.alice, order_id=card.order.id)
    assert card.order.state == "completed"
    return card


async def release(world: World) -> int:
    """Tell what is due now, and let the next try be due."""
    count = await jobs.release_finished(world.desk)
    await world.run("UPDATE orders SET release_at = release_at - interval '1 hour'")
    return count


@pytest.mark.parametrize("name", sorted(LOST))
async def test_an_agent_hears_of_a_finish_although_the_first_answers_are_lost(agent: World, name: str) -> None:
    card = await finished(agent)
    agent.alpha.set_profile(LOST[name])
    for _ in range(3):
        assert await release(agent) == 1
    agent.alpha.set_profile("never")
    assert await release(agent) == 1
    assert [str(fact.activation_id) for fact in agent.alpha.finished] == [card.order.upstream_id]
    assert await release(agent) == 0
    assert await agent.money() == (MONEY - PRICE, 0)


async def test_the_tries_to_tell_an_agent_have_growing_pauses_and_an_end(agent: World) -> None:
    await finished(agent)
    agent.alpha.set_profile(LOST["500"])
    pauses = []
    for _ in range(9):
        assert await jobs.release_finished(agent.desk) == 1
        assert await jobs.release_finished(agent.desk) == 0
        pauses.append(
            await agent.backstage.fetchval(
                "SELECT round(extract(epoch FROM release_at - clock_timestamp())) FROM orders"
            )
        )
        await agent.run("UPDATE orders SET release_at = clock_timestamp() - interval '1 ms'")
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    await agent.run("UPDATE orders SET release_tries = $1", jobs.RELEASE_TRIES_MAX - 1)
    assert await release(agent) == 1
    assert await release(agent) == 0


async def test_a_worker_that_died_while_telling_an_agent_has_left_it_due(agent: World) -> None:
    card = await finished(agent)
    async with agent.db.transaction() as tx:
        (leased,) = await sql.lease_releases(tx, may_miss=[], lease_seconds=jobs.LEASE_SECONDS, limit=10)
    assert leased.id == card.order.id
    assert await jobs.release_finished(agent.desk) == 0
    await agent.run("UPDATE orders SET release_at = release_at - make_interval(secs => $1)", jobs.LEASE_SECONDS)
    assert await release(agent) == 1
    assert len(agent.alpha.finished) == 1


async def test_what_agents_have_costs_what_we_pay_them(agent: World) -> None:
    provider = agent.provider()
    listed = await providers.listing(agent.lines, provider.id)
    assert {offer.cost_paise for offer in getattr(listed, "offers", ())} == {1000}
    await providers.set_options(agent.db, provider.id, agent_pay_paise=COST)
    await providers.refresh(agent.lines)
    listed = await providers.listing(agent.lines, provider.id)
    assert {offer.cost_paise for offer in getattr(listed, "offers", ())} == {COST}


async def test_an_idle_agent_is_asked_nothing(agent: World) -> None:
    assert await agent.watch() == 0
    await agent.buy()
    asked = agent.alpha.asked
    await agent.watch()
    await agent.age(timedelta(seconds=30))
    assert await agent.watch() == 1
    assert agent.alpha.asked == asked
    assert await calls(agent) == {"rent"}
