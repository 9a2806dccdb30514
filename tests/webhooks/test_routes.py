"""Webhooks over the REST API: what an owner can do, what a stranger sees, and bad input for every field."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from numberdesk.settings import BadSettings, load
from numberdesk.webhooks.model import EVENTS
from numberdesk.webhooks.service import ENDPOINTS_MAX
from tests.http import stand as stands
from tests.http.stand import Answer, Client, Stand
from tests.webhooks import receivers
from tests.webhooks.office import verified
from tests.webhooks.receivers import Receiver, receiving

NOT_THERE = 987654321


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site for development, whose webhooks may go to this machine."""
    with stands.opened(portal, cluster, app_env="development", webhook_loopback=True) as stand:
        yield stand


@pytest.fixture
def receiver(portal: BlockingPortal) -> Iterator[Receiver]:
    with portal.wrap_async_context_manager(receiving(receivers.answering())) as receiver:
        yield receiver


@pytest.fixture
def alice(stand: Stand) -> Client:
    return stand.customer()


def put(client: Client, webhook_id: int, data: dict[str, Any]) -> Answer:
    body = json.dumps(data).encode()
    return client.send("PUT", f"/user/webhooks/{webhook_id}", body=body, headers={"Content-Type": "application/json"})


def until(condition: Any, *, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def test_every_type_of_event_can_be_chosen_by_its_name(alice: Client, receiver: Receiver) -> None:
    made = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
    assert made["events"] == list(EVENTS)
    for name in EVENTS:
        assert put(alice, made["id"], {"events": [name]}).data["events"] == [name]
    assert put(alice, made["id"], {"events": made["events"]}).data["events"] == made["events"]


def test_a_webhook_from_its_making_to_its_end(stand: Stand, alice: Client, receiver: Receiver) -> None:
    made = alice.post("/user/webhooks", {"url": receiver.url}).data
    secret, webhook = made["secret"], made["webhook"]
    assert secret.startswith("whsec_")
    assert (webhook["state"], webhook["format"], len(webhook["events"])) == ("on", "standard", 8)
    assert alice.get("/user/webhooks").data == {"items": [webhook], "nextCursor": None}
    order_id = stand.received(alice, "48213")
    until(lambda: len(receiver.got) == 2)
    told = verified(secret, receiver.by_sequence[1])
    assert (told["data"]["orderId"], told["data"]["message"]["code"]) == (order_id, "48213")
    path = f"/user/webhooks/{webhook['id']}"
    until(lambda: alice.get(f"{path}/deliveries").data["items"][0]["state"] == "delivered")
    newest, oldest = alice.get(f"{path}/deliveries").data["items"]
    assert (newest["eventId"], newest["type"], newest["sequence"]) == (f"evt_{order_id}_code_1", "order.code", 2)
    assert (newest["attempts"], newest["status"], newest["problem"], newest["nextTryAt"]) == (1, 200, None, None)
    first = alice.get(f"{path}/deliveries?limit=1").data
    assert first["items"] == [newest]
    assert alice.get(f"{path}/deliveries?limit=1&cursor={first['nextCursor']}").data["items"] == [oldest]
    assert alice.get(f"{path}/deliveries?state=failed").data == {"items": [], "nextCursor": None}

    again = alice.post(f"/user/webhooks/deliveries/{newest['id']}/resend", {}).data
    assert (again["state"], again["eventId"]) == ("waiting", newest["eventId"])
    tried = alice.post(f"{path}/test", {}).data
    assert (tried["type"], tried["state"]) == ("test", "waiting")
    until(lambda: len(receiver.got) == 4)
    assert {got.headers["webhook-id"] for got in receiver.got[2:]} == {newest["eventId"], tried["eventId"]}

    rotated = alice.post(f"{path}/rotate-secret", {}).data
    assert rotated["secret"] not in (secret, "")
    assert rotated["webhook"]["oldSecretUntil"] is not None
    changed = put(alice, webhook["id"], {"events": ["order.expired"], "state": "off"}).data
    assert (changed["events"], changed["state"], changed["url"]) == (["order.expired"], "off", receiver.url)
    assert secret not in alice.get("/user/webhooks").body.decode()
    assert alice.send("DELETE", path).data == {"done": True}
    assert alice.get("/user/webhooks").data["items"] == []
    assert alice.get(f"{path}/deliveries").refusal == (404, "not_found")
    recorded = stand.ask(
        "SELECT array_agg(action ORDER BY id) FROM audit_log WHERE account_id = $1 AND action LIKE 'webhook%'",
        alice.account_id,
    )
    assert recorded == ["webhook_made", "webhook_rotated", "webhook_changed", "webhook_deleted"]
    details = stand.ask(
        "SELECT string_agg(details::text, '') FROM audit_log WHERE account_id = $1 AND action LIKE 'webhook%'",
        alice.account_id,
    )
    assert "/hook" not in details, "the path may be a secret of the owner's"


def test_another_customers_webhook_looks_like_one_that_does_not_exist(
    stand: Stand, alice: Client, receiver: Receiver
) -> None:
    bob = stand.customer()
    webhook = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
    delivery = alice.post(f"/user/webhooks/{webhook['id']}/test", {}).data
    until(lambda: len(receiver.got) == 1)
    assert bob.get("/user/webhooks").data["items"] == []
    for number, delivery_id in ((webhook["id"], delivery["id"]), (NOT_THERE, NOT_THERE)):
        path = f"/user/webhooks/{number}"
        for answer in (
            put(bob, number, {"state": "off"}),
            put(bob, number, {"url": receiver.url + "/bob"}),
            bob.post(f"{path}/rotate-secret", {}),
            bob.post(f"{path}/test", {}),
            bob.get(f"{path}/deliveries"),
            bob.send("DELETE", path),
        ):
            assert (answer.refusal, answer.json["error"]) == ((404, "not_found"), "There is no such webhook.")
        resent = bob.post(f"/user/webhooks/deliveries/{delivery_id}/resend", {})
        assert (resent.refusal, resent.json["error"]) == ((404, "not_found"), "There is no such delivery.")
    assert alice.get("/user/webhooks").data["items"] == [webhook]
    assert len(receiver.got) == 1


def test_an_account_has_so_many_webhooks_and_no_more(stand: Stand, alice: Client, receiver: Receiver) -> None:
    made = [alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"] for _ in range(ENDPOINTS_MAX)]
    refused = alice.post("/user/webhooks", {"url": receiver.url})
    assert refused.refusal == (409, "too_many_webhooks")
    assert refused.details["most"] == ENDPOINTS_MAX
    assert stand.customer().post("/user/webhooks", {"url": receiver.url}).status == 200
    assert alice.send("DELETE", f"/user/webhooks/{made[0]['id']}").status == 200
    assert alice.post("/user/webhooks", {"url": receiver.url}).status == 200


def test_the_owner_is_told_by_mail_where_events_go_from_now_on(stand: Stand, alice: Client, receiver: Receiver) -> None:
    def mails() -> int:
        return int(
            stand.ask(
                "SELECT count(*) FROM outbox WHERE template = 'webhook_made' AND account_id = $1", alice.account_id
            )
        )

    webhook = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
    assert mails() == 1
    assert put(alice, webhook["id"], {"state": "off"}).status == 200
    assert put(alice, webhook["id"], {"url": receiver.url}).status == 200
    assert mails() == 1
    assert put(alice, webhook["id"], {"url": receiver.url + "/elsewhere"}).status == 200
    assert mails() == 2


def test_only_a_proven_address_may_add_one(stand: Stand, alice: Client, receiver: Receiver) -> None:
    stand.change("UPDATE accounts SET verified_at = NULL WHERE id = $1", alice.account_id)
    until(lambda: alice.post("/user/webhooks", {"url": receiver.url}).refusal == (403, "email_unverified"))


def test_a_redirect_and_an_error_are_shown_by_their_status_only(
    portal: BlockingPortal, stand: Stand, alice: Client
) -> None:
    conduct = receivers.answering(302, body=b"secret of the inside", headers="Location: http://127.0.0.1:1/\r\n")
    with portal.wrap_async_context_manager(receiving(conduct)) as receiver:
        webhook = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
        alice.post(f"/user/webhooks/{webhook['id']}/test", {})
        path = f"/user/webhooks/{webhook['id']}/deliveries"
        until(lambda: alice.get(path).data["items"][0]["state"] == "failed")
        shown = alice.get(path)
    assert shown.data["items"][0]["status"] == 302
    assert "secret" not in shown.body.decode()


GOOD = "https://example.com/hook"
BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({}, "url"), ({"url": None}, "url"), ({"url": 7}, "url"), ({"url": ""}, "url"), ({"url": "x" * 2001}, "url"),
    ({"url": "https://example.com/\x00"}, "url"), ({"url": "https://exa\u202emple.com/"}, "url"),
    ({"url": "https://user:pass@127.0.0.1/"}, "url"), ({"url": "ftp://127.0.0.1/"}, "url"),
    ({"url": "http://10.0.0.1/"}, "url"), ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "url"), ({"url": "https://2130706433/"}, "url"),
    ({"url": "https://127.0.0.1/#a"}, "url"),
    ({"url": GOOD, "events": []}, "events"), ({"url": GOOD, "events": "order.code"}, "events"),
    ({"url": GOOD, "events": ["code"]}, "events[0]"), ({"url": GOOD, "events": ["order.code", 7]}, "events[1]"),
    ({"url": GOOD, "events": ["order.code"] * 21}, "events"), ({"url": GOOD, "events": {"a": 1}}, "events"),
    ({"url": GOOD, "format": "xml"}, "format"), ({"url": GOOD, "format": None}, "format"),
    ({"url": GOOD, "format": "classic", "events": ["order.expired"]}, "events"),
    ({"url": GOOD, "format": "hero", "events": ["order.code", "order.active"]}, "events"),
    ({"url": GOOD, "secret": "whsec_mine"}, "secret"), ({"url": GOOD, "state": "disabled"}, "state"),
    ({"url": GOOD, "accountId": 1}, "accountId"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), BAD_BODIES, ids=lambda part: str(part)[:50])
