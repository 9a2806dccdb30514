"""Check what the simulator writes down, how it goes on from there after a stop or a kill, and its other doors."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from numberdesk.providers import simulator
from numberdesk.providers.simulator import PROFILES, read_record
from tests.providers.simulator_desk import KEY, PRICE, TELEGRAM, Desk, ids, opened

pytestmark = pytest.mark.anyio

CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from numberdesk.providers import simulator

async def main():
    running = await simulator.start(
        profile=sys.argv[3], api_key="simulator-key", record_path=Path(sys.argv[2]), balance="100000000.00"
    )
    print(running.url, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "provider" / "record.jsonl"


@asynccontextmanager
async def receiver(statuses: list[int]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Take webhooks, answering with each status in turn and with 200 when none is left."""
    bodies: list[dict[str, Any]] = []

    async def take(request: web.BaseRequest) -> web.Response:
        bodies.append(msgspec.json.decode(await request.read()))
        return web.Response(status=statuses.pop(0) if statuses else 200)

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", bodies
    finally:
        await runner.cleanup()


async def test_a_damaged_line_is_refused_and_a_torn_last_line_is_cut_off(path: Path) -> None:
    async with opened(record_path=path) as desk:
        bought = await desk.buy()
    rewrite(path, after=b'{"at":"2026' + b"0" * 1000)
    async with opened(record_path=path) as desk:
        assert desk.provider.live_ids == {bought}
        assert await desk.buy() == bought + 1
    assert [fact.n for fact in read_record(path)] == [1, 2]
    assert open_end(path) == b""
    rewrite(path, before=b"not a fact\n")
    with pytest.raises(ValueError, match="Line 1"):
        await simulator.start(api_key=KEY, record_path=path)


def open_end(path: Path) -> bytes:
    return path.read_bytes().rpartition(b"\n")[2]


def rewrite(path: Path, *, before: bytes = b"", after: bytes = b"") -> None:
    path.write_bytes(before + path.read_bytes() + after)


async def test_the_record_holds_what_happened_before_each_answer(path: Path) -> None:
    async with opened(record_path=path, min_cancel_age=timedelta(0)) as desk:
        cancelled = await desk.buy(orderId="r-1")
        (sale,) = read_record(path)
        assert (sale.activation_id, sale.cost_paise, sale.order_ref, sale.profile) == (cancelled, PRICE, "r-1", "never")
        assert await desk.set(cancelled, 3) == "BAD_STATUS"
        assert read_record(path)[-1].reason == "BAD_STATUS"
        assert await desk.set(cancelled, 8) == "ACCESS_CANCEL"
        assert read_record(path)[-1].fact == "cancelled"
        finished = await desk.buy()
        desk.provider.deliver(finished, "G-123456 is your Google verification code.")
        assert await desk.set(finished, 6) == "ACCESS_ACTIVATION"
        assert await desk.set(finished, 6) == "ACCESS_ACTIVATION"
    facts = read_record(path)
    assert [fact.fact for fact in facts] == ["sold", "refused", "cancelled", "sold", "delivered", "finished"]
    assert (facts[4].code, facts[4].message, facts[4].late) == ("123456", 1, False)
    assert desk.provider.facts() == facts


async def test_a_restart_goes_on_and_delivers_what_became_due_meanwhile(path: Path) -> None:
    options: dict[str, Any] = {"record_path": path, "lifetime": timedelta(seconds=0.6), "balance": "1000.00"}
    soon = replace(PROFILES["fast"], code_after=(0.2, 0.2), retry_code_after=None)
    async with opened("never", **options) as desk:
        silent = await desk.buy(orderId="one")
        desk.provider.set_profile(soon)
        coming = await desk.buy()
        taken = await desk.buy()
        desk.provider.deliver(taken, "Your code: 5555")
        await desk.set(taken, 3)
    await asyncio.sleep(0.3)
    async with opened("never", **options) as desk:
        assert ids(desk.provider.delivered) == [taken, coming]
        assert await desk.status(silent) == "STATUS_WAIT_CODE"
        assert (await desk.status(coming)).startswith("STATUS_OK:")
        assert await desk.status(taken) == "STATUS_WAIT_RETRY:5555"
        assert await desk.ask("getNumber", **TELEGRAM, orderId="one") == "ORDER_ALREADY_EXISTS"
        assert await desk.ask("getBalance") == f"ACCESS_BALANCE:{(100_000 - 3 * PRICE) / 100:.2f}"
        await desk.until(silent, "STATUS_CANCEL")
        assert await desk.buy() == taken + 1
        assert ids(desk.provider.expired) == [silent]


