"""Recorded answers, damaged in every way, against the parsers of each adapter: none raises, none is sure of garbage.

To put an adapter under it, add a line to `TABLE`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import (
    agent_parse,
    five_sim_lists,
    five_sim_parse,
    reading,
    sms_activate,
    sms_pool_lists,
    sms_pool_parse,
)
from numberdesk.providers.adapters import sms_activate_lists as lists
from numberdesk.providers.adapters import sms_activate_parse as parse
from numberdesk.providers.adapters import sms_activate_rentals_parse as rentals
from numberdesk.providers.adapters.sms_activate_dialects import TABLE as DIALECTS
from numberdesk.providers.model import (
    RENTAL,
    ActiveList,
    Prolonged,
    Pushed,
    Received,
    Refused,
    Rented,
    Unknown,
    UpstreamOffer,
    Waiting,
    Words,
)
from tests.providers.sms_pool_desk import WORDS as SMS_POOL_WORDS

CONTRACTS = Path(__file__).parents[1] / "contracts"
CEILING = Paise(5000)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503])

ODD_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    "0",
    "",
    "x",
    "+",
    2**63,
    1e300,
    0.5,
    [],
    {},
    "12 34",
    "٧٩٥٨٤",
    "1e5",
]

Parser = Callable[[bytes, int], object]


@dataclass(frozen=True)
class Fuzzed:
    """The parsers of one adapter in one dialect.

    Attributes:
        corpus: the folder of recorded answers; a `.txt` holds one body a line.
        parsers: each takes a body and a status.
        refusals: pieces of a body, one of which must be there for a refusal.
        marks: pieces, one of which must be there for another sure answer of a step: done, ended, waiting, too early.
        id_form: what every id must look like.
        silent: a change that is answered by nothing but status 204 is done.
        by_status: statuses that refuse by themselves, each with the piece of the body that must be there.
        pushed: the parser of what is posted to us.
    """

    name: str
    corpus: str
    parsers: Mapping[str, Parser] = field(repr=False)
    refusals: frozenset[str] = field(repr=False)
    marks: frozenset[str] = field(repr=False)
    id_form: str = r"[1-9][0-9]{0,18}"
    silent: bool = False
    by_status: Mapping[int, str] = field(default_factory=dict, repr=False)
    pushed: Callable[[bytes], tuple[Pushed, ...] | None] = field(default=lambda body: None)

    @property
    def bodies(self) -> list[bytes]:
        """Read the recorded answers."""
        found = []
        for file in sorted((CONTRACTS / self.corpus).iterdir()):
            whole = file.read_bytes()
            found += [whole] if file.suffix == ".json" else whole.splitlines()
        return found


def of_sms_activate(name: str) -> Fuzzed:
    """Put one dialect of the family under it."""
    dialect = DIALECTS[name]
    return Fuzzed(
        name=name,
        corpus="sms_activate",
        parsers={
            "rent": partial(parse.rent, ceiling_paise=CEILING, paise_per_unit=100, dialect=dialect),
            "look": partial(parse.look, dialect=dialect),
            "cancel": partial(parse.cancel, dialect=dialect),
            "after a refused cancel": partial(parse.after_refused_cancel, dialect=dialect),
            "finish": partial(parse.finish, dialect=dialect),
            "another code": partial(parse.another_code, dialect=dialect),
            "balance": partial(parse.balance, paise_per_unit=100),
            "active": partial(lists.active, paise_per_unit=100),
            "prices": partial(lists.prices, paise_per_unit=100),
        },
        refusals=frozenset(dialect.refusals) | {"BAD_STATUS", "OTP_RECEIVED"},
        marks=frozenset(
            {
                "ACCESS_",
                "STATUS_",
                "NO_ACTIVATION",
                "ACTIVATION_NOT_ACTIVE",
                "EARLY",
                "BAD_STATUS",
                "OTP_RECEIVED",
                "NOT_FOUND",
            }
        ),
        silent=dialect.cancel.is_silent,
        pushed=sms_activate.pushed,
    )


def of_rentals(name: str) -> Fuzzed:
    """Put the rentals of one dialect under it: their ids come with our mark before them."""
    dialect = DIALECTS[name]

    def active(body: bytes, status: int) -> ActiveList | Unknown:
        found = rentals.rows(body, status, paise_per_unit=100)
        if isinstance(found, Unknown):
            return found
        return ActiveList(found.rentals, len(found.rentals) == found.count)

    def look(body: bytes, status: int) -> object:
        found = rentals.look(body, status)
        return rentals.in_order(found.found) if isinstance(found, rentals.Messages) else found

    def listing(body: bytes, status: int) -> object:
        found = rentals.listing(body, status, country="22", paise_per_unit=100)
        if isinstance(found, Unknown):
            return found
        # The country is our own word.
        assert all(offer.country == "22" for offer in found.offers)
        return tuple(replace(offer, country="") for offer in found.offers) if found.offers else Waiting()

    return Fuzzed(
        name=f"{name} rentals",
        corpus="sms_activate_rentals",
        parsers={
            "rent": partial(rentals.rent, ceiling_paise=CEILING, paise_per_unit=100, dialect=dialect),
            "look": look,
            "cancel": rentals.cancel,
            "finish": partial(rentals.finish, dialect=dialect),
            "active": active,
            "listing": listing,
            "prolong": partial(rentals.prolong, dialect=dialect),
            "prolong cost": partial(rentals.prolong_cost, paise_per_unit=100, dialect=dialect),
        },
        refusals=frozenset(dialect.refusals) | frozenset(rentals.REFUSALS) | {"INCORECT_STATUS", "CANT_CANCEL", "BAD_"},
        marks=rentals.GONE | {"success", "STATUS", "EARLY", "CANT_CANCEL", "OUT_OF_STOCK", "NO_NUMBERS", "services"},
        pushed=sms_activate.pushed,
    )


def of_five_sim() -> Fuzzed:
    """Put the 5sim family under it."""
    order = "11631253"

    def active(body: bytes, status: int) -> ActiveList | Unknown:
        page = five_sim_lists.orders(body, status, words=Words(), paise_per_unit=100)
        return page if isinstance(page, Unknown) else ActiveList(page.activations, page.is_readable)

    return Fuzzed(
        name="five-sim",
        corpus="five_sim",
        parsers={
            "rent": partial(five_sim_parse.rent, ceiling_paise=CEILING, paise_per_unit=100),
            "look": partial(five_sim_parse.look, upstream_id=order),
            "cancel": partial(five_sim_parse.cancel, upstream_id=order),
            "after a refused cancel": partial(five_sim_parse.after_refused_cancel, upstream_id=order),
            "finish": partial(five_sim_parse.finish, upstream_id=order),
            "balance": partial(five_sim_parse.balance, paise_per_unit=100),
            "active": active,
            "prices": partial(five_sim_lists.prices, countries=frozenset({"england", "russia"}), paise_per_unit=100),
        },
        refusals=frozenset(five_sim_parse.REFUSALS) | {"order no sms", "api limit is 100 requests per second"},
        marks=five_sim_parse.LIVE | five_sim_parse.OVER | {"not found", "expired", "has sms", "wait time"},
        by_status={401: "", 503: "ip address limit is 100 requests per second"},
    )


def of_sms_pool() -> Fuzzed:
    """Put the family under it; its lists are read in two steps."""

    def active(body: bytes, status: int) -> ActiveList | Unknown:
        found = sms_pool_lists.orders(body, status)
        if isinstance(found, Unknown):
            return found
        return sms_pool_lists.active(found, ids={"test": ("907",)}, words=SMS_POOL_WORDS, paise_per_unit=100)

    def prices(body: bytes, status: int) -> object:
        found = sms_pool_lists.prices(body, status, paise_per_unit=100)
        return found if isinstance(found, Unknown) else found[0]

    return Fuzzed(
        name="sms-pool",
        corpus="sms_pool",
        parsers={
            "rent": partial(sms_pool_parse.rent, ceiling_paise=CEILING, paise_per_unit=100),
            "look": sms_pool_parse.look,
            "cancel": sms_pool_parse.cancel,
            "after a refused cancel": sms_pool_parse.after_refused_cancel,
            "may resend": sms_pool_parse.may_resend,
            "another code": partial(sms_pool_parse.another_code, upstream_id="ABCDEFGH"),
            "balance": partial(sms_pool_parse.balance, paise_per_unit=100),
            "active": active,
            "prices": prices,
        },
        refusals=frozenset({"success"}),
        marks=frozenset({"success", "status"}),
        id_form=r"[A-Za-z0-9]{4,32}",
    )


def of_agent() -> Fuzzed:
    """Put agents under it: they list nothing, and post every message."""
    return Fuzzed(
        name="agent",
        corpus="agent",
        parsers={
            "rent": agent_parse.rent,
            "cancel and finish": agent_parse.ended,
            "offers": partial(agent_parse.listing, pay_paise=Paise(1000)),
        },
        refusals=frozenset({"NO_NUMBERS", "ERROR"}),
        marks=frozenset({"SUCCESS", "ctivation"}),
        pushed=agent_parse.pushed,
    )


TABLE = [
    of_sms_activate("classic"),
    of_sms_activate("hero"),
    of_sms_activate("daisysms"),
    of_rentals("classic"),
    of_sms_pool(),
    of_five_sim(),
    of_agent(),
]


@st.composite
def damaged(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """Damage a recorded answer: cut it, double a part, put other bytes or a part of another answer in."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 40)))
        other = draw(st.sampled_from(bodies))
        taken = draw(st.integers(0, len(other)))
        piece = draw(
            st.sampled_from(
                [b"", body[start:end] * 2, b'"', b",", b"null", b"[", b"{", b"-", b"0", b"9e999", b"\\u0000"]
            )
            | st.binary(max_size=3)
            | st.just(other[taken : taken + 40])
        )
        body = body[:start] + piece + body[end:]
    return body


