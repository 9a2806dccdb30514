"""Maintenance on the wire: what each area closes, what goes on all the same, who is let in, and two at one switch."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.admin import jobs as admin_jobs
from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from numberdesk.maintenance import service as maintenance
from tests.http.recharging import BEGIN, begun, paid, paid_by_upi
from tests.http.staff import Member
from tests.http.stand import PASSWORD, TELEGRAM, Client, Stand

AREAS = ("master", "server", "auth", "recharge", "support", "service", "country")
TARGETS = {"server": 1, "service": "tg", "country": "IN"}
REGISTER = {"password": "sitar-saffron-9", "name": "Dev", "acceptTerms": True}
RECHARGE = {"method": "upi", "amount": 100}
MESSAGE = "The bank is away until noon."


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    with paid_by_upi(portal, cluster, rate_limit_api="off") as stand:
        yield stand


@pytest.fixture(autouse=True)
def _nothing_is_closed(stand: Stand) -> Iterator[None]:
    yield
    open_all(stand)


def open_all(stand: Stand) -> None:
    """Forget every window, and have the site know it."""
    stand.change("DELETE FROM maintenance_windows", as_admin=True)
    stand.change("UPDATE maintenance_version SET version = version + 1")
    learn(stand)


def learn(stand: Stand) -> None:
    stand.portal.call(maintenance.refresh, stand.site.db, stand.site.switches)


def close(ops: Member, area: str, **more: Any) -> Any:
    return ops.client.post("/admin/maintenance", {"area": area, "message": MESSAGE} | _target(area) | more).data


def _target(area: str) -> dict[str, Any]:
    return {"target": TARGETS[area]} if area in TARGETS else {}


def closed(answer: Any) -> bool:
    if answer.status != 503:
        assert answer.status == 200, answer
        return False
    assert answer.refusal == (503, "maintenance")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json["error"].startswith(MESSAGE)
    return True


def _sign_in(stand: Stand, email: str) -> Any:
    stand.change("DELETE FROM limit_counters")
    return stand.nobody.post("/auth/login", {"email": email, "password": PASSWORD})


def _register(stand: Stand, email: str) -> Any:
    stand.change("DELETE FROM limit_counters")
    return stand.nobody.post("/auth/register", REGISTER | {"email": email})


INTENTS: dict[str, Callable[[Stand, Client, int, str], Any]] = {
    "buy": lambda _stand, alice, _order, _email: alice.post("/auth/get-number", TELEGRAM),
    "extend": lambda _stand, alice, order, _email: alice.post(
        "/auth/extend-number", {"orderId": order, "minutes": 1}, Idempotency_Key=f"extend-{order}"
    ),
    "recharge": lambda _stand, alice, _order, _email: alice.post(BEGIN, RECHARGE),
    "register": lambda stand, _alice, order, _email: _register(stand, f"dev{order}@example.com"),
    "login": lambda stand, _alice, _order, email: _sign_in(stand, email),
    "ask": lambda _stand, alice, order, _email: alice.post(
        "/support/tickets", {"orderId": order, "subject": "No code", "text": "It does not come."}
    ),
}
CLOSES = {
    "master": {"buy", "extend", "recharge", "register"},
    "server": {"buy", "extend"},
    "auth": {"register", "login"},
    "recharge": {"recharge"},
    "support": {"ask"},
    "service": {"buy", "extend"},
    "country": {"buy", "extend"},
}


@pytest.mark.parametrize("kind", ["emergency", "scheduled", "partial"])
@pytest.mark.parametrize("area", AREAS)
def test_an_area_closes_what_is_new_in_it_and_nothing_that_was_begun(
    stand: Stand, ops: Member, area: str, kind: str
) -> None:
    alice, tester = stand.customer(), stand.customer()
    email = f"asha-{area}-{kind}@example.com"
    asha = stand.signed_in(email)
    stand.change("UPDATE providers SET extend_paise_per_minute = 10")
    running, ending, received = alice.buy(), alice.buy(), alice.buy()
    ref = begun(alice)
    more: dict[str, Any] = {"allowed": [tester.account_id]} if kind == "partial" else {}
    if kind == "scheduled":
        soon = clock.now() + timedelta(seconds=0.2)
        more = {"kind": "scheduled", "startsAt": soon.isoformat(), "endsAt": (soon + timedelta(hours=1)).isoformat()}
    window = close(ops, area, **more)
    if kind == "scheduled":
        stand.ask("SELECT pg_sleep(0.4)")

    seen = {name for name, ask in INTENTS.items() if closed(ask(stand, alice, running, email))}
    assert seen == CLOSES[area]
    if kind == "partial":
        assert not closed(tester.post("/auth/get-number", TELEGRAM)), "it is on the list"
        assert not closed(tester.post(BEGIN, RECHARGE))

    # What goes on whatever is closed: codes, ends, money that comes back or in, reading, sessions, staff.
    stand.deliver(received, "24680")
    assert alice.post("/auth/check-otp", {"orderId": received, "wait": 10}).data["otp"] == "24680"
    assert alice.post("/auth/finish-number", {"orderId": received}).status == 200
    stand.ripen(ending)
    assert alice.post("/auth/cancel-number", {"orderId": ending}).data["status"] == "cancelled"
    assert alice.get("/user/balance").status == 200
    assert alice.get("/orders/events").status == 200
    paid(stand, ref)
    assert alice.get(f"/recharge/status/{ref}").data["recharge"]["status"] == "completed"
    assert stand.nobody.post("/auth/refresh", {"refreshToken": asha.refresh}).status == 200
    assert Member(stand, "support").client.get("/admin/maintenance").data["items"][0]["id"] == window["id"]

    ops.client.post(f"/admin/maintenance/{window['id']}/end", {"version": window["version"]}).data  # noqa: B018
    assert not closed(alice.post("/auth/get-number", TELEGRAM))


def test_a_switch_is_seen_by_what_has_passed_the_door(stand: Stand, alice: Client, ops: Member) -> None:
    """As a second process would, whose knowledge is a moment old."""
    window = close(ops, "country")
    stand.site.switches.windows, stand.site.switches.version = (), 0
    answers = [alice.post("/auth/get-number", TELEGRAM) for _ in range(3)]
    assert all(map(closed, answers)), "also before this process has learned of it"
    assert alice.get("/user/balance").data == {"available": "1000.00", "held": "0.00", "currency": "INR"}
    ops.client.post(f"/admin/maintenance/{window['id']}/end", {"version": 1})


def test_a_repeat_gives_what_was_bought_before_it_was_closed(stand: Stand, alice: Client, ops: Member) -> None:
    first = alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="before").data
    close(ops, "master")
    again = alice.post("/auth/get-number", TELEGRAM, Idempotency_Key="before").data
    assert again["orderId"] == first["orderId"]


def test_clients_of_other_protocols_hear_a_word_they_know(stand: Stand, alice: Client, ops: Member) -> None:
    close(ops, "service")
    asked = f"/stubs/handler_api.php?action=getNumber&service=tg&country=22&api_key={alice.key}"
    answer = stand.nobody.get(asked)
    assert (answer.status, answer.body) == (200, b"NO_NUMBERS")
    bearer = {"Authorization": f"Bearer {alice.key}"}
    told = stand.nobody.get("/v1/user/buy/activation/india/any/telegram", **bearer)
    assert told.body == b"server offline"
    assert alice.get("/user/balance").data["held"] == "0.00"


def test_everybody_can_read_what_is_closed_and_will_be(stand: Stand, ops: Member, alice: Client) -> None:
    later = clock.now() + timedelta(hours=3)
    close(ops, "recharge", allowed=[alice.account_id])
    close(ops, "service", kind="scheduled", startsAt=later.isoformat(), endsAt=(later + timedelta(hours=1)).isoformat())
    learn(stand)
    shown = stand.nobody.get("/system/maintenance")
    now, planned = shown.data["windows"]
    assert (now["area"], now["isNow"], now["isPartial"], now["message"]) == ("recharge", True, True, MESSAGE)
    assert (planned["area"], planned["target"], planned["isNow"]) == ("service", "tg", False)
    assert planned["closes"] == ["buy", "extend"]
    assert b"allowed" not in shown.body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"area": "moon"}, "area"),
        ({"area": "service", "target": "no-such"}, "target"),
        ({"area": "server", "target": 99}, "target"),
        ({"area": "country", "target": "XX"}, "target"),
        ({"area": "service"}, "target"),
        ({"area": "master", "target": "tg"}, "target"),
        ({"area": "master", "endsAt": "2020-01-01T00:00:00Z"}, "endsAt"),
        ({"area": "master", "kind": "scheduled"}, "endsAt"),
        ({"area": "master", "endsAt": "2040-01-01T00:00:00"}, "endsAt"),
        ({"area": "master", "allowed": [-1]}, "allowed"),
        ({"area": "master", "message": ""}, "message"),
    ],
)
def test_a_wrong_window_is_refused_with_its_field(ops: Member, body: dict[str, Any], field: str) -> None:
    answer = ops.client.post("/admin/maintenance", {"message": MESSAGE} | body)
    assert answer.status == 400
    assert field in str(answer.details["fields"])
    assert ops.client.get("/admin/maintenance").data["items"] == []


def test_two_at_one_switch_and_everything_is_in_the_audit_log(stand: Stand, ops: Member) -> None:
    window = close(ops, "recharge")
    path = f"/admin/maintenance/{window['id']}"
    assert ops.client.post("/admin/maintenance", {"area": "recharge", "message": "Me too."}).refusal == (
        409, "window_overlaps",
    )  # fmt: skip
    changed = ops.client.post(path, {"version": 1, "message": "Until one."}).data
    assert (changed["version"], changed["message"]) == (2, "Until one.")
    assert ops.client.post(f"{path}/end", {"version": 1}).refusal == (409, "window_changed")
    assert ops.client.post(f"{path}/end", {"version": 2}).data["endsAt"] is not None
    assert ops.client.post(f"{path}/end", {"version": 3}).refusal == (409, "window_over")
    assert ops.client.post("/admin/maintenance/999999/end", {"version": 1}).refusal == (404, "not_found")
    actions = [item["action"] for item in ops.client.get("/admin/audit").data["items"]]
    assert {"maintenance_opened", "maintenance_changed", "maintenance_ended"} <= set(actions)


def test_staff_are_told_of_start_and_end_once(stand: Stand, ops: Member) -> None:
    window = close(ops, "auth")

    def told() -> int:
        stand.portal.call(admin_jobs.tell_maintenance, stand.site.db, stand.site.vault)
        return int(stand.ask("SELECT count(*) FROM outbox WHERE template = 'maintenance_news' AND account_id = $1",
                             ops.account_id))  # fmt: skip

    before = told()
    assert before >= 1
    assert told() == before
    ops.client.post(f"/admin/maintenance/{window['id']}/end", {"version": 1})
    assert told() == before + 1
    assert told() == before + 1
