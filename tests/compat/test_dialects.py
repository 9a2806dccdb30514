"""Which dialect is spoken: that of the address, or on the plain one that of the key."""

import time

import pytest

from tests.compat.bot import DIALECTS, Bot
from tests.http.stand import SECURITY, Client, Stand

BAD_ACTION = {"classic": (200, "BAD_ACTION"), "hero": (404, "BAD_ACTION"), "grizzly": (200, "BAD_ACTION")}


def dialect_of(bot: Bot) -> str:
    """Return the dialect by the form of the list of what goes on."""
    body = bot.send("getActiveActivations").body
    return {b"NO_ACTIVATIONS": "classic", b"[]": "grizzly"}.get(body, "hero")


@pytest.mark.parametrize("spoken", DIALECTS)
def test_a_key_speaks_its_dialect_where_the_address_leaves_it_open(stand: Stand, alice: Bot, spoken: str) -> None:
    bot = Bot(stand.another_key(alice.client, dialect=spoken))  # type: ignore[arg-type]
    assert dialect_of(bot) == spoken
    for address in ("hero", "grizzly"):
        assert dialect_of(bot.speaking(address)) == address


def test_the_dialect_of_a_key_is_chosen_with_it_and_changed_later(stand: Stand) -> None:
    person = stand.signed_in("dialect@example.com")
    made = person.client.post("/user/api-keys", {"name": "bot", "scopes": ["read", "order"], "dialect": "hero"}).data
    bot = Bot(Client(stand.port, made["secret"], person.account_id))
    assert dialect_of(bot) == "hero"
    changed = person.client.send(
        "PUT", f"/user/api-keys/{made['id']}", body=b'{"dialect": "grizzly"}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert changed.data["dialect"] == "grizzly"
    for _ in range(20):
        if dialect_of(bot) == "grizzly":
            break
        time.sleep(0.1)
    assert dialect_of(bot) == "grizzly"
    listed = person.client.get("/user/api-keys").data["items"]
    assert [item["dialect"] for item in listed] == ["grizzly"]
    wrong = person.client.post("/user/api-keys", {"name": "bot", "scopes": ["read"], "dialect": "smpp"})
    assert wrong.refusal == (400, "invalid_request")
    other = stand.signed_in("other@example.com").client.send(
        "PUT", f"/user/api-keys/{made['id']}", body=b'{"dialect": null}', headers={"Content-Type": "application/json"}
    )
    assert other.refusal == (404, "not_found")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refusals_have_the_form_of_the_dialect(alice: Bot, dialect: str) -> None:
    assert alice.speaking(dialect).refused("nosuch") == BAD_ACTION[dialect]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_texts_are_the_word_and_nothing_else(alice: Bot, dialect: str) -> None:
    answer = alice.speaking(dialect).send("getBalance")
    assert answer.body == b"ACCESS_BALANCE:1000.00"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers.items() >= SECURITY.items()


def test_the_request_id_of_a_caller_comes_back(alice: Bot) -> None:
    answer = Client(alice.client.port).get("/stubs/handler_api.php", X_Request_Id="my-own-request-1")
    assert answer.headers["x-request-id"] == "my-own-request-1"
    assert answer.body == b"NO_KEY"


def test_what_is_not_to_be_had_here_has_its_word(alice: Bot) -> None:
    order_id = alice.buy()
    renewed = "RENEW_ACTIVATION_NOT_AVAILABLE"
    words = {
        "checkExtraActivation": renewed, "getExtraActivation": renewed, "reactivate": renewed,
        "getAdditionalService": "WRONG_ADDITIONAL_SERVICE",
        "getIncomingCallStatus": "NOT_INCOMING", "parseCall": "NO_CALL", "createTaskForCall": "NO_CALL",
    }  # fmt: skip
    for action, word in words.items():
        assert alice.text(action, id=order_id, activationId=order_id, service="wa") == word
        assert alice.text(action, activationId=order_id) == word
        assert alice.speaking("hero").refused(action, id=order_id)[0] in (400, 409)
