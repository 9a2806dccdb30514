"""What providers post, over the wire: an address only they know, one message once, and an agent from sale to pay."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from numberdesk.base.db import value
from numberdesk.base.web import BODY_MAX
from numberdesk.catalogue import service as catalogue
from numberdesk.cli._providers import sync_provider
from numberdesk.providers import service as providers
from numberdesk.providers import simulator
from numberdesk.providers.model import Provider
from numberdesk.providers.simulator import Profile, Simulator
from tests.http import stand as stands
from tests.http.stand import Answer, Client, Stand
from tests.providers.line_desk import words_listed

LOST = Profile("lost", fault="drop", fault_on="status-changes", acts="never", code_after=None)


def path_of(stand: Stand, name: str = "alpha") -> str:
    async def work() -> str:
        provider = await providers.find_by_name(stand.site.db, name)
        assert provider is not None
        return await providers.hook_path(stand.site.db, stand.site.vault, provider)

    return stand.portal.call(work)


def body_of(stand: Stand, order_id: int, code: str) -> dict[str, Any]:
    upstream_id = stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id)
    return {"activationId": int(upstream_id), "service": "tg", "text": f"Telegram code {code}", "code": code}


def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.03)


@pytest.fixture
def slow(stand: Stand) -> Iterator[None]:
    """Let the list be asked for once a minute only, so that a code comes by its message or not at all."""
    stand.change("UPDATE providers SET poll_ms = 60000, changed_at = clock_timestamp()")
    until(lambda: all(line.provider.poll_ms == 60000 for line in stand.site.lines.by_id.values()))
    time.sleep(0.3)
    yield
    stand.change("UPDATE providers SET poll_ms = 100, changed_at = clock_timestamp()")


def test_a_posted_message_wakes_its_buyer_before_any_list_does(stand: Stand, alice: Client, slow: None) -> None:
    order_id = alice.buy()
    heard: list[Any] = []
    waiter = threading.Thread(
        target=lambda: heard.append(alice.post("/auth/check-otp", {"orderId": order_id, "wait": 10}).data)
    )
    waiter.start()
    time.sleep(0.2)
    path, body = path_of(stand), body_of(stand, order_id, "48213")
    for _ in range(3):
        answer = stand.nobody.post(path, body)
        assert (answer.status, answer.body) == (200, b"")
    waiter.join(timeout=10)
    assert [(seen["status"], seen["otp"], len(seen["messages"])) for seen in heard] == [("received", "48213", 1)]
    until(lambda: stand.ask("SELECT count(*) FROM inbound_messages WHERE order_id = $1", order_id) == 1)
    assert stand.nobody.under("/api/v1").post(path, body).status == 200


def test_a_wrong_name_and_a_wrong_token_get_the_same_answer(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    path, body = path_of(stand), body_of(stand, order_id, "48213")
    token = path.rpartition("/")[2]

    def refused(at: str) -> Answer:
        answer = stand.nobody.post(at, body)
        assert answer.refusal == (404, "not_found")
        return answer

    wrong = [f"/webhooks/provider/alpha/{token[:-1]}", f"/webhooks/provider/nobody/{token}", "/webhooks/provider/a/b"]
    bodies = set()
    for at in wrong:
        answer = refused(at)
        bodies.add(answer.body.replace(answer.headers["x-request-id"].encode(), b"id"))
    assert len(bodies) == 1
    assert stand.nobody.get(path).status == 405
    assert alice.post("/auth/check-otp", {"orderId": order_id}).data["status"] == "active"


def test_what_is_no_message_is_refused_and_a_long_body_is_not_read(stand: Stand) -> None:
    path = path_of(stand)
    for body in (b"", b"{}", b"hello", b"\xff\xfe", b'{"activationId": 5}'):
        assert stand.nobody.send("POST", path, body=body).refusal == (400, "invalid_request")
    assert stand.nobody.send("POST", path, body=b" " * (BODY_MAX + 1)).refusal == (413, "body_too_large")
    assert stand.ask("SELECT count(*) FROM inbound_messages WHERE state = 'parked'") == 0


class Lines(logging.Handler):
    """Keeps what libraries log."""

    def __init__(self) -> None:
        super().__init__(0)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.getMessage()} {record.exc_info}")


def test_the_token_and_the_text_stand_in_no_log(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    path, body = path_of(stand), body_of(stand, order_id, "77123")
    told: list[dict[str, Any]] = []

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        told.append(dict(event))
        raise structlog.DropEvent

    former, level, lines = structlog.get_config(), logging.root.level, Lines()
    logging.root.addHandler(lines)
    logging.root.setLevel(0)
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0))
    try:
        stand.nobody.post(path, body)
        stand.nobody.post(path, {"activationId": 999_999, "code": "77124", "text": "Nobody's 77124"})
        stand.nobody.post(path, {"nothing": 1})
        stand.nobody.post(path + "x", body)
        until(lambda: alice.post("/auth/check-otp", {"orderId": order_id}).data["otp"] == "77123")
    finally:
        structlog.configure(**former)
        logging.root.removeHandler(lines)
        logging.root.setLevel(level)
    assert {event["event"] for event in told} >= {"push_unreadable"}
    said = json.dumps(told, default=str) + "\n".join(lines.said)
    token = path.rpartition("/")[2]
    assert token not in said
    assert "77123" not in said
    assert "77124" not in said


def test_a_flood_of_messages_counts_for_no_customer(portal: Any, cluster: Any) -> None:
    with stands.opened(portal, cluster, rate_limit_api="3 per minute") as stand:
        path = path_of(stand)
        for number in range(20):
            assert stand.nobody.post(path, {"activationId": 1000 + number, "code": "48213"}).status == 200
        assert stand.nobody.post(path + "x", {}).status == 404
        assert stand.customer().get("/orders").status == 200


@contextmanager
def agent_at(stand: Stand, **options: Any) -> Iterator[Simulator]:
    """Run an agent that the stand buys from and that posts to it."""

    async def begin() -> Simulator:
        upstream = await simulator.start(
            api_key="agent-key-3f9a77", record_path=None, family="agent", profile="never", name="bank", **options
        )
        site = stand.site
        provider: Provider = await providers.add(
            site.db, site.vault, name="bank", kind="agent", url=upstream.url, api_key="agent-key-3f9a77",
            calls_per_second=10_000, poll_ms=100, agent_pay_paise=1775,
        )  # fmt: skip
        async with site.db.transaction() as tx:
            await providers.set_words(tx, words_listed("agent", provider.id), provider_id=provider.id)
        await providers.refresh(site.lines)
        await sync_provider(site.db, site.lines, provider)
        await catalogue.refresh(site.db, site.shelf)
        path = await providers.hook_path(site.db, site.vault, provider)
        upstream.push_to(f"http://{stands.HOST}:{stand.port}{path}")
        return upstream

    upstream = stand.portal.call(begin)
    try:
        yield upstream
    finally:
        stand.portal.call(upstream.stop)


def test_an_agent_sells_posts_a_code_and_is_paid_although_its_first_answers_are_lost(portal: Any, cluster: Any) -> None:
    with stands.opened(portal, cluster) as stand, agent_at(stand, time_scale=0.1) as agent:
        alice = stand.customer()
        order_id = alice.buy(server="bank")
        upstream_id = int(stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
        stand.portal.call(lambda: agent.deliver(upstream_id, "Telegram code 48213"))
        seen = alice.post("/auth/check-otp", {"orderId": order_id, "wait": 10}).data
        assert (seen["status"], seen["otp"], seen["price"]) == ("received", "48213", "21.30")
        until(lambda: agent.webhooks is not None and agent.webhooks.sent == 1)

        stand.portal.call(lambda: agent.set_profile(LOST))
        assert alice.post("/auth/finish-number", {"orderId": order_id}).data["status"] == "completed"
        until(lambda: len(agent.refused) >= 1)
        assert not agent.finished
        stand.portal.call(lambda: agent.set_profile("never"))
        until(lambda: agent.finished, seconds=20)
        assert [fact.activation_id for fact in agent.finished] == [upstream_id]
        until(lambda: stand.ask("SELECT count(*) FROM orders WHERE release_due") == 0)
        # Nothing else was asked about the number: there is no list and no look.
        assert {fact.fact for fact in agent.facts()} == {"sold", "delivered", "refused", "finished"}


def test_an_agent_repeats_a_message_until_it_is_taken(portal: Any, cluster: Any) -> None:
    with stands.opened(portal, cluster) as stand, agent_at(stand, time_scale=0.05) as agent:
        alice = stand.customer()
        order_id = alice.buy(server="bank")
        stand.change("UPDATE providers SET hook_token_hash = sha256('of another') WHERE name = 'bank'")
        upstream_id = int(stand.ask("SELECT upstream_id FROM orders WHERE id = $1", order_id))
        stand.portal.call(lambda: agent.deliver(upstream_id, "Telegram code 48213"))
        time.sleep(1.2)
        assert agent.webhooks is not None
        assert agent.webhooks.sent == 0
        assert alice.post("/auth/check-otp", {"orderId": order_id}).data["status"] == "active"
        token = agent_token(stand)
        stand.change("UPDATE providers SET hook_token_hash = sha256($1) WHERE name = 'bank'", token.encode())
        seen = alice.post("/auth/check-otp", {"orderId": order_id, "wait": 10}).data
        assert (seen["status"], seen["otp"], len(seen["messages"])) == ("received", "48213", 1)
        until(lambda: agent.webhooks is not None and agent.webhooks.sent == 1)


def agent_token(stand: Stand) -> str:
    """Return the token of the agent's address as it was sealed."""

    async def work() -> str:
        async with stand.site.db.statement() as tx:
            provider_id = await value(tx, "SELECT id FROM providers WHERE name = 'bank'")
            sealed = await value(tx, "SELECT hook_token_sealed FROM providers WHERE name = 'bank'")
        return stand.site.vault.open(sealed, about=f"providers.hook_token:{provider_id}")

    return stand.portal.call(work)
