"""Who may use which route: `access.csv` is the list that people read, and everybody tries every line of it here."""

import csv
import re
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest
from litestar import Litestar, Router, get

from numberdesk import main
from numberdesk.accounts import service as accounts
from numberdesk.accounts import sql
from numberdesk.accounts.model import CUSTOMER_SCOPES, Role, Scope, SettableState
from numberdesk.accounts.tokens import issue_access
from numberdesk.base import clock
from numberdesk.base.web import ACCESS, PUBLIC, UNCOUNTED
from tests.http.stand import PEPPER, Answer, Client, Stand

NOT_THERE = 987654321
OPEN = {PUBLIC, UNCOUNTED}
BY_SIGNATURE = {
    "GET /metrics": (404, "not_found"),
    "GET /system/probe": (404, "not_found"),
    "POST /webhooks/{gateway}": (404, "not_found"),
    "POST /webhooks/bank/alert": (401, "bad_signature"),
    "POST /webhooks/provider/{name}/{token}": (404, "not_found"),
}
"""What anybody may call, and who is none of ours is refused by the route itself."""
RAW = {
    "POST /admin/statements": (400, "invalid_request"),
    "POST /admin/prices/import": (400, "invalid_request"),
}
"""What takes a file, so that a body of no form is read as one."""
ANY_ID = {"GET /recharge/return/{transaction_id}"}
"""A page that says nothing of anybody, so it is the same whether or not there is such a thing."""
END_ALL = "DELETE /user/sessions"
"""What ends the session of whoever asks, so that each asks in one of his own."""
REFUSED = (403, "scope_too_small")
HOUR = timedelta(hours=1)

with (Path(__file__).parent / "access.csv").open(newline="") as _file:
    LINES: list[tuple[str, str]] = [(route, access) for route, access in csv.reader(_file)]
ROUTES = dict(LINES)

_numbers = count(1)


@dataclass(frozen=True)
class Kind:
    """A kind of caller: how he is made, and what he may do by the words of the contract."""

    may: frozenset[str] = frozenset()
    otherwise: tuple[int, str] = REFUSED
    """How he is refused what he may not do."""
    key: tuple[Scope, ...] | None = None
    """The scopes of his key; without one he has a session."""
    role: Role = "customer"
    state: SettableState = "active"
    is_verified: bool = True
    has_second_factor: bool = False
    is_ended: bool = False
    is_expired: bool = False
    is_nobody: bool = False
    is_sandbox: bool = False


BY_SESSION = frozenset({"read", "order", "recharge", "webhook", "account", "enrol"})
BANNED = (403, "account_banned")
KINDS = {
    "anonymous": Kind(otherwise=(401, "credentials_missing"), is_nobody=True),
    "customer": Kind(BY_SESSION),
    "customer with a second factor": Kind(BY_SESSION, has_second_factor=True),
    "unverified customer": Kind(BY_SESSION, is_verified=False),
    "frozen customer": Kind(BY_SESSION, state="frozen"),
    "banned customer": Kind(otherwise=BANNED, state="banned"),
    "key that reads": Kind(frozenset({"read"}), key=("read",)),
    "key that orders": Kind(frozenset({"order"}), key=("order",)),
    "key that recharges": Kind(frozenset({"recharge"}), key=("recharge",)),
    "key for webhooks": Kind(frozenset({"webhook"}), key=("webhook",)),
    "test key": Kind(frozenset({"read", "order", "recharge", "webhook"}), key=CUSTOMER_SCOPES, is_sandbox=True),
    "test key of a banned customer": Kind(otherwise=BANNED, key=CUSTOMER_SCOPES, state="banned", is_sandbox=True),
    "key of a frozen customer": Kind(frozenset({"read", "order"}), key=("read", "order"), state="frozen"),
    "key of a banned customer": Kind(otherwise=BANNED, key=("read", "order", "recharge", "webhook"), state="banned"),
    "support": Kind(BY_SESSION | {"admin:support"}, role="support", has_second_factor=True),
    "finance": Kind(BY_SESSION | {"admin:support", "admin:finance"}, role="finance", has_second_factor=True),
    "ops": Kind(BY_SESSION | {"admin:support", "admin:ops"}, role="ops", has_second_factor=True),
    "owner": Kind(
        BY_SESSION | {"admin:support", "admin:finance", "admin:ops", "admin:owner"},
        role="owner",
        has_second_factor=True,
    ),
    "support without a second factor": Kind(frozenset({"enrol"}), (403, "second_factor_missing"), role="support"),
    "owner without a second factor": Kind(frozenset({"enrol"}), (403, "second_factor_missing"), role="owner"),
    "key of support": Kind(
        frozenset({"admin:support"}), key=("admin:support",), role="support", has_second_factor=True
    ),
    "key of staff without a second factor": Kind(key=("admin:support",), role="support"),
    "key with rights of staff that its owner lost": Kind(key=("admin:owner",), has_second_factor=True),
    "ended session": Kind(otherwise=(401, "session_ended"), is_ended=True),
    "expired access token": Kind(otherwise=(401, "token_expired"), is_expired=True),
}


