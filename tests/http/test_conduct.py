"""Responsible use over HTTP: what is withheld is on no path, staff decide, limits explain themselves, bans say why."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from tests.compat.bot import Bot
from tests.http import stand as stands
from tests.http.staff import Member
from tests.http.stand import TELEGRAM, Client, Stand

BANK = "735194 is OTP for txn of INR 499.00 on HDFC Bank card ending 4431. Do not share."
CODE = "735194"


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with a contact for complaints and small limits."""
    changes: dict[str, Any] = {"abuse_contact": "abuse@example.com", "orders_per_hour": 5, "orders_first_day": 3}
    with stands.opened(portal, cluster, **changes) as stand:
        yield stand


def withheld(stand: Stand, client: Client) -> int:
    """Rent a number and have a bank's message come; returns the order's id once it ended."""
    order_id = client.buy()
    upstream_id = stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id)
    stand.portal.call(lambda: stand.provider.deliver(int(upstream_id), BANK, code=CODE))
    seen = client.post("/auth/check-otp", {"orderId": order_id, "wait": 20}).data
    assert seen["status"] == "cancelled", seen
    return order_id


def test_withheld_messages_are_listed_page_by_page(stand: Stand, alice: Client, ops: Member) -> None:
    made = [withheld(stand, alice) for _ in range(2)]
    path, cursor, found = f"/admin/quarantine?account={alice.account_id}&limit=1", "", []
    for _ in made:
        page = ops.client.get(f"{path}{cursor}").data
        found += [item["orderId"] for item in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert found == made[::-1]
    assert ops.client.get(f"{path}{cursor}").data == {"items": [], "nextCursor": None}


def test_a_withheld_message_is_on_no_path_and_its_money_is_back(stand: Stand, alice: Client, ops: Member) -> None:
    order_id = withheld(stand, alice)
    seen = alice.post("/auth/check-otp", {"orderId": order_id}).data
    assert (seen["otp"], seen["messages"], seen["refund"]["amount"]) == (None, [], seen["price"])
    assert "looks like one of a bank" in seen["notice"]
    assert alice.get("/user/balance").data["available"] == "1000.00"
    bot = Bot(alice)
    bodies = [
        alice.post("/auth/check-otp", {"orderId": order_id}).body,
        alice.get(f"/auth/number-status/{order_id}").body,
        alice.get("/orders").body,
        alice.get(f"/orders/{order_id}").body,
        alice.get("/orders/events").body,
        alice.get("/orders/stream", Last_Event_ID="evt_0").body,
        alice.get("/wallet/transactions").body,
        bot.send("getStatus", id=order_id).body,
        bot.send("getStatusV2", id=order_id).body,
        bot.send("getFullSms", id=order_id).body,
        bot.send("getActiveActivations").body,
        bot.send("getHistory").body,
        bot.speaking("hero").send("getStatus", id=order_id).body,
        bot.speaking("grizzly").send("getStatus", id=order_id).body,
        Client(alice.port, others=frozenset({404, 400}))
        .send("GET", f"/v1/user/check/{order_id}", headers={"Authorization": f"Bearer {alice.key}"})
        .body,
        Client(alice.port, others=frozenset({404, 400}))
        .send("GET", f"/v1/user/sms/inbox/{order_id}", headers={"Authorization": f"Bearer {alice.key}"})
        .body,
    ]
    bearer = {"Authorization": f"Bearer {alice.key}"}
    bodies += [
        Client(alice.port, others=frozenset({404, 400})).send("GET", path, headers=bearer).body
        for path in (
            "/v1/user/orders?category=activation",
            f"/v1/user/finish/{order_id}",
            f"/v1/user/cancel/{order_id}",
        )
    ]
    number = stand.ask("SELECT number FROM orders WHERE id = $1", order_id)
    server = stand.ask("SELECT provider_id FROM orders WHERE id = $1", order_id)
    staff = (f"/admin/orders/{order_id}", f"/admin/search?q={number}", f"/admin/providers/{server}/transcripts")
    bodies += [member.client.get(path).body for member in (ops, Member(stand, "support")) for path in staff]
    for body in bodies:
        assert body
        assert CODE.encode() not in body
        assert b"HDFC" not in body
    assert b"cancelled" in bodies[4]


def test_staff_read_it_without_its_code_and_release_it_once(stand: Stand, alice: Client, ops: Member) -> None:
    order_id = withheld(stand, alice)
    (item,) = ops.client.get(f"/admin/quarantine?state=held&account={alice.account_id}").data["items"]
    assert (item["orderId"], item["kind"], item["signs"], item["state"]) == (order_id, "bank", "hdfc bank", "held")
    assert "HDFC Bank" in item["text"]
    assert CODE not in item["text"]
    (look,) = ops.client.get(f"/admin/audit?account={alice.account_id}&action=staff_read").data["items"]
    assert (look["actorId"], look["details"]["what"], look["details"]["messages"]) == (ops.account_id, "quarantine", 1)
    assert Member(stand, "support").client.get("/admin/quarantine").refusal == (403, "scope_too_small")
    assert list(ops.client.get("/admin/quarantine?cursor=2026-01-01T00:00:00").details["fields"]) == ["cursor"]
    path = f"/admin/quarantine/{order_id}"
    assert ops.client.post(f"{path}/release", {"reason": "x"}).refusal == (400, "invalid_request")
    assert ops.client.post(f"{path}/release", {"reason": "his own", "ordinal": 2}).refusal == (404, "not_found")
    assert ops.client.post(f"{path}/release", {"reason": "his own card"}).data["state"] == "released"
    assert ops.client.post(f"{path}/release", {"reason": "his own card"}).refusal == (409, "already_decided")
    assert ops.client.post(f"{path}/confirm", {"reason": "or not"}).refusal == (409, "already_decided")
    seen = alice.post("/auth/check-otp", {"orderId": order_id}).data
    assert (seen["status"], seen["otp"], seen["notice"]) == ("completed", CODE, None)
    assert alice.get("/user/balance").data["available"] == "978.70"
    types = [event["type"] for event in alice.get("/orders/events").data["items"]]
    assert types == ["order.active", "order.cancelled", "order.code", "order.completed"]
    found = ops.client.get(f"/admin/audit?account={alice.account_id}&action=message_released").data["items"]
    assert [item["details"] for item in found] == [{"order": order_id, "ordinal": 1, "reason": "his own card"}]


def test_confirmed_it_is_counted_for_its_account_and_month(stand: Stand, bob: Client, ops: Member) -> None:
    order_id = withheld(stand, bob)
    done = ops.client.post(f"/admin/quarantine/{order_id}/confirm", {"reason": "a bank's"}).data
    assert (done["state"], done["decidedBy"], done["reason"]) == ("confirmed", ops.account_id, "a bank's")
    (item,) = ops.client.get(f"/admin/quarantine?state=confirmed&account={bob.account_id}").data["items"]
    assert item["orderId"] == order_id
    (month,) = ops.client.get("/admin/transparency?months=1").data["items"]
    assert month["month"] == f"{clock.now():%Y-%m}"
    assert month["withheld"] >= month["confirmed"] >= 1


def test_a_limit_says_which_how_much_and_until_when_in_every_protocol(stand: Stand, alice: Client) -> None:
    for _ in range(5):
        alice.buy()
    refused = alice.post("/auth/get-number", TELEGRAM)
    assert refused.refusal == (429, "purchase_limited")
    details = refused.details
    assert (details["limit"], details["allowed"], details["used"]) == ("hour", 5, 5)
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert datetime.fromisoformat(details["until"]) <= clock.now() + timedelta(hours=1)
    assert "5 numbers an hour" in refused.json["error"]
    bot = Bot(alice).send("getNumber", service="tg", country="22")
    assert (bot.status, bot.body) == (200, b"CHANNELS_LIMIT")
    assert 0 < int(bot.headers["retry-after"]) <= 3600
    hero = Bot(alice, "hero").send("getNumberV2", service="tg", country="22")
    assert (hero.status, hero.json["title"]) == (403, "CHANNELS_LIMIT")
    assert hero.json["info"] == {"limit": "hour", "current_threads": 5, "max_allowed": 5}
    sim = Client(alice.port).send(
        "GET", "/v1/user/buy/activation/india/any/telegram", headers={"Authorization": f"Bearer {alice.key}"}
    )
    assert (sim.status, sim.body) == (400, b"not enough rating")
    assert 0 < int(sim.headers["retry-after"]) <= 3600
    assert alice.get("/user/balance").data["held"] == "106.50"


def test_staff_allow_one_account_more_and_take_it_back(stand: Stand, bob: Client, ops: Member) -> None:
    path = f"/admin/users/{bob.account_id}/purchase-limits"
    assert ops.client.get(path).data["isOwn"] is False
    assert ops.client.post(path, {"reason": "trial", "perHour": 1}).data["perHour"] == 1
    bob.buy()
    assert bob.post("/auth/get-number", TELEGRAM).refusal == (429, "purchase_limited")
    assert ops.client.post(path, {"reason": "a reseller", "isFree": True}).data["isFree"] is True
    for _ in range(7):
        bob.buy()
    assert ops.client.post(path, {"reason": "over"}).data["isOwn"] is False
    assert bob.post("/auth/get-number", TELEGRAM).refusal == (429, "purchase_limited")
    assert ops.client.post(path, {"reason": "too few", "perHour": -1}).refusal == (400, "invalid_request")
    found = ops.client.get(f"/admin/audit?account={bob.account_id}&action=purchase_limits").data["items"]
    assert [item["details"]["reason"] for item in found] == ["over", "a reseller", "trial"]


def test_a_ban_ends_key_and_session_at_once_says_why_and_takes_no_money(stand: Stand, ops: Member) -> None:
    person = stand.signed_in("banned@example.com")
    stand.credit(person.client, 100_000)
    order_id = person.client.buy()
    key = replace(stand.another_key(person.client), token=None)
    assert key.get("/user/balance").status == 200
    body = {"state": "banned", "reason": "Rented numbers for phishing"}
    assert ops.client.post(f"/admin/users/{person.account_id}/state", body).data["state"] == "banned"
    stand.portal.call(stand.site.people.ring.refresh)
    refused = key.get("/user/balance")
    assert refused.refusal == (403, "account_banned")
    details = refused.details
    assert (details["reason"], details["decidedBy"]) == (body["reason"], f"staff {ops.account_id}")
    assert datetime.fromisoformat(details["decidedAt"]) <= clock.now()
    assert "To appeal" in details["appeal"]
    assert "phishing" in refused.json["error"]
    assert person.client.get("/user/profile").status == 401
    stand.change("DELETE FROM limit_counters")
    again = stand.nobody.post("/auth/login", {"email": "banned@example.com", "password": stands.PASSWORD})
    assert again.refusal == (403, "account_banned")
    assert again.details["reason"] == body["reason"]
    # The order goes on by the normal rules, and the money stays.
    assert stand.ask("SELECT state FROM orders WHERE id = $1", order_id) == "active"
    stand.deliver(order_id, "12345")
    assert stand.ask("SELECT available_paise + held_paise FROM wallets WHERE account_id = $1", person.account_id) > 0
    ops.client.post(f"/admin/users/{person.account_id}/state", {"state": "active", "reason": "a mistake"})


def test_a_lawful_request_needs_two_people_and_is_exact_at_its_edges(
    stand: Stand, alice: Client, ops: Member, owner: Member
) -> None:
    order_id = alice.buy()
    stand.change(
        "UPDATE orders SET state = 'cancelled', number = '919876500001', activated_at = '2026-01-10T10:00:00Z',"
        " ended_at = '2026-01-10T10:20:00Z', failure = NULL WHERE id = $1",
        order_id,
        as_admin=True,
    )

    def asked(case: str, start: str, end: str) -> int:
        day = "2026-01-10T"
        body = {
            "caseNumber": case, "authority": "Cyber Crime Cell", "number": "+91 98765-00001", "reason": "a fraud",
            "startsAt": f"{day}{start}Z", "endsAt": f"{day}{end}Z",
        }  # fmt: skip
        return int(owner.client.post("/admin/lawful-requests", body).data["id"])

    def export(request_id: int, member: Member) -> stands.Answer:
        return member.client.post(
            f"/admin/lawful-requests/{request_id}/export", {"reason": "to the cell", "totp": member.fresh()}
        )

    def decide(request_id: int, member: Member, *, approve: bool = True) -> stands.Answer:
        body = {"approve": approve, "reason": "order seen", "totp": member.fresh()}
        return member.client.post(f"/admin/lawful-requests/{request_id}/decide", body)

    first = asked("FIR 12/2026", "10:20:00", "11:00:00")
    assert export(first, ops).refusal == (409, "not_approved")
    assert decide(first, owner).refusal == (403, "second_person_needed")
    assert decide(first, ops).refusal == (403, "scope_too_small")
    # A second owner is another person.
    stand.change("UPDATE accounts SET role = 'owner', changed_at = clock_timestamp() WHERE id = $1", ops.account_id)
    second = Member(stand, "ops")
    assert decide(first, second).data["state"] == "approved"
    assert decide(first, second).refusal == (409, "not_approved")
    edges = {
        ("10:20:00", "11:00:00"): [], ("10:19:59", "10:20:00"): [order_id], ("09:00:00", "10:00:00"): [],
        ("09:00:00", "10:00:01"): [order_id], ("10:00:00", "10:00:00"): [order_id],
        ("10:20:00", "10:20:00"): [], ("10:05:00", "10:06:00"): [order_id],
    }  # fmt: skip
    for at, ((start, end), expected) in enumerate(edges.items()):
        request_id = first if at == 0 else asked(f"FIR {at}/2026", start, end)
        if at:
            assert decide(request_id, second).status == 200
        found = export(request_id, second).data
        assert [holder["orderId"] for holder in found["holders"]] == expected, (start, end)
        assert {holder["accountId"] for holder in found["holders"]} <= {alice.account_id}
        assert b"text" not in export(request_id, second).body
    assert decide(asked("FIR 99/2026", "10:00:00", "10:30:00"), second, approve=False).data["state"] == "refused"
    told = owner.client.get("/admin/audit?action=lawful_exported").data["items"]
    assert len(told) == 2 * len(edges)
    listed = owner.client.get("/admin/lawful-requests").data["items"]
    assert {item["state"] for item in listed} == {"approved", "refused"}
    assert max(item["exports"] for item in listed) == 2


def test_silly_lawful_requests_are_refused_with_their_field(owner: Member) -> None:
    good = {
        "caseNumber": "X 1", "authority": "A court", "number": "919876500001", "reason": "a fraud",
        "startsAt": "2026-01-10T10:00:00Z", "endsAt": "2026-01-10T11:00:00Z",
    }  # fmt: skip
    for change, name in (
        ({"number": "not a number"}, "number"),
        ({"endsAt": "2026-01-10T09:00:00Z"}, "endsAt"),
        ({"endsAt": "2028-01-10T09:00:00Z"}, "endsAt"),
        ({"startsAt": "2026-01-10T10:00:00"}, "startsAt"),
        ({"caseNumber": ""}, "caseNumber"),
    ):
        refused = owner.client.post("/admin/lawful-requests", good | change)
        assert list(refused.details["fields"]) == [name], refused.body
    assert owner.client.post("/admin/lawful-requests", good).status == 200
    assert owner.client.post("/admin/lawful-requests", good).refusal == (409, "request_known")


def test_a_complaint_finds_whose_number_it_was_and_the_look_is_recorded(stand: Stand, bob: Client, ops: Member) -> None:
    order_id = bob.buy()
    number = bob.post("/auth/check-otp", {"orderId": order_id}).data["number"]
    found = ops.client.post("/admin/numbers", {"number": number, "reason": "a complaint"}).data["items"]
    assert (found[0]["orderId"], found[0]["accountId"], found[0]["ip"]) == (order_id, bob.account_id, "127.0.0.1")
    (look,) = ops.client.get("/admin/audit?action=number_looked_up&limit=1").data["items"]
    assert look["details"] == {"number": number.lstrip("+"), "reason": "a complaint"}


def test_links_are_shown_with_the_size_of_the_crowd_and_change_nothing(stand: Stand, ops: Member) -> None:
    one, two = stand.signed_in("link1@links.test").client, stand.signed_in("link22@links.test").client
    three = stand.customer()
    for place, (client, payer) in enumerate(((one, b"p" * 32), (three, b"p" * 32), (two, b"q" * 32))):
        stand.change("INSERT INTO account_payers (payer_hash, account_id) VALUES ($1, $2)", payer, client.account_id)
        stand.change(
            "INSERT INTO account_ips (account_id, ip, network) VALUES ($1, $2::text::inet, '2001:db8:7:7::/64')"
            " ON CONFLICT DO NOTHING",
            client.account_id,
            f"2001:db8:7:7::{place + 1}",
        )
    found = ops.client.get(f"/admin/users/{one.account_id}/links").data["items"]
    seen = {(item["kind"], item["accountId"]): (item["shared"], item["others"]) for item in found}
    assert seen["payer", three.account_id] == (1, 2)
    assert seen["mail", two.account_id] == (1, 2)
    assert seen["network", two.account_id][0] >= 1
    assert ("payer", two.account_id) not in seen
    assert stand.ask("SELECT count(*) FROM accounts WHERE state <> 'active' AND id = $1", three.account_id) == 0
    assert ops.client.get("/admin/users/987654321/links").refusal == (404, "not_found")


def test_every_way_to_buy_tells_from_where(stand: Stand, alice: Client) -> None:
    alice.buy()
    assert Bot(alice).send("getNumber", service="tg", country="22").body.startswith(b"ACCESS_NUMBER")
    bearer = {"Authorization": f"Bearer {alice.key}"}
    bought = Client(alice.port).send("GET", "/v1/user/buy/activation/india/any/telegram", headers=bearer)
    assert bought.status == 200, bought.body
    told = "SELECT array_agg(host(ip)) FROM orders WHERE account_id = $1"
    assert stand.ask(told, alice.account_id) == ["127.0.0.1"] * 3


def test_anybody_reads_where_misuse_is_told(stand: Stand) -> None:
    told = stand.nobody.get("/system/abuse").data
    assert told["contact"] == "abuse@example.com"
    assert "not for banks" in told["text"]
