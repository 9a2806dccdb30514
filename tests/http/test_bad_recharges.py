"""Bad input of every call about recharges: refused with the field or the reason, and no money is asked for or moved."""

from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import SettableState
from numberdesk.base.postgres import Cluster
from numberdesk.payments import routes
from tests.http.recharging import (
    AN_HOUR,
    BEGIN,
    CLAIM_TRON,
    CLAIM_UPI,
    EMPTY,
    NOT_THERE,
    OPEN_MAX,
    TRON,
    UPI,
    begun,
    new_utr,
    paid,
    paid_by_upi,
)
from tests.http.stand import Answer, Client, Stand
from tests.http.wrong_bodies import name_missing_and_unknown, refuse_wrong_types

UTR, TXID = "633112345678", "ab" * 32
CLAIMS_MAX = 3
MALFORMED = (
    "", "1", "RC", NOT_THERE[:-1], NOT_THERE + "0", NOT_THERE.lower(), " " + NOT_THERE, "RD" + NOT_THERE[2:],
    NOT_THERE[:-1] + "é", NOT_THERE[:-1] + "'", NOT_THERE[:-1] + "\0", "R" * 5000, 5, 1.5,
)  # fmt: skip


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


def refused(alice: Client, path: str, body: object) -> Answer:
    """Try; make sure that nothing was begun and no money moved."""
    answer = alice.post(path, body)
    assert answer.status in (400, 403, 404, 409, 429, 503), answer
    assert alice.get("/recharge/history").data["items"] == []
    assert alice.get("/user/balance").data == EMPTY
    return answer


def refused_claim(alice: Client, body: dict[str, Any], path: str = CLAIM_UPI) -> Answer:
    """Claim a payment in vain; make sure that the recharge still waits for it as before."""
    ref = begun(alice)
    before = alice.get(f"/recharge/status/{ref}").data
    answer = alice.post(path, {"transactionId": ref} | body)
    assert alice.get(f"/recharge/status/{ref}").data == before
    assert alice.get("/user/balance").data == EMPTY
    return answer


def base_of(path: str) -> dict[str, Any]:
    """Return a good body for a call."""
    return {
        BEGIN: {"method": "upi", "amount": "100"}, UPI: {"amount": "100"}, TRON: {"amount": "100"},
        CLAIM_UPI: {"transactionId": NOT_THERE, "utr": UTR}, CLAIM_TRON: {"transactionId": NOT_THERE, "txid": TXID},
    }[path]  # fmt: skip


def test_the_table_of_calls_is_the_one_tested_here(stand: Stand) -> None:
    assert {call.path for call in routes.calls(stand.site.till)} == {BEGIN, UPI, TRON, CLAIM_UPI, CLAIM_TRON}


@pytest.mark.parametrize("path", [BEGIN, UPI])
@pytest.mark.parametrize("amount", ["0.01", "49.99", 49.99, 1, "10000.01", 10001, "100000000", "100000000.00"])
def test_an_amount_out_of_bounds_is_told_the_bounds(alice: Client, path: str, amount: object) -> None:
    answer = refused(alice, path, base_of(path) | {"amount": amount})
    assert answer.refusal == (400, "amount_out_of_bounds")
    assert (answer.details["minimum"], answer.details["maximum"]) == ("50.00", "10000.00")
    assert answer.details["fields"] == {"amount": "must be between 50.00 and 10000.00 rupees"}


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("100.375", "two decimals"),
        (100.375, "two decimals"),
        ("1e3", "two decimals"),
        ("a hundred", "two decimals"),
        ("₹100", "two decimals"),
        ("1,000", "two decimals"),
        ("\uff11\uff10\uff10", "two decimals"),
        ("", "two decimals"),
        ("NaN", "two decimals"),
        ("100.", "two decimals"),
        (10**30, "two decimals"),
        (1e300, "two decimals"),
        ("9" * 70, "two decimals"),
        ("9" * 20, "too large"),
        (10**11, "too large"),
        ("-100", "negative"),
        (-100, "negative"),
        (0, "more than zero"),
        ("0.00", "more than zero"),
        (True, "is true or false"),
        (None, "null"),
        (["100"], "is a list"),
        ({"rupees": 100}, "is an object"),
    ],
)
def test_what_is_no_amount_is_refused(alice: Client, amount: object, problem: str) -> None:
    answer = refused(alice, BEGIN, {"method": "upi", "amount": amount})
    assert answer.refusal == (400, "invalid_request")
    assert problem in answer.details["fields"]["amount"]
    assert answer.json["error"] == f"amount {answer.details['fields']['amount']}."