def new(stand: Stand, kind: Kind) -> Client:
    """Make somebody of a kind, whom no process has met yet."""
    if kind.is_nobody:
        return stand.nobody
    client = stand.portal.call(_new, stand, kind)
    if not kind.is_verified:
        stand.change("UPDATE accounts SET verified_at = NULL WHERE id = $1", client.account_id)
    return client


async def _new(stand: Stand, kind: Kind) -> Client:
    site = stand.site
    async with site.db.transaction() as tx:
        (account_id,) = await accounts.create(tx, emails=[f"access{next(_numbers)}@example.com"], names=["Asha"])
    if kind.role != "customer":
        await accounts.set_role(site.db, account_id, kind.role)
    if kind.has_second_factor:
        await accounts.enrol(site.people, account_id, accounts.new_totp_secret())
    if kind.state != "active":
        await accounts.set_state(site.db, account_id, kind.state)
    client = Client(stand.port, account_id=account_id)
    async with site.db.transaction() as tx:
        if kind.key is not None:
            holders = await accounts.open_sandboxes(tx, [account_id]) if kind.is_sandbox else [account_id]
            (key,) = await accounts.issue_keys(tx, account_ids=holders, name="access", pepper=PEPPER, scopes=kind.key)
            return replace(client, key=key.secret)
        session = await sql.insert_session(
            tx, account_id, seed=bytes(32), has_second_factor=kind.has_second_factor, idle=HOUR, lifetime=HOUR,
            ip="127.0.0.1", user_agent="tests",
        )  # fmt: skip
        if kind.is_ended:
            assert await sql.set_session_ended(tx, account_id, session.id, "logout")
    now = clock.now() - 2 * HOUR if kind.is_expired else clock.now()
    token = issue_access(site.people.tokens, account_id=account_id, session_id=session.id, now=now, lifetime=HOUR)
    return replace(client, token=token)


def call(client: Client, route: str) -> Answer:
    """Use a route so that nothing is done: with a field that no body has, and about what does not exist."""
    method, path = route.split(" ")
    path = re.sub(r"\{[^}]+\}", str(NOT_THERE), path)
    if method in ("POST", "PUT"):
        return client.send(method, path, body=b'{"bogus":1}', headers={"Content-Type": "application/json"})
    return client.send(method, path)


def is_let_in(answer: Answer, route: str) -> bool:
    """Tell whether an answer is that of the route itself, not of the gate before it."""
    if (refusal := (BY_SIGNATURE | RAW).get(route)) is not None:
        return answer.refusal == refusal
    if route in ANY_ID:
        return answer.status == 200
    if route.startswith(("POST", "PUT")):
        return answer.refusal == (400, "invalid_request") and list(answer.details["fields"]) == ["bogus"]
    if route == END_ALL:
        return bool(answer.data == {"ended": 1})
    if route.startswith("DELETE"):
        return answer.refusal == (404, "not_found")
    return answer.status in ((404,) if "{" in route else (200, 400))


def test_the_file_names_exactly_the_routes_with_their_access(stand: Stand) -> None:
    framework: Any = main.build(stand.site)._app
    described = {route: str(access) for route, access in main.declared(framework)}
    answered = {f"{call.method} {call.path}": call.access for call in main.calls(stand.site)}
    assert answered.items() <= described.items(), "a call is described as it is"
    assert described == ROUTES
    assert len(LINES) == len(ROUTES), "a route stands there once"
    assert [line.split(" ")[::-1] for line in ROUTES] == sorted(line.split(" ")[::-1] for line in ROUTES)


def test_every_access_is_a_word_that_somebody_has() -> None:
    assert set(ROUTES.values()) <= OPEN | set(get_args(Scope))
    for access in set(ROUTES.values()) - OPEN:
        assert [kind for kind in KINDS.values() if access in kind.may], access


def test_the_list_of_callers_has_every_scope_and_every_role() -> None:
    assert frozenset().union(*(kind.may for kind in KINDS.values())) == set(get_args(Scope))
    assert {kind.role for kind in KINDS.values()} == set(get_args(Role))


