"""The bank's messages on the wire: only the operator's devices may forward them, and alone they prove nothing."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base import clock
from numberdesk.base.postgres import Cluster
from tests.http.recharging import BEGIN, CLAIM_UPI, EMPTY, VPA, new_utr, paid_by_upi
from tests.http.stand import Answer, Client, Stand

PATH = "/webhooks/bank/alert"
SECRET, OTHER_SECRET = "secret-of-the-phone", "secret-of-the-tablet"
TOO_OLD = 310


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site that is paid at one UPI address, and whose operator has two devices."""
    keys = f"phone:{SECRET},tablet:{OTHER_SECRET}"
    with paid_by_upi(portal, cluster, bank_alert_keys=keys) as stand:
        yield stand


@pytest.fixture
def alice(stand: Stand) -> Client:
    """A new customer with an empty wallet."""
    return stand.customer("0")


def told(amount: str, utr: str) -> dict[str, Any]:
    """Return what a bank writes when money came in."""
    return {"text": f"Rs.{amount} credited to your HDFC Bank A/c XX1234 from asha@ybl. UPI Ref No {utr}"}


def signed(body: object, *, secret: str = SECRET, device: str = "phone", age: int = 0) -> tuple[bytes, dict[str, str]]:
    """Return a message as a device sends it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = f"{int(clock.now().timestamp()) - age}"
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return raw, {
        "Content-Type": "application/json", "X-Alert-Device": device, "X-Alert-Timestamp": timestamp,
        "X-Alert-Signature": signature,
    }  # fmt: skip


def sent(stand: Stand, body: object, **changes: Any) -> Answer:
    """Forward a message."""
    raw, headers = signed(body, **changes)
    return stand.nobody.send("POST", PATH, body=raw, headers=headers)


def known(stand: Stand) -> int:
    """Return how much the bank has said so far."""
    return int(stand.ask("SELECT count(*) FROM bank_credits"))


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "a guess"}, {"secret": OTHER_SECRET}, {"secret": ""}, {"device": "fax"}, {"device": ""},
        {"device": "tablet"}, {"age": TOO_OLD}, {"age": -TOO_OLD}, {"age": 10**9},
    ],
)  # fmt: skip
def test_a_forged_or_stale_message_is_refused_without_saying_why(stand: Stand, changes: dict[str, Any]) -> None:
    before = known(stand)
    answer = sent(stand, told("100.37", new_utr()), **changes)
    assert answer.refusal == (401, "bad_signature")
    assert answer.json["error"] == "The signature is not valid."
    assert set(answer.details) == {"code", "category", "requestId"}
    assert known(stand) == before


@pytest.mark.parametrize("name", ["X-Alert-Device", "X-Alert-Timestamp", "X-Alert-Signature"])
@pytest.mark.parametrize("given", [None, "", "0", "-1", "9" * 400, "1.5", "é", "\u0661"])
def test_a_message_with_a_wrong_header_is_refused(stand: Stand, name: str, given: str | None) -> None:
    raw, headers = signed(told("100.37", new_utr()))
    wire: dict[str, str | bytes] = {key: text for key, text in headers.items() if key != name}
    if given is not None:
        wire[name] = given.encode()
    assert stand.nobody.send("POST", PATH, body=raw, headers=wire).refusal == (401, "bad_signature")


def test_a_message_that_was_changed_on_its_way_is_refused(stand: Stand) -> None:
    raw, headers = signed(told("100.37", new_utr()))
    for body in (raw.replace(b"100.37", b"900.37"), raw[:-1], raw + b" ", b""):
        assert stand.nobody.send("POST", PATH, body=body, headers=headers).refusal == (401, "bad_signature")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"1", b"null", {}, {"text": None}, {"text": 5},
                                  {"text": ["a"]}, {"text": "a", "vpa": 5}, b"[" * 60_000])  # fmt: skip
def test_a_signed_body_that_is_no_message_is_refused_by_its_field(stand: Stand, body: object) -> None:
    answer = sent(stand, body)
    assert answer.refusal == (400, "invalid_request")
    assert list(answer.details["fields"]) == ["text"]


def test_a_message_about_another_address_is_refused_by_its_field(stand: Stand) -> None:
    for vpa in ("others@okbank", "", "\0"):
        answer = sent(stand, told("100.37", new_utr()) | {"vpa": vpa})
        assert answer.refusal == (400, "invalid_request")
        assert list(answer.details["fields"]) == ["vpa"]


def test_a_body_that_no_message_is_as_long_as_is_refused(stand: Stand) -> None:
    assert sent(stand, {"text": "x" * 65_536}).refusal == (413, "body_too_large")


@pytest.mark.parametrize(
    "text",
    ["Rs.100.00 debited from your HDFC Bank A/c XX1234. UPI Ref No 633112345678", "Your OTP is 123456", "", "\0" * 9,
     "asha@ybl requested Rs.100 by UPI", "Rs.100.00 credited to your HDFC Bank A/c XX1234", "x" * 5000],
)  # fmt: skip
def test_a_message_of_no_payment_to_us_is_taken_and_forgotten(stand: Stand, text: str) -> None:
    before = known(stand)
    assert sent(stand, {"text": text}).data == {"isNew": False}
    assert known(stand) == before


def test_a_message_is_kept_once_for_staff_and_credits_nothing(stand: Stand, alice: Client) -> None:
    staff = stand.signed_in("support-of-alerts@example.com", role="support").client
    stand.change(
        "UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        staff.account_id,
    )
    page, utr = alice.post(BEGIN, {"method": "upi", "amount": "100"}).data, new_utr()
    ref, amount = page["transactionId"], page["pay"]["amount"]
    message = told(amount, utr)
    assert sent(stand, message, device="tablet", secret=OTHER_SECRET).data == {"isNew": True}
    assert sent(stand, message | {"vpa": VPA.upper()}).data == {"isNew": False}
    (found,) = [item for item in staff.get("/admin/review").data["unclaimed"] if item["utr"] == utr]
    assert (found["amount"], found["source"], found["suggestion"]) == (amount, "alert", ref)
    assert alice.post(CLAIM_UPI, {"transactionId": ref, "utr": utr}).data["outcome"] == "waiting"
    assert alice.get("/user/balance").data == EMPTY
