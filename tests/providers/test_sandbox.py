"""The provider of sandboxes: what comes of an activation is read off its id and the clock, in every process alike."""

import math
import re
from datetime import timedelta
from typing import Any

import pytest

from numberdesk.base import clock, crypto
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, run
from numberdesk.base.errors import InvalidFields
from numberdesk.base.money import Paise
from numberdesk.providers import service as providers
from numberdesk.providers.adapters import sandbox
from numberdesk.providers.model import (
    RENTAL,
    CodeWon,
    Done,
    Ended,
    Prolonged,
    ProviderId,
    Received,
    Refused,
    Rented,
    TooLate,
    Unknown,
    Waiting,
    Wanted,
)

pytestmark = pytest.mark.anyio

NO_LINE: Any = None
"""The adapter asks nobody."""
UNTIL = math.inf


async def rent(script: str, reference: str = "55-1", *, hours: int | None = None) -> Rented:
    wanted = Wanted(script, 22, "any", Paise(5000), reference, hours)
    found = await sandbox.rent(NO_LINE, wanted, until=UNTIL)
    assert isinstance(found, Rented)
    return found


def aged(upstream_id: str, seconds: float) -> str:
    """Return the activation as if it had been rented so long ago."""
    name, _, *rest = upstream_id.split("-")
    born_at = clock.now() - timedelta(seconds=seconds)
    return "-".join([name, str(int(born_at.timestamp() * 1000)), *rest])


async def look(upstream_id: str) -> Any:
    return await sandbox.look(NO_LINE, upstream_id, until=UNTIL)


async def cancel(upstream_id: str) -> Any:
    return await sandbox.cancel(NO_LINE, upstream_id, until=UNTIL)


@pytest.mark.parametrize(
    ("script", "times"), [("testcode", [2]), ("testlate", [30]), ("testtwo", [2, 6]), ("testnever", [])]
)
async def test_codes_come_when_the_script_says(script: str, times: list[int]) -> None:
    sold = await rent(script)
    assert await look(sold.upstream_id) == Waiting()
    assert await cancel(sold.upstream_id) == Done()
    for number, seconds in enumerate(times, 1):
        before, after = aged(sold.upstream_id, seconds - 0.9), aged(sold.upstream_id, seconds)
        assert await look(before) == Waiting() if number == 1 else len(await look(before)) == number - 1
        assert len(await look(after)) == number
        assert await cancel(after) == CodeWon()
    old = aged(sold.upstream_id, 3600)
    assert await look(old) == Waiting() if not times else len(await look(old)) == len(times)


async def test_every_look_tells_the_same_codes_and_two_orders_have_other_ones() -> None:
    first = aged((await rent("testtwo", "55-1")).upstream_id, 60)
    second = aged((await rent("testtwo", "56-1")).upstream_id, 60)
    messages = await look(first)
    assert messages == await look(first)
    codes = {message.code for message in (*messages, *await look(second))}
    assert len(codes) == 4
    assert all(re.fullmatch(r"[0-9]{6}", code) for code in codes)
    assert messages[0] == Received(messages[0].code, f"{messages[0].code} is your sandbox code.")


async def test_numbers_are_well_formed_and_belong_to_no_country_and_no_two_orders() -> None:
    numbers = [(await rent("testnever", f"{order}-1")).number for order in (1, 2, 9_999_999_999)]
    assert numbers == ["9990000000001", "9990000000002", "9999999999999"]


@pytest.mark.parametrize(
    ("script", "reason"), [("testnone", "no_numbers"), ("testdown", "unreachable"), ("tg", "bad_service")]
)
async def test_scripts_refuse_with_their_reason(script: str, reason: str) -> None:
    answer = await sandbox.rent(NO_LINE, Wanted(script, 22, "any", Paise(1000), "55-1"), until=UNTIL)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


async def test_one_script_leaves_it_unknown() -> None:
    answer = await sandbox.rent(NO_LINE, Wanted("testmaybe", 22, "any", Paise(1000), "55-1"), until=UNTIL)
    assert isinstance(answer, Unknown)


