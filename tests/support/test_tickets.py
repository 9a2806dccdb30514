"""Customers and their tickets: opened about what is theirs, read by nobody else, and within bounds."""

from typing import Any

import pytest

from tests.http.recharging import recharged
from tests.http.stand import Client, Stand
from tests.support.counter import MISSING, TICKETS, WORDS, answered, opened, shown, thread, told, write

LARGEST = 2**63 - 1


def test_a_ticket_is_opened_read_and_answered(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    detail = alice.get(f"{TICKETS}/{ticket_id}").data
    assert (detail["ticket"]["state"], detail["ticket"]["subject"]) == ("open", WORDS["subject"])
    assert [(item["author"], item["text"]) for item in detail["messages"]] == [("you", WORDS["text"])]
    assert answered(ravi, ticket_id)["state"] == "answered"
    assert (shown(alice, ticket_id)["state"], shown(alice, ticket_id)["unread"]) == ("answered", 1)
    assert [item["author"] for item in thread(alice, ticket_id)] == ["you", "support"]
    assert shown(alice, ticket_id)["unread"] == 0, "what was read is read"
    assert write(alice, ticket_id).data["ticket"]["state"] == "open"
    assert [item["text"] for item in thread(alice, ticket_id)] == [WORDS["text"], "We look into it.", "Still nothing."]


def test_there_is_one_open_ticket_about_an_order(alice: Client) -> None:
    order_id = alice.buy()
    ticket_id = opened(alice, orderId=order_id)
    second = alice.post(TICKETS, WORDS | {"orderId": order_id, "text": "Once more."}).data
    assert (second["ticket"]["id"], second["isNew"]) == (ticket_id, False)
    assert "was not added" in second["told"]
    assert [item["text"] for item in thread(alice, ticket_id)] == [WORDS["text"]]
    assert shown(alice, ticket_id)["orderId"] == order_id
    alice.post(f"{TICKETS}/{ticket_id}/close", {})
    again = opened(alice, orderId=order_id)
    assert again != ticket_id
    assert alice.post(f"{TICKETS}/{ticket_id}/reopen", {}).details["ticketId"] == again


def test_a_ticket_is_about_a_recharge(stand: Stand, alice: Client, bob: Client) -> None:
    ref = recharged(stand, alice)
    ticket_id = opened(alice, transactionId=ref)
    assert shown(alice, ticket_id)["transactionId"] == ref
    assert alice.post(TICKETS, WORDS | {"transactionId": ref}).data["isNew"] is False
    assert bob.post(TICKETS, WORDS | {"transactionId": ref}).refusal == (404, "not_found")


@pytest.mark.parametrize(
    "about", [{"orderId": MISSING}, {"orderId": LARGEST}, {"transactionId": "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"}]
)
def test_a_ticket_about_nothing_is_not_found(alice: Client, about: dict[str, object]) -> None:
    assert alice.post(TICKETS, WORDS | about).refusal == (404, "not_found")


def test_another_customers_order_looks_like_none(alice: Client, bob: Client) -> None:
    theirs, missing = (bob.post(TICKETS, WORDS | {"orderId": item}) for item in (alice.buy(), MISSING))
    assert theirs.refusal == missing.refusal == (404, "not_found")
    assert theirs.json["error"] == missing.json["error"]


def test_nothing_of_a_ticket_is_visible_to_strangers(alice: Client, bob: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    answered(ravi, ticket_id)
    before = alice.get(f"{TICKETS}/{ticket_id}").data["messages"]
    for path, body in (("", None), ("/messages", {"text": "me too"}), ("/close", {}), ("/reopen", {})):
        theirs, missing = (
            bob.get(f"{TICKETS}/{found}") if body is None else bob.post(f"{TICKETS}/{found}{path}", body)
            for found in (ticket_id, MISSING)
        )
        assert theirs.refusal == (404, "not_found"), path
        assert theirs.json["error"] == missing.json["error"]
    assert bob.get(TICKETS).data["items"] == []
    assert bob.get(f"/admin/tickets/{ticket_id}").refusal == (403, "scope_too_small")
    assert alice.get(f"{TICKETS}/{ticket_id}").data["messages"] == before


@pytest.mark.parametrize("found", ["0", "-1", "x", "1.5", "9" * 30, "%20", "%D9%A1", str(LARGEST + 1), "1e3"])
def test_an_id_that_is_none_is_not_found(alice: Client, found: str) -> None:
    path = f"{TICKETS}/{found}"
    assert alice.get(path).refusal == (404, "not_found")
    assert alice.get(f"{path}/attachments/1").refusal == (404, "not_found")
    assert alice.post(f"{path}/close", {}).status in (404, 405)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("subject", ""), ("subject", "   "), ("subject", "\u200b\u2060"), ("subject", "x" * 121), ("subject", 5),
     ("subject", "a\x00b"), ("subject", "\u202eabc"), ("text", ""), ("text", " \n\t "), ("text", "x" * 5001),
     ("text", "bell\x07"), ("text", None), ("text", ["a"]), ("orderId", 0), ("orderId", -1), ("orderId", "1"),
     ("orderId", 2**63), ("orderId", 1.5), ("orderId", True), ("transactionId", "RC1"), ("transactionId", 5),
     ("attachments", "abc"), ("attachments", [""] * 4), ("attachments", {}), ("bogus", 1)],
)  # fmt: skip
def test_a_wrong_field_is_named(alice: Client, field: str, wrong: object) -> None:
    answer = alice.post(TICKETS, WORDS | {field: wrong})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]
    assert alice.get(TICKETS).data["items"] == []


