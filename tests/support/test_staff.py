"""Staff and tickets: found, answered, noted, given away and decided, with a record of all and no word in it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.http.recharging import recharged
from tests.http.stand import Client, Stand
from tests.support.counter import (
    MISSING,
    STAFF,
    TICKETS,
    WORDS,
    answered,
    opened,
    shown,
    staff,
    thread,
    told,
    version,
    write,
)


def decide(member: Client, ticket_id: int, path: str, **body: object) -> Any:
    return member.post(f"{STAFF}/{ticket_id}/{path}", body)


def listed(member: Client, query: str) -> list[int]:
    return [item["ticket"]["id"] for item in member.get(f"{STAFF}?{query}").data["items"]]


def test_notes_are_seen_by_staff_only(alice: Client, ravi: Client, meera: Client) -> None:
    ticket_id = opened(alice)
    before = alice.get(f"{TICKETS}/{ticket_id}").data
    decide(ravi, ticket_id, "note", text="He asks every week.")
    after = alice.get(f"{TICKETS}/{ticket_id}")
    assert after.data == before
    assert b"every week" not in after.body + alice.get(TICKETS).body
    messages = meera.get(f"{STAFF}/{ticket_id}").data["messages"]
    assert [(item["kind"], item["authorId"], item["text"]) for item in messages] == [
        ("customer", alice.account_id, WORDS["text"]),
        ("note", ravi.account_id, "He asks every week."),
    ]


def test_the_customer_is_told_of_every_answer_and_of_no_note(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    decide(ravi, ticket_id, "note", text="A note.")
    answered(ravi, ticket_id, "Which bank?", state="waiting")
    answered(ravi, ticket_id, "And when?")
    mails = [(to, data) for template, to, data in told(stand, ticket_id) if template == "ticket_answered"]
    address = stand.ask("SELECT email FROM accounts WHERE id = $1", alice.account_id)
    assert [to for to, _ in mails] == [address, address]
    assert [data["is_asked"] for _, data in mails] == [1, 0]
    assert "bank" not in str(mails)


def test_whoever_has_a_ticket_is_told_alone(stand: Stand, alice: Client, ravi: Client, meera: Client) -> None:
    ticket_id = opened(alice)
    decide(ravi, ticket_id, "assign", assigneeId=meera.account_id, version=version(ravi, ticket_id))
    before = len(told(stand, ticket_id))
    write(alice, ticket_id)
    address = stand.ask("SELECT email FROM accounts WHERE id = $1", meera.account_id)
    assert [to for _, to, _ in told(stand, ticket_id)[before:]] == [address]
    stand.change("UPDATE accounts SET state = 'frozen' WHERE id = $1", meera.account_id)
    try:
        ravi.get(f"{STAFF}/{ticket_id}")
        write(alice, ticket_id)
        assert len(told(stand, ticket_id)) > before + 1, "who is away is not waited for"
    finally:
        stand.change("UPDATE accounts SET state = 'active' WHERE id = $1", meera.account_id)


def test_tickets_are_found_by_what_is_known_of_them(stand: Stand, alice: Client, bob: Client, ravi: Client) -> None:
    order_id, ref = alice.buy(), recharged(stand, alice)
    about_order, about_recharge, other = (
        opened(alice, orderId=order_id), opened(alice, transactionId=ref), opened(bob),
    )  # fmt: skip
    decide(ravi, other, "assign", assigneeId=ravi.account_id, version=version(ravi, other))
    answered(ravi, other, state="solved")
    assert listed(ravi, f"order={order_id}") == [about_order]
    assert listed(ravi, f"transactionId={ref}") == [about_recharge]
    assert listed(ravi, "transactionId=RC-none") == []
    assert listed(ravi, f"account={alice.account_id}") == [about_recharge, about_order]
    assert listed(ravi, f"account={alice.account_id}&limit=1&cursor={about_recharge}") == [about_order]
    assert listed(ravi, f"assignee={ravi.account_id}")[0] == other
    assert listed(ravi, f"account={bob.account_id}&state=solved") == [other]
    assert listed(ravi, f"account={bob.account_id}&unassigned=true") == []
    for query, field in (("state=bogus", "state"), ("assignee=x", "assignee"), ("account=-1", "account"),
                         ("order=0", "order"), ("unassigned=maybe", "unassigned"), ("limit=0", "limit")):  # fmt: skip
        assert list(ravi.get(f"{STAFF}?{query}").details["fields"]) == [field], query


def test_of_two_who_take_a_ticket_at_once_one_is_told(alice: Client, ravi: Client, meera: Client) -> None:
    ticket_id = opened(alice)
    seen = version(ravi, ticket_id)
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda member: decide(member, ticket_id, "assign", assigneeId=member.account_id, version=seen),
                (ravi, meera),
            )
        )
    assert sorted(answer.status for answer in answers) == [200, 409]
    (won,), (lost,) = ([item for item in answers if item.status == status] for status in (200, 409))
    assert (lost.details["code"], lost.details["version"]) == ("changed_meanwhile", seen + 1)
    detail = ravi.get(f"{STAFF}/{ticket_id}").data["ticket"]
    assert detail["assigneeId"] == won.data["assigneeId"]
    assert decide(ravi, ticket_id, "assign", assigneeId=None, version=seen + 1).data["assigneeId"] is None


def test_a_decision_holds_for_what_was_looked_at(alice: Client, ravi: Client, meera: Client) -> None:
    ticket_id = opened(alice)
    seen = version(ravi, ticket_id)
    assert decide(meera, ticket_id, "state", priority="urgent", version=seen).data["priority"] == "urgent"
    for path, body in (
        ("state", {"state": "closed"}),
        ("assign", {"assigneeId": ravi.account_id}),
        ("reply", {"text": "Late."}),
    ):
        assert decide(ravi, ticket_id, path, version=seen, **body).refusal == (409, "changed_meanwhile")
    write(alice, ticket_id)
    assert decide(ravi, ticket_id, "state", state="waiting", version=seen + 1).data["version"] == seen + 2


def test_a_ticket_goes_to_staff_only(stand: Stand, alice: Client, bob: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    seen = version(ravi, ticket_id)
    for somebody in (bob.account_id, alice.account_id, MISSING, 2**63 - 1):
        answer = decide(ravi, ticket_id, "assign", assigneeId=somebody, version=seen)
        assert list(answer.details["fields"]) == ["assigneeId"]
    for role in ("finance", "ops", "owner"):
        member = staff(stand, role)
        given = decide(ravi, ticket_id, "assign", assigneeId=member.account_id, version=version(ravi, ticket_id))
        assert given.data["assigneeId"] == member.account_id


def test_staff_open_what_was_closed_but_not_beside_another(alice: Client, ravi: Client) -> None:
    order_id = alice.buy()
    ticket_id = opened(alice, orderId=order_id)
    closed = decide(ravi, ticket_id, "state", state="closed", version=version(ravi, ticket_id)).data
    assert (closed["state"], closed["endedBy"]) == ("closed", "staff")
    assert decide(ravi, ticket_id, "reply", text="Too late.").refusal == (409, "ticket_closed")
    assert decide(ravi, ticket_id, "state", state="open", version=closed["version"]).data["endedAt"] is None
    answered(ravi, ticket_id, state="solved")
    other = opened(alice, orderId=order_id)
    for answer in (
        decide(ravi, ticket_id, "reply", text="One more thing."),
        decide(ravi, ticket_id, "state", state="open", version=version(ravi, ticket_id)),
        write(alice, ticket_id),
    ):
        assert answer.refusal == (409, "ticket_exists")
        assert answer.details["ticketId"] == other
    assert decide(ravi, ticket_id, "reply", text="It is done.", state="solved").status == 200


def test_nobody_works_on_a_ticket_of_his_own(ravi: Client, meera: Client) -> None:
    ticket_id = opened(ravi)
    for path, body in (
        ("reply", {"text": "Yes, you may."}),
        ("note", {"text": "Nice fellow."}),
        ("assign", {"assigneeId": ravi.account_id, "version": 1}),
        ("state", {"priority": "urgent", "version": 1}),
    ):
        assert decide(ravi, ticket_id, path, **body).refusal == (403, "own_account"), path
    assert answered(meera, ticket_id)["state"] == "answered"


def test_all_that_staff_do_is_recorded_without_words(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    decide(ravi, ticket_id, "note", text="Secret note 73519.")
    decide(ravi, ticket_id, "assign", assigneeId=ravi.account_id, version=version(ravi, ticket_id))
    decide(ravi, ticket_id, "state", state="waiting", priority="high", version=version(ravi, ticket_id))
    answered(ravi, ticket_id, "Secret answer 73519.", state="solved")
    decide(ravi, ticket_id, "state", state="solved", version=version(ravi, ticket_id))  # changes nothing
    answer = ravi.get(f"/admin/audit?account={alice.account_id}")
    looks = [item["details"] for item in answer.data["items"] if item["action"] == "staff_read"]
    assert {(item["what"], item["ticket"]) for item in looks} == {("ticket", ticket_id)}
    events = [item for item in answer.data["items"][::-1] if item["action"] != "staff_read"]
    assert [item["action"] for item in events] == [
        "ticket_noted", "ticket_assigned", "ticket_state", "ticket_priority", "ticket_answered",
    ]  # fmt: skip
    assert all(item["details"]["ticket"] == ticket_id for item in events)
    assert (events[2]["details"]["before"], events[2]["details"]["after"]) == ("open", "waiting")
    assert b"73519" not in answer.body


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("reply", {"text": " "}, "text"), ("reply", {"text": "x", "state": "open"}, "state"),
        ("reply", {"text": "x", "version": 0}, "version"), ("note", {"text": ""}, "text"),
        ("note", {"text": "a\x1bb"}, "text"), ("assign", {"version": 1}, "assigneeId"),
        ("assign", {"assigneeId": 5}, "version"), ("state", {"version": 1}, "body"),
        ("state", {"version": 1, "state": "gone"}, "state"), ("state", {"version": 1, "priority": 5}, "priority"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_staff_is_named(alice: Client, ravi: Client, path: str, body: Any, field: str) -> None:
    ticket_id = opened(alice)
    assert list(decide(ravi, ticket_id, path, **body).details["fields"]) == [field]
    assert [item["author"] for item in thread(alice, ticket_id)] == ["you"]


@pytest.mark.parametrize("path", ["reply", "note", "assign", "state"])
def test_what_does_not_exist_is_not_found(ravi: Client, path: str) -> None:
    bodies: dict[str, dict[str, object]] = {
        "assign": {"assigneeId": None, "version": 1}, "state": {"state": "closed", "version": 1},
    }  # fmt: skip
    assert decide(ravi, MISSING, path, **bodies.get(path, {"text": "x"})).refusal == (404, "not_found")


def test_a_repeated_answer_is_sent_once(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    path, body = f"{STAFF}/{ticket_id}/reply", {"text": "Once."}
    first = ravi.post(path, body, Idempotency_Key=f"answer-{ticket_id}").data
    stand.change("DELETE FROM idempotency_keys")
    again = ravi.post(path, body, Idempotency_Key=f"answer-{ticket_id}").data
    assert again["messageId"] == first["messageId"]
    assert len(thread(alice, ticket_id)) == 2
    assert shown(alice, ticket_id)["state"] == "answered"


def test_what_staff_have_not_read_is_counted(alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    write(alice, ticket_id)
    (item,) = ravi.get(f"{STAFF}?account={alice.account_id}").data["items"]
    assert (item["ticket"]["unread"], item["subject"]) == (2, WORDS["subject"])
    ravi.get(f"{STAFF}/{ticket_id}")
    (item,) = ravi.get(f"{STAFF}?account={alice.account_id}").data["items"]
    assert item["ticket"]["unread"] == 0
