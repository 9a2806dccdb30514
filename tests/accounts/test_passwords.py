"""Which passwords are refused, and the slow hash of those that are not."""

import asyncio
import runpy
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from numberdesk.accounts import passwords
from numberdesk.accounts.passwords import Busy, Hasher, PasswordRules, Verdict, refuse_weak
from numberdesk.base.errors import InvalidFields

RULES = PasswordRules()
GOOD = "correct horse battery"
WRONG = Verdict(is_right=False, needs_rehash=False)
RIGHT = Verdict(is_right=True, needs_rehash=False)


def quick(*, places: int = 2, wait_seconds: float = 5.0, memory_kib: int = 64, time_cost: int = 1) -> Hasher:
    return Hasher(memory_kib=memory_kib, time_cost=time_cost, parallelism=1, places=places, wait_seconds=wait_seconds)


class Slow(Hasher):
    """A hasher whose work takes until `gate` is opened."""

    def __init__(self, *, places: int = 2, wait_seconds: float = 5.0) -> None:
        super().__init__(memory_kib=64, time_cost=1, places=places, wait_seconds=wait_seconds)
        self.gate = threading.Event()
        self.at_work = self.most_at_work = 0
        self._count = threading.Lock()

    def _judge(self, stored: str | None, password: bytes) -> Verdict | None:
        with self._count:
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        self.gate.wait(10)
        with self._count:
            self.at_work -= 1
        return super()._judge(stored, password)


@pytest.fixture
def slow() -> Iterator[Slow]:
    hasher = Slow()
    yield hasher
    hasher.gate.set()


async def until_at_work(hasher: Slow, count: int) -> None:
    async with asyncio.timeout(5):
        while hasher.at_work != count:  # noqa: ASYNC110 - the work is counted in another thread
            await asyncio.sleep(0.001)


def problems(password: str, *, rules: PasswordRules = RULES, context: Sequence[str] = ()) -> str:
    with pytest.raises(InvalidFields) as caught:
        refuse_weak(password, rules=rules, context=context)
    return caught.value.fields["password"]


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "is shorter than 10 characters and has fewer than 4 different characters"),
        ("k7#Qz!m2p", "is shorter than 10 characters"),
        # Ten code points, five characters.
        ("e\u0301" * 5, "is shorter than 10 characters and has fewer than 4 different characters"),
        # One code point that becomes eighteen.
        ("\ufdfa", "is shorter than 10 characters"),
        ("abababababababab", "has fewer than 4 different characters"),
        ("\uff11\uff11\uff11\uff11\uff12\uff12\uff12\uff13\uff13\uff13", "has fewer than 4 different characters"),
        ("basketball", "is one of the passwords that are tried first"),
        ("BASKETBALL", "is one of the passwords that are tried first"),
        ("\uff42asketball", "is one of the passwords that are tried first"),
        ("Password1234!", "is one of the passwords that are tried first"),
        ("football2026", "is one of the passwords that are tried first"),
        ("1234567890", "is one of the passwords that are tried first"),
        ("numberdesk-2026", "is little more than your name, your address or the name of this service"),
        ("NUMBERDESKnumberdesk", "is little more than your name, your address or the name of this service"),
    ],
)
def test_a_weak_password_is_refused_with_its_problem(password: str, problem: str) -> None:
    assert problems(password) == problem


@pytest.mark.parametrize(
    ("password", "context"),
    [
        ("ravi1990-2026", ["ravi1990@example.com"]),
        ("Ravi#-#ravi99", ["ravi1990@example.com"]),
        ("Example+eXample", ["a@example.com"]),
        ("smithJOHN1234", ["x@y.de", "John Smith"]),
        ("johnjohnjohn1", ["x@y.de", "John Smith"]),
        ("\uff2aohnsmith123", ["john.smith@example.com"]),
        ("müllermüller1", ["Jörg Müller"]),
        ("mu\u0308llermüller1", ["Jörg Müller"]),
    ],
)
def test_what_others_know_about_a_person_is_no_password(password: str, context: list[str]) -> None:
    assert "your name" in problems(password, context=context)