@pytest.mark.parametrize(
    "upstream_id",
    ["", "1", "testcode", "testcode-", "testcode-x-1", "nosuch-1764000000000-1-1", "testcode-" + "9" * 400 + "-1",
     "testcode-٣-1", "testcode--5-1"],
)  # fmt: skip
async def test_an_id_that_was_never_given_out_is_over(upstream_id: str) -> None:
    assert isinstance(await look(upstream_id), Ended)
    assert await cancel(upstream_id) == Done()
    assert isinstance(await sandbox.another_code(NO_LINE, upstream_id, until=UNTIL), Refused)


async def test_a_second_code_is_promised_where_the_script_has_one() -> None:
    for script, has_two in (("testcode", False), ("testtwo", True)):
        sold = await rent(script)
        assert sold.can_get_next is has_two
        answer = await sandbox.another_code(NO_LINE, sold.upstream_id, until=UNTIL)
        assert isinstance(answer, Done) is has_two


def aged_rental(upstream_id: str, seconds: float) -> str:
    return RENTAL + aged(upstream_id.removeprefix(RENTAL), seconds)


async def test_a_rental_receives_its_codes_and_can_be_given_back_until_its_window_is_over() -> None:
    sold = await rent("testtwo", hours=24)
    assert sold.upstream_id.startswith(RENTAL)
    assert sold.ends_at is not None
    assert abs(sold.ends_at - clock.now() - timedelta(hours=24)) < timedelta(seconds=5)
    assert await look(sold.upstream_id) == Waiting()
    assert await cancel(sold.upstream_id) == Done()
    assert len(await look(aged_rental(sold.upstream_id, 10))) == 2
    assert await cancel(aged_rental(sold.upstream_id, 10)) == CodeWon()
    silent = await rent("testnever", hours=24)
    assert await cancel(aged_rental(silent.upstream_id, 1190)) == Done()
    assert await cancel(aged_rental(silent.upstream_id, 1210)) == TooLate()
    assert await sandbox.another_code(NO_LINE, silent.upstream_id, until=UNTIL) == Done()


async def test_a_rental_goes_on_at_the_price_of_a_rental() -> None:
    sold = await rent("testcode", hours=24)
    assert await sandbox.prolong_cost(NO_LINE, sold.upstream_id, 24, until=UNTIL) == 3_000
    assert await sandbox.prolong(NO_LINE, sold.upstream_id, 24, until=UNTIL) == Prolonged(
        sold.upstream_id, sold.number, None
    )
    for step in (sandbox.prolong_cost, sandbox.prolong):
        assert isinstance(await step(NO_LINE, f"{RENTAL}nosuch-1-1", 24, until=UNTIL), Ended)


async def test_an_operator_cannot_add_another_sandbox(db: Database) -> None:
    with pytest.raises(InvalidFields) as problem:
        await providers.add(
            db, Vault([crypto.new_key()]), name="mine", kind="sandbox", url="http://x.test", api_key="x"
        )
    assert problem.value.fields == {"kind": "must be one of sms-activate, five-sim, sms-pool, agent"}


async def test_its_row_has_no_key_to_read_or_to_seal_again_and_staff_do_not_see_it(db: Database) -> None:
    async with db.statement() as tx:
        await run(
            tx,
            """
            INSERT INTO providers (id, name, kind, dialect, url, api_key_sealed) OVERRIDING SYSTEM VALUE
            VALUES (9999, 'sandbox', 'sandbox', 'sandbox', 'http://sandbox.invalid/', '')
            """,
        )
    vault = Vault([crypto.new_key()])
    assert await providers.reseal(db, vault) == 0
    assert await providers.list_all(db) == []
    lines = await providers.open_lines(db, vault)
    try:
        for script, expected in (("testcode", Rented), *[("testdown", Refused)] * 30):
            wanted = Wanted(script, 22, "any", Paise(1000), "7-1")
            assert isinstance(await providers.rent(lines, ProviderId(9999), wanted), expected)
        assert not providers.health(lines, ProviderId(9999)).is_shut
        await providers.flush(lines)
        assert await providers.list_calls(db) == []
        assert await providers.watch_balances(lines) == 0
    finally:
        await providers.close(lines)
