"""Staff and providers over HTTP: everybody on the staff looks, operations and the owner change, all of it recorded."""

import time
from typing import Any

import pytest

from numberdesk.accounts.model import Role
from tests.http.stand import PRICE, Client, Stand

ROLES: tuple[Role, ...] = ("support", "finance", "ops", "owner")


@pytest.fixture(scope="module")
def staff(stand: Stand) -> dict[str, Client]:
    """One of each role, with a second factor."""
    found = {role: stand.signed_in(f"{role}@staff.example.com", role=role).client for role in ROLES}
    stand.change("UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp()")
    return {str(role): client for role, client in found.items()}


@pytest.fixture(scope="module")
def number(stand: Stand) -> int:
    return int(stand.ask("SELECT id FROM providers WHERE name = 'alpha'"))


def shown(client: Client, number: int) -> Any:
    return client.get(f"/admin/providers/{number}").data


def until_balance(client: Client, number: int) -> Any:
    """Wait until the worker has asked for the balance."""
    for _ in range(200):
        found = shown(client, number)["provider"]
        if found["balance"] is not None:
            return found
        time.sleep(0.05)
    raise AssertionError("no balance was asked for")


def test_a_provider_is_shown_with_its_money_and_without_its_key(
    stand: Stand, staff: dict[str, Client], alice: Client, number: int
) -> None:
    alice.buy()
    assert PRICE == "21.30"
    until_balance(staff["support"], number)
    for role in ROLES:
        answer = staff[role].get("/admin/providers")
        (row,) = answer.data["items"]
        assert b"simulator-key" not in answer.body
        assert (row["id"], row["name"], row["kind"]) == (number, "alpha", "sms-activate")
        assert row["spentToday"] == "17.75"
        assert row["openOrders"] == 1
        assert row["capabilities"]["hasCeiling"] is True
        assert row["options"]["spendMax"] is None
    prices = shown(staff["support"], number)["prices"]
    assert prices == {
        "sales": 1, "told": 1, "above": 0, "aboveCeiling": 0, "listed": "17.75", "charged": "17.75",
    }  # fmt: skip


def test_options_are_changed_by_operations_and_recorded_before_and_after(
    stand: Stand, staff: dict[str, Client], alice: Client, number: int
) -> None:
    path = f"/admin/providers/{number}/options"
    change = {"spendMax": "500.50", "balanceAlert": None, "weightPercent": 90, "isOn": True}
    for client in (staff["support"], staff["finance"], alice):
        assert client.post(path, change).refusal == (403, "scope_too_small")
    changed = staff["ops"].post(path, change).data
    assert (changed["spendMax"], changed["balanceAlert"], changed["weightPercent"]) == ("500.50", None, 90)
    assert staff["ops"].post(path, change).data == changed
    events = staff["support"].get("/admin/audit?action=provider_changed").data["items"]
    assert [(item["actorId"], item["details"]) for item in events] == [
        (
            staff["ops"].account_id,
            {"provider": "alpha", "weight_percent": "100 -> 90", "spend_max_paise": "None -> 50050"},
        )
    ]
    assert staff["owner"].post(path, {"spendMax": None, "weightPercent": 100}).data["spendMax"] is None
    assert shown(staff["support"], number)["provider"]["options"]["spendMax"] is None


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"spendMax": "0"}, "spendMax"),
        ({"balanceAlert": "1.234"}, "balanceAlert"),
        ({"weightPercent": 0}, "weightPercent"),
        ({"deadlineMs": 99}, "deadlineMs"),
        ({"deadlineMs": "soon"}, "deadlineMs"),
        ({"parallelMax": None}, "parallelMax"),
        ({"dialect": "klingon"}, "dialect"),
        ({"openMax": 2**40}, "openMax"),
        ({"apiKey": "stolen"}, "apiKey"),
        ({"url": "http://127.0.0.1"}, "url"),
    ],
)
def test_a_bad_option_is_named_and_changes_nothing(
    staff: dict[str, Client], number: int, bad: dict[str, Any], field: str
) -> None:
    before = shown(staff["ops"], number)["provider"]["options"]
    answer = staff["ops"].post(f"/admin/providers/{number}/options", {"cancelAfterMs": 7} | bad)
    assert answer.status == 400
    assert list(answer.details["fields"]) == [field]
    assert shown(staff["ops"], number)["provider"]["options"] == before


@pytest.mark.parametrize("number", [987654321, 32767, 0, 2**62])
def test_a_provider_that_is_not_there_is_not_found(staff: dict[str, Client], number: int) -> None:
    assert staff["ops"].get(f"/admin/providers/{number}").status == 404
    assert staff["ops"].post(f"/admin/providers/{number}/options", {"isOn": True}).status == 404
    top_up = {"amount": "5", "note": "by bank"}
    assert staff["ops"].post(f"/admin/providers/{number}/top-up", top_up).status == 404


def test_alerts_are_listed_until_they_are_over(stand: Stand, staff: dict[str, Client], number: int) -> None:
    stand.change("INSERT INTO provider_alerts (provider_id, kind, detail) VALUES ($1, 'breaker', 'It fails.')", number)
    (alert,) = staff["support"].get("/admin/alerts").data["items"]
    assert (alert["provider"], alert["kind"], alert["detail"], alert["closedAt"]) == (
        "alpha", "breaker", "It fails.", None,
    )  # fmt: skip
    assert shown(staff["finance"], number)["provider"]["alerts"] == [alert]
    stand.change("UPDATE provider_alerts SET closed_at = clock_timestamp()")
    assert staff["support"].get("/admin/alerts").data["items"] == []
    assert len(staff["support"].get("/admin/alerts?openOnly=false").data["items"]) == 1