async def test_a_restart_lets_a_lifetime_end_before_a_code_that_would_have_come_later(path: Path) -> None:
    options: dict[str, Any] = {"record_path": path, "lifetime": timedelta(seconds=0.1)}
    async with opened(replace(PROFILES["fast"], code_after=(0.15, 0.15)), **options) as desk:
        bought = await desk.buy()
    await asyncio.sleep(0.2)
    async with opened(**options) as desk:
        assert (ids(desk.provider.expired), desk.provider.delivered) == ([bought], [])


async def test_the_age_for_a_cancel_counts_across_a_restart(path: Path) -> None:
    async with opened(record_path=path, min_cancel_age=timedelta(seconds=0.4)) as desk:
        bought = await desk.buy()
        assert await desk.set(bought, 8) == "EARLY_CANCEL_DENIED"
    await asyncio.sleep(0.4)
    async with opened(record_path=path, min_cancel_age=timedelta(seconds=0.4)) as desk:
        assert await desk.set(bought, 8) == "ACCESS_CANCEL"


async def test_a_killed_simulator_has_written_every_sale_that_it_answered(path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(Path(simulator.__file__).parents[3]), str(path), "instant"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220 (one line is read)
        assert child.stdout is not None
        url = (await asyncio.to_thread(child.stdout.readline)).strip()
        answered: list[int] = []

        async def buy_until_killed(session: aiohttp.ClientSession) -> None:
            query = {"api_key": KEY, "action": "getNumber", **TELEGRAM}
            while True:
                async with session.post(url, params=query) as answer:
                    answered.append(int((await answer.text()).split(":")[1]))

        async with aiohttp.ClientSession() as session:
            buyers = [asyncio.create_task(buy_until_killed(session)) for _ in range(20)]
            await asyncio.sleep(0.4)
            child.kill()
            outcomes = await asyncio.gather(*buyers, return_exceptions=True)
        assert [outcome for outcome in outcomes if not isinstance(outcome, aiohttp.ClientError | OSError)] == []
    facts = read_record(path)
    sold = ids([fact for fact in facts if fact.fact == "sold"])
    assert len(answered) == len(set(answered)) > 100
    assert set(answered) <= set(sold)
    assert len(sold) - len(answered) <= 20
    assert [fact.n for fact in facts] == list(range(1, len(facts) + 1))
    async with opened("instant", path, balance="100000000.00") as desk:
        assert desk.provider.live_ids == set(sold)


async def test_ended_activations_are_forgotten_beyond_a_bound_but_stay_in_the_record() -> None:
    async with opened(keep_ended=3, min_cancel_age=timedelta(0)) as desk:
        bought = [await desk.buy(orderId=f"order-{number}") for number in range(5)]
        for activation_id in bought:
            await desk.set(activation_id, 8)
        statuses = [await desk.status(activation_id) for activation_id in bought]
        assert statuses == ["NO_ACTIVATION"] * 2 + ["STATUS_CANCEL"] * 3
        assert ids(desk.provider.cancelled) == bought
        assert await desk.ask("getNumber", **TELEGRAM, orderId="order-4") == "ORDER_ALREADY_EXISTS"
        assert await desk.buy(orderId="order-0") == bought[-1] + 1


async def test_other_processes_read_the_record_and_steer_with_the_key() -> None:
    async with opened() as desk:
        base, key = desk.provider.base_url, {"api_key": KEY}

        async def post(path: str, body: Any, query: dict[str, str] = key) -> tuple[int, bytes]:
            async with desk.session.post(base + path, params=query, data=msgspec.json.encode(body)) as answer:
                return answer.status, await answer.read()

        assert await post("/control/profile", {"profile": "no-stock"}, {"api_key": "wrong"}) == (200, b"BAD_KEY")
        assert (await post("/control/profile", {"profile": "nope"}))[0] == 400
        assert (await post("/control/deliver", {"activation_id": 1, "text": "x"}))[0] == 400
        assert (await post("/elsewhere", {}))[0] == 404
        assert desk.provider.profile == "never"
        bought = await desk.buy()
        assert (await post("/control/deliver", {"activation_id": bought, "text": "Your code 7788"}))[0] == 200
        assert await desk.status(bought) == "STATUS_OK:7788"
        assert (await post("/control/profile", {"profile": "no-stock"}))[0] == 200
        assert await desk.ask("getNumber", **TELEGRAM) == "NO_NUMBERS"
        async with desk.session.get(base + "/record", params=key) as answer:
            lines = (await answer.read()).splitlines()
        assert [msgspec.json.decode(line)["fact"] for line in lines] == ["sold", "delivered", "refused"]
        async with desk.session.get(base + "/record", params=key | {"since": "2"}) as answer:
            assert (await answer.read()).splitlines() == lines[2:]


async def test_since_finds_its_place_in_a_long_record() -> None:
    async with opened("instant", balance="10000000.00") as desk:
        for _ in range(20):
            await asyncio.gather(*(desk.buy() for _ in range(60)))
        numbers = [fact.n for fact in desk.provider.facts()]
        assert numbers == list(range(1, 2401))
        for since in (511, 512, 513, 1024, 2399, 2400, 9999):
            assert [fact.n for fact in desk.provider.facts(since=since)] == numbers[since:]


async def test_each_message_is_posted_to_the_webhook_until_it_is_taken() -> None:
    async with receiver([500]) as (url, bodies), opened("instant", webhook_url=url) as desk:
        bought = await desk.buy()
        for _ in range(300):
            if len(bodies) == 2:
                break
            await asyncio.sleep(0.01)
        sms = desk.provider.delivered[0]
        assert bodies[0] == bodies[1]
        assert bodies[1] == {
            "activationId": bought,
            "service": "tg",
            "text": sms.text,
            "code": sms.code,
            "country": 22,
            "receivedAt": f"{sms.at:%Y-%m-%d %H:%M:%S}",
        }


async def test_two_simulators_share_no_id_and_no_number() -> None:
    async with opened(name="north") as north, opened(name="south") as south:
        for desk in (north, south):
            await asyncio.gather(*(desk.buy() for _ in range(50)))
        assert not north.provider.live_ids & south.provider.live_ids
        phones = {sale.phone for desk in (north, south) for sale in desk.provider.sold}
        assert len(phones) == 100


@pytest.mark.parametrize("profile", ["slow", "drip"])
async def test_stopping_takes_less_than_a_second_with_clients_waiting(profile: str) -> None:
    async with opened(profile) as desk:
        waiting = [asyncio.create_task(desk.ask("getBalance")) for _ in range(20)]
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await desk.provider.stop()
        assert time.monotonic() - started < 1
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)


async def test_a_thousand_active_activations_are_listed_quickly() -> None:
    async with opened() as desk:
        await asyncio.gather(*(buy_many(desk, 50) for _ in range(20)))
        started = time.monotonic()
        assert len(await desk.active()) == 1000
        # Measured at 5 ms; the bound leaves room for a busy machine.
        assert time.monotonic() - started < 0.1


async def buy_many(desk: Desk, count: int) -> None:
    for _ in range(count):
        await desk.buy()
