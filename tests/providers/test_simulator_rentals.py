"""Rentals at the simulator: the protocol's words, its own record, and going on from it after a stop."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from numberdesk.providers.adapters import sms_activate
from numberdesk.providers.model import RENTAL, Received
from numberdesk.providers.simulator import catalogue, rentals
from tests.providers.simulator_desk import Desk, opened
from tests.providers.test_simulator_record import receiver

pytestmark = pytest.mark.anyio

TELEGRAM = {"service": "tg", "country": "22", "rent_time": "24"}
COST = rentals.cost_of(catalogue.offers()["tg", 22], 24)


async def told(desk: Desk, action: str, **parameters: Any) -> Any:
    """Ask, and return the word of an error, or what is told."""
    answer = await desk.json(action, **parameters)
    if answer.get("status") == "error":
        return answer["message"]
    return answer


async def rent(desk: Desk, **parameters: Any) -> Any:
    answer = await told(desk, "getRentNumber", **TELEGRAM | parameters)
    return answer if isinstance(answer, str) else answer["phone"]


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"service": "nosuch"}, "BAD_SERVICE"),
        ({"service": ""}, "BAD_SERVICE"),
        ({"country": "9999"}, "BAD_COUNTRY"),
        ({"country": "x"}, "BAD_COUNTRY"),
        ({"country": "73"}, "OUT_OF_STOCK"),
        ({"rent_time": "1"}, "INVALID_TIME"),
        ({"rent_time": "1345"}, "INVALID_TIME"),
        ({"rent_time": "x"}, "INVALID_TIME"),
    ],
)
async def test_what_is_not_rented_is_refused_by_a_word(parameters: dict[str, str], word: str) -> None:
    async with opened() as desk:
        assert await rent(desk, **parameters) == word
        assert [(fact.action, fact.reason) for fact in desk.provider.refused] == [("getRentNumber", word)]
        assert not desk.provider.rented


async def test_a_rental_lives_beside_activations_and_has_its_own_record() -> None:
    async with opened() as desk:
        activation_id = await desk.buy()
        before = desk.provider.balance_paise
        phone = await rent(desk)
        assert before - desk.provider.balance_paise == COST
        (fact,) = desk.provider.rented
        assert (fact.rental_id, fact.phone, fact.hours, fact.activation_id) == (phone["id"], phone["number"], 24, None)
        assert desk.provider.live_ids == {activation_id}
        assert await desk.status(phone["id"]) == "NO_ACTIVATION"
        assert await told(desk, "getRentStatus", id=activation_id) == "NO_ID_RENT"
        assert await told(desk, "getRentStatus", id=phone["id"]) == "STATUS_WAIT_CODE"
        assert (await told(desk, "getRentList"))["values"] == {"0": {"id": str(phone["id"]), "phone": phone["number"]}}


async def test_messages_come_by_themselves_where_the_profile_lets_them() -> None:
    async with opened("instant") as desk:
        phone = await rent(desk)
        for _ in range(200):
            answer = await told(desk, "getRentStatus", id=phone["id"])
            if answer != "STATUS_WAIT_CODE" and answer["quantity"] == "3":
                break
            await asyncio.sleep(0.02)
        assert [value["service"] for value in answer["values"].values()] == ["tg"] * 3
        assert [fact.rental_id for fact in desk.provider.delivered] == [phone["id"]] * 3
        assert await told(desk, "setRentStatus", id=phone["id"], status=2) == "CANT_CANCEL"
        assert await told(desk, "setRentStatus", id=phone["id"], status=1) == {"status": "success"}
        assert await told(desk, "setRentStatus", id=phone["id"], status=2) == "ALREADY_FINISH"
        assert await told(desk, "getRentStatus", id=phone["id"]) == "STATUS_FINISH"
        assert await told(desk, "getRentList") == "NO_NUMBERS"


async def test_a_status_that_is_none_changes_nothing() -> None:
    async with opened() as desk:
        phone = await rent(desk)
        for status in ("", "3", "8", "x"):
            assert await told(desk, "setRentStatus", id=phone["id"], status=status) == "INCORECT_STATUS"
        assert await told(desk, "setRentStatus", id="x", status=2) == "NO_ID_RENT"
        assert await told(desk, "setRentStatus", id=phone["id"], status=2) == {"status": "success"}
        assert await told(desk, "continueRentNumber", id=phone["id"], rent_time=4) == "RENT_DIE"


async def test_the_longest_time_is_told_with_the_refusal_of_a_longer_one() -> None:
    async with opened(balance="9999999.00") as desk:
        phone = await rent(desk, rent_time="1000")
        for action in ("continueRentNumber", "continueRentInfo", "getContinueRentPriceNumber"):
            answer = await desk.json(action, id=phone["id"], rent_time=1000)
            assert answer == {"status": "error", "message": "MAX_HOURS_EXCEED", "info": {"max": 345}}
        for action in ("continueRentInfo", "getContinueRentPriceNumber"):
            answer = await told(desk, action, id=phone["id"], rent_time=24)
            assert (answer["price"], answer["currency"]) == (COST / 100, 356)


async def test_after_a_stop_it_goes_on_with_its_rentals(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    async with opened(record_path=path) as desk:
        kept, gone = await rent(desk), await rent(desk)
        await told(desk, "setRentStatus", id=gone["id"], status=2)
        await told(desk, "continueRentNumber", id=kept["id"], rent_time=24)
        desk.provider.deliver_rental(kept["id"], "Telegram code 48213.")
        balance = desk.provider.balance_paise
    async with opened(record_path=path) as desk:
        assert desk.provider.balance_paise == balance
        answer = await told(desk, "getRentStatus", id=kept["id"])
        assert [value["text"] for value in answer["values"].values()] == ["Telegram code 48213."]
        assert await told(desk, "getRentStatus", id=gone["id"]) == "STATUS_CANCEL"
        third = await rent(desk)
        assert third["id"] > gone["id"]
        assert len({fact.phone for fact in desk.provider.rented}) == 3


async def test_a_rental_ends_when_its_hours_are_over_also_while_nobody_runs(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    async with opened(record_path=path, time_scale=0.00001) as desk:
        phone, longer = await rent(desk, rent_time="2"), await rent(desk, rent_time="2")
        await told(desk, "continueRentNumber", id=longer["id"], rent_time="1300")
        await asyncio.sleep(0.3)
        assert [fact.rental_id for fact in desk.provider.expired] == [phone["id"]]
        fourth = await rent(desk, rent_time="2")
    await asyncio.sleep(0.1)
    async with opened(record_path=path, time_scale=0.00001) as desk:
        assert await told(desk, "getRentStatus", id=fourth["id"]) == "STATUS_FINISH"
        assert await told(desk, "getRentStatus", id=longer["id"]) == "STATUS_WAIT_CODE"


async def test_messages_of_a_rental_are_posted_in_the_form_that_our_side_reads() -> None:
    async with receiver([]) as (url, bodies), opened(webhook_url=url) as desk:
        phone = await rent(desk)
        desk.provider.deliver_rental(phone["id"], "Telegram code 48213.")
        for _ in range(200):
            if bodies:
                break
            await asyncio.sleep(0.02)
        (body,) = bodies
        assert body["rentId"] == str(phone["id"])
        (event,) = sms_activate.pushed(msgspec.json.encode(body)) or ()
        assert (event.upstream_id, event.number) == (f"{RENTAL}{phone['id']}", None)
        assert event.message == Received("48213", "Telegram code 48213.")


async def test_the_same_message_posted_again_is_the_same_event_and_another_is_not() -> None:
    sms = {"phoneFrom": "Telegram", "text": "Telegram code 48213.", "date": "2026-11-27 12:00:00"}
    bodies = [
        {"rentId": "26251422", "sms": sms},
        {"rentId": 26251422, "sms": sms | {"phoneFrom": "x"}},
        {"rentId": "26251423", "sms": sms},
        {"rentId": "26251422", "sms": sms | {"date": "2026-11-27 12:00:01"}},
    ]
    events = [(sms_activate.pushed(msgspec.json.encode(body)) or ())[0].event_id for body in bodies]
    assert events[0] == events[1]
    assert len(set(events)) == 3
    for wrong in ({"rentId": "x", "sms": sms}, {"rentId": "5", "sms": sms | {"text": " "}}, {"rentId": "5"}):
        assert sms_activate.pushed(msgspec.json.encode(wrong)) is None


async def test_a_rental_that_nobody_knows_receives_nothing() -> None:
    async with opened() as desk:
        with pytest.raises(LookupError):
            desk.provider.deliver_rental(5, "Telegram code 48213.")