def test_a_bad_field_of_a_new_webhook_is_named(alice: Client, body: dict[str, Any], field: str) -> None:
    answer = alice.post("/user/webhooks", body)
    assert answer.refusal == (400, "invalid_request")
    assert [name.replace("[...]", "") for name in answer.details["fields"]] in ([field], [field.split("[")[0]])
    assert alice.get("/user/webhooks").data["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "body"), ({"state": "disabled"}, "state"), ({"state": "deleted"}, "state"), ({"state": True}, "state"),
     ({"url": "http://192.168.0.1/"}, "url"), ({"url": None}, "url"), ({"events": []}, "events"),
     ({"events": None}, "events"), ({"format": "old"}, "format"), ({"id": 2}, "id")],
)  # fmt: skip
def test_a_bad_field_of_a_change_is_named(alice: Client, receiver: Receiver, body: dict[str, Any], field: str) -> None:
    webhook = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
    answer = put(alice, webhook["id"], body)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [field]
    assert alice.get("/user/webhooks").data["items"] == [webhook]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=0", "cursor=x", f"cursor={2**63}", "state=on"]
)
def test_a_bad_query_of_the_list_is_refused(alice: Client, receiver: Receiver, query: str) -> None:
    webhook = alice.post("/user/webhooks", {"url": receiver.url}).data["webhook"]
    assert alice.get(f"/user/webhooks/{webhook['id']}/deliveries?{query}").refusal == (400, "invalid_request")


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "9223372036854775808", "%00"])
def test_an_id_that_is_none_is_not_there(alice: Client, number: str) -> None:
    for method, path in (("GET", f"/user/webhooks/{number}/deliveries"), ("DELETE", f"/user/webhooks/{number}")):
        assert alice.send(method, path).status in (400, 404)
    for path in (f"/user/webhooks/{number}/test", f"/user/webhooks/deliveries/{number}/resend"):
        assert alice.post(path, {}).status in (400, 404, 405)


def test_in_production_this_machine_is_refused(portal: BlockingPortal, cluster: Cluster, receiver: Receiver) -> None:
    with stands.opened(portal, cluster) as strict:
        client = strict.customer()
        for url in (receiver.url, f"https://127.0.0.1:{receiver.port}/", "https://127.0.0.1/", "https://localhost/"):
            answer = client.post("/user/webhooks", {"url": url})
            assert list(answer.details["fields"]) == ["url"], url
    assert receiver.got == []
    with pytest.raises(BadSettings, match="WEBHOOK_LOOPBACK"):
        load(webhook_loopback=True)
