"""Whoever names what is another account's gets what he would get if it did not exist, however he names it."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from msgspec import inspect

from numberdesk import main
from numberdesk.base.calls import Call
from numberdesk.base.postgres import Cluster
from tests.compat.bot import DIALECTS, Bot
from tests.compat.five_sim_client import Sim
from tests.http import stand as stands
from tests.http.every_field import BESIDES, filled
from tests.http.recharging import recharged
from tests.http.stand import TELEGRAM, Answer, Client, Stand
from tests.http.test_access import NOT_THERE, ROUTES, call, without_id
from tests.http.test_sandbox import made
from tests.support.counter import PNG, base64_of

CODE, SUBJECT, TEXT = "73519", "Where is my mango", "It said 73519 twice"
MISSING_REF = "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"
ANY_ID = "GET /recharge/return/{transaction_id}"
"""A page that says nothing of anybody, so it is the same whether or not there is such a thing."""
CURSORS = ("cursor", "after", "lastEventId")
JSON = {"Content-Type": "application/json"}


@dataclass
class Asha:
    """A customer with one of everything, and all words that only she may read."""

    stand: Stand
    client: Client = field(init=False)
    ids: dict[str, Any] = field(init=False)
    words: set[str] = field(init=False)

    def __post_init__(self) -> None:
        stand, self.client = self.stand, self.stand.signed_in("asha-has-it-all@example.com").client
        stand.credit(self.client, 1_777_77)
        secret = self.client.post("/user/api-keys", {"name": "mango bot", "scopes": ["read", "order"]}).data
        hook = self.client.post("/user/webhooks", {"url": "http://127.0.0.1:9/mango-hook"}).data
        order_id, ref = stand.received(self.client, CODE), recharged(stand, self.client)
        body = {"subject": SUBJECT, "text": TEXT, "attachments": [base64_of(PNG)], "orderId": order_id}
        ticket = self.client.post("/support/tickets", body).data["ticket"]["id"]
        (message,) = self.client.get(f"/support/tickets/{ticket}").data["messages"]
        deliveries = f"/user/webhooks/{hook['webhook']['id']}/deliveries"
        until(lambda: self.client.get(deliveries).data["items"])
        self.ids = {
            "order": order_id, "recharge": ref, "ticket": ticket, "attachment": message["attachments"][0]["id"],
            "webhook": hook["webhook"]["id"], "delivery": self.client.get(deliveries).data["items"][0]["id"],
            "key": secret["id"], "session": self.client.get("/user/sessions").data["items"][0]["id"],
            "receipt": self.client.get("/recharge/receipts").data["items"][0]["id"],
            "event": self.client.get("/orders/events").data["items"][0]["id"],
        }  # fmt: skip
        number = self.client.get(f"/auth/number-status/{order_id}").data["number"]
        self.words = {
            CODE, SUBJECT, TEXT, "777.77", "mango", ref, number, number[1:], secret["secret"], secret["secret"][:16],
            hook["secret"], "asha-has-it-all", self.ids["event"],
        }  # fmt: skip

    def state(self) -> list[Any]:
        """All that she sees; a stranger must not be able to change it."""
        paths = (
            "/user/profile", "/user/balance", "/user/transactions", "/orders", "/recharge/history", "/user/webhooks",
            "/support/tickets", f"/support/tickets/{self.ids['ticket']}", "/orders/events", "/user/notifications",
            f"/orders/{self.ids['order']}",
        )  # fmt: skip
        keys = [item["id"] for item in self.client.get("/user/api-keys").data["items"]]
        sessions = [item["id"] for item in self.client.get("/user/sessions").data["items"]]
        return [keys, sessions, *(self.client.get(path).data for path in paths)]

    def naming(self, path: str) -> dict[str, Any]:
        """Return what stands in an address for each of its parts, so that it names hers."""
        whose = {
            "/support/": "ticket", "/user/webhooks/deliveries": "delivery", "/user/webhooks": "webhook",
            "/user/api-keys": "key", "/user/sessions": "session", "/recharge/receipts": "receipt",
        }  # fmt: skip
        kind = next((kind for start, kind in whose.items() if path.startswith(start)), "order")
        named = {"id": kind, "order_id": "order", "transaction_id": "recharge", "attachment_id": "attachment"}
        return {part: self.ids[named[part]] for part in re.findall(r"\{(\w+)\}", path)}


def until(condition: Any, *, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    with stands.opened(portal, cluster, app_env="development", webhook_loopback=True) as stand:
        yield stand


@pytest.fixture(scope="module")
def asha(stand: Stand) -> Asha:
    return Asha(stand)


@pytest.fixture(scope="module", params=["session", "key", "key that reads", "test key", "frozen", "her own test key"])
def bob(request: pytest.FixtureRequest, stand: Stand, asha: Asha) -> Client:
    """Somebody who may call, and whose account is not hers; a sandbox is none of its owner's money or orders either."""
    kind = request.param
    if kind == "her own test key":
        body = {"name": "try", "scopes": ["read", "order", "recharge", "webhook"], "mode": "test"}
        return Client(stand.port, asha.client.post("/user/api-keys", body).data["secret"])
    person = stand.signed_in(f"bob-{kind.replace(' ', '-')}@example.com")
    stand.credit(person.client, 500_00)
    if kind == "frozen":
        stand.change("UPDATE accounts SET state = 'frozen' WHERE id = $1", person.account_id)
    if kind in ("session", "frozen"):
        return person.client
    if kind == "test key":
        return made(person)
    return made(person, mode="live", **({"scopes": ["read"]} if kind == "key that reads" else {}))