@pytest.mark.parametrize("literal", ["1e400", "9" * 5000, "NaN", "Infinity", "0x64", "050"])
def test_a_number_that_no_amount_can_be_is_refused(alice: Client, literal: str) -> None:
    answer = refused(alice, BEGIN, b'{"method":"upi","amount":%s}' % literal.encode())
    assert answer.status == 400


@pytest.mark.parametrize("method", ["card", "UPI", "", "trx ", "upi_manual", "razorpay", 1, True, None, ["upi"]])
def test_an_unknown_method_is_refused_by_its_field(alice: Client, method: object) -> None:
    answer = refused(alice, BEGIN, {"method": method, "amount": "100"})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["method"]


@pytest.mark.parametrize("method", ["trx", "usdt"])
def test_a_closed_method_is_refused_with_the_reason(alice: Client, method: str) -> None:
    for path, body in ((BEGIN, {"method": method, "amount": "100"}), (TRON, {"asset": method, "amount": "100"})):
        answer = refused(alice, path, body)
        assert answer.refusal == (503, "method_closed")
        assert answer.details["reason"] == "it is not offered here"
        assert answer.details["reason"] in answer.json["error"]
        assert int(answer.headers["retry-after"]) > 0


def test_without_an_open_address_upi_is_closed_and_says_so(stand: Stand, alice: Client) -> None:
    stand.change("UPDATE vpas SET is_open = false")
    try:
        answer = refused(alice, BEGIN, {"method": "upi", "amount": "100"})
        (upi, *_) = alice.get("/payment/methods").data
    finally:
        stand.change("UPDATE vpas SET is_open = true")
    assert answer.refusal == (503, "method_closed")
    assert answer.details["reason"] == "no UPI address of ours is open"
    assert (upi["method"], upi["isOpen"], upi["reason"]) == ("upi", False, "no UPI address of ours is open")


def test_every_field_of_every_call_refuses_wrong_types_in_plain_words(stand: Stand, alice: Client) -> None:
    refuse_wrong_types(alice, routes.calls(stand.site.till), base_of)


def test_every_call_names_a_missing_and_an_unknown_field(stand: Stand, alice: Client) -> None:
    unknown = ("bogus", "transaction_id", "accountId", "payTo", "credited", "__proto__")
    name_missing_and_unknown(alice, routes.calls(stand.site.till), base_of, unknown=unknown)
    assert alice.get("/recharge/history").data["items"] == []


def test_a_recharge_and_an_amount_at_once_and_neither_are_refused(alice: Client) -> None:
    for path in (UPI, TRON):
        for body in ({}, {"transactionId": NOT_THERE, "amount": "100"}, {"transactionId": None, "amount": None}):
            answer = refused(alice, path, body)
            assert answer.refusal == (400, "invalid_request")
            assert answer.details["fields"] == {"transactionId": "or amount must be given, and not both"}


@pytest.mark.parametrize("path", [UPI, TRON, CLAIM_UPI, CLAIM_TRON])
@pytest.mark.parametrize("given", MALFORMED)
def test_a_malformed_transaction_id_is_refused_by_its_field(alice: Client, path: str, given: object) -> None:
    body = {name: item for name, item in base_of(path).items() if name != "amount"}
    answer = refused(alice, path, body | {"transactionId": given})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["transactionId"]


