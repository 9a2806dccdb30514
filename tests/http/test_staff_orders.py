"""Orders as staff see them: found, read with all that happened, asked for at the provider, cancelled, refunded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.providers import service as providers
from tests.http import stand as stands
from tests.http.staff import Member, agree, events
from tests.http.stand import PRICE, Client, Stand

CODE = "48213"


@pytest.fixture(autouse=True)
def _ledger_is_right(stand: Stand) -> Iterator[None]:
    yield
    stand.verify_ledger()


def refund(member: Member, order_id: int, **headers: str) -> Any:
    body = {"reason": "it did not work", "totp": member.fresh()}
    return member.client.post(f"/admin/orders/{order_id}/refund", body, **headers)


def found(member: Member, query: str) -> list[int]:
    return [item["id"] for item in member.client.get(f"/admin/orders?{query}").data["items"]]


def test_orders_are_found_by_each_filter_and_page_by_page(stand: Stand, alice: Client, support: Member) -> None:
    first, second = stand.received(alice, CODE), alice.buy()
    number = stand.ask("SELECT number FROM orders WHERE id = $1", second)
    mine = f"account={alice.account_id}"
    assert found(support, mine) == [second, first]
    assert found(support, f"{mine}&state=active") == [second]
    assert found(support, f"{mine}&state=active&state=received") == [second, first]
    assert found(support, f"number=%2B{number}") == [second]
    assert found(support, f"number={number}") == [second]
    assert found(support, f"{mine}&service=wa") == []
    for words in ("country=22&provider=1", "country=IN&provider=alpha", "country=in"):
        assert found(support, f"{mine}&service=tg&{words}") == [second, first], words
    assert found(support, f"{mine}&country=US") == []
    assert found(support, f"{mine}&from=2031-01-01T00:00:00Z") == []
    assert found(support, f"{mine}&to=2031-01-01T00:00:00Z") == [second, first]
    page = support.client.get(f"/admin/orders?{mine}&limit=1").data
    assert [item["id"] for item in page["items"]] == [second]
    assert found(support, f"{mine}&limit=1&cursor={page['nextCursor']}") == [first]
    for query, field in (
        ("state=lost", "state"), ("number=abc", "number"), ("from=yesterday", "from"), ("country=-1", "country"),
        ("from=2031-01-01T00:00:00", "from"), ("country=XX", "country"), ("provider=nobody", "provider"),
        ("provider=0", "provider"), ("limit=0", "limit"), ("from=2031-01-02T00:00:00Z&to=2031-01-01T00:00:00Z", "to"),
    ):  # fmt: skip
        answer = support.client.get(f"/admin/orders?{query}")
        assert (answer.status, list(answer.details["fields"])) == (400, [field]), query


def test_an_order_shows_all_that_happened_but_no_code_to_support(
    stand: Stand, alice: Client, support: Member, finance: Member, ops: Member
) -> None:
    order_id = stand.received(alice, CODE)
    for member in (support, finance):
        answer = member.client.get(f"/admin/orders/{order_id}")
        assert CODE.encode() not in answer.body
        assert [(item["code"], item["text"]) for item in answer.data["messages"]] == [(None, None)]
    shown = ops.client.get(f"/admin/orders/{order_id}").data
    assert [item["code"] for item in shown["messages"]] == [CODE]
    assert [item["postings"] for item in shown["holds"]] != [[]]
    kinds = [(step["kind"], step["what"]) for step in shown["timeline"]]
    assert ("order", "created") in kinds[:2], "the money is set aside in the same transaction"
    assert {("provider", "rent"), ("money", "hold"), ("money", "capture"), ("order", "code"),
            ("message", "received")} <= set(kinds)  # fmt: skip
    assert [step["at"] for step in shown["timeline"]] == sorted(step["at"] for step in shown["timeline"])
    assert (shown["order"]["cost"], shown["order"]["hours"]) == ("17.75", None)
    assert shown["route"]["route"] == "cheapest"
    assert [(offer["server"], offer["price"]) for offer in shown["route"]["offers"]] == [(1, PRICE)]
    reads = events(ops, alice, "staff_read")
    assert [(read["order"], read["messages"]) for read in reads] == [(order_id, 1), (order_id, 0), (order_id, 0)]


def test_what_was_said_with_the_provider_holds_no_code_for_anybody(stand: Stand, alice: Client, ops: Member) -> None:
    order_id = stand.received(alice, CODE)
    stand.portal.call(providers.flush, stand.site.lines)
    shown = ops.client.get(f"/admin/orders/{order_id}").data
    assert "rent" in [item["action"] for item in shown["wire"]]
    assert all(CODE not in item["answer"] for item in shown["wire"])


def test_ops_ask_the_provider_at_once_and_cancel_by_the_rules(stand: Stand, alice: Client, ops: Member) -> None:
    waiting = alice.buy()
    assert ops.client.post(f"/admin/orders/{waiting}/poll", {}).data["state"] in ("active", "received")
    body = {"reason": "its buyer asked for it"}
    assert ops.client.post(f"/admin/orders/{waiting}/cancel", body).refusal == (409, "cancel_too_early")
    stand.ripen(waiting)
    cancelled = ops.client.post(f"/admin/orders/{waiting}/cancel", body).data
    assert cancelled["state"] == "cancelled"
    assert alice.get("/user/balance").data == alice.get("/user/balance").data | {"available": "1000.00", "held": "0.00"}
    assert ops.client.post(f"/admin/orders/{waiting}/poll", {}).refusal == (409, "nothing_to_ask")
    (told,) = events(ops, alice, "order_cancelled")
    assert (told["before"], told["after"], told["reason"]) == ("active", "cancelled", body["reason"])
    paid = stand.received(alice, CODE)
    assert ops.client.post(f"/admin/orders/{paid}/cancel", body).refusal == (409, "not_cancellable")


def test_a_captured_order_is_refunded_whole_and_once(stand: Stand, alice: Client, finance: Member) -> None:
    order_id = stand.received(alice, CODE)
    assert alice.get("/user/balance").data["available"] == "978.70"
    wrong = finance.client.post(f"/admin/orders/{order_id}/refund", {"reason": "a test", "totp": "000000"})
    assert wrong.refusal == (401, "totp_invalid")
    done = refund(finance, order_id, Idempotency_Key="refund-1").data
    assert (done["state"], done["amount"], done["available"]) == ("done", PRICE, "1000.00")
    assert refund(finance, order_id, Idempotency_Key="refund-2").refusal == (409, "nothing_to_refund")
    shown = alice.get(f"/orders/{order_id}").data["order"]
    assert (shown["status"], shown["refund"]["amount"]) == ("completed", PRICE)
    types = stand.ask("SELECT string_agg(type, ',' ORDER BY seq) FROM order_events WHERE order_id = $1", order_id)
    assert types == "active,code,completed,refunded"
    mails = stand.ask("SELECT count(*) FROM outbox WHERE template = 'order_refunded' AND account_id = $1",
                      alice.account_id)  # fmt: skip
    assert mails == 1
    purchase = alice.get("/user/transactions?type=service_purchase").data["items"]
    assert [line["state"] for line in purchase] == ["refunded"]
    (event,) = events(finance, alice, "order_refunded")
    assert (event["available_before"], event["available_after"], event["order"]) == (97_870, 100_000, order_id)


def test_what_was_not_paid_is_not_refunded(stand: Stand, alice: Client, finance: Member) -> None:
    waiting = alice.buy()
    assert refund(finance, waiting).refusal == (409, "nothing_to_refund")
    stand.ripen(waiting)
    alice.post("/auth/cancel-number", {"orderId": waiting})
    assert refund(finance, waiting).refusal == (409, "nothing_to_refund")
    assert refund(finance, 987654).refusal == (404, "not_found")


def test_two_who_refund_one_order_at_once_refund_it_once(stand: Stand, alice: Client, finance: Member) -> None:
    order_id, other = stand.received(alice, CODE), Member(stand, "owner")
    bodies = {member: {"reason": "at once", "totp": member.fresh()} for member in (finance, other)}
    with ThreadPoolExecutor(2) as pool:
        answers = [
            future.result()
            for future in [
                pool.submit(member.client.post, f"/admin/orders/{order_id}/refund", body)
                for member, body in bodies.items()
            ]
        ]
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert alice.get("/user/balance").data["available"] == "1000.00"


def test_a_dear_order_is_refunded_when_another_person_agrees(portal: BlockingPortal, cluster: Cluster) -> None:
    with stands.opened(portal, cluster, staff_two_person_amount=20) as stand:
        alice, finance, owner = stand.customer(), Member(stand, "finance"), Member(stand, "owner")
        order_id = stand.received(alice, CODE)
        asked = refund(finance, order_id).data
        assert (asked["state"], asked["available"]) == ("waiting", None)
        assert alice.get(f"/orders/{order_id}").data["order"]["refund"] is None
        assert agree(owner, asked["requestId"]).data["available"] == "1000.00"
        assert agree(owner, asked["requestId"]).data["available"] == "1000.00", "a repeat moves nothing"
        assert alice.get(f"/orders/{order_id}").data["order"]["refund"]["amount"] == PRICE


def test_what_more_was_paid_for_meanwhile_is_asked_for_anew(portal: BlockingPortal, cluster: Cluster) -> None:
    with stands.opened(portal, cluster, staff_two_person_amount=20) as stand:
        alice, finance, owner = stand.customer(), Member(stand, "finance"), Member(stand, "owner")
        order_id = stand.received(alice, CODE)
        first = refund(finance, order_id).data
        assert alice.post("/auth/extend-number", {"orderId": order_id, "minutes": 2}).status == 200
        assert agree(owner, first["requestId"]).refusal == (409, "request_over")
        assert alice.get(f"/orders/{order_id}").data["order"]["status"] == "received", "nothing of it was done"
        second = refund(finance, order_id, Idempotency_Key="anew").data
        assert agree(owner, second["requestId"]).data["available"] == "1000.00"
        assert agree(owner, first["requestId"]).refusal == (409, "nothing_to_refund")
        assert alice.get("/user/balance").data["available"] == "1000.00"
        stand.verify_ledger()