@pytest.mark.parametrize("field", ["subject", "text"])
def test_a_missing_field_is_named(alice: Client, field: str) -> None:
    body = {name: text for name, text in WORDS.items() if name != field}
    assert alice.post(TICKETS, body).details["fields"] == {field: "is required"}


def test_words_of_every_script_are_kept_as_they_are(alice: Client) -> None:
    text = "कोड नहीं आया 😀\n\tZeile zwei — <b>fett</b> {{ 7 * 7 }} '; DROP TABLE tickets; --"
    ticket_id = opened(alice, text=f"  {text}\r\n", subject="  a \n  b ")
    assert thread(alice, ticket_id)[0]["text"] == text
    assert shown(alice, ticket_id)["subject"] == "a b"


def test_an_order_and_a_recharge_at_once_are_refused(alice: Client) -> None:
    answer = alice.post(TICKETS, WORDS | {"orderId": 1, "transactionId": "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"})
    assert list(answer.details["fields"]) == ["orderId"]


def test_a_closed_ticket_takes_no_message_until_it_is_reopened(stand: Stand, alice: Client) -> None:
    ticket_id = opened(alice)
    first = alice.post(f"{TICKETS}/{ticket_id}/close", {}).data
    assert first["state"] == "closed"
    assert alice.post(f"{TICKETS}/{ticket_id}/close", {}).data == first, "a repeat changes nothing"
    refused = write(alice, ticket_id)
    assert refused.refusal == (409, "ticket_closed")
    assert refused.details["reopenUntil"].endswith("Z")
    assert alice.post(f"{TICKETS}/{ticket_id}/reopen", {}).data["state"] == "open"
    assert alice.post(f"{TICKETS}/{ticket_id}/reopen", {}).data["state"] == "open"
    assert write(alice, ticket_id).status == 200
    alice.post(f"{TICKETS}/{ticket_id}/close", {})
    stand.change("UPDATE tickets SET ended_at = ended_at - interval '15 days' WHERE id = $1", ticket_id)
    for answer in (write(alice, ticket_id), alice.post(f"{TICKETS}/{ticket_id}/reopen", {})):
        assert answer.refusal == (409, "ticket_closed")
        assert answer.details["reopenUntil"] is None
        assert "Open another one" in answer.json["error"]


def test_a_message_opens_a_solved_ticket_again(alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice)
    assert answered(ravi, ticket_id, state="solved")["endedBy"] == "staff"
    assert write(alice, ticket_id).data["ticket"]["state"] == "open"
    assert shown(alice, ticket_id)["endedAt"] is None


def test_an_account_has_ten_open_tickets(stand: Stand, alice: Client) -> None:
    opened_ids = [opened(alice) for _ in range(10)]
    stand.change("DELETE FROM limit_counters")
    answer = alice.post(TICKETS, WORDS)
    assert answer.refusal == (409, "too_many_tickets")
    assert answer.details["most"] == 10
    alice.post(f"{TICKETS}/{opened_ids[0]}/close", {})
    opened(alice)
    assert alice.post(f"{TICKETS}/{opened_ids[0]}/reopen", {}).refusal == (409, "too_many_tickets")