@pytest.mark.parametrize("name", KINDS)
def test_every_route_answers_everybody_as_its_access_says(stand: Stand, name: str) -> None:
    kind = KINDS[name]
    client, wrong = new(stand, kind), []
    for route, access in LINES:
        answer = call(new(stand, kind) if route == END_ALL else client, route)
        if access in OPEN or access in kind.may:
            if not is_let_in(answer, route):
                wrong.append((route, access, answer.status, answer.body[:200]))
        elif answer.refusal != kind.otherwise or (kind.otherwise == REFUSED and answer.details["scope"] != access):
            wrong.append((route, access, answer.status, answer.body[:200]))
    assert not wrong, f"{name}: {wrong}"


@pytest.mark.parametrize("name", ["anonymous", "key that reads", "ended session", "key of a banned customer"])
def test_the_same_holds_below_the_prefix(stand: Stand, name: str) -> None:
    client = new(stand, KINDS[name])
    below = client.under("/api/v1")
    for route, _ in LINES:
        seen, expected = call(below, route), call(client, route)
        assert seen.status == expected.status, route


def test_two_credentials_at_once_are_refused_everywhere(stand: Stand) -> None:
    both = replace(new(stand, KINDS["owner"]), key=new(stand, KINDS["key that reads"]).key)
    for route, access in LINES:
        if access not in OPEN:
            assert call(both, route).refusal == (401, "credentials_ambiguous"), route


@get("/forgotten")
async def forgotten() -> None:
    """Answer without having said to whom."""


@get("/remembered", opt={ACCESS: PUBLIC})
async def remembered() -> None:
    """Answer anybody."""


def test_a_handler_without_an_access_is_found() -> None:
    found = main.declared(Litestar([forgotten, remembered]))
    assert sorted(found) == [("GET /forgotten", None), ("GET /remembered", PUBLIC)]


def test_a_handler_without_an_access_stops_the_start(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "ROUTERS", (*main.ROUTERS, Router("/more", route_handlers=[remembered])))
    main.build(stand.site)
    monkeypatch.setattr(main, "ROUTERS", (*main.ROUTERS, Router("/less", route_handlers=[forgotten])))
    with pytest.raises(AssertionError, match="GET /less/forgotten"):
        main.build(stand.site)


def test_the_frameworks_own_pages_answer_nobody(stand: Stand) -> None:
    for client in (stand.nobody, new(stand, KINDS["owner"])):
        for path in ("/schema", "/schema/", "/schema/openapi.json", "/schema/swagger"):
            assert client.get(path).refusal == (404, "not_found"), path


def without_id(answer: Answer) -> tuple[Any, set[str]]:
    """Return a refusal without its request id, and the names of its headers.

    Whether the connection ends hangs on how much of the body the server had read when it refused.
    """
    shown = answer.json
    del shown["details"]["requestId"]
    return shown, {name for name in answer.headers if name != "connection"}


def test_what_is_another_customers_looks_like_what_does_not_exist(stand: Stand) -> None:
    alice, bob = new(stand, KINDS["customer"]), new(stand, KINDS["customer"])
    key = alice.post("/user/api-keys", {"name": "bot", "scopes": ["read"]}).data
    (session,) = alice.get("/user/sessions").data["items"]
    bot = Client(stand.port, key=key["secret"])
    assert bot.get("/user/balance").status == 200
    before = [alice.get(path).data for path in ("/user/api-keys", "/user/ips")]
    for method, path, found in (
        ("DELETE", "/user/api-keys/{}", key["id"]),
        ("POST", "/user/api-keys/{}/rotate", key["id"]),
        ("DELETE", "/user/sessions/{}", session["id"]),
    ):
        headers = {"Content-Type": "application/json"}
        theirs, missing = (
            bob.send(method, path.format(number), body=b"{}" if method == "POST" else None, headers=headers)
            for number in (found, NOT_THERE)
        )
        assert theirs.refusal == (404, "not_found"), path
        assert without_id(theirs) == without_id(missing), path
    time.sleep(1.0)  # by then every process would have followed
    after = [alice.get(path).data for path in ("/user/api-keys", "/user/ips")]
    assert [item | {"lastUsedAt": None, "lastUsedIp": None} for item in after[0]["items"]] == before[0]["items"]
    assert [item["id"] for item in alice.get("/user/sessions").data["items"]] == [session["id"]]
    assert bot.get("/user/balance").status == 200
    assert bob.get("/user/api-keys").data["items"] == []
    owner = stand.ask(
        "SELECT count(*) FROM audit_log WHERE account_id = $1 AND action = 'api_key_made'", bob.account_id
    )
    assert owner == 0
