"""What staff see and change of customers: the search, the dossier, notes, limits, bans; and who may do what."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts.model import Role
from numberdesk.base.postgres import Cluster
from tests.http.recharging import CLAIM_UPI, begun, new_utr, paid, paid_by_upi
from tests.http.staff import Member, events
from tests.http.stand import TELEGRAM, Client, Stand
from tests.http.test_callers import becomes


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    with paid_by_upi(portal, cluster) as stand:
        yield stand


def hits(member: Member, word: str) -> list[tuple[str, str]]:
    found = member.client.get(f"/admin/search?q={word}").data["hits"]
    return [(hit["type"], hit["id"]) for hit in found]


def test_orders_accounts_and_keys_are_found_by_what_customers_name(
    stand: Stand, alice: Client, support: Member
) -> None:
    order_id = alice.buy()
    number, email = (stand.ask(query, key) for query, key in (
        ("SELECT number FROM orders WHERE id = $1", order_id),
        ("SELECT email FROM accounts WHERE id = $1", alice.account_id),
    ))  # fmt: skip
    assert ("order", str(order_id)) in hits(support, str(order_id))
    for word in (number, f"%2B{number}"):
        assert hits(support, word) == [("order", str(order_id))], word
    assert hits(support, email) == hits(support, email.upper()) == [("account", str(alice.account_id))]
    assert ("account", str(alice.account_id)) in hits(support, str(alice.account_id))
    assert alice.key is not None
    prefix = alice.key[:16]
    assert hits(support, prefix) == hits(support, alice.key) == [("api_key", prefix)]
    assert hits(support, "nothing-of-this-name") == hits(support, "") == hits(support, "%20") == []


def test_tickets_are_found_by_their_id_what_they_are_about_and_the_whole_address(
    stand: Stand, alice: Client, bob: Client, support: Member
) -> None:
    def asked(client: Client, **about: object) -> str:
        words = {"subject": "Where is it?", "text": "I wait."}
        return str(client.post("/support/tickets", words | about).data["ticket"]["id"])

    order_id, ref = alice.buy(), begun(alice)
    of_order, of_recharge, of_bob = asked(alice, orderId=order_id), asked(alice, transactionId=ref), asked(bob)
    assert ("ticket", of_order) in hits(support, of_order)
    assert ("ticket", of_order) in hits(support, str(order_id))
    assert hits(support, ref) == [("ticket", of_recharge), ("recharge", ref)]
    email = stand.ask("SELECT email FROM accounts WHERE id = $1", alice.account_id)
    assert hits(support, email) == [
        ("account", str(alice.account_id)), ("ticket", of_recharge), ("ticket", of_order),
    ]  # fmt: skip
    shown = support.client.get(f"/admin/search?q={of_bob}").data["hits"]
    (hit,) = [hit for hit in shown if (hit["type"], hit["id"]) == ("ticket", of_bob)]
    assert (hit["accountId"], hit["label"]) == (bob.account_id, "Where is it? (open)")
    unread = support.client.get(f"/admin/tickets?account={alice.account_id}").data["items"]
    assert [item["ticket"]["unread"] for item in unread] == [1, 1], "a search counts as no look"
    assert support.client.get(hit["path"]).data["ticket"]["id"] == int(of_bob)
    looked = support.client.get(f"/admin/audit?account={bob.account_id}&action=staff_read").data["items"]
    assert [(item["details"]["what"], item["details"]["ticket"]) for item in looked] == [("ticket", int(of_bob))]


def test_each_search_is_recorded_and_keeps_no_whole_key(stand: Stand, alice: Client, support: Member) -> None:
    assert alice.key is not None
    hits(support, alice.key)
    found = support.client.get(f"/admin/audit?action=staff_read&actor={support.account_id}&limit=1").data["items"]
    assert (found[0]["details"]["what"], found[0]["details"]["q"]) == ("search", alice.key[:16])
    assert stand.ask("SELECT count(*) FROM audit_log WHERE details::text LIKE '%' || $1 || '%'", alice.key) == 0


def test_a_request_id_leads_to_what_it_made_happen(stand: Stand, alice: Client, ops: Member) -> None:
    answer = ops.client.post(
        f"/admin/users/{alice.account_id}/state", {"state": "frozen", "reason": "a question"},
        X_Request_Id="the-request-of-a-test",
    )  # fmt: skip
    assert answer.status == 200
    found = ops.client.get("/admin/search?q=the-request-of-a-test").data["hits"]
    assert [(hit["type"], hit["label"]) for hit in found] == [("event", "account_state")]
    listed = ops.client.get("/admin/audit?request=the-request-of-a-test").data["items"]
    assert [(item["details"]["before"], item["details"]["state"]) for item in listed] == [("active", "frozen")]


def test_money_is_found_by_its_reference_and_its_utr(stand: Stand, alice: Client, support: Member) -> None:
    ref, utr = begun(alice), new_utr()
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr}).status == 200
    assert hits(support, ref) == [("recharge", ref)]
    assert hits(support, utr) == [("utr_claim", utr)]
    paid(stand, ref, utr)
    assert [kind for kind, _ in hits(support, ref)] == ["recharge", "payment"]
    assert [kind for kind, _ in hits(support, utr)] == ["payment", "utr_claim"]


def test_the_staff_are_found_by_owners_only(support: Member, owner: Member, ops: Member) -> None:
    assert hits(support, "ops@staff.example.com") == []
    assert "account" not in dict(hits(support, str(ops.account_id)))
    assert hits(owner, "ops@staff.example.com") == [("account", str(ops.account_id))]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"), ("from=2026-01-01T00:00:00", "from"),
        ("to=2026-01-01", "to"), ("account=x", "account"),
    ],
)  # fmt: skip
def test_events_of_no_time_that_can_be_are_not_looked_for(support: Member, query: str, field: str) -> None:
    assert list(support.client.get(f"/admin/audit?{query}").details["fields"]) == [field]


@pytest.mark.parametrize("word", ["a" * 121, "%00", "%E2%80%AE"])
def test_a_search_for_nothing_that_can_be_is_refused(support: Member, word: str) -> None:
    assert support.client.get(f"/admin/search?q={word}").status == 400


@pytest.mark.parametrize("word", ["'", "%25", "_", "99999999999999999999", "' OR 1=1 --", "RC" + "0" * 26, "%2B", "@"])
def test_odd_words_find_nothing_and_break_nothing(support: Member, word: str) -> None:
    word = word.replace(" ", "%20")
    assert support.client.get(f"/admin/search?q={word}").status == 200


def test_a_dossier_shows_an_account_without_its_secrets(stand: Stand, alice: Client, support: Member) -> None:
    order_id = stand.received(alice)
    answer = support.client.get(f"/admin/users/{alice.account_id}")
    shown = answer.data
    assert (shown["available"], shown["held"]) == ("978.70", "0.00")
    assert [line["type"] for line in shown["statement"]] == ["service_purchase", "admin_credit"]
    assert [order["id"] for order in shown["orders"]] == [order_id]
    assert alice.key is not None
    assert [key["prefix"] for key in shown["keys"]] == [alice.key[:16]]
    assert alice.key.encode() not in answer.body
    assert b"12345" not in answer.body, "the code"
    assert shown["limits"] == {"apiPerMinute": None}
    reads = events(support, alice, "staff_read")
    assert [read["what"] for read in reads] == ["account"]


def test_a_note_is_kept_for_ever_and_its_customer_sees_nothing(stand: Stand, alice: Client, support: Member) -> None:
    path = f"/admin/users/{alice.account_id}/notes"
    note = support.client.post(path, {"text": "He calls on Mondays."}).data
    assert note["authorId"] == support.account_id
    shown = support.client.get(f"/admin/users/{alice.account_id}").data["notes"]
    assert [item["text"] for item in shown] == ["He calls on Mondays."]
    for change in ("UPDATE account_notes SET text = 'x'", "DELETE FROM account_notes"):
        with pytest.raises(Exception, match="permission denied"):
            stand.change(change)
    for text in ("", "x" * 2001, "bell \x07"):
        assert list(support.client.post(path, {"text": text}).details["fields"]) == ["text"]
    assert support.client.post("/admin/users/987654/notes", {"text": "who"}).refusal == (404, "not_found")


def test_a_limit_of_ones_own_holds_within_a_second(stand: Stand, alice: Client, ops: Member) -> None:
    path = f"/admin/users/{alice.account_id}/limits"
    assert ops.client.post(path, {"apiPerMinute": 1}).data == {"apiPerMinute": 1}
    until = time.monotonic() + 5
    while alice.get("/user/balance").status == 200:
        assert time.monotonic() < until, "the limit was not seen in time"
    assert ops.client.post(path, {"apiPerMinute": None}).status == 200
    told = events(ops, alice, "account_limits")
    assert [(item["api_per_minute_before"], item["api_per_minute"]) for item in told] == [(1, None), (None, 1)]
    for wrong in ({"apiPerMinute": -1}, {"apiPerMinute": "9"}, {}):
        assert ops.client.post(path, wrong).refusal == (400, "invalid_request")


def test_a_ban_ends_keys_and_sessions_at_once(stand: Stand, ops: Member) -> None:
    person = stand.signed_in("banned@example.com")
    key = stand.another_key(person.client)
    key = Client(stand.port, key.key, person.account_id)
    body = {"state": "banned", "reason": "a test"}
    assert ops.client.post(f"/admin/users/{person.account_id}/state", body).data["state"] == "banned"
    becomes(lambda: key.get("/user/balance"), (403, "account_banned"))
    refused = person.client.get("/user/balance").refusal
    assert refused in ((401, "session_ended"), (403, "account_banned"))


@pytest.mark.parametrize("change", ["role", "state"])
def test_a_member_who_is_demoted_or_banned_loses_access_at_once(stand: Stand, owner: Member, change: str) -> None:
    member = Member(stand, "finance", name=f"leaver-{change}")
    assert member.client.get("/admin/users").status == 200
    path = f"/admin/users/{member.account_id}/{change}"
    body: dict[str, Any] = (
        {"role": "customer", "totp": owner.fresh()} if change == "role" else {"state": "banned", "reason": "he left"}
    )
    assert owner.client.post(path, body).status == 200
    until = time.monotonic() + 1.5
    while (answer := member.client.get("/admin/users")).status == 200:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert answer.status in (401, 403)
    (told,) = [item["details"] for item in owner.client.get(f"/admin/audit?account={member.account_id}"
               f"&action=account_{change}").data["items"] if item["actorId"] == owner.account_id]  # fmt: skip
    assert (told["before"], told[change]) in (("finance", "customer"), ("active", "banned"))


def test_the_audit_log_is_filtered_by_who_and_when(alice: Client, ops: Member, support: Member) -> None:
    ops.client.post(f"/admin/users/{alice.account_id}/state", {"state": "limited", "reason": "a test"})
    mine = f"/admin/audit?actor={ops.account_id}&account={alice.account_id}"
    assert [item["action"] for item in support.client.get(mine).data["items"]] == ["account_state"]
    assert support.client.get(f"{mine}&from=2031-01-01T00:00:00Z").data["items"] == []
    assert len(support.client.get(f"{mine}&to=2031-01-01T00:00:00Z").data["items"]) == 1
    assert support.client.get(f"{mine}&from=2031-01-01T00:00:00").refusal[0] == 400


def test_a_frozen_customer_buys_nothing_and_reads_on(stand: Stand, alice: Client, ops: Member) -> None:
    body = {"state": "frozen", "reason": "a question"}
    assert ops.client.post(f"/admin/users/{alice.account_id}/state", body).status == 200
    becomes(lambda: alice.post("/auth/get-number", TELEGRAM), (403, "account_frozen"))
    assert alice.get("/user/balance").status == 200


@pytest.mark.parametrize("role", ["support", "ops"])
def test_who_is_not_of_finance_moves_no_money(stand: Stand, alice: Client, role: Role) -> None:
    member, order_id = Member(stand, role), stand.received(alice)
    code, reason = member.fresh(), {"reason": "for a friend"}
    money = reason | {"amount": "10", "totp": code}
    tries: dict[str, object] = {
        f"/admin/users/{alice.account_id}/credit": money,
        f"/admin/users/{alice.account_id}/debit": money,
        f"/admin/orders/{order_id}/refund": reason | {"totp": code},
        "/admin/payments/1/refund": {**money, "version": 1},
        "/admin/requests/1/agree": {"totp": code},
        "/admin/requests/1/refuse": reason,
        "/admin/prices": {"rules": [{"marginPercent": "-50"}]},
        f"/admin/users/{member.account_id}/role": {"role": "owner", "totp": code},
    }
    for path, body in tries.items():
        assert member.client.post(path, body).refusal == (403, "scope_too_small"), path
    assert alice.get("/user/balance").data["available"] == "978.70"
    assert stand.ask("SELECT count(*) FROM money_requests WHERE account_id = $1", alice.account_id) == 0
