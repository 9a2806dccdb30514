"""Staff over HTTP: look, close, open and credit accounts, each as far as the role goes, and all of it is recorded."""

import pytest

from tests.http.staff import Member
from tests.http.stand import Client, Stand


def test_a_credit_needs_a_fresh_code_and_has_one_effect(stand: Stand, alice: Client, finance: Member) -> None:
    path = f"/admin/users/{alice.account_id}/credit"
    body = {"amount": "12.50", "reason": "goodwill", "totp": "000000"}
    assert finance.client.post(path, body).refusal == (401, "totp_invalid")
    assert alice.get("/user/balance").data["available"] == "1000.00"
    body["totp"] = finance.fresh()
    credited = finance.client.post(path, body, Idempotency_Key="credit-1")
    assert {name: credited.data[name] for name in ("state", "amount", "available")} == {
        "state": "done", "amount": "12.50", "available": "1012.50",
    }  # fmt: skip
    assert finance.client.post(path, body, Idempotency_Key="credit-1").body == credited.body
    assert finance.client.post(path, body, Idempotency_Key="credit-2").refusal == (401, "totp_invalid"), "a used code"
    assert alice.get("/user/balance").data["available"] == "1012.50"
    found = finance.client.get(f"/admin/audit?account={alice.account_id}&action=credited").data["items"]
    (told,) = [item["details"] for item in found]
    assert (told["paise"], told["available_before"], told["available_after"]) == (1250, 100_000, 101_250)


@pytest.mark.parametrize("amount", ["0", "-5", "1.234", "100000.01", "NaN", "1e3", ""])
def test_a_silly_amount_is_refused(alice: Client, finance: Member, amount: str) -> None:
    body = {"amount": amount, "reason": "goodwill", "totp": finance.fresh()}
    answer = finance.client.post(f"/admin/users/{alice.account_id}/credit", body)
    assert list(answer.details["fields"]) == ["amount"]


def test_nobody_credits_himself_or_what_does_not_exist(finance: Member, owner: Member) -> None:
    body = {"amount": "5", "reason": "for myself", "totp": finance.fresh()}
    assert finance.client.post(f"/admin/users/{finance.account_id}/credit", body).refusal == (403, "own_account")
    assert finance.client.post(f"/admin/users/{owner.account_id}/credit", body).refusal == (403, "scope_too_small")
    assert finance.client.post("/admin/users/987654321/credit", body).refusal == (404, "not_found")


def test_a_ban_and_a_role_come_from_those_who_may(stand: Stand, alice: Client, finance: Member, owner: Member) -> None:
    state = f"/admin/users/{alice.account_id}/state"
    ban = {"state": "banned", "reason": "a test"}
    assert finance.client.post(state, ban).refusal == (403, "scope_too_small")
    assert owner.client.post(state, ban).data["state"] == "banned"
    shown = owner.client.get(f"/admin/users/{alice.account_id}").data
    assert (shown["account"]["state"], shown["available"]) == ("banned", "1000.00")
    role = f"/admin/users/{alice.account_id}/role"
    assert owner.client.post(role, {"role": "support", "totp": owner.fresh()}).data["role"] == "support"
    assert finance.client.post(role, {"role": "owner", "totp": finance.fresh()}).refusal == (403, "scope_too_small")
    listed = owner.client.get("/admin/users?q=staff.example").data["items"]
    assert {item["email"] for item in listed} == {"finance@staff.example.com", "owner@staff.example.com"}
    found = owner.client.get(f"/admin/audit?account={alice.account_id}").data["items"]
    found = [item for item in found if item["action"] != "staff_read"]
    assert [item["action"] for item in found][:2] == ["account_role", "account_state"]
    assert found[1]["actorId"] == owner.account_id