@pytest.mark.parametrize("folder", ["verify", "status"])
@pytest.mark.parametrize(
    "given",
    [NOT_THERE, NOT_THERE.lower(), "RC", "1", "%00", NOT_THERE + "%00", NOT_THERE + "%0A", "%FF%FE", "%ED%A0%80",
     "R" * 5000, "%D9%A1", "1'--"],
)  # fmt: skip
def test_an_address_that_names_no_recharge_is_not_found(alice: Client, folder: str, given: str) -> None:
    answer = alice.get(f"/recharge/{folder}/{given}")
    assert answer.refusal == (404, "not_found")
    assert answer.details["what"] == "recharge"


@pytest.mark.parametrize("given", ["0", "-1", "987654321", str(2**64), "1.0", "abc", "%EF%BC%91", "%00"])
def test_an_address_that_names_no_receipt_is_not_found(alice: Client, given: str) -> None:
    answer = alice.get(f"/recharge/receipts/{given}")
    assert answer.refusal == (404, "not_found")
    assert answer.details["what"] == "receipt"


def seen_by(client: Client, ref: str) -> list[Answer]:
    """Use every route with a recharge's id."""
    return [
        client.get(f"/recharge/verify/{ref}"),
        client.get(f"/recharge/status/{ref}"),
        client.get(f"/recharge/receipts?transactionId={ref}"),
        client.post(UPI, {"transactionId": ref}),
        client.post(TRON, {"transactionId": ref}),
        client.post(CLAIM_UPI, {"transactionId": ref, "utr": UTR}),
        client.post(CLAIM_TRON, {"transactionId": ref, "txid": TXID}),
    ]


def without_id(answer: Answer) -> dict[str, Any]:
    """Return a refusal without its request id."""
    return {"error": answer.json["error"]} | {
        name: item for name, item in answer.details.items() if name != "requestId"
    }


def test_another_accounts_recharge_looks_everywhere_like_one_that_does_not_exist(
    stand: Stand, alice: Client, bob: Client
) -> None:
    ref = begun(alice)
    before = alice.get(f"/recharge/status/{ref}").data
    for theirs, missing in zip(seen_by(bob, ref), seen_by(bob, NOT_THERE), strict=True):
        assert theirs.refusal == (404, "not_found")
        assert without_id(theirs) == without_id(missing)
    assert alice.get(f"/recharge/status/{ref}").data == before
    paid(stand, ref)
    (receipt,) = alice.get("/recharge/receipts").data["items"]
    assert bob.get(f"/recharge/receipts/{receipt['id']}").refusal == (404, "not_found")
    assert bob.get(f"/recharge/receipts/{receipt['id']}", Accept="text/html").refusal == (404, "not_found")
    assert bob.get("/recharge/receipts").data["items"] == bob.get("/recharge/history").data["items"] == []


@pytest.mark.parametrize(
    ("utr", "problem"),
    [
        ("63311234567", "has 11 digits, one too few; open the payment"),
        ("6331123456789", "has 13 digits, one too many; open the payment"),
        ("6", "has 1 digit; open the payment"),
        ("HDFCN52026112612", "is the number of a NEFT or RTGS transfer"),
        ("HDFCR52026112612345678", "is the number of a NEFT or RTGS transfer"),
        ("T2611261234567890123456", "is the long transaction id of an app"),
        ("AXB0123456789012345678901234567890", "is the long transaction id of an app"),
        ("9876543210", "is a phone number"),
        ("+91 98765 43210", "is a phone number"),
        ("100.37", "is an amount"),
        ("₹100", "is an amount"),
        ("Rs. 1,00,000", "is an amount"),
        ("asha@okbank", "is a UPI id and not the number of a payment"),
        ("UPI", "must be 12 digits; open the payment"),
        ("63311234567X", "must be 12 digits; open the payment"),
        ("  ", "is empty; open the payment"),
        ("6" * 150, "is too long; open the payment"),
    ],
)
def test_what_is_no_utr_is_told_what_it_is_instead(alice: Client, utr: str, problem: str) -> None:
    answer = refused_claim(alice, {"utr": utr})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["utr"]
    assert answer.details["fields"]["utr"].startswith(problem)
    assert utr.strip() == "" or utr not in answer.json["error"].split(" ")


