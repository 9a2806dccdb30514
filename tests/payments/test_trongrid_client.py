"""The client of TRON's servers when keys are spent, nodes are down or wrong, and bodies are huge."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from numberdesk.base import http_client
from numberdesk.payments.methods import trongrid
from numberdesk.payments.methods.gateway import Trouble
from numberdesk.payments.methods.trongrid import GENESIS, Node
from tests.payments.fakes.trongrid import FakeTronGrid
from tests.payments.fakes.trongrid import trongrid as fake_trongrid
from tests.payments.tron_desk import KEYS, OURS, client_of, listed

pytestmark = pytest.mark.anyio


def keys_of(fake: FakeTronGrid) -> list[str | None]:
    return [request.key for request in fake.requests]


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_a_key_that_asked_too_often_rests_and_the_next_one_asks(status: int) -> None:
    async with fake_trongrid(limited={KEYS[0]: status}) as fake, client_of(fake, keys=KEYS, key_rest=0.2) as client:
        txid = fake.pay(OURS, 5)
        assert await listed(client) == [txid]
        assert await listed(client) == [txid]
        assert keys_of(fake) == [KEYS[0], KEYS[1], KEYS[1], KEYS[1]]
        fake.limited.clear()
        await asyncio.sleep(0.25)
        assert await listed(client) == [txid]
        assert keys_of(fake)[-1] == KEYS[0]


async def test_when_all_keys_rest_nothing_is_asked_until_one_may() -> None:
    async with (
        fake_trongrid(limited=dict.fromkeys(KEYS, 429)) as fake,
        client_of(fake, keys=KEYS, key_rest=30.0) as client,
    ):
        answers = [await listed(client) for _ in range(3)]
        assert all(isinstance(answer, Trouble) and 25 < (answer.retry_after or 0) <= 30 for answer in answers)
        assert keys_of(fake) == list(KEYS)


async def test_without_keys_the_limit_of_the_address_is_heeded_too() -> None:
    async with fake_trongrid(limited={None: 429}) as fake, client_of(fake) as client:
        assert isinstance(await listed(client), Trouble)
        assert isinstance(await listed(client), Trouble)
        assert keys_of(fake) == [None]


async def test_a_spent_limit_is_no_failure_of_the_node() -> None:
    async with fake_trongrid(limited={KEYS[0]: 429}) as fake, client_of(fake, keys=KEYS, key_rest=0.0) as client:
        for _ in range(10):
            assert await listed(client) == []


async def test_a_key_that_is_not_known_is_left_aside() -> None:
    async with fake_trongrid(keys=frozenset({KEYS[1]})) as fake, client_of(fake, keys=KEYS) as client:
        assert await listed(client) == []
        assert await listed(client) == []
        assert keys_of(fake) == [KEYS[0], KEYS[1], KEYS[1], KEYS[1]]


@pytest.mark.parametrize("fails", ["down", "hangs", "garbage"])
async def test_after_failures_in_a_row_the_second_node_is_asked_and_then_the_first_again(fails: str) -> None:
    async with (
        fake_trongrid() as first,
        fake_trongrid() as second,
        client_of(first, second, deadline=0.3, shut_seconds=0.4) as client,
    ):
        assert await listed(client) == []
        txid = second.pay(OURS, 5)
        first.is_down, first.hangs = fails == "down", fails == "hangs"
        first.says = (200, b"bare text") if fails == "garbage" else None
        before = len(first.requests)
        for since in range(3):
            assert isinstance(await listed(client, since_ms=since), Trouble)
        assert await listed(client) == [txid]
        assert await listed(client) == [txid]
        assert len(first.requests) == before + 3
        first.is_down, first.hangs, first.says = False, False, None
        await asyncio.sleep(0.45)
        assert await listed(client) == []
        assert len(first.requests) == before + 4


async def test_when_both_nodes_are_shut_the_answer_is_at_once_until_one_request_tries_again() -> None:
    async with (
        fake_trongrid(is_down=True) as first,
        fake_trongrid(is_down=True) as second,
        client_of(first, second, shut_seconds=0.5) as client,
    ):
        for _ in range(6):
            assert isinstance(await listed(client), Trouble)
        assert (len(first.requests), len(second.requests)) == (3, 3)
        answer = await listed(client)
        assert isinstance(answer, Trouble)
        assert 0 < (answer.retry_after or 0) <= 0.5
        assert (len(first.requests), len(second.requests)) == (3, 3)
        await asyncio.sleep(0.55)
        await asyncio.gather(*(listed(client) for _ in range(20)))
        assert (len(first.requests), len(second.requests)) == (4, 4), "one request tries, the others wait for it"


async def test_an_unreadable_transaction_does_not_shut_the_node_for_all_others() -> None:
    async with fake_trongrid() as fake, client_of(fake) as client:
        fake.says = (200, b'{"Error":"could not print it"}')
        for _ in range(10):
            assert isinstance(await trongrid.solid_transaction(client, "ab" * 32), Trouble)
        fake.says = (200, b"[" + b" " * trongrid.BODY_MAX + b"]")
        for _ in range(10):
            assert isinstance(await trongrid.solid_transaction(client, "ab" * 32), Trouble)
        fake.says = None
        assert await listed(client) == []


async def test_a_node_of_another_network_is_asked_nothing_else() -> None:
    async with (
        fake_trongrid(genesis=GENESIS["nile"]) as nile,
        fake_trongrid() as mainnet,
        client_of(nile, mainnet) as client,
    ):
        worthless, real = nile.pay(OURS, 5_000_000), mainnet.pay(OURS, 5)
        with capture_logs() as logs:
            assert await listed(client) == [real]
            assert await listed(client) == [real]
        assert worthless not in {request.body.get("value") for request in nile.requests}
        assert [request.path for request in nile.requests] == ["/wallet/getblockbynum"]
        assert [entry["event"] for entry in logs] == ["tron_wrong_network"]


async def test_a_second_node_of_another_network_is_not_failed_over_to() -> None:
    async with (
        fake_trongrid(is_down=True) as mainnet,
        fake_trongrid(genesis=GENESIS["shasta"]) as shasta,
        client_of(mainnet, shasta) as client,
    ):
        txid = shasta.pay(OURS, 5_000_000)
        for _ in range(5):
            assert isinstance(await trongrid.solid_transaction(client, txid), Trouble)
        assert [request.path for request in shasta.requests] == ["/wallet/getblockbynum"]


async def test_a_node_that_hangs_is_waited_for_no_longer_than_the_deadline() -> None:
    async with fake_trongrid(hangs=True) as fake, client_of(fake, deadline=0.2) as client:
        async with asyncio.timeout(1.0):
            assert isinstance(await listed(client), Trouble)


async def test_an_unreachable_node_is_trouble() -> None:
    async with client_of(FakeTronGrid(url="http://127.0.0.1:1")) as client:
        assert isinstance(await listed(client), Trouble)


async def test_bodies_above_their_cap_are_not_read() -> None:
    async with fake_trongrid() as fake, client_of(fake, failures_max=100) as client:
        fake.says = (200, b'{"a":"' + b"x" * trongrid.BODY_MAX + b'"}')
        answer = await trongrid.solid_transaction(client, "ab" * 32)
        assert isinstance(answer, Trouble)
        assert "cap" in answer.reason
        fake.says = (200, b'{"data":[],"success":true,"meta":{},"a":"' + b"x" * trongrid.BODY_MAX + b'"}')
        assert await listed(client) == []
        fake.says = (200, b'{"data":[],"success":true,"meta":{},"a":"' + b"x" * trongrid.HISTORY_BODY_MAX + b'"}')
        history = await listed(client)
        assert isinstance(history, Trouble)
        assert "cap" in history.reason


@pytest.mark.parametrize("status", [204, 302, 400, 404, 500])
async def test_another_status_is_no_answer(status: int) -> None:
    async with fake_trongrid() as fake, client_of(fake) as client:
        fake.says = (status, b"" if status == 204 else b"{}")
        assert isinstance(await trongrid.solid_transaction(client, "ab" * 32), Trouble)


async def test_no_more_calls_a_second_leave_than_allowed() -> None:
    async with fake_trongrid() as fake, client_of(fake, calls_per_second=5, deadline=0.5) as client:
        answers = await asyncio.gather(*(listed(client) for _ in range(30)))
        assert len(fake.requests) <= 5 + 3
        late = [answer for answer in answers if isinstance(answer, Trouble)]
        assert len(late) >= 22
        assert all(answer.retry_after for answer in late)


async def test_a_closed_session_is_trouble() -> None:
    async with fake_trongrid() as fake:
        async with client_of(fake) as client:
            pass
        assert isinstance(await listed(client), Trouble)


async def test_keys_are_sent_in_their_header_only_and_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with fake_trongrid() as first, fake_trongrid() as second, http_client.session() as session:
        first_node, second_node = Node(first.url, (KEYS[0],)), Node(second.url, (KEYS[1],))
        client = trongrid.open_client(
            session, primary=first_node, second=second_node, calls_per_second=100, failures_max=1, key_rest=0.01
        )
        shown: list[Any] = [client, first_node]
        with capture_logs() as logs:
            shown.append(await listed(client))
            first.limited[KEYS[0]] = 429
            shown.append(await listed(client))
            first.is_down = second.is_down = True
            await asyncio.sleep(0.05)
            shown += [await listed(client) for _ in range(3)]
        told = repr((shown, logs)) + "".join(capsys.readouterr())
        assert [entry["event"] for entry in logs] == ["tron_key_rests", "tron_node_shut", "tron_node_shut"]
        assert not any(key in told for key in KEYS)
        assert set(keys_of(first)) == {KEYS[0]}
        assert set(keys_of(second)) == {KEYS[1]}, "the keys of one server are never sent to the other"
        assert not any(key in str(request.query) + request.path for key in KEYS for request in first.requests)
