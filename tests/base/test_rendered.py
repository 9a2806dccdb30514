"""Large answers: made once however many ask, packed once for each encoding, and never an older one."""

import asyncio
import threading
import time

import pytest

from numberdesk.base.compress import pack
from numberdesk.base.rendered import Rendered, Renderings, is_known
from tests.http.test_compression import DECODERS

pytestmark = pytest.mark.anyio

LONG = b"0123456789" * 1_000


class Counted:
    """Makes a body and counts how often; it takes a moment."""

    def __init__(self, body: bytes = LONG) -> None:
        self.body = body
        self.made = 0
        self.threads: set[int] = set()

    def __call__(self) -> bytes:
        self.made += 1
        self.threads.add(threading.get_ident())
        time.sleep(0.02)
        return self.body


async def test_all_who_ask_at_once_wait_for_one_making_outside_of_the_loop() -> None:
    renderings, make = Renderings(), Counted()
    found = await asyncio.gather(*(renderings.get("table", 1, make) for _ in range(50)))
    assert make.made == 1
    assert {id(rendered) for rendered in found} == {id(found[0])}
    assert await renderings.get("table", 1, make) is found[0]
    assert threading.get_ident() not in make.threads


async def test_another_source_is_made_anew_and_the_same_bytes_stay_packed() -> None:
    renderings = Renderings()
    first = await renderings.get("table", 1, Counted())
    await first.packed("zstd")
    assert await renderings.get("table", 2, Counted()) is first
    changed = await renderings.get("table", 3, Counted(LONG + b"!"))
    assert (changed.body, changed.etag != first.etag) == (LONG + b"!", True)
    assert (await renderings.get("table", 2, Counted())).body == LONG


async def test_names_are_told_apart() -> None:
    renderings = Renderings()
    bodies = [(await renderings.get(name, 1, Counted(name.encode()))).body for name in ("a", "b", "a")]
    assert bodies == [b"a", b"b", b"a"]


async def test_who_goes_away_takes_the_work_from_nobody() -> None:
    renderings, make = Renderings(), Counted()
    first, second = (asyncio.create_task(renderings.get("table", 1, make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).body == LONG
    assert first.cancelled()
    assert make.made == 1


async def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    renderings = Renderings()

    def fail() -> bytes:
        raise ZeroDivisionError

    found = await asyncio.gather(*(renderings.get("table", 1, fail) for _ in range(3)), return_exceptions=True)
    assert [type(problem) for problem in found] == [ZeroDivisionError] * 3
    assert (await renderings.get("table", 1, Counted())).body == LONG


async def test_the_longest_unused_goes_when_memory_is_full() -> None:
    renderings = Renderings(bytes_max=3 * len(LONG) + 4 * 1024)
    makes = {name: Counted(LONG + name.encode()) for name in "abcd"}

    async def ask(names: str) -> list[int]:
        for name in names:
            await renderings.get(name, 1, makes[name])
        return [make.made for make in makes.values()]

    assert await ask("abca") == [1, 1, 1, 0]
    assert await ask("dac") == [1, 1, 1, 1]
    assert await ask("b") == [1, 2, 1, 1]


async def test_a_body_too_large_for_the_memory_is_served_all_the_same() -> None:
    renderings = Renderings(bytes_max=10)
    assert (await renderings.get("table", 1, Counted())).body == LONG


@pytest.mark.parametrize("encoding", DECODERS)
async def test_an_encoding_is_packed_once_and_tagged_weakly(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, calls = Rendered(LONG), 0

    def count(body: bytes, name: str) -> bytes:
        nonlocal calls
        calls += 1
        return pack(body, name)

    monkeypatch.setattr("numberdesk.base.rendered.pack", count)
    sent = await asyncio.gather(
        *(rendered.answer(accept_encoding=f"deflate, {encoding}", if_none_match="") for _ in range(10))
    )
    assert calls == 1
    for one in sent:
        headers = dict(one.headers)
        assert DECODERS[encoding](one.body) == LONG
        assert (headers[b"content-encoding"], headers[b"vary"]) == (encoding.encode(), b"Accept-Encoding")
        assert headers[b"etag"] == f"W/{rendered.etag}".encode()


async def test_a_short_body_or_a_plain_caller_gets_it_as_it_is() -> None:
    for rendered, accepted in ((Rendered(b"{}"), "zstd, br, gzip"), (Rendered(LONG), ""), (Rendered(LONG), "zstd;q=0")):
        sent = await rendered.answer(accept_encoding=accepted, if_none_match='"other"')
        assert (sent.status, sent.body) == (200, rendered.body)
        headers = dict(sent.headers)
        assert headers[b"etag"] == rendered.etag.encode()
        assert headers[b"cache-control"] == b"private, no-cache"
        assert b"content-encoding" not in headers


async def test_who_has_the_body_gets_nothing_but_its_tag() -> None:
    rendered = Rendered(LONG)
    for encoding in ("", "zstd"):
        sent = await rendered.answer(accept_encoding=encoding, if_none_match=f'"x", W/{rendered.etag}')
        assert (sent.status, sent.body) == (304, b"")
        assert dict(sent.headers)[b"etag"].endswith(rendered.etag.encode())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b",W/"a" ', True), ("*", True), (" * ", True),
        ("", False), ("a", False), ('"A"', False), ('"b"', False), ('"a', False), ('w/"a"', False),
        ("," * 9_000, False),
    ],
)  # fmt: skip
def test_tags_are_compared_weakly(given: str, expected: bool) -> None:
    assert is_known('"a"', given) is expected