def test_a_top_up_explains_a_balance_and_a_gap_is_accepted_once(
    stand: Stand, staff: dict[str, Client], number: int
) -> None:
    until_balance(staff["ops"], number)
    path, body = f"/admin/providers/{number}/top-up", {"amount": "5000", "note": "by bank"}
    assert staff["support"].post(path, body).refusal == (403, "scope_too_small")
    for _ in range(2):
        assert staff["ops"].post(path, body, Idempotency_Key="top-up-1").data == {"amount": "5000.00"}
    assert stand.ask("SELECT count(*) FROM provider_top_ups") == 1
    # The worker would find out that nothing was paid in.
    stand.change("UPDATE provider_money SET check_due_at = 'infinity'")
    stand.change("DELETE FROM provider_money_checks")
    gap = f"/admin/providers/{number}/settle-gap"
    assert staff["ops"].post(gap, {"note": "no gap at all"}).status == 404
    stand.change(
        "INSERT INTO provider_money_checks (provider_id, balance_paise, expected_low, expected_high, gap_paise,"
        " explained) VALUES ($1, 100, 350, 350, -250, 'less')",
        number,
    )
    assert shown(staff["support"], number)["check"]["gap"] == "-2.50"
    assert staff["owner"].post(gap, {"note": "they raised it"}).data == {"amount": "-2.50"}
    assert staff["owner"].post(gap, {"note": "they raised it"}).status == 404
    actions = [item["action"] for item in staff["owner"].get("/admin/audit").data["items"]][:2]
    assert actions == ["provider_gap_settled", "provider_top_up"]


def test_a_breaker_is_held_by_operations_and_recorded(
    stand: Stand, staff: dict[str, Client], alice: Client, number: int
) -> None:
    path = f"/admin/providers/{number}/breaker"
    hold = {"state": "open", "reason": "they are down"}
    for client in (staff["support"], staff["finance"], alice):
        assert client.post(path, hold).refusal == (403, "scope_too_small")
    for bad, field in ((hold | {"state": "ajar"}, "state"), (hold | {"reason": ""}, "reason")):
        assert list(staff["ops"].post(path, bad).details["fields"]) == [field]
    assert staff["ops"].post(path, hold).data["forced"] == "open"
    assert shown(staff["support"], number)["provider"]["health"]["reason"] == "they are down"
    for _ in range(100):
        answer = alice.post("/auth/get-number", {"service": "tg", "country": "IN"})
        if answer.status == 503:
            break
        time.sleep(0.05)
    assert answer.refusal == (503, "provider_unavailable")
    assert staff["owner"].post(path, hold | {"state": "auto"}).data["forced"] is None
    events = staff["support"].get("/admin/audit?action=provider_breaker").data["items"]
    assert [(item["details"]["before"], item["details"]["after"]) for item in events] == [
        ("open", "auto"),
        ("auto", "open"),
    ]


def test_what_was_said_and_what_came_of_it_is_read_by_all_staff(
    stand: Stand, staff: dict[str, Client], alice: Client, number: int
) -> None:
    for _ in range(100):
        answer = alice.post("/auth/get-number", {"service": "tg", "country": "IN"})
        if answer.status == 200:
            break
        time.sleep(0.05)
    order_id = int(answer.data["orderId"])
    path = f"/admin/providers/{number}/transcripts?subject={order_id}-1"
    for _ in range(100):
        found = staff["support"].get(path)
        if found.data["items"]:
            break
        time.sleep(0.1)
    (said,) = found.data["items"]
    assert (said["action"], said["subject"], said["status"]) == ("rent", f"{order_id}-1", 200)
    assert b"simulator-key" not in found.body
    assert staff["finance"].get(f"/admin/providers/{number}/transcripts?subject=nobody").data["items"] == []
    counts = staff["finance"].get(f"/admin/providers/{number}/calls?hours=1").data["items"]
    assert any((item["action"], item["outcome"]) == ("rent", "rented") and item["calls"] > 0 for item in counts)


def test_a_sync_is_asked_for_by_operations_done_by_the_worker_and_recorded(
    stand: Stand, staff: dict[str, Client], alice: Client, number: int
) -> None:
    path = f"/admin/providers/{number}/sync"
    for client in (staff["support"], staff["finance"], alice):
        assert client.post(path, {}).refusal == (403, "scope_too_small")
    assert list(staff["ops"].post(path, {"force": "yes"}).details["fields"]) == ["force"]
    assert staff["ops"].post("/admin/providers/987654321/sync", {}).status == 404
    assert staff["ops"].get("/admin/providers/987654321/syncs").status == 404
    before = staff["support"].get(f"{path}s").data["items"]
    assert staff["ops"].post(path, {"force": True}).data == {"provider": "alpha", "force": True}
    for _ in range(200):
        found = staff["support"].get(f"{path}s").data["items"]
        if len(found) > len(before) and found[0]["state"] != "running":
            break
        time.sleep(0.05)
    assert (found[0]["state"], found[0]["isForced"], found[0]["detail"]) == ("done", True, "")
    assert found[1:] == before
    (event, *_) = staff["support"].get("/admin/audit?action=provider_sync").data["items"]
    assert event["details"] == {"provider": "alpha", "force": True}
