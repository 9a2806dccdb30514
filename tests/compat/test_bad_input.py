"""Every action with what bots send by mistake, in all dialects: the right word, and never a stack or a 5xx."""

import itertools
import re
from typing import Any

import pytest

from numberdesk.compat._door import ACTIONS, CHANGES, PATH, PURCHASES, RENTS
from numberdesk.compat._lists import HANDLERS
from tests.compat.bot import DIALECTS, OTHERS, PREFIXES, Bot, money, refusal
from tests.http.stand import Answer, Client, Stand

MINE = sorted(set(ACTIONS) - set(HANDLERS))
"""The lists of the catalogue have a file of their own."""
ON_ONE = sorted(
    name for name in MINE if name not in PURCHASES | RENTS and re.search("tatus|Sms|tivation$|reactiv|Call|Addit", name)
)
"""Actions that are about one activation."""
WRONG: dict[str, Any] = {
    "missing": None, "empty": "", "blank": "   ", "a word": "abc", "negative": "-7", "a fraction": "1.5",
    "zero": "0", "huge": "9" * 25, "oversized": "x" * 5000, "control": "1\x00\x1b2", "a new line": "1\n2",
    "another script": "٤٢", "quotes": "1' OR '1'='1", "turned": "\u202e12", "broken": b"\xff\xfe",
    "several": ["abc", "1"], "brackets": "id[]", "json": '{"$gt": 0}', "a path": "../../etc/passwd",
    "markup": "<script>alert(1)</script>",
}  # fmt: skip
TRACES = (b"Traceback", b"Error:", b"numberdesk.", b"asyncpg", b"SELECT")


def looked_at(answer: Answer, dialect: str) -> Answer:
    """Return an answer, once it is one that any client can bear."""
    assert answer.status < 500, answer
    assert not any(trace in answer.body for trace in TRACES), answer
    if dialect != "hero":
        assert answer.status == 200, answer
    return answer


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("action", MINE)
def test_any_parameter_may_be_wrong_in_any_way(alice: Bot, action: str, dialect: str) -> None:
    bot = alice.speaking(dialect)
    for name, value in itertools.product(
        ("id", "service", "country", "status", "maxPrice", "start", "limit"), WRONG.values()
    ):
        given = {"id": "5", "service": "nosuch", "country": "22", "status": "9"} | {name: value}
        wanted: dict[str, Any] = {key: item for key, item in given.items() if item is not None}
        looked_at(bot.send(action, **wanted), dialect)
    marks: dict[str, Any] = dict.fromkeys(("id", "service", "country", "orderId", "operator"), "?")
    looked_at(bot.send(action, **marks), dialect)
    assert money(alice) == ("1000.00", "0.00")


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("action", ON_ONE)
def test_what_is_no_id_is_refused_by_its_word(alice: Bot, action: str, how: str) -> None:
    given = {} if WRONG[how] is None else {"id": WRONG[how]}
    polls, calls = ("getStatus", "getStatusV2", "getFullSms"), ("getIncomingCallStatus", "parseCall")
    word = "NO_ACTIVATION" if action in polls else "WRONG_ACTIVATION_ID"
    if action in (*calls, "createTaskForCall", "getOutgoingCalls"):
        word = "INVALID_ACTIVATION_ID"
    assert alice.text(action, **given, status="8") == word
    status, title = alice.speaking("hero").refused(action, **given, status="8")
    expected = {"NO_ACTIVATION": (404, "NOT_FOUND"), "WRONG_ACTIVATION_ID": (422, "UNPROCESSABLE_ENTITY")}
    assert (status, title) == expected.get(word, (400, word))


@pytest.mark.parametrize("how", WRONG)
def test_what_is_no_status_is_refused_by_its_word(alice: Bot, how: str) -> None:
    order_id = alice.buy()
    given = {} if WRONG[how] is None else {"status": WRONG[how]}
    assert alice.text("setStatus", id=order_id, **given) == "BAD_STATUS"
    assert alice.speaking("hero").refused("setStatus", id=order_id, **given) == (400, "BAD_STATUS")
    assert alice.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"


@pytest.mark.parametrize("action", ["getNumber", "getNumberV2"])
@pytest.mark.parametrize("how", WRONG)
def test_what_is_no_service_or_country_is_refused_by_its_word(alice: Bot, action: str, how: str) -> None:
    value = WRONG[how]
    given = {} if value is None else {"service": value}
    assert alice.text(action, **given, country="22") == "BAD_SERVICE"
    if value not in (None, "", "   ", "0"):  # no country is any country, and 0 is Russia
        assert alice.text(action, service="tg", country=value) == "BAD_COUNTRY"
    assert money(alice) == ("1000.00", "0.00")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_blanks_around_names_and_values_do_not_count(alice: Bot, dialect: str) -> None:
    bot = alice.speaking(dialect)
    padded: dict[str, Any] = {" service ": " tg ", "country ": "22 "}
    answer = bot.send("  getNumber\t", **padded)
    assert answer.body.startswith(b"ACCESS_NUMBER:"), answer
    number = answer.body.decode().split(":")[1]
    assert bot.text("getStatus ", **{"id ": f" {number} "}) == "STATUS_WAIT_CODE"
    assert bot.text("getStatus", id=f"000{number}") == "STATUS_WAIT_CODE"


