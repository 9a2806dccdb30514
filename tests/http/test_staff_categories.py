"""Staff block a category of services: nothing of it is sold in any way, and what was bought before goes on."""

from collections.abc import Iterator
from typing import Any

import pytest

from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from tests.http.staff import Member
from tests.http.stand import TELEGRAM, Client, Stand

BLOCKED = (403, "service_blocked")
COMPLAINT = "too many complaints"


@pytest.fixture(autouse=True)
def _as_before(stand: Stand) -> Iterator[None]:
    yield
    stand.change("DELETE FROM blocked_categories WHERE category = 'messenger'")
    stand.change("UPDATE blocked_categories SET is_on = true")
    stand.change("UPDATE catalogue_version SET version = version + 1")
    stand.portal.call(lambda: catalogue.refresh(stand.site.db, stand.site.shelf))


def listed(member: Member) -> dict[str, dict[str, Any]]:
    return {item["category"]: item for item in member.client.get("/admin/categories").data["items"]}


def put(member: Member, word: str, *, is_blocked: bool, reason: str = COMPLAINT) -> dict[str, Any]:
    body = {"isBlocked": is_blocked, "reason": reason}
    return dict(member.client.post(f"/admin/categories/{word}", body).data)


def written(member: Member) -> dict[str, Any]:
    found = member.client.get("/admin/audit?action=category_changed&limit=1").data["items"]
    assert (found[0]["actorKind"], found[0]["actorId"]) == ("person", member.account_id)
    return dict(found[0]["details"])


def test_categories_are_listed_with_what_is_blocked_and_why(support: Member) -> None:
    found = listed(support)
    assert found["bank"]["isBlocked"]
    assert "mule accounts" in found["bank"]["reason"]
    assert found["bank"]["services"] > 0
    assert (found["messenger"]["isBlocked"], found["messenger"]["reason"]) == (False, "")
    assert "sandbox" not in found


def test_nothing_of_a_blocked_category_is_bought_and_open_orders_go_on(
    stand: Stand, alice: Client, ops: Member, support: Member
) -> None:
    waiting, given_up = alice.buy(), alice.buy()
    assert alice.get("/services?service=tg").data["items"] != []
    done = put(ops, "messenger", is_blocked=True)
    assert (done["category"], done["isBlocked"]) == ("messenger", True)
    assert done["reason"] == "The operator of this site does not sell this category."
    refused = alice.post("/auth/get-number", TELEGRAM)
    assert refused.refusal == BLOCKED
    assert COMPLAINT not in str(refused.body), "the reason is for the audit log"
    assert written(ops) == {
        "category": "messenger", "is_blocked": True, "is_blocked_before": False, "reason": COMPLAINT,
    }  # fmt: skip
    services = {item["code"]: item for item in support.client.get("/admin/services").data["items"]}
    assert (services["tg"]["isOn"], services["tg"]["isBlocked"]) == (True, True)
    assert alice.get("/services?service=tg").data["items"] == []
    stand.deliver(waiting, "24680")
    assert alice.post("/auth/check-otp", {"orderId": waiting, "wait": 10}).data["otp"] == "24680"
    stand.ripen(given_up)
    assert alice.post("/auth/cancel-number", {"orderId": given_up}).status == 200
    assert put(ops, "messenger", is_blocked=False)["isBlocked"] is False
    assert written(ops)["is_blocked_before"] is True
    alice.buy()


def test_a_category_of_our_list_stays_sold_when_the_list_is_read_again(
    stand: Stand, alice: Client, ops: Member
) -> None:
    bank = stand.ask("SELECT min(code) FROM services WHERE category = 'bank'")
    assert alice.post("/auth/get-number", TELEGRAM | {"service": bank}).refusal == BLOCKED
    why = listed(ops)["bank"]["reason"]
    put(ops, "bank", is_blocked=False)
    stand.portal.call(reference.load, stand.site.db)
    assert alice.post("/auth/get-number", TELEGRAM | {"service": bank}).refusal != BLOCKED
    assert put(ops, "bank", is_blocked=True)["reason"] == why
    assert alice.post("/auth/get-number", TELEGRAM | {"service": bank}).refusal == BLOCKED


def test_a_decision_that_changes_nothing_is_written_down_all_the_same(stand: Stand, ops: Member) -> None:
    version = stand.ask("SELECT version FROM catalogue_version")
    put(ops, "bank", is_blocked=True, reason="looked at it again")
    assert stand.ask("SELECT version FROM catalogue_version") == version
    assert written(ops)["reason"] == "looked at it again"


@pytest.mark.parametrize("word", ["nothing", "Bank", "sandbox", "17", "b%C3%A4nk", "x" * 300])
def test_a_word_of_no_category_is_not_found(ops: Member, word: str) -> None:
    before = listed(ops)
    body = {"isBlocked": True, "reason": COMPLAINT}
    assert ops.client.post(f"/admin/categories/{word}", body).refusal == (404, "not_found")
    assert listed(ops) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": COMPLAINT}, "isBlocked"),
        ({"isBlocked": True}, "reason"),
        ({"isBlocked": 1, "reason": "why"}, "isBlocked"),
        ({"isBlocked": True, "reason": ""}, "reason"),
        ({"isBlocked": True, "reason": "x" * 201}, "reason"),
        ({"isBlocked": True, "reason": COMPLAINT, "category": "bank"}, "category"),
    ],
)
def test_a_wrong_field_is_named(ops: Member, body: dict[str, object], field: str) -> None:
    answer = ops.client.post("/admin/categories/messenger", body)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]
    assert not listed(ops)["messenger"]["isBlocked"]


def test_who_may_only_look_blocks_nothing(support: Member, finance: Member, alice: Client) -> None:
    body = {"isBlocked": True, "reason": COMPLAINT}
    for client in (support.client, finance.client, alice):
        assert client.post("/admin/categories/messenger", body).refusal == (403, "scope_too_small")
    assert alice.get("/admin/categories").refusal == (403, "scope_too_small")
    assert not listed(support)["messenger"]["isBlocked"]