def json_like(bodies: list[bytes]) -> st.SearchStrategy[bytes]:
    """Write JSON of any shape with the names and values that the recorded answers have."""
    names: set[str] = set()
    values: list[Any] = []
    for body in bodies:
        if body[:1] in (b"{", b"["):
            _gather(msgspec.json.decode(body), names, values)
    leaf = st.sampled_from(values) | st.none() | st.booleans() | st.integers() | st.text(max_size=12)
    tree = st.recursive(
        leaf | st.floats(allow_nan=False),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(names)) | st.text(max_size=4), inner, max_size=8)
        ),
        max_leaves=24,
    )
    return tree.map(msgspec.json.encode)


@st.composite
def swapped(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """Keep the shape of a recorded JSON, and put other values in the places of a few."""
    body = draw(st.sampled_from([body for body in bodies if body[:1] in (b"{", b"[")]))
    whole = msgspec.json.decode(body)
    values: list[Any] = []
    _gather(whole, set(), values)
    places = draw(st.lists(st.integers(0, max(0, len(values) - 1)), max_size=3))
    others = st.sampled_from([*values, *ODD_VALUES]) | st.text(max_size=6)
    taken = {place: draw(others) for place in places}
    return msgspec.json.encode(_with(whole, iter(range(len(values))), taken))


def _with(value: Any, numbers: Iterator[int], taken: Mapping[int, Any]) -> Any:
    match value:
        case dict():
            return {name: _with(inner, numbers, taken) for name, inner in value.items()}
        case list():
            return [_with(inner, numbers, taken) for inner in value]
        case _:
            number = next(numbers)
            return taken.get(number, value)


def _gather(value: Any, names: set[str], values: list[Any]) -> None:
    match value:
        case dict():
            names.update(value)
            for inner in value.values():
                _gather(inner, names, values)
        case list():
            for inner in value:
                _gather(inner, names, values)
        case _:
            values.append(value)


def told(body: bytes) -> str:
    """Return everything that a body says: as it stands, and as its JSON reads."""
    text = body.decode(errors="replace")
    try:
        values: list[Any] = []
        names: set[str] = set()
        _gather(msgspec.json.decode(body), names, values)
    except (ValueError, RecursionError):
        return text
    return " ".join([text, *names, *map(str, values)])


def check(fuzzed: Fuzzed, step: str, body: bytes, status: int) -> None:
    """Ask one parser, and hold its answer against the body."""
    answer = fuzzed.parsers[step](body, status)
    said = told(body)
    match answer:
        case Unknown():
            assert 0 < len(answer.detail) <= reading.EXCERPT_MAX
            assert answer.detail.isprintable()
            assert answer.word in said
        case Prolonged():
            assert status == 200
            _check_sold(fuzzed, answer.upstream_id, answer.number, said)
        case Rented():
            assert status == 200
            _check_sold(fuzzed, answer.upstream_id, answer.number, said)
            assert answer.cost_paise is None or 0 <= answer.cost_paise <= CEILING
        case Refused() if status in fuzzed.by_status:
            assert fuzzed.by_status[status] in said.casefold()
        case Refused():
            assert status == 200 or 400 <= status < 500
            assert any(word in said for word in fuzzed.refusals), answer
        case ActiveList():
            assert status == 200 or not answer.activations
            for activation in answer.activations:
                _check_sold(fuzzed, activation.upstream_id, activation.number, said)
                _check_messages(activation.messages, said)
        case tuple() if all(isinstance(item, UpstreamOffer) for item in answer):
            assert status == 200
            assert all(offer.service in said and offer.country in said and offer.cost_paise > 0 for offer in answer)
        case tuple():
            assert status == 200
            _check_messages(answer, said)
        case int():
            assert status == 200
            assert any(letter.isdigit() for letter in said)
        case _:
            is_silent = fuzzed.silent and status == 204 and not body
            assert is_silent or any(mark in said for mark in fuzzed.marks), answer


def _check_sold(fuzzed: Fuzzed, upstream_id: str, number: str, said: str) -> None:
    upstream_id = upstream_id.removeprefix(RENTAL)
    assert re.fullmatch(fuzzed.id_form, upstream_id)
    assert upstream_id in said
    assert re.fullmatch(r"[0-9]{5,15}", number)
    assert number in said


def _check_messages(messages: tuple[Any, ...], said: str) -> None:
    # What a terminal or a database would trip over is left out of a message.
    printable = _squeezed(said)
    for message in messages:
        assert isinstance(message, Received)
        assert message.code or message.text
        for part in (message.code, message.text):
            assert _squeezed(part) in printable


def _squeezed(text: str) -> str:
    """Leave out what is left out of a code too."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in " -")


def check_pushed(fuzzed: Fuzzed, body: bytes) -> None:
    """Hold what was read from a posted message against it."""
    said = told(body)
    for event in fuzzed.pushed(body) or ():
        assert event.event_id
        assert event.upstream_id or event.number
        assert (event.upstream_id or "").removeprefix(RENTAL) in said
        assert (event.number or "") in said
        _check_messages((event.message,), said)
    assert fuzzed.pushed(body) == fuzzed.pushed(body)


RARELY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("fuzzed", TABLE, ids=lambda fuzzed: fuzzed.name)
def test_recorded_answers_are_read_by_each_parser(fuzzed: Fuzzed) -> None:
    kinds = set()
    for body in fuzzed.bodies:
        for step in fuzzed.parsers:
            for status in (200, 204, 404, 409, 500):
                check(fuzzed, step, body, status)
                kinds.add(type(fuzzed.parsers[step](body, status)))
        check_pushed(fuzzed, body)
    assert {Rented, Refused, Unknown} <= kinds
    assert ActiveList in kinds or "active" not in fuzzed.parsers


@pytest.mark.parametrize("fuzzed", TABLE, ids=lambda fuzzed: fuzzed.name)
@RARELY
@given(data=st.data(), status=STATUSES)
def test_a_damaged_answer_is_never_read_as_more_than_it_says(fuzzed: Fuzzed, data: st.DataObject, status: int) -> None:
    body = data.draw(damaged(fuzzed.bodies))
    for step in fuzzed.parsers:
        check(fuzzed, step, body, status)
    check_pushed(fuzzed, body)


@pytest.mark.parametrize("fuzzed", TABLE, ids=lambda fuzzed: fuzzed.name)
@RARELY
@given(data=st.data(), status=STATUSES)
def test_other_values_in_an_answer_are_never_read_as_more_than_it_says(
    fuzzed: Fuzzed, data: st.DataObject, status: int
) -> None:
    body = data.draw(swapped(fuzzed.bodies))
    for step in fuzzed.parsers:
        check(fuzzed, step, body, status)
    check_pushed(fuzzed, body)


@pytest.mark.parametrize("fuzzed", TABLE, ids=lambda fuzzed: fuzzed.name)
@RARELY
@given(data=st.data(), status=STATUSES)
def test_json_of_any_shape_is_never_read_as_more_than_it_says(fuzzed: Fuzzed, data: st.DataObject, status: int) -> None:
    body = data.draw(json_like(fuzzed.bodies))
    for step in fuzzed.parsers:
        check(fuzzed, step, body, status)
    check_pushed(fuzzed, body)


@pytest.mark.parametrize("fuzzed", TABLE, ids=lambda fuzzed: fuzzed.name)
@RARELY
@given(body=st.binary(max_size=300), status=STATUSES)
@example(body=b"[" * 50_000, status=200)
@example(body=b'{"id":' * 20_000, status=200)
@example(body=b'{"activationId":' + b"9" * 50_000 + b"}", status=200)
@example(body=b'{"code":"\\ud800"}', status=200)
@example(body=b"\xff\xfe\x00", status=404)
def test_random_bytes_make_no_parser_raise(fuzzed: Fuzzed, body: bytes, status: int) -> None:
    for step in fuzzed.parsers:
        check(fuzzed, step, body, status)
    check_pushed(fuzzed, body)
