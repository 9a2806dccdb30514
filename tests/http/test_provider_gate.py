"""A running site writes down what it said to providers, and follows what staff decide of a breaker."""

import time
from collections.abc import Callable

from numberdesk.providers.model import Forced, ProviderId
from tests.breakers import force_breaker
from tests.http.stand import Client, Stand

BUY = "/auth/get-number"
TELEGRAM = {"service": "tg", "country": 22}


def until(happened: Callable[[], object], *, seconds: float = 8.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def force(stand: Stand, forced: Forced | None, reason: str) -> None:
    provider_id = ProviderId(stand.ask("SELECT id FROM providers WHERE name = 'alpha'"))
    stand.portal.call(force_breaker, stand.site.db, provider_id, forced, reason)


def test_what_a_purchase_said_is_written_within_a_moment(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    query = "SELECT answer FROM transcripts WHERE action = 'rent' AND subject = $1 || '-1'"
    until(lambda: stand.ask(query, str(order_id)))
    assert stand.ask("SELECT number FROM orders WHERE id = $1", order_id) in stand.ask(query, str(order_id))
    until(lambda: stand.ask("SELECT sum(calls) FROM provider_calls WHERE action = 'rent' AND outcome = 'rented'"))


def test_a_breaker_that_staff_open_stops_purchases_and_money_stays(stand: Stand, alice: Client) -> None:
    alice.buy()
    force(stand, "open", "they are moving house")
    sold = len(stand.provider.sold)
    until(lambda: alice.post(BUY, TELEGRAM).status == 503)
    asked = len(stand.provider.sold)
    assert alice.post(BUY, TELEGRAM).refusal == (503, "provider_unavailable")
    assert len(stand.provider.sold) == asked >= sold
    force(stand, None, "")
    until(lambda: alice.post(BUY, TELEGRAM).status == 200)