def addressed(path: str, parts: dict[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: str(parts[found[1]]), path)


def missing(parts: dict[str, Any]) -> dict[str, Any]:
    return {part: MISSING_REF if part == "transaction_id" else NOT_THERE for part in parts}


def shown(answer: Answer) -> tuple[Any, set[str]]:
    """Return what can be told apart of an answer: not its request id, nor what the limits counted meanwhile."""
    if answer.status == 200:
        return answer.data, set(answer.headers)
    return without_id(answer)


def own_routes() -> list[str]:
    """Return the routes that name something in their address and are not the staff's, nor anybody's."""
    return [
        route for route, access in ROUTES.items()
        if "{" in route and access not in ("public", "uncounted") and not access.startswith("admin")
    ]  # fmt: skip


def test_an_address_that_names_hers_is_like_one_that_names_nothing(stand: Stand, asha: Asha, bob: Client) -> None:
    before, wrong = asha.state(), []
    routes = own_routes()
    assert len(routes) >= 20
    for route in routes:
        method, path = route.split(" ")
        parts = asha.naming(path)
        bodies: list[bytes | None] = [None]
        if method in ("POST", "PUT"):
            known = next(item for item in main.calls(stand.site) if (item.method, item.path) == (method, path))
            bodies = [json.dumps(body_of(known)).encode()]
        for body in bodies:
            theirs, nothing = (
                bob.send(method, addressed(path, named), body=body, headers=JSON) for named in (parts, missing(parts))
            )
            if shown(theirs) != shown(nothing) or theirs.status not in (403, 404):
                wrong.append((route, theirs.status, theirs.body[:200], nothing.body[:200]))
            assert not told(asha, theirs), route
    assert not wrong, "\n".join(map(str, wrong))
    assert asha.state() == before


def body_of(known: Call[Any]) -> dict[str, Any]:
    return filled(inspect.type_info(known.body)) | BESIDES.get(known.path, {})


def told(asha: Asha, answer: Answer) -> list[str]:
    """Return what an answer tells of her."""
    return [word for word in asha.words if word.encode() in answer.body]


def test_a_body_that_names_hers_is_like_one_that_names_nothing(stand: Stand, asha: Asha, bob: Client) -> None:
    before, wrong, tried = asha.state(), [], 0
    naming = {"orderId": (asha.ids["order"], NOT_THERE), "transactionId": (asha.ids["recharge"], MISSING_REF)}
    for known in main.calls(stand.site):
        kind: Any = inspect.type_info(known.body)
        for name in naming.keys() & {item.encode_name for item in kind.fields}:
            if known.path.startswith("/admin"):
                continue
            tried += 1
            hers, none = naming[name]
            body = {key: item for key, item in body_of(known).items() if key != "amount"}  # it is either-or
            theirs, nothing = (
                bob.post(addressed(known.path, {"id": 1}), body | {name: found}) for found in (hers, none)
            )
            told_back = json.loads(nothing.body.replace(str(none).encode(), str(hers).encode()))
            del told_back["details"]["requestId"]
            if (theirs.status, without_id(theirs)[0]) != (nothing.status, told_back) or theirs.status == 200:
                wrong.append((known.path, name, theirs.body[:200], nothing.body[:200]))
    assert tried > 10
    assert not wrong, "\n".join(map(str, wrong))
    assert asha.state() == before


def test_every_list_begins_and_goes_on_without_hers(stand: Stand, asha: Asha, bob: Client) -> None:
    wrong = []
    described = stand.nobody.get("/openapi.json").json["paths"]
    cursors = [str(value) for value in asha.ids.values()]
    for path in ("/orders", "/user/transactions", "/recharge/history", "/support/tickets"):
        page = asha.client.get(f"{path}?limit=1").data
        cursors += [page["nextCursor"]] if page["nextCursor"] else []
    for path, item in described.items():
        if "get" not in item or path.startswith("/admin") or "{" in path:
            continue
        names = {parameter["name"] for parameter in item["get"].get("parameters", [])}
        asked = [path, *(f"{path}?{name}={cursor}" for name in CURSORS if name in names for cursor in cursors)]
        for address in asked:
            for accept in ("application/json", "text/csv"):
                answer = bob.get(address, Accept=accept)
                found = [word for word in told(asha, answer) if word not in address]
                if found:
                    wrong.append((address, found))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("way", ["header", "query", "events"])
def test_an_event_of_hers_is_no_place_in_the_log_of_another(asha: Asha, bob: Client, way: str) -> None:
    for event in (asha.ids["event"], "evt_0", "evt_987654321_code_1"):
        if way == "header":
            answer = bob.get("/orders/stream", Last_Event_ID=event)
        elif way == "query":
            answer = bob.get(f"/orders/stream?lastEventId={event}")
        else:
            answer = bob.get(f"/orders/events?after={event}")
            known = event == "evt_0" or answer.data["reset"]
            assert known, event
        found = [word for word in told(asha, answer) if word != event]
        assert not found, (event, answer.body)
        if way != "events" and event != "evt_0":
            assert b"event: reset" in answer.body, "as of one that never was"


def test_a_key_of_the_same_name_replays_nothing_of_hers(stand: Stand, asha: Asha, bob: Client) -> None:
    stand.change("DELETE FROM limit_counters")
    bodies = {
        "/auth/get-number": TELEGRAM, "/recharge/initiate": {"method": "upi", "amount": "250.00"},
        "/payment/upi": {"amount": "251.00"}, "/support/tickets": {"subject": SUBJECT, "text": TEXT},
    }  # fmt: skip
    for path, body in bodies.items():
        once = f"shared{path.replace('/', '-')}"
        first = asha.client.post(path, body, Idempotency_Key=once)
        answer = bob.post(path, body, Idempotency_Key=once)
        assert "idempotent-replayed" not in answer.headers, path
        if answer.status == 200:
            assert answer.data != first.data, path
        assert not told(asha, answer), path
        again = asha.client.post(path, body, Idempotency_Key=once)
        assert again.body == first.body, path


def test_the_protocols_of_others_show_nothing_of_hers(stand: Stand, asha: Asha, bob: Client) -> None:
    if bob.key is None:
        pytest.skip("these take keys only")
    before, order_id = asha.state(), asha.ids["order"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("getStatus", {}), ("getStatusV2", {}), ("getFullSms", {}), ("getRentStatus", {}), ("getActiveActivations", {}),
        ("getHistory", {}), ("getRentList", {}), ("continueRentNumber", {"rent_time": 4}),
        *(("setStatus", {"status": status}) for status in (1, 3, 6, 8)),
        *(("setRentStatus", {"status": status}) for status in (1, 2)),
    ]  # fmt: skip
    for dialect in DIALECTS:
        bot = Bot(bob, dialect)
        for action, more in asked:
            theirs, nothing = (bot.send(action, id=number, **more) for number in (order_id, NOT_THERE))
            assert (theirs.status, theirs.body) == (nothing.status, nothing.body), (dialect, action)
            assert not told(asha, theirs), (dialect, action)
    sim = Sim(bob)
    for verb in ("check", "finish", "cancel", "ban", "sms/inbox"):
        theirs, nothing = (sim.send(f"/v1/user/{verb}/{number}") for number in (order_id, NOT_THERE))
        assert (theirs.status, theirs.body) == (nothing.status, nothing.body), verb
    for path in ("/v1/user/orders?category=activation", "/v1/user/payments", "/v1/user/profile"):
        assert not told(asha, sim.send(path)), path
    assert asha.state() == before


def test_what_is_hers_is_there_for_herself(asha: Asha) -> None:
    """Else the tests above would hold of anything."""
    for route in own_routes():
        method, path = route.split(" ")
        if method == "GET":
            answer = asha.client.get(addressed(path, asha.naming(path)))
            assert answer.status == 200, route
    assert call(asha.client, ANY_ID).status == 200