@pytest.mark.parametrize("size", [1025, 5_000_000])
def test_an_overlong_password_is_refused_before_anything_is_done_with_it(size: int) -> None:
    started = time.perf_counter()
    assert problems("a" * size) == "is longer than 1024 bytes"
    assert problems("é" * (size // 2 + 1)) == "is longer than 1024 bytes"
    assert time.perf_counter() - started < 0.1


def test_all_problems_are_told_at_once_and_under_the_name_of_the_field() -> None:
    with pytest.raises(InvalidFields) as caught:
        refuse_weak("ravi", rules=PasswordRules(complexity=True), context=["Ravi"], field="new_password")
    assert caught.value.sentence() == (
        "new_password is shorter than 10 characters, is little more than your name, your address or the name of this"
        " service and lacks a capital letter, a digit and a symbol."
    )


@pytest.mark.parametrize(
    ("password", "lacks"),
    [
        ("k7#qz!m2p-xx", "lacks a capital letter"),
        ("K7#QZ!M2P-XX", "lacks a small letter"),
        ("Kx#Qz!mwp-xx", "lacks a digit"),
        ("K7xQzam2pbxx", "lacks a symbol"),
    ],
)
def test_the_source_designs_complexity_can_be_asked_for(password: str, lacks: str) -> None:
    assert problems(password, rules=PasswordRules(complexity=True)) == lacks
    refuse_weak(password, rules=RULES, context=[])


@pytest.mark.parametrize(
    ("password", "context"),
    [
        (GOOD, []),
        ("k7qzm2pxw9", []),
        ("ten spaces", []),
        ("x" * 1021 + "abc", []),
        ("पासवर्ड-लंबा", []),
        ("🐘🦏🦛🐪🐫🦒🦘🐃🐂🐄", []),
        # A common word that is the smaller part, and names too short to count.
        ("football-of-the-village", []),
        ("football123456789012", []),
        ("raj loves mangoes", ["raj@x.in", "Raj"]),
        ("alice drinks no tea", ["alice@example.com", "Alice"]),
        ("\0\n\t control signs", []),
    ],
)
def test_a_good_password_of_any_characters_passes(password: str, context: list[str]) -> None:
    refuse_weak(password, rules=RULES, context=context)
    if len(set(password)) > 4:
        refuse_weak(password, rules=PasswordRules(min_length=len(password) // 2), context=context)


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(), max_size=1500), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_either_passes_or_is_refused_with_a_sentence(password: str, context: list[str]) -> None:
    try:
        refuse_weak(password, rules=PasswordRules(complexity=True), context=context)
    except InvalidFields as refusal:
        found = refusal.fields["password"]
    else:
        found = "passes"
    assert found
    is_long = len(password.encode("utf-8", "surrogatepass")) > passwords.MAX_BYTES
    assert (found == "is longer than 1024 bytes") is is_long


def test_the_list_of_common_passwords_is_packed_long_and_in_its_form() -> None:
    file = resources.files("numberdesk.accounts").joinpath("data", "common_passwords.txt")
    lines = file.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(set(lines)) >= 3000
    assert all(len(line) >= 8 and line == line.casefold().strip() for line in lines)
    for line in lines[:3000]:
        with pytest.raises(InvalidFields):
            refuse_weak(line, rules=PasswordRules(min_length=8), context=[])


def test_a_missing_list_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    with pytest.raises(FileNotFoundError):
        runpy.run_path(passwords.__file__)


@pytest.mark.anyio
async def test_a_stored_hash_is_argon2id_of_the_parameters_that_owasp_names() -> None:
    stored = await Hasher().hash(GOOD)
    found = extract_parameters(stored)
    assert (found.type, found.version, found.memory_cost, found.time_cost) == (Type.ID, 19, 19_456, 2)
    assert (found.parallelism, found.salt_len, found.hash_len) == (1, 16, 32)
    assert GOOD not in stored


@pytest.mark.anyio
async def test_no_other_password_is_right() -> None:
    hasher = quick()
    stored = await hasher.hash(GOOD)
    for other in ("", GOOD + " ", GOOD.upper(), GOOD[:-1], " " + GOOD, GOOD + "\0", "x" * 1024):
        assert await hasher.verify(stored, other) == WRONG
    assert await hasher.verify(stored, GOOD) == RIGHT


@pytest.mark.anyio
async def test_one_password_never_has_the_same_hash_twice() -> None:
    hasher = quick()
    assert await hasher.hash(GOOD) != await hasher.hash(GOOD)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("stored_as", "typed"), [("caf\u00e9 au lait", "cafe\u0301 au lait"), ("p\uff11\uff12 long", "p12 long")]
)
async def test_a_password_is_right_from_every_keyboard(stored_as: str, typed: str) -> None:
    hasher = quick()
    assert await hasher.verify(await hasher.hash(stored_as), typed) == RIGHT


@pytest.mark.anyio
async def test_nothing_that_can_be_sent_breaks_the_hash() -> None:
    hasher = quick()
    for password in ("\ud800\udfff lone", "a\0b\0c", "\ufdfa" * 341, ""):
        assert await hasher.verify(await hasher.hash(password), password) == RIGHT


@pytest.mark.anyio
async def test_an_unknown_person_is_never_right_and_costs_the_same_work() -> None:
    hasher = Hasher(memory_kib=8192, time_cost=2)
    stored = await hasher.hash(GOOD)
    costs: dict[str | None, list[float]] = {stored: [], None: []}
    for _ in range(9):
        for known, seen in costs.items():
            started = time.thread_time(), time.perf_counter()
            assert await hasher.verify(known, "another password") == WRONG
            seen.append(time.perf_counter() - started[1])
    assert min(costs[None]) > min(costs[stored]) / 2


@pytest.mark.anyio
async def test_an_overlong_password_is_wrong_without_any_work(slow: Slow) -> None:
    stored = await quick().hash(GOOD)
    for known in (stored, None):
        assert await slow.verify(known, "x" * 1025) == WRONG
    assert slow.most_at_work == 0


@pytest.mark.anyio
async def test_a_hash_of_other_parameters_is_right_and_asks_for_a_new_one() -> None:
    old, new = quick(), quick(memory_kib=128)
    stored = await old.hash(GOOD)
    assert await new.verify(stored, GOOD) == Verdict(is_right=True, needs_rehash=True)
    assert await new.verify(stored, "wrong") == WRONG
    assert await new.verify(await new.hash(GOOD), GOOD) == RIGHT
    weaker = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1, type=Type.I).hash(GOOD)
    assert (await old.verify(weaker, GOOD)).needs_rehash


@pytest.mark.anyio
@pytest.mark.parametrize(
    "stored",
    ["", "plain text", GOOD, "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$$", "é", "\0"],
)
async def test_an_unreadable_hash_lets_nobody_in_and_is_told_without_the_hash(stored: str) -> None:
    with capture_logs() as lines:
        assert await quick().verify(stored, GOOD) == WRONG
    assert [line["log_level"] for line in lines] == ["warning"]
    assert not stored or stored not in str(lines)


@pytest.mark.anyio
async def test_a_cut_hash_lets_nobody_in() -> None:
    hasher = quick()
    stored = await hasher.hash(GOOD)
    for length in range(0, len(stored), 7):
        assert not (await hasher.verify(stored[:length], GOOD)).is_right


@pytest.mark.anyio
async def test_two_passwords_are_hashed_at_once_and_no_more(slow: Slow) -> None:
    waiting = [asyncio.create_task(slow.verify(None, f"password {number}")) for number in range(12)]
    await until_at_work(slow, 2)
    slow.gate.set()
    assert await asyncio.gather(*waiting) == [WRONG] * 12
    assert slow.most_at_work == 2


@pytest.mark.anyio
async def test_who_finds_no_place_in_time_is_told_to_come_back() -> None:
    hasher = Slow(places=1, wait_seconds=0.05)
    first = asyncio.create_task(hasher.verify(None, "first"))
    await until_at_work(hasher, 1)
    with pytest.raises(Busy) as caught:
        await hasher.verify(None, "second")
    assert (caught.value.status, caught.value.code, caught.value.category) == (503, "busy", "system")
    assert caught.value.retry_after == 2
    hasher.gate.set()
    assert await first == WRONG
    assert await hasher.verify(None, "third") == WRONG


@pytest.mark.anyio
async def test_a_caller_that_left_keeps_its_place_until_the_work_ends_and_no_longer(slow: Slow) -> None:
    left = [asyncio.create_task(slow.verify(None, "left")) for _ in range(2)]
    await until_at_work(slow, 2)
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    assert all(task.cancelled() for task in left)
    next_ones = [asyncio.create_task(slow.verify(None, "next")) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert (slow.at_work, slow.most_at_work) == (2, 2)
    next_ones.pop().cancel()
    slow.gate.set()
    assert await asyncio.gather(*next_ones) == [WRONG, WRONG]


@pytest.mark.anyio
async def test_the_place_of_a_caller_that_left_is_not_given_away_while_its_work_goes_on() -> None:
    hasher = Slow(places=1, wait_seconds=0.05)
    left = asyncio.create_task(hasher.verify(None, "left"))
    await until_at_work(hasher, 1)
    left.cancel()
    await asyncio.wait([left])
    with pytest.raises(Busy):
        await hasher.verify(None, "next")
    hasher.gate.set()
    await until_at_work(hasher, 0)
    assert await hasher.verify(None, "next") == WRONG


@pytest.mark.anyio
async def test_no_place_is_lost_however_callers_leave() -> None:
    hasher = quick()
    stored = await hasher.hash(GOOD)
    for round_ in range(60):
        tasks = [asyncio.create_task(hasher.verify(stored, GOOD)) for _ in range(6)]
        await asyncio.sleep(round_ * 0.00002)
        for task in tasks[round_ % 3 :: 2]:
            task.cancel()
        await asyncio.wait(tasks)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(hasher.verify(stored, GOOD) for _ in range(4))) == [RIGHT] * 4
    assert hasher._places._value == 2


@pytest.mark.anyio
async def test_the_loop_goes_on_while_a_password_is_hashed() -> None:
    hasher = Hasher()
    work = asyncio.create_task(hasher.hash(GOOD))
    turns = 0
    while not work.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns >= 3
