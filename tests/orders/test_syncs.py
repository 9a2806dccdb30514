"""Syncing while numbers are sold: providers of words are bought from by our codes, and a long list stops nobody."""

import asyncio
import gc
import time
from typing import Any

import pytest

from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.model import CountryCode, ServiceCode, SyncReport
from numberdesk.orders.model import Card
from numberdesk.orders.service import Wish
from numberdesk.providers import service as providers
from numberdesk.providers.model import ProviderId
from numberdesk.providers.simulator.catalogue import COUNTRIES, SERVICES
from tests.catalogue.lister import Listed, listing
from tests.orders.world import KEY, TELEGRAM, Play, World

pytestmark = pytest.mark.anyio

FAMILIES = ("five-sim", "sms-pool")
PAIRS = 20_000


async def synced(world: World, provider_id: ProviderId | None = None) -> SyncReport:
    """Sync, and let this process follow."""
    report = await catalogue.sync(world.db, world.lines, provider_id or world.provider().id)
    await providers.refresh(world.lines)
    await catalogue.refresh(world.db, world.shelf)
    return report


async def empty(play: Play, kind: str) -> World:
    """Open a world whose provider sells nothing yet."""
    options: dict[str, Any] = {"kind": kind, "deadline_ms": 8_000}
    world = await play(family=kind, options=options)
    await world.run("DELETE FROM offers")
    await world.give(world.alice, 1_000_000)
    return world


async def mapped(world: World, **words: dict[str, str]) -> None:
    given: dict[str, dict[str, str]] = {"services": {}, "countries": {}} | words
    async with world.db.transaction() as tx:
        await catalogue.map_words(tx, provider_id=world.provider().id, **given)


@pytest.mark.parametrize("kind", FAMILIES)
async def test_a_provider_of_words_is_sold_by_our_codes(play: Play, kind: str) -> None:
    world = await empty(play, kind)
    report = await synced(world)
    assert (report.unmapped_services, report.unmapped_countries, report.unusable) == ((), (), 0)
    offers = world.shelf.contents.offers
    assert set(offers) == {(service, country) for service in SERVICES for country in COUNTRIES}
    of_telegram = {offer.operator: offer for offer in offers[ServiceCode("tg"), CountryCode(22)]}
    assert "any" in of_telegram
    assert len(of_telegram) > 2
    for wish in (TELEGRAM, Wish("vk", 22), Wish("go", 22)):
        card = await world.buy(wish)
        fact = world.alpha.sold[-1]
        assert (card.order.state, fact.service, fact.country) == ("active", wish.service, wish.country)
    report = await synced(world)
    assert (report.added, report.gone) == (0, 0)
    known = (await catalogue.list_words(world.db, world.provider().id)).known
    assert {word.source for word in known} == ({"list"} if kind == "five-sim" else {"list", "iso"})


async def test_a_word_that_nobody_knows_is_sold_when_staff_have_said_what_it_is(play: Play) -> None:
    world = await empty(play, "sms-pool")
    await world.run("DELETE FROM services WHERE code = 'tg'")
    await world.run("UPDATE countries SET iso = 'Q' || iso, name = 'Q' || name WHERE code = 22")
    report = await synced(world)
    assert (report.unmapped_services, report.unmapped_countries) == (("907",), ("IN",))
    unmapped = (await catalogue.list_words(world.db, world.provider().id)).unmapped
    assert [(item.kind, item.word, item.name) for item in unmapped] == [
        ("country", "IN", "India"),
        ("service", "907", "Telegram"),
    ]
    await world.run("INSERT INTO services (code, name, category) VALUES ('zz', 'Something', 'messenger')")
    await mapped(world, services={"907": "zz"}, countries={"IN": "22"})
    assert (await catalogue.list_words(world.db, world.provider().id)).unmapped == []
    report = await synced(world)
    assert (report.unmapped_services, report.unmapped_countries) == ((), ())
    card = await world.buy(Wish("zz", 22))
    fact = world.alpha.sold[-1]
    assert (card.order.state, fact.service, fact.country) == ("active", "tg", 22)


async def test_staff_change_the_meaning_of_a_code_of_a_provider_that_speaks_ours(play: Play) -> None:
    world = await play(options={"deadline_ms": 8_000})
    await world.run("DELETE FROM offers")
    await synced(world)
    wa = world.shelf.contents.offers[ServiceCode("wa"), CountryCode(22)][0]
    await mapped(world, services={"wa": "tg"})
    report = await synced(world)
    # Its own word for Telegram would now be bought as `wa`, so it is not sold by its price any more.
    assert report.unmapped_services == ("tg",)
    (offer,) = world.shelf.contents.offers[ServiceCode("tg"), CountryCode(22)]
    assert offer.cost_paise == wa.cost_paise
    card = await world.buy(TELEGRAM)
    assert (card.order.state, world.alpha.sold[-1].service) == ("active", "wa")
    world.deliver(card, "48213")
    await world.watch()
    assert [message.code for message in (await world.check(card)).messages] == ["48213"]
    assert await world.orphans() == {}


async def test_a_lost_sale_under_a_word_of_staff_is_found(play: Play) -> None:
    world = await play()
    await mapped(world, services={"wa": "tg"})
    await synced(world)
    card = await world.buy_unclearly("sold-then-dropped")
    await world.resolve()
    order = await world.read(card)
    assert (order.state, world.alpha.sold[-1].service) == ("active", "wa")
    assert order.upstream_id == world.sold_ids()[0]


async def test_twenty_thousand_pairs_are_synced_while_numbers_are_sold(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await play(options={"deadline_ms": 8_000})
    await world.give(world.alice, 100_000_000)
    async with listing() as lister:
        long = await providers.add(
            world.db, world.vault, name="long", kind="sms-activate", url=lister.url, api_key=KEY, deadline_ms=30_000
        )
        await providers.refresh(world.lines)
        found = world.shelf.contents
        pairs = [(service, country) for country in found.countries for service in found.services if service != "tg"]
        told = []
        for name, paise in (("first", 700), ("all other", 800)):
            listed: Listed = {pair: (paise + place % 90, 5) for place, pair in enumerate(pairs[:PAIRS])}
            lister.list(listed)
            began = time.monotonic()
            cards, pause = await bought_during(world, synced(world, long.id))
            took = time.monotonic() - began
            assert cards
            assert {card.order.state for card in cards} == {"active"}
            told.append(f"{name}: {took:.1f} s, longest pause {pause * 1000:.0f} ms, {len(cards)} purchases meanwhile")
            shelf = {
                (offer.service, int(offer.country)): (offer.cost_paise, offer.stock)
                for offers in world.shelf.contents.offers.values()
                for offer in offers
                if offer.provider_id == long.id
            }
            assert shelf == listed
    with capsys.disabled():
        print("", f"{PAIRS} pairs synced", *told, sep="\n  ")  # noqa: T201 - a measurement, not a verdict


async def bought_during(world: World, work: Any) -> tuple[list[Card], float]:
    """Buy all the time until the work is done; returns the orders, and the longest time in which nobody had a turn."""
    gc.collect()
    gc.freeze()  # as a server does: what the tests before left behind is not looked through
    task, cards, longest = asyncio.ensure_future(work), [], 0.0

    async def buy() -> None:
        while not task.done():
            cards.append(await world.buy(Wish("tg", 22, server="alpha")))

    async def watch() -> None:
        nonlocal longest
        while not task.done():
            before = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - before - 0.001)

    await asyncio.gather(task, buy(), buy(), watch())
    gc.unfreeze()
    return cards, longest
