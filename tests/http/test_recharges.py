"""Recharges by UPI on the wire: begun, paid, claimed, credited as the bank says, read again and receipted."""

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts import service as accounts
from numberdesk.base.postgres import Cluster
from tests.http.recharging import (
    BEGIN,
    CLAIM_TRON,
    CLAIM_UPI,
    EMPTY,
    PAYEE,
    UPI,
    VPA,
    begun,
    new_utr,
    paid,
    paid_by_upi,
)
from tests.http.stand import SECURITY, Answer, Client, Stand

ID = re.compile("RC[0-9A-Z]{26}")
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
SVG = "{http://www.w3.org/2000/svg}svg"
IN_TIME = 10.0


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site that is paid at one UPI address, and on no chain."""
    with paid_by_upi(portal, cluster) as stand:
        yield stand


@pytest.fixture
def alice(stand: Stand) -> Client:
    """A new customer with an empty wallet."""
    return stand.customer("0")


@pytest.fixture
def bob(stand: Stand) -> Client:
    """Another one."""
    return stand.customer("0")


def read(client: Client, ref: str) -> dict[str, Any]:
    """Read a recharge with its time line."""
    found: dict[str, Any] = client.get(f"/recharge/status/{ref}").data
    return found


def steps(client: Client, ref: str) -> list[str]:
    return [step["event"] for step in read(client, ref)["timeline"]]


def rupees(text: str) -> int:
    """Return the paise of an amount on the wire, which always has two decimals."""
    whole, point, decimals = text.partition(".")
    assert (point, len(decimals)) == (".", 2), text
    return int(whole) * 100 + int(decimals)


def walk(client: Client, path: str, limit: int) -> list[dict[str, Any]]:
    """Follow the cursors of a list to its end."""
    found: list[dict[str, Any]] = []
    joint, cursor = "&" if "?" in path else "?", ""
    while True:
        page = client.get(f"{path}{joint}limit={limit}{cursor}").data
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


def test_a_key_that_only_reads_begins_and_claims_nothing(stand: Stand, alice: Client) -> None:
    ref = begun(alice)

    async def work() -> str:
        async with stand.site.db.transaction() as tx:
            (key,) = await accounts.issue_keys(
                tx, account_ids=[alice.account_id], name="bot", pepper="pepper-of-the-tests-of-the-wire",
                scopes=("read",),
            )  # fmt: skip
        return key.secret

    bot = Client(stand.port, stand.portal.call(work))
    for path, body in (
        (BEGIN, {"method": "upi", "amount": "100"}), (UPI, {"transactionId": ref}),
        (CLAIM_UPI, {"transactionId": ref, "utr": new_utr()}), (CLAIM_TRON, {"transactionId": ref, "txid": "ab" * 32}),
    ):  # fmt: skip
        answer = bot.post(path, body)
        assert answer.refusal == (403, "scope_too_small")
        assert answer.details["scope"] == "recharge"
    assert read(bot, ref)["recharge"]["status"] == "pending"


def test_a_recharge_is_begun_with_all_that_is_needed_to_pay_it(alice: Client) -> None:
    answer = alice.post(BEGIN, {"method": "upi", "amount": "100"}).data
    assert ID.fullmatch(answer["transactionId"])
    assert (answer["status"], answer["method"], answer["amount"]) == ("pending", "upi", "100.00")
    assert TIME.fullmatch(answer["expiresAt"])
    pay = answer["pay"]
    assert (pay["kind"], pay["transactionId"]) == ("upi", answer["transactionId"])
    assert (pay["payTo"], pay["payeeName"], pay["opensApps"]) == (VPA, PAYEE, False)
    assert 100_00 <= rupees(pay["amount"]) <= 100_99
    assert pay["expiresAt"] == answer["expiresAt"]
    assert alice.get("/user/balance").data == EMPTY


def test_the_link_and_the_code_ask_for_exactly_the_amount(alice: Client) -> None:
    pay = alice.post(BEGIN, {"method": "upi", "amount": "250"}).data["pay"]
    link = urlsplit(pay["upiLink"])
    assert (link.scheme, link.netloc) == ("upi", "pay")
    fields = {name: text for name, (text,) in parse_qs(link.query, strict_parsing=True).items()}
    assert fields == {
        "pa": VPA, "pn": PAYEE, "am": pay["amount"], "cu": "INR", "tr": pay["transactionId"],
        "tn": f"Wallet {pay['transactionId']}",
    }  # fmt: skip
    assert "+" not in link.query
    assert ElementTree.fromstring(pay["qrSvg"]).tag == SVG
    assert not re.search(r"<script|href|url\(|style", pay["qrSvg"])


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("50", "50.00"), (50, "50.00"), (50.5, "50.50"), ("50.5", "50.50"), ("50.05", "50.05"), (" 75 ", "75.00"),
     (100.10, "100.10"), ("10000", "10000.00"), (1e4, "10000.00")],
)  # fmt: skip
def test_an_amount_is_text_or_a_number_of_at_most_two_decimals(alice: Client, amount: object, shown: str) -> None:
    answer = alice.post(BEGIN, {"method": "upi", "amount": amount}).data
    assert answer["amount"] == shown
    assert 0 <= rupees(answer["pay"]["amount"]) - rupees(shown) <= 99


def test_recharges_of_one_amount_are_told_apart_by_their_paise(alice: Client, bob: Client) -> None:
    pages = [client.post(BEGIN, {"method": "upi", "amount": "80"}).data["pay"] for client in (alice, bob) * 3]
    amounts = {page["amount"] for page in pages}
    assert len(amounts) == len(pages)
    assert all(80_00 <= rupees(amount) <= 80_99 for amount in amounts)


def test_a_repeat_with_the_same_key_begins_nothing_new(alice: Client, bob: Client) -> None:
    body = {"method": "upi", "amount": "100"}
    first = alice.post(BEGIN, body, Idempotency_Key="once")
    again = alice.post(BEGIN, body, Idempotency_Key="once")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert alice.post(BEGIN, body | {"amount": "200"}, Idempotency_Key="once").status == 409
    assert len(alice.get("/recharge/history").data["items"]) == 1
    theirs = bob.post(BEGIN, body, Idempotency_Key="once").data
    assert theirs["transactionId"] != first.data["transactionId"]


def test_repeats_at_once_begin_one_recharge(alice: Client) -> None:
    def begin(_: int) -> Answer:
        return alice.post(BEGIN, {"method": "upi", "amount": "100"}, Idempotency_Key="at once")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(begin, range(6)))
    assert {answer.status for answer in answers} <= {200, 409}
    assert len({answer.data["transactionId"] for answer in answers if answer.status == 200}) == 1
    assert len(alice.get("/recharge/history").data["items"]) == 1


def test_a_page_is_shown_again_and_one_is_begun_by_its_amount(alice: Client) -> None:
    answer = alice.post(BEGIN, {"method": "upi", "amount": "100"}).data
    assert alice.post(UPI, {"transactionId": answer["transactionId"]}).data == answer["pay"]
    assert read(alice, answer["transactionId"])["pay"] == answer["pay"]
    other = alice.post(UPI, {"amount": "120"}, Idempotency_Key="page").data
    assert other["transactionId"] != answer["transactionId"]
    assert alice.post(UPI, {"amount": "120"}, Idempotency_Key="page").data == other
    assert {item["amount"] for item in alice.get("/recharge/history").data["items"]} == {"100.00", "120.00"}


def test_a_frozen_account_still_says_what_it_has_paid(stand: Stand, alice: Client) -> None:
    ref = begun(alice)
    stand.portal.call(accounts.set_state, stand.site.db, alice.account_id, "frozen")
    deadline = time.monotonic() + IN_TIME  # who was met before is known to be frozen a little later
    while alice.post(BEGIN, {"method": "upi", "amount": "1"}).refusal != (403, "account_frozen"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": new_utr()}).data["outcome"] == "waiting"
    paid(stand, ref)
    assert read(alice, ref)["recharge"]["status"] == "completed"


def test_a_claim_alone_credits_nothing(stand: Stand, alice: Client) -> None:
    ref = begun(alice)
    claimed = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": new_utr(), "payerVpa": "Asha.K@okbank"}).data
    assert claimed["outcome"] == "waiting"
    assert (claimed["recharge"]["status"], claimed["recharge"]["stage"]) == ("pending", "submitted")
    assert claimed["recharge"]["credited"] == "0.00"
    assert steps(alice, ref) == ["created", "claimed"]
    assert alice.get("/user/balance").data == EMPTY


@pytest.mark.parametrize(
    "spelling",
    ["{0}-{1}-{2}", "{0} {1} {2}", " {0}{1}{2} ", "{0}\u2013{1}\u2212{2}", "{0}\u00a0{1}\u2009{2}", "{0}\t{1}\n{2}"],
)
def test_a_utr_is_read_with_spaces_and_dashes(stand: Stand, alice: Client, spelling: str) -> None:
    ref, utr = begun(alice), new_utr()
    typed = spelling.format(utr[:4], utr[4:8], utr[8:])
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": typed}).data["outcome"] == "waiting"
    assert stand.ask("SELECT rrn FROM utr_claims WHERE account_id = $1", alice.account_id) == utr


@pytest.mark.parametrize("zero", ["\u0660", "\u0966", "\uff10", "\U0001d7ce"])
def test_a_utr_is_read_in_the_digits_of_any_script(stand: Stand, alice: Client, zero: str) -> None:
    ref, utr = begun(alice), new_utr()
    typed = "".join(chr(ord(zero) + int(digit)) for digit in utr)
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": typed}).data["outcome"] == "waiting"
    assert stand.ask("SELECT rrn FROM utr_claims WHERE account_id = $1", alice.account_id) == utr


def test_the_same_claim_twice_is_one(stand: Stand, alice: Client) -> None:
    ref, utr = begun(alice), new_utr()
    first = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr}).data
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr}).data == first
    assert steps(alice, ref) == ["created", "claimed"]
    paid(stand, ref, utr)
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr}).data["outcome"] == "credited"
    assert steps(alice, ref) == ["created", "claimed", "credited"]


def test_reading_again_and_again_moves_nothing(stand: Stand, alice: Client) -> None:
    ref = begun(alice)
    seen = [alice.get(f"/recharge/verify/{ref}").data for _ in range(3)]
    assert seen == [{"recharge": read(alice, ref)["recharge"], "isBeingChecked": False}] * 3
    assert stand.ask("SELECT version FROM recharges WHERE ref = $1", ref) == 1
    assert alice.get("/user/balance").data == EMPTY
    paid(stand, ref)
    first = alice.get(f"/recharge/verify/{ref}").data
    assert (first["recharge"]["status"], first["isBeingChecked"]) == ("completed", False)
    assert alice.get(f"/recharge/verify/{ref}").data == first


def test_the_time_line_tells_every_step_and_no_more_than_the_end_of_a_utr(stand: Stand, alice: Client) -> None:
    page = alice.post(BEGIN, {"method": "upi", "amount": "100"}).data
    ref, amount, utr = page["transactionId"], page["pay"]["amount"], new_utr()
    alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr})
    paid(stand, ref, utr)
    found = read(alice, ref)
    assert found["pay"] is None
    assert found["recharge"] | {"createdAt": 0, "expiresAt": 0} == {
        "transactionId": ref, "status": "completed", "stage": "completed", "method": "upi", "amount": "100.00",
        "payable": amount, "credited": amount, "refunded": "0.00", "createdAt": 0, "expiresAt": 0, "checkedAt": None,
    }  # fmt: skip
    assert [(step["event"], step["amount"]) for step in found["timeline"]] == [
        ("created", amount), ("claimed", None), ("credited", amount),
    ]  # fmt: skip
    moments = [step["at"] for step in found["timeline"]]
    assert moments == sorted(moments)
    assert all(TIME.fullmatch(moment) for moment in moments)
    assert utr not in str(found["timeline"])
    assert found["timeline"][1]["detail"].endswith(utr[-4:])


def finance(stand: Stand) -> Client:
    """Return somebody of the staff who imports statements."""
    client = stand.signed_in("finance-of-recharges@example.com", role="finance").client
    stand.change(
        "UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        client.account_id,
    )
    return client


def test_the_bank_s_statement_credits_what_was_claimed_and_names_its_broken_row(
    stand: Stand, alice: Client, bob: Client
) -> None:
    staff = finance(stand)
    mine, theirs = (client.post(BEGIN, {"method": "upi", "amount": "100"}).data["pay"] for client in (alice, bob))
    utr = new_utr()
    for client, page in ((bob, theirs), (alice, mine)):  # a screenshot was seen by somebody else, who is faster
        claim = {"transactionId": page["transactionId"], "utr": utr}
        assert client.post(CLAIM_UPI, claim).data["outcome"] == "waiting"
    at = stand.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')")
    rows = ("date,utr,amount,payer,narration", f"{at},{new_utr()},five,,", f"{at},{utr},{mine['amount']},asha@ybl,UPI")
    taken = staff.send("POST", "/admin/statements?profile=generic", body="\n".join(rows).encode()).data
    deadline = time.monotonic() + IN_TIME
    while (done := staff.get(f"/admin/statements/{taken['id']}").data)["state"] != "done":
        assert time.monotonic() < deadline, done
        time.sleep(0.05)
    assert (done["rowsRead"], done["credits"], done["settled"], done["bad"]) == (2, 1, 1, 1)
    assert [problem["line"] for problem in done["problems"]] == [2]
    assert alice.get("/user/balance").data["available"] == mine["amount"]
    assert read(alice, mine["transactionId"])["recharge"]["status"] == "completed"
    assert bob.get("/user/balance").data == EMPTY
    answer = bob.post(CLAIM_UPI, {"transactionId": theirs["transactionId"], "utr": utr})
    assert answer.refusal == (409, "utr_already_used")


def test_staff_read_a_recharge_in_their_words(stand: Stand, alice: Client) -> None:
    staff, ref = stand.signed_in("support-of-recharges@example.com", role="support").client, begun(alice)
    stand.change(
        "UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        staff.account_id,
    )
    for given in ("RC", "%00", ref.lower(), f"{ref}%00"):
        assert staff.get(f"/admin/recharges/{given}").refusal == (404, "not_found")
    found = staff.get(f"/admin/recharges/{ref}").data
    assert (found["accountId"], found["rail"], found["version"]) == (alice.account_id, "upi_manual", 1)
    assert set(found["recharge"]) == {
        "transactionId", "status", "stage", "method", "amount", "payable", "credited", "refunded", "createdAt",
        "expiresAt",
    }  # fmt: skip


def test_the_history_is_paged_newest_first_and_filtered_by_status(stand: Stand, alice: Client) -> None:
    refs = []
    for number in range(7):
        refs.append(begun(alice))
        if number < 4:
            paid(stand, refs[-1])
    stand.change("UPDATE recharges SET status = 'expired' WHERE ref = $1", refs[4])
    stand.change("UPDATE recharges SET status = 'rejected' WHERE ref = $1", refs[5])
    for limit in (1, 2, 3, 7, 100):
        assert [item["transactionId"] for item in walk(alice, "/recharge/history", limit)] == refs[::-1]
    for status, expected in (("completed", refs[3::-1]), ("failed", refs[5:3:-1]), ("pending", refs[6:]),
                             ("refunded", [])):  # fmt: skip
        found = walk(alice, f"/recharge/history?status={status}", 2)
        assert [item["transactionId"] for item in found] == expected
        assert {item["status"] for item in found} <= {status}


def test_the_ways_to_pay_are_listed_open_or_closed_with_the_reason(alice: Client) -> None:
    bounds = {"minimum": "50.00", "maximum": "10000.00", "currency": "INR"}
    assert alice.get("/payment/methods").data == [
        {"method": "upi", "via": "upi_manual", "isOpen": True, "reason": None} | bounds,
        {"method": "trx", "via": "trx", "isOpen": False, "reason": "it is not offered here"} | bounds,
    ]


def test_every_payment_has_one_receipt_with_a_number_of_its_year(stand: Stand, alice: Client) -> None:
    ref, other = begun(alice), begun(alice)
    utrs = [paid(stand, ref), paid(stand, other), paid(stand, ref)]  # one was paid twice, and both are credited
    found = walk(alice, "/recharge/receipts", 2)
    assert [item["reference"] for item in found] == utrs[::-1]
    serials = [re.fullmatch(r"R/(\d\d-\d\d)/(\d{6})", item["number"]) for item in found]
    assert len({serial[1] for serial in serials if serial}) == 1
    numbers = [int(serial[2]) for serial in serials if serial]
    assert numbers == list(range(numbers[0], numbers[0] - 3, -1))
    one = alice.get(f"/recharge/receipts?transactionId={other}").data
    assert (one["items"], one["nextCursor"]) == ([found[1]], None)
    assert alice.get(f"/recharge/receipts/{found[1]['id']}").data == found[1]
    assert (found[1]["kind"], found[1]["method"], found[1]["transactionId"]) == ("receipt", "UPI", other)
    assert (found[1]["amount"], found[1]["tax"]) == (read(alice, other)["recharge"]["credited"], None)
    assert found[1]["recipient"].startswith("Customer ")


def test_a_receipt_is_a_page_to_print_that_runs_and_loads_nothing(stand: Stand, alice: Client) -> None:
    stand.change("UPDATE accounts SET name = $2 WHERE id = $1", alice.account_id, '<script>alert(1)</script>"&')
    utr = paid(stand, begun(alice))
    (receipt,) = alice.get("/recharge/receipts").data["items"]
    answer = alice.get(f"/recharge/receipts/{receipt['id']}", Accept="text/html,*/*;q=0.8")
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert {name: answer.headers[name] for name in SECURITY if name != "content-security-policy"} == {
        name: text for name, text in SECURITY.items() if name != "content-security-policy"
    }
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|\bsrc=|\bhref=|\bon\w+=|style=|@import|url\(|https?:|//", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for text in (receipt["number"], receipt["amount"], utr, receipt["transactionId"]):
        assert text in page