def test_openings_and_messages_are_counted(stand: Stand, alice: Client, bob: Client) -> None:
    ticket_id = opened(alice)
    for _ in range(9):
        alice.post(TICKETS, WORDS)
    limited = alice.post(TICKETS, WORDS)
    assert limited.refusal == (429, "too_many_requests")
    assert (limited.details["limitName"], int(limited.headers["retry-after"]) > 0) == ("ticket", True)
    assert [write(alice, ticket_id).status for _ in range(31)] == [200] * 30 + [429]
    opened(bob)


def test_a_ticket_takes_so_many_messages(stand: Stand, alice: Client) -> None:
    ticket_id = opened(alice)
    stand.change("UPDATE tickets SET last_ordinal = 200 WHERE id = $1", ticket_id)
    assert write(alice, ticket_id).refusal == (409, "ticket_full")


def test_a_repeat_with_its_key_writes_once(stand: Stand, alice: Client, bob: Client) -> None:
    first = alice.post(TICKETS, WORDS, Idempotency_Key="once")
    again = alice.post(TICKETS, WORDS, Idempotency_Key="once")
    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
    ticket_id = first.data["ticket"]["id"]
    sent = write(alice, ticket_id, Idempotency_Key="twice")
    assert write(alice, ticket_id, Idempotency_Key="twice").body == sent.body
    stand.change("DELETE FROM idempotency_keys")  # as when the first answer was lost with its process
    assert alice.post(TICKETS, WORDS, Idempotency_Key="once").data["ticket"]["id"] == ticket_id
    assert write(alice, ticket_id, Idempotency_Key="twice").data["messageId"] == sent.data["messageId"]
    assert len(thread(alice, ticket_id)) == 2
    for answer in (
        write(alice, ticket_id, "Other words.", Idempotency_Key="twice-more"),
        bob.post(TICKETS, WORDS, Idempotency_Key="once"),
    ):
        assert answer.status == 200
    stand.change("DELETE FROM idempotency_keys")
    assert write(alice, ticket_id, "Others again.", Idempotency_Key="twice").refusal == (409, "idempotency_key_reused")
    assert write(alice, opened(alice), Idempotency_Key="twice").refusal == (409, "idempotency_key_reused")


def test_lists_are_walked_by_cursor_and_filtered_by_state(alice: Client, ravi: Client) -> None:
    made = [opened(alice) for _ in range(5)]
    answered(ravi, made[1], state="waiting")
    found: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = alice.get(f"{TICKETS}?limit=2{cursor and f'&cursor={cursor}'}").data
        found += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert found == made[::-1]
    assert [item["id"] for item in alice.get(f"{TICKETS}?state=waiting").data["items"]] == [made[1]]
    assert alice.get(f"{TICKETS}?state=bogus").details["fields"] == {"state": "is not one of the known values"}
    for name, wrong in (("limit", "0"), ("limit", "101"), ("cursor", "x"), ("cursor", "-1")):
        assert list(alice.get(f"{TICKETS}?{name}={wrong}").details["fields"]) == [name]


def test_a_sandbox_has_no_tickets(stand: Stand) -> None:
    person = stand.signed_in("asha-sandbox@example.com")
    made = person.client.post("/user/api-keys", {"name": "test", "scopes": ["read", "order"], "mode": "test"})
    key = Client(stand.port, key=made.data["secret"])
    assert key.post(TICKETS, WORDS).refusal == (403, "not_in_sandbox")
    assert key.get(TICKETS).data["items"] == []


def test_a_frozen_customer_can_ask_why(stand: Stand, alice: Client) -> None:
    stand.change("UPDATE accounts SET state = 'frozen', changed_at = clock_timestamp() WHERE id = $1", alice.account_id)
    opened(alice)


def test_staff_are_told_once_until_they_have_looked(stand: Stand, alice: Client, ravi: Client, meera: Client) -> None:
    order_id = alice.buy()
    ticket_id = opened(alice, orderId=order_id, subject="see https://evil.example", text="https://evil.example")
    write(alice, ticket_id)
    first = told(stand, ticket_id)
    assert {(template, data["news"], data["order"]) for template, _, data in first} == {
        ("ticket_news", "a new ticket", order_id)
    }
    assert len({to for _, to, _ in first}) == len(first) >= 2
    assert "evil" not in str(first)
    ravi.get(f"/admin/tickets/{ticket_id}")
    write(alice, ticket_id)
    write(alice, ticket_id)
    assert [data["news"] for _, _, data in told(stand, ticket_id)[len(first) :]] == ["a new message"] * len(first)
