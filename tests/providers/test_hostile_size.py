"""What a server sends that is long, or never ends, stays bounded here: in memory, in the tables, and on the loop."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from yarl import URL

from numberdesk.base.db import Database, value
from numberdesk.base.http_client import Answer
from numberdesk.providers import sql
from numberdesk.providers.adapters import sms_activate_lists, sms_pool
from numberdesk.providers.line import (
    HEARD,
    IN_THREAD_ABOVE,
    LIST_BODY_MAX,
    ORDER_BODY_MAX,
    Heard,
    Question,
    ask,
    parsed,
)
from numberdesk.providers.model import ActiveList, Unknown
from numberdesk.providers.sql import _gate
from tests.providers.gate_desk import gated
from tests.providers.line_desk import line_to, soon, told

pytestmark = pytest.mark.anyio


def row(number: int, *, padding: int = 0) -> dict[str, Any]:
    return {
        "activationId": str(number), "phoneNumber": f"9198{number:08}", "serviceCode": "tg", "activationStatus": "1",
        "padding": "x" * padding,
    }  # fmt: skip


async def test_of_long_answers_only_the_last_is_kept_until_a_call_is_judged() -> None:
    sizes = (100, 2 * ORDER_BODY_MAX, 2 * ORDER_BODY_MAX, 100, 2 * ORDER_BODY_MAX)
    heard: list[Heard] = []
    async with told(*(b"x" * size for size in sizes)) as server, line_to(server.url) as line:
        listening = HEARD.set(heard)
        try:
            for _ in range(5):
                question = Question("active", line.endpoint)
                await ask(line, question, until=soon(), body_max=LIST_BODY_MAX)
        finally:
            HEARD.reset(listening)
    assert [len(item.answer.body) for item in heard if isinstance(item.answer, Answer)] == [
        100, 100, 2 * ORDER_BODY_MAX,
    ]  # fmt: skip


async def test_a_long_row_is_read_and_not_remembered() -> None:
    sms_activate_lists._known_row.cache_clear()
    body = json.dumps([row(1), row(2, padding=100_000)]).encode()
    for _ in range(2):
        found = sms_activate_lists.active(body, 200, paise_per_unit=100)
        assert isinstance(found, ActiveList)
        assert [item.upstream_id for item in found.activations] == ["1", "2"]
    assert sms_activate_lists._known_row.cache_info().currsize == 1


async def test_a_long_answer_is_read_in_a_thread_and_a_short_one_is_not() -> None:
    def where(body: bytes, status: int) -> int:
        return threading.get_ident()

    assert await parsed(where, Answer(200, "", b"x" * IN_THREAD_ABOVE)) == threading.get_ident()
    assert await parsed(where, Answer(200, "", b"x" * (IN_THREAD_ABOVE + 1))) != threading.get_ident()


async def test_a_list_of_more_countries_than_there_are_is_not_walked_through() -> None:
    places = [{"ID": number, "name": "Place", "short_name": f"P{number}"} for number in range(1, 3000)]
    async with told(json.dumps(places).encode()) as server, line_to(server.url, kind="sms-pool") as line:
        found = await sms_pool.listing(replace(line, endpoint=URL(server.url)), until=soon(20))
    assert isinstance(found, Unknown)
    assert len(server.queries) == 1


async def test_words_that_a_server_makes_up_fill_no_table(
    db: Database, admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gate, "UNKNOWN_WORDS_MAX", 3)
    async with gated(db, admin_url) as desk, db.statement() as tx:
        for word in ("A_A", "B_B", "C_C", "D_D", "E_E"):
            await sql.note_word(tx, provider_id=desk.id, word=word, action="rent", times=1)
        await sql.note_word(tx, provider_id=desk.id, word="C_C", action="rent", times=4)
        assert await value(tx, "SELECT array_agg(word ORDER BY word) FROM provider_unknown_words") == [
            "A_A", "B_B", "C_C",
        ]  # fmt: skip
        assert await value(tx, "SELECT times FROM provider_unknown_words WHERE word = 'C_C'") == 5