@pytest.mark.parametrize(
    ("payer", "problem"),
    [
        ("asha@example.com", "is an e-mail address; a UPI id looks like"),
        ("asha", "must hold one @"),
        ("asha@@okbank", "must hold one @"),
        ("@okbank", "is not a UPI id"),
        ("asha@", "is not a UPI id"),
        ("asha@ok bank", "is not a UPI id"),
        ("as ha@okbank", "is not a UPI id"),
        ("asha@9bank", "is not a UPI id"),
        ("a@b", "is not a UPI id"),
        ("<b>@okbank", "is not a UPI id"),
        (".asha@okbank", "is not a UPI id"),
        ("  ", "is empty"),
        ("a" * 150 + "@okbank", "is too long"),
    ],
)
def test_what_is_no_upi_id_of_a_payer_is_told_why(alice: Client, payer: str, problem: str) -> None:
    answer = refused_claim(alice, {"utr": UTR, "payerVpa": payer})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["payerVpa"]
    assert answer.details["fields"]["payerVpa"].startswith(problem)


@pytest.mark.parametrize("name", ["utr", "payerVpa"])
@pytest.mark.parametrize("given", ["", "6" * 201, "633112\0345678", "63311\u202e2345678"])
def test_text_that_no_number_or_id_can_be_is_refused_by_its_field(alice: Client, name: str, given: str) -> None:
    answer = refused_claim(alice, {"utr": UTR} | {name: given})
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [name]


def test_both_wrong_fields_of_a_claim_are_named(alice: Client) -> None:
    answer = refused_claim(alice, {"utr": "12", "payerVpa": "asha@example.com"})
    assert set(answer.details["fields"]) == {"utr", "payerVpa"}


@pytest.mark.parametrize(
    ("txid", "problem"),
    [
        ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "is an address"),
        ("41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "must be the transaction's id"),
        ("0xdac17f958d2ee523a2206206994597c13d831ec7", "must be the transaction's id"),
        (TXID[:-1], "must be the transaction's id"),
        (TXID + "a", "must be the transaction's id"),
        (TXID[:-1] + "g", "must be the transaction's id"),
        ("https://tronscan.org/#/transaction/" + TXID, "must be the transaction's id"),
        (UTR, "must be the transaction's id"),
        ("garbage", "must be the transaction's id"),
        ("\uff10" * 64, "must be the transaction's id"),
        (" ", "must be the transaction's id"),
        ("a" * 201, "must be text"),
        ("", "must be text"),
    ],
)
def test_what_is_no_transaction_of_the_chain_is_told_what_it_is(alice: Client, txid: str, problem: str) -> None:
    answer = refused_claim(alice, {"txid": txid}, CLAIM_TRON)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["txid"]
    assert answer.details["fields"]["txid"].startswith(problem)


def test_a_recharge_by_upi_is_not_paid_and_not_claimed_on_a_chain(alice: Client) -> None:
    answer = refused_claim(alice, {"txid": f"0x{TXID.upper()}"}, CLAIM_TRON)
    assert answer.refusal == (409, "wrong_method")
    (recharge,) = alice.get("/recharge/history").data["items"]
    assert alice.post(TRON, {"transactionId": recharge["transactionId"]}).refusal == (409, "wrong_method")


def test_a_used_utr_is_refused_without_a_word_about_whose_it_is(stand: Stand, alice: Client, bob: Client) -> None:
    theirs = begun(bob)
    used = paid(stand, theirs)
    ref = begun(alice)
    answer = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": used})
    assert answer.refusal == (409, "utr_already_used")
    assert set(answer.details) == {"code", "category", "requestId"}
    assert theirs.encode() not in answer.body
    assert alice.get("/user/balance").data == EMPTY
    status = alice.get(f"/recharge/status/{ref}")
    assert theirs.encode() not in status.body
    assert status.data["recharge"]["credited"] == "0.00"


def test_after_three_used_utrs_claims_are_locked_and_money_still_comes(
    stand: Stand, alice: Client, bob: Client
) -> None:
    theirs, ref = begun(bob), begun(alice)
    for _ in range(CLAIMS_MAX):
        answer = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": paid(stand, theirs)})
        assert answer.refusal == (409, "utr_already_used")
    for utr in (paid(stand, theirs), new_utr()):
        answer = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr})
        assert answer.refusal == (403, "claims_locked")
    assert bob.post(CLAIM_UPI, {"transactionId": begun(bob), "utr": new_utr()}).data["outcome"] == "waiting"
    paid(stand, ref)
    assert alice.get(f"/recharge/status/{ref}").data["recharge"]["status"] == "completed"


