"""Tickets under many hands at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from numberdesk.support import sql
from tests.http.stand import Client, Stand
from tests.support.counter import STAFF, TICKETS, WORDS, answered, opened, thread, write


def test_ten_openings_about_one_order_are_one_ticket(stand: Stand, alice: Client) -> None:
    body = WORDS | {"orderId": alice.buy()}
    with ThreadPoolExecutor(10) as pool:
        answers = [answer.data for answer in pool.map(lambda _: alice.post(TICKETS, body), range(10))]
    assert len({answer["ticket"]["id"] for answer in answers}) == 1
    assert sorted(answer["isNew"] for answer in answers) == [False] * 9 + [True]
    assert len(thread(alice, answers[0]["ticket"]["id"])) == 1


def test_no_account_gets_past_its_ten_tickets(stand: Stand, alice: Client) -> None:
    made = [opened(alice) for _ in range(8)]
    stand.change("DELETE FROM limit_counters")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: alice.post(TICKETS, WORDS).status, range(8)))
    assert sorted(statuses) == [200] * 2 + [409] * 6
    assert len(alice.get(TICKETS).data["items"]) == len(made) + 2


def test_messages_and_answers_at_once_are_all_kept(alice: Client, ravi: Client, meera: Client) -> None:
    ticket_id = opened(alice)

    def speak(number: int) -> int:
        if number % 3 == 0:
            return int(write(alice, ticket_id, f"message {number}").status)
        member = ravi if number % 3 == 1 else meera
        return member.post(f"{STAFF}/{ticket_id}/reply", {"text": f"message {number}"}).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(speak, range(18))) == {200}
    texts = [item["text"] for item in thread(alice, ticket_id)]
    assert sorted(texts[1:]) == sorted(f"message {number}" for number in range(18))
    assert len({item["id"] for item in thread(alice, ticket_id)}) == 19


def test_reopening_and_opening_about_one_order_at_once_leave_one(stand: Stand, alice: Client, ravi: Client) -> None:
    order_id = alice.buy()
    old = opened(alice, orderId=order_id)
    answered(ravi, old, state="solved")
    works = [
        lambda: alice.post(f"{TICKETS}/{old}/reopen", {}),
        lambda: alice.post(TICKETS, WORDS | {"orderId": order_id}),
        lambda: write(alice, old),
        lambda: ravi.post(f"{STAFF}/{old}/reply", {"text": "One more thing."}),
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda work: work(), works * 2))
    assert {answer.status for answer in answers} <= {200, 409}
    live = stand.ask("SELECT count(*) FROM tickets WHERE order_id = $1 AND ended_at IS NULL", order_id)
    assert live == 1


def test_one_key_at_once_is_one_ticket(alice: Client) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: alice.post(TICKETS, WORDS, Idempotency_Key="at-once"), range(6)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert {answer.details["code"] for answer in answers if answer.status == 409} <= {"idempotency_key_in_flight"}
    assert len(alice.get(TICKETS).data["items"]) == 1


def test_staff_who_open_a_ticket_again_wait_for_its_customer(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice, orderId=alice.buy())
    seen = answered(ravi, ticket_id, state="solved")["version"]
    works = [
        lambda: ravi.post(f"{STAFF}/{ticket_id}/state", {"state": "open", "version": seen}),
        lambda: ravi.post(f"{STAFF}/{ticket_id}/reply", {"text": "One more thing."}),
    ]
    for work in works:
        with ThreadPoolExecutor(1) as pool:
            with stand.portal.wrap_async_context_manager(stand.site.db.transaction()) as tx:
                stand.portal.call(sql.lock_account, tx, alice.account_id)
                waiting = pool.submit(work)
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.3)
            assert waiting.result().status == 200
        seen = answered(ravi, ticket_id, state="solved")["version"]
