"""Money that staff move by hand: two people above a limit, a cap for each day, one effect whatever races."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.staff import Member, agree, events
from tests.http.stand import Answer, Client, Stand

LIMIT, CAP = "5000", 20_000
"""Rupees above which two people are needed, and that one may move in a day."""


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    with stands.opened(portal, cluster, staff_two_person_amount=int(LIMIT), staff_daily_cap=CAP) as stand:
        yield stand


@pytest.fixture(autouse=True)
def _ledger_is_right(stand: Stand) -> Iterator[None]:
    """Forget what was moved before, and check the ledger after every test."""
    stand.change("UPDATE money_requests SET asked_at = asked_at - interval '2 days', decided_at = decided_at - "
                 "interval '2 days'")  # fmt: skip
    yield
    stand.verify_ledger()


@pytest.fixture
def asha(stand: Stand) -> Member:
    return Member(stand, "finance", name="asha")


@pytest.fixture
def bela(stand: Stand) -> Member:
    return Member(stand, "finance", name="bela")


def move(member: Member, client: Client, what: str, amount: str, **headers: str) -> Answer:
    body = {"amount": amount, "reason": f"{what} of a test", "totp": member.fresh()}
    return member.client.post(f"/admin/users/{client.account_id}/{what}", body, **headers)


def available(client: Client) -> str:
    return str(client.get("/user/balance").data["available"])


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_a_debit_takes_what_is_available_and_never_more(asha: Member, alice: Client) -> None:
    alice.buy()  # 21.30 is held now
    refused = move(asha, alice, "debit", "1000")
    assert refused.refusal == (409, "too_little_to_take")
    assert refused.details["available"] == "978.70"
    assert move(asha, alice, "debit", "978.70").data["available"] == "0.00"
    assert move(asha, alice, "debit", "0.01").refusal == (409, "too_little_to_take")
    (told,) = events(asha, alice, "debited")
    assert (told["available_before"], told["available_after"], told["paise"]) == (97_870, 0, 97_870)
    lines = alice.get("/user/transactions?type=admin_debit").data["items"]
    assert [(line["amount"], line["state"]) for line in lines] == [("-978.70", "completed")]


def test_debits_that_race_with_purchases_leave_nothing_below_zero(stand: Stand, asha: Member) -> None:
    client = stand.customer("50")
    code = asha.fresh()
    body = {"amount": "40", "reason": "a race", "totp": code}
    answers = at_once(
        lambda: asha.client.post(f"/admin/users/{client.account_id}/debit", body),
        *[lambda: client.post("/auth/get-number", {"service": "tg", "country": "IN"})] * 3,
    )
    assert {answer.status for answer in answers} <= {200, 400, 409}
    balance = client.get("/user/balance").data
    assert float(balance["available"]) >= 0


@pytest.mark.parametrize("what", ["credit", "debit"])
def test_above_the_limit_nothing_moves_before_another_person_agrees(
    stand: Stand, asha: Member, bela: Member, what: str
) -> None:
    client = stand.customer("9000")
    assert move(asha, client, what, LIMIT).data["state"] == "done", "the limit itself needs one person"
    before = available(client)
    asked = move(asha, client, what, "5000.01" if what == "credit" else "4000").data
    if what == "debit":
        assert asked["state"] == "done"
        return
    assert (asked["state"], asked["available"], available(client)) == ("waiting", None, before)
    assert agree(asha, asked["requestId"]).refusal == (403, "another_person_needed")
    listed = bela.client.get("/admin/requests").data["items"]
    assert [item["requestId"] for item in listed] == [asked["requestId"]]
    wrong = bela.client.post(f"/admin/requests/{asked['requestId']}/agree", {"totp": "000000"})
    assert wrong.refusal == (401, "totp_invalid")
    done = agree(bela, asked["requestId"]).data
    assert (done["state"], done["askedBy"], done["decidedBy"]) == ("done", asha.account_id, bela.account_id)
    assert available(client) == "19000.01"
    assert bela.client.get("/admin/requests").data["items"] == []
    assert [item["request"] for item in events(bela, client, "money_agreed")] == [asked["requestId"]]
    assert events(bela, client, "credited")[0]["asked_by"] == asha.account_id


def test_a_request_is_agreed_to_or_refused_once(stand: Stand, asha: Member, bela: Member) -> None:
    client, owner = stand.customer("0"), Member(stand, "owner")
    request = move(asha, client, "credit", "6000").data["requestId"]
    codes = {member.email: member.fresh() for member in (bela, owner)}
    answers = at_once(
        *[
            lambda member=member: member.client.post(f"/admin/requests/{request}/agree", {"totp": codes[member.email]})
            for member in (bela, owner)
        ]
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert available(client) == "6000.00"
    assert agree(owner if answers[0].status == 200 else bela, request).refusal == (409, "request_over")
    assert agree(bela if answers[0].status == 200 else owner, request).data["state"] == "done", "a repeat is answered"
    assert available(client) == "6000.00"
    refused = asha.client.post(f"/admin/requests/{request}/refuse", {"reason": "too late"})
    assert refused.refusal == (409, "request_over")


def test_a_request_can_be_refused_or_taken_back_and_is_over_after_a_day(
    stand: Stand, asha: Member, bela: Member
) -> None:
    client = stand.customer("0")
    first = move(asha, client, "credit", "6000", Idempotency_Key="first").data["requestId"]
    assert asha.client.post(f"/admin/requests/{first}/refuse", {"reason": "a slip"}).data["state"] == "refused"
    assert agree(bela, first).refusal == (409, "request_over")
    second = move(asha, client, "credit", "6000", Idempotency_Key="second").data["requestId"]
    stand.change("UPDATE money_requests SET asked_at = asked_at - interval '25 hours' WHERE id = $1", second)
    assert agree(bela, second).refusal == (409, "request_over")
    assert bela.client.get("/admin/requests").data["items"] == []
    states = [item["state"] for item in bela.client.get(f"/admin/requests?waiting=false&account={client.account_id}")
              .data["items"]]  # fmt: skip
    assert states == ["over", "refused"]
    assert available(client) == "0.00"
    assert bela.client.post("/admin/requests/987654/agree", {"totp": bela.fresh()}).refusal == (404, "not_found")


def test_the_cap_of_a_day_holds_exactly_whatever_comes_at_once(stand: Stand, asha: Member, bela: Member) -> None:
    client = stand.customer("0")
    path = f"/admin/users/{client.account_id}/credit"
    codes = asha.client.post("/user/2fa/recovery-codes", {"totp": asha.fresh()}).data["recoveryCodes"]

    def together(amount: str, count: int, port: int) -> list[tuple[int, str]]:
        stand.change("DELETE FROM limit_counters")
        bodies = [{"amount": amount, "reason": "the cap", "totp": codes.pop()} for _ in range(count)]
        doors = [asha.client, dataclasses.replace(asha.client, port=port)]
        calls = [
            lambda body=body, door=doors[place % 2]: door.post(path, body, Idempotency_Key=body["totp"])
            for place, body in enumerate(bodies)
        ]
        return sorted((answer.status, "") if answer.status == 200 else answer.refusal for answer in at_once(*calls))

    with stands.joined(stand) as port:  # another process
        assert together("4500", 3, port) == [(200, "")] * 3
        assert together("4000", 3, port) == [(200, ""), (409, "daily_cap_reached"), (409, "daily_cap_reached")]
    assert available(client) == "17500.00"
    over = move(asha, client, "credit", "2500.01")
    assert over.refusal == (409, "daily_cap_reached")
    assert over.details["left"] == "2500.00"
    assert move(bela, client, "credit", "100").data["state"] == "done", "everybody has a day of his own"
    assert move(asha, client, "debit", "2500").data["state"] == "done", "a debit counts, too"
    assert move(asha, client, "debit", "0.01").refusal == (409, "daily_cap_reached")


def test_what_one_agrees_to_counts_as_his(stand: Stand, asha: Member, bela: Member) -> None:
    client = stand.customer("0")
    for number in range(3):
        assert move(bela, client, "credit", "4500", Idempotency_Key=f"own-{number}").data["state"] == "done"
    request = move(asha, client, "credit", "7000").data["requestId"]
    assert agree(bela, request).refusal == (409, "daily_cap_reached")
    assert available(client) == "13500.00"


def test_the_same_form_sent_twice_has_one_effect(stand: Stand, asha: Member) -> None:
    client = stand.customer("0")
    body = {"amount": "10", "reason": "goodwill", "totp": asha.fresh()}
    path = f"/admin/users/{client.account_id}/credit"
    answers = at_once(*[lambda: asha.client.post(path, body, Idempotency_Key="form-1")] * 4)
    assert {answer.status for answer in answers} <= {200, 409}
    assert available(client) == "10.00"
    assert move(asha, client, "credit", "20").data["state"] == "done"
    assert move(asha, client, "credit", "20").refusal == (409, "asked_twice")
    assert move(asha, client, "credit", "20", Idempotency_Key="meant").data["state"] == "done"
    assert available(client) == "50.00"


def test_a_repeat_whose_answer_was_lost_is_answered_without_another_code(stand: Stand, asha: Member) -> None:
    client = stand.customer("0")
    body = {"amount": "10", "reason": "goodwill", "totp": asha.fresh()}
    path = f"/admin/users/{client.account_id}/credit"
    first = asha.client.post(path, body, Idempotency_Key="lost").data
    stand.change("DELETE FROM idempotency_keys WHERE key = 'lost'")
    assert asha.client.post(path, body, Idempotency_Key="lost").data == first
    stand.change("DELETE FROM idempotency_keys WHERE key = 'lost'")
    other = asha.client.post(path, body | {"amount": "11"}, Idempotency_Key="lost")
    assert other.refusal == (409, "idempotency_key_reused")
    assert available(client) == "10.00"


def test_a_tool_that_names_all_its_requests_alike_has_each_carried_out(stand: Stand, asha: Member) -> None:
    client = stand.customer("0")
    path = f"/admin/users/{client.account_id}/credit"
    for reason in ("for Monday", "for Tuesday"):
        body = {"amount": "10", "reason": reason, "totp": asha.fresh()}
        assert asha.client.post(path, body, X_Request_Id="the-tool-of-finance").data["state"] == "done"
    assert available(client) == "20.00"


def test_nobody_agrees_to_what_somebody_asked_for_who_may_not_any_more(
    stand: Stand, asha: Member, bela: Member
) -> None:
    client = stand.customer("0")
    request = move(asha, client, "credit", "6000").data["requestId"]
    for change in ("role = 'support'", "state = 'banned'"):
        stand.change(f"UPDATE accounts SET {change} WHERE id = $1", asha.account_id)
        assert agree(bela, request).refusal == (409, "asker_gone")
        stand.change("UPDATE accounts SET role = 'finance', state = 'active' WHERE id = $1", asha.account_id)
    assert available(client) == "0.00"
    assert [item["requestId"] for item in bela.client.get("/admin/requests").data["items"]] == [request]
    assert agree(bela, request).data["state"] == "done"
    assert available(client) == "6000.00"


def test_the_key_of_a_credit_refunds_no_order_however_late(stand: Stand, asha: Member, alice: Client) -> None:
    order_id = alice.buy()
    assert move(asha, alice, "credit", "10", Idempotency_Key="one").data["state"] == "done"
    stand.change("DELETE FROM idempotency_keys WHERE key = 'one'")
    body = {"reason": "goodwill", "totp": asha.fresh()}
    refused = asha.client.post(f"/admin/orders/{order_id}/refund", body, Idempotency_Key="one")
    assert refused.refusal == (409, "idempotency_key_reused")


def test_who_was_demoted_a_moment_ago_moves_nothing(stand: Stand, asha: Member) -> None:
    client = stand.customer("0")
    code = asha.fresh()
    stand.change("UPDATE accounts SET role = 'support' WHERE id = $1", asha.account_id)  # no process has heard of it
    body = {"amount": "10", "reason": "goodwill", "totp": code}
    refused = asha.client.post(f"/admin/users/{client.account_id}/credit", body)
    stand.change("UPDATE accounts SET role = 'finance' WHERE id = $1", asha.account_id)
    assert refused.refusal == (403, "scope_too_small")
    assert available(client) == "0.00"