def test_the_eleventh_claim_of_an_hour_is_refused(alice: Client) -> None:
    ref = begun(alice)
    for _ in range(AN_HOUR):
        assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": new_utr()}).status == 200
    answer = alice.post(CLAIM_UPI, {"transactionId": ref, "utr": new_utr()})
    assert answer.refusal == (429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= 3600


def test_three_wait_for_their_payment_and_the_fourth_is_refused(stand: Stand, alice: Client) -> None:
    refs = [begun(alice) for _ in range(OPEN_MAX)]
    for path in (BEGIN, UPI):
        answer = alice.post(path, base_of(path))
        assert answer.refusal == (409, "too_many_open_recharges")
        assert answer.details["open"] == OPEN_MAX
    assert len(alice.get("/recharge/history").data["items"]) == OPEN_MAX
    paid(stand, refs[0])
    assert begun(alice) not in refs


def test_ten_an_hour_are_begun_and_the_eleventh_is_refused(stand: Stand, alice: Client) -> None:
    for _ in range(AN_HOUR):
        paid(stand, begun(alice))
    for path in (BEGIN, UPI):
        answer = alice.post(path, base_of(path))
        assert answer.refusal == (429, "too_many_requests")
        assert 0 < int(answer.headers["retry-after"]) <= 3600
    assert len(alice.get("/recharge/history").data["items"]) == AN_HOUR


def test_what_is_refused_for_its_amount_does_not_count_towards_the_hour(alice: Client) -> None:
    for _ in range(AN_HOUR + 1):
        assert alice.post(BEGIN, {"method": "upi", "amount": "1"}).refusal == (400, "amount_out_of_bounds")
    assert begun(alice)


def test_an_unverified_account_begins_nothing(stand: Stand, alice: Client) -> None:
    stand.change("UPDATE accounts SET verified_at = NULL WHERE id = $1", alice.account_id)
    for path in (BEGIN, UPI, TRON):
        assert refused(alice, path, base_of(path)).refusal == (403, "email_unverified")


def put_into(stand: Stand, client: Client, state: SettableState) -> None:
    """Have staff freeze or ban an account."""
    stand.portal.call(accounts.set_state, stand.site.db, client.account_id, state)


def test_a_frozen_account_begins_nothing(stand: Stand, alice: Client) -> None:
    put_into(stand, alice, "frozen")
    for path in (BEGIN, UPI, TRON):
        assert refused(alice, path, base_of(path)).refusal == (403, "account_frozen")


def test_a_page_of_a_recharge_that_is_over_is_not_shown_again(stand: Stand, alice: Client) -> None:
    ref = begun(alice)
    paid(stand, ref)
    answer = alice.post(UPI, {"transactionId": ref})
    assert answer.refusal == (409, "recharge_over")
    assert answer.details["paymentStatus"] == "completed"


@pytest.mark.parametrize("path", ["/recharge/history", "/recharge/receipts"])
@pytest.mark.parametrize(
    ("name", "given"),
    [("limit", "0"), ("limit", "101"), ("limit", "many"), ("limit", "1.5"), ("cursor", "0"), ("cursor", "-1"),
     ("cursor", "abc"), ("cursor", str(2**63)), ("cursor", "%EF%BC%91")],
)  # fmt: skip
def test_a_bad_bound_of_a_list_is_refused_by_its_name(alice: Client, path: str, name: str, given: str) -> None:
    answer = alice.get(f"{path}?{name}={given}")
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == [name]


@pytest.mark.parametrize("status", ["", "awaiting_payment", "PENDING", "bogus", "1"])
def test_an_unknown_status_is_refused_by_its_name(alice: Client, status: str) -> None:
    answer = alice.get(f"/recharge/history?status={status}")
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["status"]
