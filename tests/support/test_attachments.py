"""Pictures in tickets: taken by what they are, within bounds, and given only to those who may see them, as files."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.http.stand import Client, Stand
from tests.support.counter import JPEG, MISSING, PNG, STAFF, TICKETS, WEBP, WORDS, base64_of, opened, png, thread

MB = 1024 * 1024
TYPES = {"png": PNG, "jpeg": JPEG, "webp": WEBP}


def send(client: Client, ticket_id: int, *pictures: bytes) -> int:
    body = {"text": "See here.", "attachments": [base64_of(item) for item in pictures]}
    return client.post(f"{TICKETS}/{ticket_id}/messages", body).status


def first_picture(client: Client, ticket_id: int) -> str:
    return f"/attachments/{thread(client, ticket_id)[0]['attachments'][0]['id']}"


@pytest.mark.parametrize("kind", TYPES)
def test_a_picture_is_given_back_as_a_file_that_runs_nowhere(alice: Client, ravi: Client, kind: str) -> None:
    ticket_id = opened(alice, attachments=[base64_of(TYPES[kind] + b"<script>")])
    (found,) = thread(alice, ticket_id)[0]["attachments"]
    assert (found["type"], found["width"], found["height"], found["bytes"]) == (kind, 5, 3, len(TYPES[kind]))
    path = first_picture(alice, ticket_id)
    for answer in (alice.get(f"{TICKETS}/{ticket_id}{path}"), ravi.get(f"{STAFF}/{ticket_id}{path}")):
        assert (answer.status, answer.body) == (200, TYPES[kind])
        assert answer.headers["content-type"] == f"image/{kind}"
        assert answer.headers["content-disposition"].startswith('attachment; filename="ticket-')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_a_picture_is_for_its_owner_and_staff(stand: Stand, alice: Client, bob: Client) -> None:
    ticket_id = opened(alice, attachments=[base64_of(PNG)])
    path = first_picture(alice, ticket_id)
    other = opened(bob)
    for address in (f"{TICKETS}/{ticket_id}{path}", f"{TICKETS}/{other}{path}", f"{TICKETS}/{MISSING}{path}"):
        assert bob.get(address).refusal == (404, "not_found"), address
    assert alice.get(f"{TICKETS}/{ticket_id}/attachments/{MISSING}").refusal == (404, "not_found")
    assert bob.get(f"{STAFF}/{ticket_id}{path}").refusal == (403, "scope_too_small")
    assert stand.nobody.get(f"{TICKETS}/{ticket_id}{path}").refusal == (401, "credentials_missing")


@pytest.mark.parametrize("wrong", [b"", b"<svg/>", b"GIF89a", PNG[:-1], JPEG[:-2], WEBP[:-1], b"%PDF-1.7"])
def test_what_is_no_picture_is_named_by_its_place(alice: Client, wrong: bytes) -> None:
    answer = alice.post(TICKETS, WORDS | {"attachments": [base64_of(PNG), base64_of(wrong)]})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["attachments[1]"]
    assert alice.get(TICKETS).data["items"] == []


@pytest.mark.parametrize("wrong", ["%%%", "abc", "<svg/>", 5, None, "data:image/png;base64," + base64_of(PNG)])
def test_what_is_no_base64_is_named_by_its_place(alice: Client, wrong: object) -> None:
    answer = alice.post(TICKETS, WORDS | {"attachments": [wrong]})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["attachments[0]"]


def test_a_picture_has_at_most_two_megabytes(alice: Client) -> None:
    whole = png(2 * MB - len(png()))
    assert len(whole) == 2 * MB
    ticket_id = opened(alice, attachments=[base64_of(whole)])
    assert alice.get(f"{TICKETS}/{ticket_id}{first_picture(alice, ticket_id)}").body == whole
    answer = alice.post(TICKETS, WORDS | {"attachments": [base64_of(png(2 * MB))]})
    assert answer.details["fields"] == {"attachments[0]": "must be at most 2 MB"}


def test_a_body_of_20_megabytes_is_too_large(alice: Client) -> None:
    body = json.dumps(WORDS | {"attachments": ["A" * 20 * MB]}).encode()
    assert alice.post(TICKETS, body).refusal == (413, "body_too_large")
    chunks = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    answer = alice.send("POST", TICKETS, body=chunks, headers={"Content-Type": "application/json"})
    assert answer.refusal == (413, "body_too_large")
    ticket_id = opened(alice)
    assert alice.post(f"{TICKETS}/{ticket_id}/close", b"{}" + b" " * 70_000).refusal == (413, "body_too_large")


def test_tickets_and_accounts_keep_so_many_megabytes(stand: Stand, alice: Client) -> None:
    large = png(1_990_000)
    first = opened(alice, attachments=[base64_of(large)] * 3)
    assert send(alice, first, large) == 200
    answer = alice.post(f"{TICKETS}/{first}/messages", {"text": "More.", "attachments": [base64_of(large)]})
    assert "8 MB that one ticket" in answer.details["fields"]["attachments"]
    assert len(thread(alice, first)) == 2, "a message whose pictures are refused is not written"
    for ticket_id in (opened(alice), opened(alice)):
        assert send(alice, ticket_id, large, large, large) == send(alice, ticket_id, large) == 200
    answer = alice.post(TICKETS, WORDS | {"attachments": [base64_of(large)]})
    assert "24 MB that one account" in answer.details["fields"]["attachments"]
    assert stand.ask("SELECT sum(bytes) FROM ticket_attachments WHERE account_id = $1", alice.account_id) < 24 * MB


def test_the_bounds_hold_for_messages_at_once(stand: Stand, alice: Client) -> None:
    large, ticket_id = png(1_990_000), opened(alice)
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: send(alice, ticket_id, large), range(6)))
    assert sorted(statuses) == [200] * 4 + [400] * 2
    assert stand.ask("SELECT count(*) FROM ticket_attachments WHERE ticket_id = $1", ticket_id) == 4
