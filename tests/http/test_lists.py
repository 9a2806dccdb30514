"""Lists: bounds, filters, cursors that find everything once, the price table with its ETag, the statement as CSV."""

import csv
import time
from io import StringIO
from typing import Any

import pytest

from tests.http.stand import PRICE, Client, Stand

LISTS = ("/orders", "/user/transactions", "/services")
LARGEST = 2**63 - 1


def walk(client: Client, path: str, limit: int) -> list[dict[str, Any]]:
    """Follow the cursors of a list to its end."""
    found: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = client.get(f"{path}{joint}limit={limit}{f'&cursor={cursor}' if cursor else ''}").data
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor, pages = page["nextCursor"], pages + 1
        assert pages < 1000, "the list has no end"
    return found


def lines_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(body.decode(), newline="")))


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "-1"), ("limit", "100000"), ("limit", "many"), ("limit", ""), ("limit", str(2**64)),
     ("limit", "1.5"), ("cursor", "-1"), ("cursor", "abc"), ("cursor", "1.5"), ("cursor", "%EF%BC%91")],
)  # fmt: skip
def test_a_bad_bound_is_refused_by_its_name(alice: Client, path: str, name: str, value: str) -> None:
    answer = alice.get(f"{path}?{name}={value}")
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [name]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", [str(LARGEST + 1), str(2**64), "9" * 400])
def test_a_cursor_beyond_all_ids_finds_nothing_or_is_refused(alice: Client, path: str, cursor: str) -> None:
    answer = alice.get(f"{path}?cursor={cursor}")
    assert answer.status == 400 or answer.data["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=bogus", "type"), ("type=", "type"), ("state=bogus", "state"), ("from=yesterday", "from"),
        ("to=2024-13-01T00:00:00Z", "to"), ("from=", "from"), ("from=2024-01-01", "from"), ("from=" + "9" * 30, "from"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"), ("to=9999-12-31T23:59:59-12:00", "to"),
        ("from=2024-01-01T00:00:00%2B05:30x", "from"), ("from=2025-01-01T00:00:00Z&to=2024-01-01T00:00:00Z", "from"),
    ],
)  # fmt: skip
def test_a_bad_filter_of_the_statement_is_refused_by_its_name(alice: Client, query: str, field: str) -> None:
    for accept in ("application/json", "text/csv"):
        answer = alice.get(f"/user/transactions?{query}", Accept=accept)
        assert answer.refusal == (400, "invalid_request")
        assert list(answer.details["fields"]) == [field]


def test_every_bad_parameter_is_named_at_once(alice: Client) -> None:
    answer = alice.get("/user/transactions?type=x&state=y&from=z&limit=0")
    assert answer.details["fields"].keys() == {"type", "state", "from", "limit"}
    assert answer.details["fields"]["type"] == "is not one of the known values"


@pytest.mark.parametrize("status", ["bogus", "requested", "unknown", "cancelling", "ACTIVE"])
def test_a_state_that_customers_do_not_see_is_no_filter(alice: Client, status: str) -> None:
    assert alice.get(f"/orders?status={status}").details["fields"] == {"status": "is not one of the known values"}


def test_a_new_account_has_empty_lists(stand: Stand) -> None:
    nobody_yet = stand.customer("0")
    for path in ("/orders", "/user/transactions"):
        assert nobody_yet.get(path).data == {"items": [], "nextCursor": None}


def test_a_cursor_walks_all_orders_once_newest_first(alice: Client) -> None:
    made = [alice.buy() for _ in range(7)]
    for limit in (1, 2, 3, 7, 100):
        assert [order["orderId"] for order in walk(alice, "/orders", limit)] == made[::-1]


def test_a_walk_is_not_disturbed_by_new_orders(alice: Client) -> None:
    made = [alice.buy() for _ in range(4)]
    page = alice.get("/orders?limit=2").data
    alice.buy()
    rest = alice.get(f"/orders?limit=2&cursor={page['nextCursor']}").data
    assert [order["orderId"] for order in page["items"] + rest["items"]] == made[::-1]


def test_orders_are_filtered_by_what_customers_see(stand: Stand, alice: Client) -> None:
    active, cancelled, received = alice.buy(), alice.buy(), stand.received(alice)
    stand.ripen(cancelled)
    alice.post("/auth/cancel-number", {"orderId": cancelled})
    for status, order_id in (("active", active), ("cancelled", cancelled), ("received", received)):
        assert [order["orderId"] for order in alice.get(f"/orders?status={status}").data["items"]] == [order_id]
    assert alice.get("/orders?status=expired").data["items"] == []


def test_a_cursor_walks_all_transactions_once(stand: Stand, alice: Client) -> None:
    stand.credit(alice, *range(1, 130))
    for limit in (7, 65, 100):
        ids = [int(line["id"]) for line in walk(alice, "/user/transactions", limit)]
        assert ids == sorted(set(ids), reverse=True)
        assert len(ids) == 130


