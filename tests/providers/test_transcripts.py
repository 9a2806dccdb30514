"""Transcripts: what was said on the wire is there for staff, and neither our key nor a customer's code is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from yarl import URL

from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.base.http_client import TOO_LATE, Answer
from numberdesk.providers import service as providers
from numberdesk.providers.line import Heard, Question
from numberdesk.providers.model import ProviderId, Rented, Unknown
from numberdesk.providers.service import Lines, Transcript
from numberdesk.providers.service import _gate as gate
from numberdesk.providers.service._transcripts import ANSWER_MAX, RAW_MAX, said_of, without_codes
from numberdesk.providers.simulator import PROFILES, Simulator
from tests.providers.families import FAMILIES, Family, opened, telegram
from tests.providers.gate_desk import gated
from tests.providers.line_desk import KEY, told

pytestmark = pytest.mark.anyio

CODE = "48213"
TEXT = f"Telegram code {CODE}."
THE_PROVIDER = ProviderId(1)
THOROUGH = [family for family in FAMILIES if family.is_thorough]


@asynccontextmanager
async def heard(db: Database, family: Family, profile: Any = "never") -> AsyncIterator[tuple[Simulator, Lines]]:
    """Open a process that reaches a simulator of the family."""
    async with opened(family, profile) as (upstream, line, _):
        lines = Lines(db, Vault([new_key()]), line.session)
        lines.by_id[THE_PROVIDER] = replace(line, provider=replace(line.provider, deadline_ms=500))
        yield upstream, lines


async def kept(lines: Lines, subject: str | None = None) -> list[Transcript]:
    """Write what gathered, and read it, the oldest first."""
    await providers.flush(lines)
    return (await providers.list_transcripts(lines.db, THE_PROVIDER, subject))[::-1]


async def every_verb(lines: Lines, upstream: Simulator, family: Family) -> Rented | None:
    """Do everything that can be done with a number, with a code that came."""
    sold = await providers.rent(lines, THE_PROVIDER, telegram(family))
    upstream_id = sold.upstream_id if isinstance(sold, Rented) else family.absent_id
    for fact in upstream.sold:
        upstream.deliver(fact.activation_id or 0, TEXT, code=CODE)
    for step in (providers.look, providers.cancel, providers.another_code, providers.finish, providers.cancel):
        await step(lines, THE_PROVIDER, upstream_id)
    for read in (providers.active, providers.listing, providers.balance):
        await read(lines, THE_PROVIDER)
    return sold if isinstance(sold, Rented) else None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_no_action_of_any_family_leaves_a_key_or_a_code_behind(db: Database, family: Family) -> None:
    async with heard(db, family) as (upstream, lines):
        sold = await every_verb(lines, upstream, family)
        assert sold is not None
        found = await kept(lines)
        assert {"rent", "cancel"} <= {item.action for item in found}
        text = repr(found)
        assert not [secret for secret in (KEY, CODE, "Telegram code") if secret in text], text
        bought = found[0]
        assert (bought.action, bought.status) == ("rent", 200)
        assert sold.number[-8:] in bought.answer, "staff search for numbers"
        assert bought.subject == "55-1"
        assert bought.asked.startswith(("GET /", "POST /"))
        assert {item.subject for item in await kept(lines, sold.upstream_id)} == {sold.upstream_id}


FAILURES = {name: PROFILES[name] for name in ("garbage", "http-500", "error-word", "redirect")} | {
    "drop": replace(PROFILES["sold-then-dropped"], fault_on="everything")
}


@pytest.mark.parametrize("profile", FAILURES)
@pytest.mark.parametrize("family", THOROUGH, ids=lambda family: family.name)
async def test_no_failure_of_any_family_does_either(db: Database, family: Family, profile: str) -> None:
    async with heard(db, family, FAILURES[profile]) as (upstream, lines):
        await every_verb(lines, upstream, family)
        found = await kept(lines)
        reads = {"look", "balance"} if family.can.has_look else {"listing"}
        assert {"rent"} | reads <= {item.action for item in found}
        text = repr(found)
        assert not [secret for secret in (KEY, CODE, "Telegram code") if secret in text], text


async def test_answers_to_reads_are_kept_only_when_they_failed(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        sold = await desk.buy()
        assert isinstance(sold, Rented)
        for _ in range(5):
            await providers.look(desk.lines, desk.id, sold.upstream_id)
            await providers.active(desk.lines, desk.id)
            await providers.balance(desk.lines, desk.id)
        await providers.flush(desk.lines)
        assert [item.action for item in await providers.list_transcripts(db, desk.id)] == ["rent"]
        desk.upstream.set_profile("http-500")
        assert isinstance(await providers.look(desk.lines, desk.id, sold.upstream_id), Unknown)
        await providers.flush(desk.lines)
        newest, first = await providers.list_transcripts(db, desk.id)
        assert (newest.action, newest.status, newest.subject) == ("look", 500, sold.upstream_id)
        assert (first.action, first.status) == ("rent", 200)
        assert "api_key=[key]&action=getNumberV2&service=tg&country=22" in first.asked
        assert newest.at > first.at
        assert [item.action for item in await providers.list_transcripts(db, desk.id, limit=1)] == ["look"]
        assert await providers.list_transcripts(db, ProviderId(99)) == []


async def test_an_answer_that_never_came_is_there_and_one_that_was_never_asked_for_is_not(
    db: Database, admin_url: str
) -> None:
    async with gated(db, admin_url, parallel_max=1) as desk:
        desk.upstream.set_profile(replace(PROFILES["never"], answer_delay=60.0))
        await desk.buy()
        async with desk.lines.by_id[desk.id].places:
            await desk.buy()
        await providers.flush(desk.lines)
        (only,) = await providers.list_transcripts(db, desk.id)
        assert (only.subject, only.status, only.answer) == ("1-1", None, TOO_LATE.reason)
        assert only.took_ms >= 150


async def test_a_provider_that_says_our_key_back_is_not_quoted(db: Database, admin_url: str) -> None:
    echo = f"wrong key {KEY} or {KEY.upper()} for +919812345678".encode()
    async with gated(db, admin_url) as desk, told(echo) as server:
        await providers.set_options(db, desk.id, url=server.url)
        await desk.spread()
        with capture_logs() as logged:
            await desk.buy()
            await providers.flush(desk.lines)
        (only,) = await providers.list_transcripts(db, desk.id)
        assert only.answer == "wrong key [key] or [key] for +919812345678"
        assert "9812345678" not in str(logged)


async def test_what_nobody_fetches_is_dropped_and_bounded(
    db: Database, admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "SAID_MAX", 3)
    monkeypatch.setattr(gate, "FAILED_READS_MAX", 2)
    async with gated(db, admin_url) as desk:
        before = gate.DROPPED._value.get()
        for _ in range(5):
            await desk.buy()
        assert len(desk.lines.gate.said) == 3
        assert gate.DROPPED._value.get() - before == 2
        await providers.flush(desk.lines)
        desk.upstream.set_profile("http-500")
        for _ in range(4):
            await providers.balance(desk.lines, desk.id)
        assert len(desk.lines.gate.said) == 2
        await providers.flush(desk.lines)
        await providers.balance(desk.lines, desk.id)
        assert len(desk.lines.gate.said) == 1


async def test_old_transcripts_and_counts_go_in_bounded_steps(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        for _ in range(5):
            await desk.buy()
        await providers.flush(desk.lines)
        assert await providers.forget_calls(db) == 0
        await desk.backstage.execute(
            "UPDATE transcripts SET at = at - interval '31 days' WHERE subject IN ('1-1', '2-1', '3-1');"
            "UPDATE provider_calls SET hour = hour - interval '91 days'"
        )
        assert await providers.forget_calls(db, limit=2) == 3
        assert await providers.forget_calls(db, limit=2) == 1
        assert [item.subject for item in await providers.list_transcripts(db, desk.id)] == ["5-1", "4-1"]


async def test_a_process_that_ends_writes_what_is_left(db: Database, admin_url: str) -> None:
    async with gated(db, admin_url) as desk:
        await desk.buy()
        provider_id = desk.id
    assert [item.action for item in await providers.list_transcripts(db, provider_id)] == ["rent"]
    assert [item.calls for item in await providers.list_calls(db)] == [1]


# The pure part.


@pytest.mark.parametrize(
    ("action", "said", "shown"),
    [
        ("rent", "ACCESS_NUMBER:7:919812345678", "ACCESS_NUMBER:7:919812345678"),
        ("rent", '{"id":7,"phone":"+79001234567","sms":null}', '{"id":7,"phone":"+79001234567","sms":null}'),
        ("cancel", "STATUS_OK:48213", "STATUS_OK:*****"),
        ("cancel", '{"id":7,"sms":[["48213"]]}', '{"id":7,"sms":[["*****"]]}'),
        ("finish", '{"id":7,"sms":{"1":"48213"}}', '{"id":7,"sms":{"1":"*****"}}'),
        ("cancel", '{"id":7,"sms-code":"48213"}', '{"id":7,"sms-code":"*****"}'),
        ("cancel", '["48213"]', '["*****"]'),
        ("cancel", "STATUS_WAIT_RETRY: 'A-48'", "STATUS_WAIT_RETRY: '*-**'"),
        ("finish", '{"phone":"79","sms":[{"text":"It is 48213","code":"48213"}]}',
         '{"phone":"79","sms":[{"text":"** ** *****","code":"*****"}]}'),
        ("finish", '{"sms":["It is 48213","G-48"],"x":1}', '{"sms":["** ** *****","*-**"],"x":1}'),
        ("finish", '{"smsCode":48213,"smsText":"a \\"48213\\"', '{"smsCode":*****,"smsText":"* \\"*****\\"'),
        ("finish", '{"verification_code":"QWERTY"}', '{"verification_code":"******"}'),
        ("cancel", '{"x":0,"message":"Order 48213 not found"}', '{"x":0,"message":"Order ***** not found"}'),
        ("cancel", '{"error":{"code":"NO_NUMBERS"}}', '{"error":{"code":"NO_NUMBERS"}}'),
        ("cancel", "the code was 48213", "the code was *****"),
        ("look", '{"what":"48213"}', '{"what":"*****"}'),
        ("active", "[[48213", "[[*****"),
    ],
)  # fmt: skip
def test_what_may_be_a_message_cannot_be_read(action: str, said: str, shown: str) -> None:
    assert without_codes(action, said) == shown


@pytest.mark.parametrize("key", ["k-7", "a+b/c=", 'q"uo\\te', "<&'>", "K" * 500, "%41b"])
def test_a_key_is_found_in_every_way_of_writing_it(key: str) -> None:
    url = URL("http://one.test") / key
    question = Question(
        "rent", url.with_query({"k": key}), f"s {key}", {"api_key": key, "a": "1"}, {"Authorization": key}, "POST",
        f'{{"key": "{key}"}} {url.raw_path}'.encode(),
    )  # fmt: skip
    said = said_of(THE_PROVIDER, key, Heard(question, Answer(200, "", f"x {key} {url.raw_path}".encode()), 0.1), at=1)
    assert said.answer == "x [key] /[key]"
    assert said.subject == "s [key]"
    assert said.asked == 'POST /[key]?k=[key]&api_key=[key]&a=1\nAuthorization\n{"key": "[key]"} /[key]'


@given(st.integers(0, 60), st.integers(1, 80))
def test_no_part_of_a_key_is_left_where_a_long_answer_is_cut(shift: int, length: int) -> None:
    key = "".join(chr(97 + place % 26) for place in range(length)) + "-SECRET"
    body = b"." * (RAW_MAX - shift) + key.encode() + b"." * 100
    heard_ = Heard(Question("rent", URL("http://one.test/")), Answer(200, "", body), 0.1)
    said = said_of(THE_PROVIDER, key, heard_, at=0)
    assert len(said.answer) <= ANSWER_MAX
    assert set(said.answer) == {"."}


@given(st.binary(max_size=300), st.sampled_from(["rent", "cancel", "look"]))
def test_whatever_bytes_come_they_can_be_stored(body: bytes, action: str) -> None:
    heard_ = Heard(Question(action, URL("http://one.test/")), Answer(200, "", body), 0.1)
    said = said_of(THE_PROVIDER, "k-7", heard_, at=0)
    assert "\x00" not in said.answer
    said.answer.encode()
