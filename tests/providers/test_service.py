"""The door of the providers slice: rows of providers, open lines, who watches, and what is counted and logged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from numberdesk.base import db as base_db
from numberdesk.base.crypto import Vault, WrongKey, new_key
from numberdesk.base.db import Database
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.model import (
    ActiveList,
    Done,
    Ended,
    Listing,
    Provider,
    ProviderId,
    Received,
    Refused,
    Rented,
    Unknown,
    Waiting,
)
from numberdesk.providers.service import Lines
from numberdesk.providers.simulator import Simulator
from tests.providers.line_desk import COST, KEY, told, wanted

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:1"
GOOD: dict[str, Any] = {"name": "upstream", "kind": "sms-activate", "url": NOWHERE, "api_key": KEY}


@pytest.fixture(scope="module")
def vault() -> Vault:
    return Vault([new_key()])


async def set_key(db: Database, vault: Vault, provider_id: ProviderId, api_key: str) -> None:
    async with db.transaction() as tx:
        await providers.set_api_key(tx, vault, provider_id, api_key=api_key)


@asynccontextmanager
async def opened(db: Database, vault: Vault) -> AsyncIterator[Lines]:
    lines = await providers.open_lines(db, vault)
    try:
        yield lines
    finally:
        await providers.close(lines)


@asynccontextmanager
async def renting(
    db: Database, vault: Vault, profile: str = "never", **options: Any
) -> AsyncIterator[tuple[Simulator, Lines, Provider]]:
    async with await simulator.start(profile=profile, api_key=KEY, record_path=None) as upstream:
        provider = await providers.add(db, vault, **GOOD | {"url": upstream.base_url}, **options)
        async with opened(db, vault) as lines:
            yield upstream, lines, provider


def calls(action: str, outcome: str) -> float:
    labels = {"provider": "upstream", "action": action, "outcome": outcome}
    return REGISTRY.get_sample_value("numberdesk_provider_calls_total", labels) or 0.0


# Rows.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "Upper"),
        ("name", "-dash"),
        ("name", "a" * 41),
        ("name", "a\n"),
        ("kind", "telegraph"),
        ("kind", ""),
        ("url", ""),
        ("url", "sms.test/stubs/handler_api.php"),
        ("url", "ftp://sms.test/"),
        ("url", "file:///etc/passwd"),
        ("url", "http://"),
        ("url", "http://[::1"),
        ("url", "http://sms.test:99999/"),
        ("url", "http://sms.test:0/"),
        ("url", "https://user@sms.test/"),
        ("url", "https://user:pass@sms.test/"),
        ("url", "https://:@sms.test/"),
        ("url", f"https://sms.test/stubs/handler_api.php?api_key={KEY}"),
        ("url", "https://sms.test/?"),
        ("url", "https://sms.test/#part"),
        ("url", "https://sms.test/a b"),
        ("url", "https://sms.test/\n"),
        ("url", "https://sms.test/" + "a" * 500),
        ("api_key", ""),
        ("api_key", " "),
        ("api_key", "key\n"),
        ("api_key", "key\x00"),
        ("api_key", "clé"),
        ("api_key", "k" * 501),
        ("paise_per_unit", 0),
        ("parallel_max", 0),
        ("calls_per_second", 0),
        ("deadline_ms", 99),
        ("deadline_ms", 60001),
        ("poll_ms", 99),
        ("cancel_after_ms", -1),
        ("lifetime_ms", 0),
        ("extend_paise_per_minute", -1),
    ],
)
async def test_a_provider_with_a_bad_field_is_refused_by_its_name(
    db: Database, vault: Vault, field: str, value: Any
) -> None:
    with pytest.raises(InvalidFields) as refused:
        await providers.add(db, vault, **GOOD | {field: value})
    assert list(refused.value.fields) == [field]
    assert KEY not in str(refused.value)
    assert await providers.list_all(db) == []


async def test_two_providers_cannot_share_a_name(db: Database, vault: Vault) -> None:
    await providers.add(db, vault, **GOOD)
    with pytest.raises(InvalidFields) as refused:
        await providers.add(db, vault, **GOOD | {"url": "https://sms.test"})
    assert list(refused.value.fields) == ["name"]
    assert [provider.url for provider in await providers.list_all(db)] == [NOWHERE]


async def test_a_provider_nobody_added_is_not_found(db: Database, vault: Vault) -> None:
    assert await providers.find_by_name(db, "upstream") is None
    with pytest.raises(NotFound):
        await providers.set_options(db, ProviderId(99), is_on=False)
    with pytest.raises(NotFound):
        await set_key(db, vault, ProviderId(99), "new")
    assert not await providers.lease_watch(db, ProviderId(99), owner="a", seconds=5)


async def test_an_option_out_of_bounds_changes_nothing(db: Database, vault: Vault) -> None:
    added = await providers.add(db, vault, **GOOD)
    for field, value in (("parallel_max", 0), ("url", "nowhere"), ("deadline_ms", 10**9)):
        with pytest.raises(InvalidFields) as refused:
            await providers.set_options(db, added.id, **{"is_on": False, field: value})  # type: ignore[arg-type]
        assert list(refused.value.fields) == [field]
    with pytest.raises(InvalidFields):
        await set_key(db, vault, added.id, "")
    assert await providers.find_by_name(db, "upstream") == added


async def test_a_provider_is_written_with_its_options_and_a_sealed_key(db: Database, vault: Vault) -> None:
    plain = await providers.add(db, vault, **GOOD)
    assert (plain.is_on, plain.paise_per_unit, plain.parallel_max, plain.deadline_ms) == (True, 100, 50, 8000)
    given = await providers.add(
        db, vault, **GOOD | {"name": "second"}, is_on=False, parallel_max=7, extend_paise_per_minute=25
    )
    assert (given.is_on, given.parallel_max, given.extend_paise_per_minute, given.poll_ms) == (False, 7, 25, 2000)
    assert await providers.list_all(db) == [plain, given]
    assert await providers.find_by_name(db, "second") == given
    async with db.statement() as tx:
        sealed = await base_db.value(tx, "SELECT api_key_sealed FROM providers WHERE name = 'second'")
    assert KEY.encode() not in sealed
    assert vault.open(sealed) == KEY


async def test_options_change_alone_and_move_the_instant_of_change(db: Database, vault: Vault) -> None:
    added = await providers.add(db, vault, **GOOD, extend_paise_per_minute=25)
    query = "SELECT changed_at FROM providers"
    async with db.statement() as tx:
        before = await base_db.value(tx, query)
    changed = await providers.set_options(db, added.id, parallel_max=7)
    assert (changed.parallel_max, changed.extend_paise_per_minute, changed.url) == (7, 25, NOWHERE)
    changed = await providers.set_options(db, added.id, extend_paise_per_minute=None, url="https://sms.test")
    assert (changed.parallel_max, changed.extend_paise_per_minute, changed.url) == (7, None, "https://sms.test")
    async with db.transaction() as tx:
        after = await base_db.value(tx, query)
        await providers.set_synced(tx, provider_id=added.id)
        assert await base_db.value(tx, query) == after > before
    found = await providers.find_by_name(db, "upstream")
    assert found is not None
    assert found.synced_at is not None


# Watching.


async def test_one_owner_at_a_time_watches_a_provider(db: Database, vault: Vault) -> None:
    added = await providers.add(db, vault, **GOOD)
    taken = await asyncio.gather(
        *(providers.lease_watch(db, added.id, owner=f"worker-{number}", seconds=30) for number in range(10))
    )
    assert sum(taken) == 1
    owner = f"worker-{taken.index(True)}"
    assert await providers.lease_watch(db, added.id, owner=owner, seconds=30)
    assert not await providers.lease_watch(db, added.id, owner="another", seconds=30)
    assert await providers.lease_watch(db, added.id, owner=owner, seconds=0)
    assert await providers.lease_watch(db, added.id, owner="another", seconds=0.05)
    assert not await providers.lease_watch(db, added.id, owner=owner, seconds=30)
    await asyncio.sleep(0.1)
    assert await providers.lease_watch(db, added.id, owner=owner, seconds=30)


async def test_watching_is_no_change_of_the_provider(db: Database, vault: Vault) -> None:
    added = await providers.add(db, vault, **GOOD)
    async with opened(db, vault) as lines:
        before = providers.line(lines, added.id)
        assert await providers.lease_watch(db, added.id, owner="a", seconds=30)
        await providers.refresh(lines)
        assert providers.line(lines, added.id) is before


# Lines.


async def test_a_key_sealed_with_other_keys_stops_the_start(db: Database, vault: Vault) -> None:
    await providers.add(db, vault, **GOOD)
    with pytest.raises(WrongKey):
        await providers.open_lines(db, Vault([new_key()]))


async def test_without_a_line_nothing_is_sent_and_nothing_is_sure(db: Database, vault: Vault) -> None:
    async with opened(db, vault) as lines:
        nobody = ProviderId(99)
        with pytest.raises(NotFound):
            providers.line(lines, nobody)
        assert await providers.rent(lines, nobody, wanted()) == Refused("switched_off", "")
        for step in (providers.look, providers.cancel, providers.finish, providers.another_code):
            assert isinstance(await step(lines, nobody, "7"), Unknown)
        for read in (providers.active, providers.listing, providers.balance):
            assert isinstance(await read(lines, nobody), Unknown)


async def test_lines_follow_their_rows(db: Database, vault: Vault) -> None:
    first = await providers.add(db, vault, **GOOD, calls_per_second=50)
    async with opened(db, vault) as lines:
        before = providers.line(lines, first.id)
        await providers.refresh(lines)
        assert providers.line(lines, first.id) is before
        second = await providers.add(db, vault, **GOOD | {"name": "second"}, calls_per_second=1000)
        await providers.set_options(db, first.id, deadline_ms=500, url="https://sms.test")
        await providers.refresh(lines)
        after = providers.line(lines, first.id)
        assert (after.provider.deadline_ms, after.endpoint.host) == (500, "sms.test")
        assert (after.places, after.pace) == (before.places, before.pace)
        assert providers.line(lines, second.id).pace is None
        await set_key(db, vault, first.id, "another-key")
        await providers.refresh(lines)
        assert providers.line(lines, first.id).api_key == "another-key"
        await providers.set_options(db, first.id, parallel_max=3, calls_per_second=5)
        await providers.refresh(lines)
        last = providers.line(lines, first.id)
        assert last.places is not before.places
        assert last.pace is not None
        assert last.pace.max_rate == 5
        async with db.statement() as tx:
            await base_db.run(tx, "DELETE FROM providers WHERE name = 'second'")
        await providers.refresh(lines)
        assert list(lines.by_id) == [first.id]


async def test_a_line_never_shows_its_key(db: Database, vault: Vault) -> None:
    added = await providers.add(db, vault, **GOOD)
    async with opened(db, vault) as lines:
        assert KEY not in repr(lines)
        assert KEY not in repr(providers.line(lines, added.id))


# Calls.


async def test_a_provider_that_is_off_sells_nothing_and_answers_the_rest(db: Database, vault: Vault) -> None:
    async with renting(db, vault) as (upstream, lines, provider):
        sold = await providers.rent(lines, provider.id, wanted())
        assert isinstance(sold, Rented)
        await providers.set_options(db, provider.id, is_on=False)
        await providers.refresh(lines)
        assert await providers.rent(lines, provider.id, wanted(reference="56-1")) == Refused("switched_off", "")
        assert len(upstream.sold) == 1
        assert await providers.look(lines, provider.id, sold.upstream_id) == Waiting()
        assert isinstance(await providers.active(lines, provider.id), ActiveList)
        assert isinstance(await providers.balance(lines, provider.id), int)


async def test_parallel_calls_stay_within_the_places(db: Database, vault: Vault) -> None:
    async with renting(db, vault, parallel_max=2, deadline_ms=300) as (upstream, lines, provider):
        places = providers.line(lines, provider.id).places
        async with places, places:
            answers = await asyncio.gather(
                *(providers.rent(lines, provider.id, wanted(reference=str(number))) for number in range(4))
            )
            assert [answer.reason for answer in answers if isinstance(answer, Refused)] == ["busy"] * 4
            assert upstream.sold == []
        assert isinstance(await providers.rent(lines, provider.id, wanted(reference="last")), Rented)


async def test_a_bug_of_ours_is_unknown_and_reported(db: Database, vault: Vault) -> None:
    async with renting(db, vault) as (_, lines, provider):
        # No row can hold this, so the arithmetic fails after the answer came.
        object.__setattr__(providers.line(lines, provider.id).provider, "paise_per_unit", "many")
        with capture_logs() as logged:
            answer = await providers.balance(lines, provider.id)
        assert answer == Unknown("the answer could not be read here")
        assert [entry["event"] for entry in logged] == ["provider_call_failed", "provider_call"]


async def test_every_verb_reaches_the_provider_and_is_counted(db: Database, vault: Vault) -> None:
    async with renting(db, vault) as (upstream, lines, provider):
        before = {
            (action, outcome): calls(action, outcome)
            for action, outcome in (
                ("rent", "rented"), ("rent", "refused_price_changed"), ("rent", "unknown"), ("look", "received"),
                ("look", "ended"), ("active", "listed"), ("cancel", "too_early"), ("another_code", "done"),
                ("finish", "done"), ("listing", "listed"), ("balance", "told"),
            )
        }  # fmt: skip
        sold = await providers.rent(lines, provider.id, wanted())
        assert isinstance(sold, Rented)
        assert isinstance(await providers.rent(lines, provider.id, wanted(ceiling=COST - 1, reference="2")), Refused)
        assert isinstance(await providers.rent(lines, provider.id, wanted()), Unknown)
        await providers.cancel(lines, provider.id, sold.upstream_id)
        upstream.deliver(int(sold.upstream_id), "Telegram code 48213.")
        assert await providers.look(lines, provider.id, sold.upstream_id) == (Received("48213", ""),)
        assert isinstance(await providers.active(lines, provider.id), ActiveList)
        assert await providers.another_code(lines, provider.id, sold.upstream_id) == Done()
        assert await providers.finish(lines, provider.id, sold.upstream_id) == Done()
        assert isinstance(await providers.look(lines, provider.id, sold.upstream_id), Ended)
        assert isinstance(await providers.listing(lines, provider.id), Listing)
        assert await providers.balance(lines, provider.id) == upstream.balance_paise
        assert {key: calls(*key) - count for key, count in before.items()} == dict.fromkeys(before, 1.0)
        labels = {"provider": "upstream", "action": "rent"}
        assert (REGISTRY.get_sample_value("numberdesk_provider_call_seconds_count", labels) or 0) >= 3


async def test_a_log_line_holds_no_key_number_or_code(db: Database, vault: Vault) -> None:
    async with renting(db, vault) as (upstream, lines, provider):
        with capture_logs() as logged:
            sold = await providers.rent(lines, provider.id, wanted())
            assert isinstance(sold, Rented)
            upstream.deliver(int(sold.upstream_id), "Telegram code 48213.")
            await providers.look(lines, provider.id, sold.upstream_id)
            await providers.active(lines, provider.id)
            await providers.cancel(lines, provider.id, sold.upstream_id)
        assert [(entry["event"], entry["action"], entry["outcome"], entry["log_level"]) for entry in logged] == [
            ("provider_call", "rent", "rented", "debug"),
            ("provider_call", "look", "received", "debug"),
            ("provider_call", "active", "listed", "debug"),
            ("provider_call", "cancel", "code_won", "debug"),
        ]
        text = str(logged)
        assert not [secret for secret in (KEY, "48213", sold.number, sold.upstream_id) if secret in text]


async def test_what_a_provider_echoes_is_not_logged(db: Database, vault: Vault) -> None:
    async with told(f"wrong key {KEY} for 79584000000".encode()) as server:
        provider = await providers.add(db, vault, **GOOD | {"url": server.url})
        async with opened(db, vault) as lines:
            with capture_logs() as logged:
                answer = await providers.rent(lines, provider.id, wanted())
    assert isinstance(answer, Unknown)
    assert not [secret for secret in (KEY, "3f9a77", "7958") if secret in f"{answer} {logged}"]
