"""What agents say and post, read: sure only where it is, and liberal about how a number is written."""

import msgspec
import pytest

from numberdesk.base.money import Paise
from numberdesk.providers.adapters import agent_parse as parse
from numberdesk.providers.model import Done, Ended, Pushed, Received, Refused, Rented, Unknown, UpstreamOffer
from numberdesk.providers.simulator import catalogue

SALE = b'{"status": "SUCCESS", "number": 919812345678, "activationId": 1737238291}'


def push(**changed: object) -> bytes:
    body = {
        "action": "PUSH_SMS",
        "key": "k",
        "smsId": 8812,
        "phone": 919812345678,
        "phoneFrom": "VK",
        "text": "Hi 48213",
    }
    return msgspec.json.encode(body | changed)


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (SALE, 200, Rented("1737238291", "919812345678", None, can_get_next=True)),
        (b'{"status":"SUCCESS","number":"+919812345678","activationId":"7"}', 200,
         Rented("7", "919812345678", None, can_get_next=True)),
        (b'{"status":"NO_NUMBERS"}', 200, Refused("no_numbers", "")),
    ],
)  # fmt: skip
def test_a_purchase_is_read(body: bytes, status: int, answer: object) -> None:
    assert parse.rent(body, status) == answer


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"status":"ERROR","error":"Invalid API key"}', 200, "bad_key"),
        (b'{"status":"ERROR","error":"Invalid API key"}', 403, "bad_key"),
        (b'{"status":"ERROR","error":" invalid key. "}', 200, "bad_key"),
    ],
)
def test_a_sentence_that_is_listed_whole_is_a_refusal(body: bytes, status: int, reason: str) -> None:
    answer = parse.rent(body, status)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (SALE, 500), (SALE, 302), (SALE, 404), (SALE[:-1], 200), (b"", 200),
        (b'{"status":"ERROR"}', 500),
        (b'{"status":"ERROR"}', 200),
        (b'{"status":"ERROR","error":"Unknown country"}', 200),
        (b'{"status":"ERROR","error":"KeyError: operator"}', 200),
        (b'{"status":"ERROR","error":"Invalid API key for modem 7"}', 200),
        (b'{"status":"NO_NUMBERS"}', 204),
        (b'{"status":"NO_NUMBERS"}', 302),
        (b'{"status":"SUCCESS"}', 200),
        (b'{"status":"SUCCESS","number":12,"activationId":7}', 200),
        (b'{"status":"SUCCESS","number":919812345678,"activationId":0}', 200),
        (b'{"status":"SUCCESS","number":919812345678,"activationId":1.5}', 200),
        (b'{"status":"SUCCESS","number":919812345678,"activationId":null}', 200),
        (b'{"status":"BUSY"}', 200),
    ],
)  # fmt: skip
def test_anything_else_is_not_known(body: bytes, status: int) -> None:
    assert isinstance(parse.rent(body, status), Unknown)


def test_a_word_that_nobody_has_listed_is_told() -> None:
    for read in (parse.rent, parse.ended):
        answer = read(b'{"status":"MAINTENANCE"}', 200)
        assert isinstance(answer, Unknown)
        assert answer.word == "MAINTENANCE"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"status":"SUCCESS"}', 200, Done),
        (b'{"status":"SUCCESS"}', 404, Unknown),
        (b'{"status":"ERROR","error":"Activation not found"}', 200, Ended),
        (b'{"status":"ERROR","error":"No active activation found"}', 404, Ended),
        (b'{"status":"ERROR","error":"No active modems"}', 200, Unknown),
        (b'{"status":"ERROR","error":"Invalid API key: activation not found"}', 200, Unknown),
        (b'{"status":"ERROR"}', 200, Unknown),
        (b'{"status":"SUCCESS"}', 503, Unknown),
        (b"not found", 404, Unknown),
    ],
)
def test_an_end_is_sure_only_when_the_agent_says_so(body: bytes, status: int, kind: type) -> None:
    assert type(parse.ended(body, status)) is kind


def test_what_an_agent_has_is_listed_by_country_operator_and_service() -> None:
    body = (
        b'{"status":"SUCCESS","countryList":[{"country":"india","operatorMap":'
        b'{"jio":{"tg":3,"wa":"5","go":-1,"vk":"x"},"airtel":{}}}]}'
    )
    assert parse.listing(body, 200, pay_paise=Paise(1000)) == (
        UpstreamOffer("tg", "india", "jio", Paise(1000), 3),
        UpstreamOffer("wa", "india", "jio", Paise(1000), 5),
    )
    assert isinstance(parse.listing(body, 404, pay_paise=Paise(1000)), Unknown)
    assert isinstance(parse.listing(b'{"status":"ERROR"}', 200, pay_paise=Paise(1000)), Unknown)


def test_a_posted_message_names_the_number_and_has_its_code_found() -> None:
    found = parse.pushed(push())
    assert found is not None
    (event,) = found
    assert event == Pushed(event.event_id, None, "919812345678", Received("48213", "Hi 48213"), "VK", "k")
    assert "k" not in repr(event).replace("key", "")
    assert parse.pushed(push()) == found
    assert parse.pushed(push(phone="+919812345678", smsId="8812")) == found


@pytest.mark.parametrize("changed", [{"smsId": 8813}, {"text": "Hi 48214"}, {"phone": 919812345679}])
def test_another_message_is_another_event(changed: dict[str, object]) -> None:
    first, second = parse.pushed(push()), parse.pushed(push(**changed))
    assert first is not None
    assert second is not None
    assert first[0].event_id != second[0].event_id


@pytest.mark.parametrize("changed", [{"action": "PUSH_CALL"}, {"phone": 12}, {"phone": None}, {"key": 5}, {"text": []}])
def test_what_is_no_message_is_none(changed: dict[str, object]) -> None:
    assert parse.pushed(push(**changed)) is None


def test_a_message_without_a_text_is_taken_and_is_nothing() -> None:
    assert parse.pushed(push(text="  ")) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Telegram code 48213. Do not give it to anyone.", "48213"),
        ("Your WhatsApp code: 482-130", "482130"),
        ("123 456 is your Instagram code", "123456"),
        ("G-123456 is your code", "123456"),
        ("Code 12345678", "12345678"),
        ("Call us: 123456789012", ""),
        ("Order 2024: your code is 48213", "48213"),
        ("Balance 1500.00 Rs. PIN 4821", "4821"),
        ("Call 1800 123 4567", ""),
        ("Valid till 18:30 25-11-2026 code 7391", "7391"),
        ("ab 12-3456", ""),
        ("Pay Rs. 4999 now", ""),
        ("Offer 1234 or 5678", ""),
        ("48213 is your code, not 99999", "48213"),
        ("Room 12", ""),
        ("", ""),
    ],
)
def test_a_code_is_found_in_a_text(text: str, code: str) -> None:
    assert parse.code_in(text) == code


def test_the_code_of_every_text_that_services_send_is_found() -> None:
    for service in catalogue.SERVICES.values():
        for draw in (0.0, 0.123456, 0.5, 0.987654):
            code, text = catalogue.message_text(service, draw)
            assert parse.code_in(text) == code, text