def test_the_statement_is_filtered(stand: Stand, alice: Client) -> None:
    cancelled, received = alice.buy(), stand.received(alice)
    stand.ripen(cancelled)
    alice.post("/auth/cancel-number", {"orderId": cancelled})
    alice.buy()

    def seen(query: str) -> list[tuple[str, str, str]]:
        items = alice.get(f"/user/transactions?{query}").data["items"]
        return [(item["type"], item["state"], item["amount"]) for item in items]

    credit = ("admin_credit", "completed", "1000.00")
    voided, given = ("service_purchase", "refunded", f"-{PRICE}"), ("refund", "completed", PRICE)
    paid, waiting = ("service_purchase", "completed", f"-{PRICE}"), ("service_purchase", "pending", f"-{PRICE}")
    assert seen("") == [waiting, given, paid, voided, credit]
    assert seen("type=admin_credit") == [credit]
    assert seen("type=service_purchase") == [waiting, paid, voided]
    assert seen("type=refund") == [given]
    assert seen("type=recharge") == []
    assert seen("state=pending") == [waiting]
    assert seen("state=refunded") == [voided]
    assert seen("state=completed&type=service_purchase") == [paid]
    lines = alice.get("/user/transactions").data["items"]
    assert [line["orderId"] for line in lines[1:4]] == [cancelled, received, cancelled]


def test_the_statement_is_cut_by_time(stand: Stand, alice: Client) -> None:
    time.sleep(0.01)
    stand.credit(alice, 1)
    newer, older = (line["at"] for line in alice.get("/user/transactions").data["items"])
    assert len(alice.get(f"/user/transactions?from={older}").data["items"]) == 2
    late = newer[:-1] + "999Z" if "." not in newer else newer.replace("000Z", "999Z")
    assert len(alice.get(f"/user/transactions?to={late}").data["items"]) == 2
    assert [line["at"] for line in alice.get(f"/user/transactions?from={newer}").data["items"]] == [newer]
    assert [line["at"] for line in alice.get(f"/user/transactions?to={newer}").data["items"]][-1] == older
    far = "2999-01-01T00:00:00Z"
    assert alice.get(f"/user/transactions?from={far}").data["items"] == []
    with_offset = "2020-01-01T05:30:00%2B05:30"
    assert len(alice.get(f"/user/transactions?from={with_offset}&to={far}").data["items"]) == 2


def test_the_statement_streams_as_csv(stand: Stand, alice: Client) -> None:
    order_id = alice.buy()
    stand.credit(alice, *range(1, 351))
    answer = alice.get("/user/transactions", Accept="text/csv")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.body.startswith(b"id,type,state,amount,balanceAfter,orderId,at,transactionId,method\r\n")
    lines = lines_of(answer.body)
    assert len(lines) == 352
    assert [int(line["id"]) for line in lines] == sorted({int(line["id"]) for line in lines}, reverse=True)
    assert lines[0]["amount"] == "3.50"
    assert (lines[-2]["type"], lines[-2]["orderId"], lines[-2]["amount"]) == (
        "service_purchase", str(order_id), f"-{PRICE}",
    )  # fmt: skip
    shown = walk(alice, "/user/transactions", 100)
    assert [line["balanceAfter"] for line in lines] == [line["balanceAfter"] for line in shown]


def test_filters_hold_for_csv_too(stand: Stand, alice: Client) -> None:
    alice.buy()
    stand.credit(alice, *range(1, 121))
    for query, count in (("type=service_purchase", 1), ("type=admin_credit", 121), ("type=recharge", 0)):
        lines = lines_of(alice.get(f"/user/transactions?{query}", Accept="text/csv").body)
        assert len(lines) == count


def test_offers_are_found_by_service_country_and_words(alice: Client) -> None:
    assert alice.get("/services?service=nope").refusal == (400, "unknown_service")
    assert alice.get("/services?country=ZZ").refusal == (400, "unknown_country")
    assert list(alice.get("/services?q=" + "a" * 81).details["fields"]) == ["q"]
    (offer,) = alice.get("/services?service=tg&country=in").data["items"]
    assert (offer["price"], offer["serverName"], offer["iso"]) == (PRICE, "alpha", "IN")
    assert alice.get("/services?q=telegram+india").data["items"] == [offer]
    assert alice.get("/services?q=telegram&country=22&service=wa").data["items"] == []


def test_a_cursor_walks_all_offers_once(alice: Client) -> None:
    whole = alice.get("/services?limit=500").data
    assert whole["nextCursor"] is None
    assert len(whole["items"]) > 200
    for limit in (50, 97, len(whole["items"])):
        assert walk(alice, "/services", limit) == whole["items"]


def test_no_blocked_service_is_offered(alice: Client) -> None:
    offered = {offer["service"] for offer in alice.get("/services?limit=500").data["items"]}
    assert {"tg", "wa"} <= offered
    assert not {"ts", "hw"} & offered


def test_the_price_table_is_sent_once_while_nothing_changes(alice: Client) -> None:
    first = alice.get("/services/prices")
    etag = first.headers["etag"]
    assert first.data["prices"]["22"]["tg"][0] == PRICE
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (etag, f"W/{etag}", f'"other", {etag}'):
        answer = alice.get("/services/prices", If_None_Match=given)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    for given in ('"other"', "", etag[:-2] + '"', etag.strip('"')):
        assert alice.get("/services/prices", If_None_Match=given).body == first.body


def test_a_changed_price_changes_the_etag(stand: Stand, alice: Client) -> None:
    etag = alice.get("/services/prices").headers["etag"]
    stand.change("UPDATE offers SET cost_paise = cost_paise + 100 WHERE service = 'tg' AND country = 22")
    stand.change("UPDATE catalogue_version SET version = version + 1")
    until = time.monotonic() + 3
    while alice.get("/services/prices", If_None_Match=etag).status == 304:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert alice.get("/services/prices").data["prices"]["22"]["tg"][0] == "22.50"