def test_of_several_parameters_with_one_name_the_first_counts(alice: Bot) -> None:
    first, second = alice.buy(), alice.buy()
    assert alice.text("getFullSms", id=[first, "nonsense"]) == "STATUS_WAIT_CODE"
    assert alice.text("getFullSms", id=["nonsense", second]) == "NO_ACTIVATION"
    answer = alice.send("getStatus", method="POST", form={"id": "nonsense"}, id=first)
    assert answer.body == b"STATUS_WAIT_CODE"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_actions_that_there_are_not(alice: Bot, dialect: str) -> None:
    bot, missing = alice.speaking(dialect), "BAD_ACTION" if dialect == "hero" else "NO_ACTION"
    status = 404 if dialect == "hero" else 200
    assert bot.refused(None) == (status, missing)  # type: ignore[arg-type]
    assert bot.refused("") == (status, missing)
    for action in ("nosuch", "getnumber", "GETBALANCE", "__class__", "x" * 4000, "get\x00Balance", "?"):
        assert bot.refused(action) == (status, "BAD_ACTION")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_keys_that_there_are_not(stand: Stand, dialect: str) -> None:
    missing = (422, "UNPROCESSABLE_ENTITY") if dialect == "hero" else (200, "NO_KEY")
    wrong = (401, "BAD_KEY") if dialect == "hero" else (200, "BAD_KEY")
    for key in (None, "", "  "):
        assert Bot(Client(stand.port, key), dialect).refused("getBalance") == missing
    for key in ("x", "nd_live_" + "a" * 47, "?", "x" * 3000, "\x00", "ключ", stand.customer().key[:-1]):  # type: ignore[index]
        assert Bot(Client(stand.port, key), dialect).refused("getBalance") == wrong


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_that_is_too_large_is_refused_by_a_word(alice: Bot, dialect: str) -> None:
    bot, expected = alice.speaking(dialect), (422, "UNPROCESSABLE_ENTITY") if dialect == "hero" else (200, "BAD_DATA")
    assert bot.refused("getBalance", junk="x" * 9000) == expected
    assert bot.refused("getBalance", **{f"p{number}": 1 for number in range(400)}) == expected
    assert bot.refused("getBalance", method="POST", form={"junk": "x" * 70_000}) == expected


def test_what_is_no_form_is_not_read_as_one(alice: Bot) -> None:
    query = f"{PATH}?api_key={alice.client.key}&action=getBalance"
    sender = Client(alice.client.port)
    for kind, body in (
        ("application/json", b'{"action": "nosuch"}'), ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"&&&==&%zz=%"), ("text/plain", b"\xff\x00"),
    ):  # fmt: skip
        answer = sender.send("POST", query, body=body, headers={"Content-Type": kind})
        assert answer.body == b"ACCESS_BALANCE:1000.00"


def test_other_methods_and_paths_buy_nothing(alice: Bot) -> None:
    sender = Client(alice.client.port, others=OTHERS)
    asked = f"?api_key={alice.client.key}&action=getNumber&service=tg&country=22"
    for method in ("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
        answer = sender.send(method, PATH + asked)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    for path in (PATH + "x", PATH + "/x", "/stubs/", "/hero/stubs/other.php"):
        assert sender.get(path + asked).status == 404
    assert sender.get(PATH + "/" + asked).body.startswith(b"ACCESS_NUMBER:")
    assert money(alice)[1] == "21.30"


def test_a_key_without_the_right_to_order_may_look_only(stand: Stand, alice: Bot) -> None:
    order_id = alice.buy()
    reader = Bot(stand.another_key(alice.client, "read"))
    assert reader.text("getStatus", id=order_id) == "STATUS_WAIT_CODE"
    assert reader.text("getBalance").startswith("ACCESS_BALANCE:")
    for action in sorted(CHANGES - RENTS):
        assert reader.text(action, id=order_id, status="8", service="tg", country="22") == "BAD_KEY"
        assert reader.speaking("hero").refused(action, id=order_id, status="8") == (401, "BAD_KEY")
    for action in sorted(CHANGES & RENTS):
        assert reader.json(action, id=order_id, status="2", service="tg")["message"] == "BAD_KEY"
    assert money(alice)[1] == "21.30"


def test_a_key_of_a_header_works_and_that_of_the_address_counts_first(alice: Bot, bob: Bot) -> None:
    sender, hero = Client(alice.client.port), f"{PREFIXES['hero']}{PATH}"
    shown = {"Authorization": f"ApiKey {alice.client.key}"}
    assert sender.send("GET", f"{hero}?action=getBalance", headers=shown).body == b"ACCESS_BALANCE:1000.00"
    wrong = sender.send("GET", f"{hero}?action=getBalance&api_key=wrong", headers=shown)
    assert refusal(wrong, "hero") == (401, "BAD_KEY")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_trouble_of_ours_is_told_by_a_word_and_nothing_more(
    stand: Stand, alice: Bot, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("SELECT secret FROM somewhere")

    monkeypatch.setattr("numberdesk.orders.service._handover.buy", breaks)
    monkeypatch.setattr("numberdesk.wallet.service.balance", breaks)
    bot = alice.speaking(dialect)
    for action in ("getNumber", "getNumberV2"):
        answer = looked_at(bot.send(action, service="tg", country="22"), dialect)
        assert refusal(answer, dialect) == (200, "ERROR_SQL")
    expected = (500, "SERVER_ERROR") if dialect == "hero" else (200, "ERROR_SQL")
    assert bot.refused("getBalance") == expected
