"""What staff change of what is sold, and of its prices: tried before it is stored, stored whole or not at all."""

import csv
import io
from collections.abc import Iterator

import pytest

from numberdesk.catalogue import reference
from numberdesk.catalogue import service as catalogue
from numberdesk.catalogue.service._sheets import COLUMNS
from tests.http.staff import Member
from tests.http.stand import JWT_SECRET, PEPPER, TELEGRAM, Answer, Client, Stand

HEAD = ",".join(COLUMNS)


@pytest.fixture(autouse=True)
def _as_before(stand: Stand) -> Iterator[None]:
    yield
    stand.change("DELETE FROM price_rules")
    stand.change("UPDATE services SET is_on = true")
    stand.change("UPDATE catalogue_version SET version = version + 1")
    stand.portal.call(lambda: catalogue.refresh(stand.site.db, stand.site.shelf))


def imported(member: Member, text: str | bytes, query: str = "") -> Answer:
    raw = text if isinstance(text, bytes) else text.encode()
    return member.client.send("POST", f"/admin/prices/import{query}", body=raw, headers={"Content-Type": "text/csv"})


def rules(member: Member) -> list[tuple[str | None, int | None, str, str]]:
    found = member.client.get("/admin/prices").data["items"]
    return [(item["service"], item["country"], item["marginPercent"], item["floor"]) for item in found]


def last_event(member: Member, action: str) -> dict[str, object]:
    found = member.client.get(f"/admin/audit?action={action}&limit=1").data["items"]
    return dict(found[0]["details"])


def test_a_service_is_taken_off_named_and_moved_and_the_list_leaves_it_so(
    stand: Stand, alice: Client, ops: Member
) -> None:
    changed = ops.client.post("/admin/services", {"code": "tg", "isOn": False, "name": "Telegram (ours)"}).data
    assert (changed["isOn"], changed["name"]) == (False, "Telegram (ours)")
    assert alice.post("/auth/get-number", TELEGRAM).refusal[1] == "service_off"
    told = last_event(ops, "service_changed")
    assert (told["is_on_before"], told["is_on"], told["name_before"]) == (True, False, "Telegram")
    stand.portal.call(reference.load, stand.site.db)
    assert stand.ask("SELECT name FROM services WHERE code = 'tg'") == "Telegram (ours)"
    listed = {item["code"]: item for item in ops.client.get("/admin/services").data["items"]}
    assert (listed["tg"]["isOn"], listed["tg"]["isBlocked"]) == (False, False)
    assert listed["tg"]["offers"] > 0
    moved = ops.client.post("/admin/services", {"code": "tg", "isOn": True, "category": "bank"})
    if moved.status == 200:
        assert moved.data["isBlocked"] is True
    assert ops.client.post("/admin/services", {"code": "tg", "category": "sandbox"}).refusal[0] == 400
    assert ops.client.post("/admin/services", {"code": "tg", "category": "no such"}).refusal[0] == 400
    assert ops.client.post("/admin/services", {"code": "nope"}).refusal[1] == "unknown_service"
    stand.change("UPDATE services SET name = 'Telegram', category = $1, is_ours = false WHERE code = 'tg'",
                 listed["tg"]["category"])  # fmt: skip


def test_a_country_is_taken_off_and_put_on_again(alice: Client, ops: Member) -> None:
    assert ops.client.post("/admin/countries", {"country": "IN", "isOn": False}).data["isOn"] is False
    assert alice.post("/auth/get-number", TELEGRAM).refusal[1] == "country_off"
    assert ops.client.post("/admin/countries", {"country": 22, "isOn": True}).data["isOn"] is True
    assert last_event(ops, "country_changed") == {"country": 22, "is_on": True, "is_on_before": False}
    alice.buy()
    assert ops.client.post("/admin/countries", {"country": "XX", "isOn": True}).refusal[1] == "unknown_country"


def test_rules_are_tried_before_they_are_stored(stand: Stand, alice: Client, finance: Member, ops: Member) -> None:
    body: dict[str, object] = {"rules": [{"service": "tg", "country": "IN", "marginPercent": "-10"}]}
    tried = ops.client.post("/admin/prices/preview", body).data
    assert (tried["isStored"], tried["changed"], tried["cheaper"], tried["belowCost"]) == (False, 1, 1, 1)
    assert tried["warnings"] == ["1 of 1 changed prices would be sold below cost."]
    (example,) = tried["examples"]
    assert (example["cost"], example["before"], example["after"]) == ("17.75", "21.30", "15.98")
    assert rules(finance) == [(None, None, "20.00", "1.00")], "the rule that nobody wrote"
    assert ops.client.post("/admin/prices", body).refusal == (403, "scope_too_small")
    body = {"rules": [{"service": "tg", "country": 22, "marginPercent": 100, "floor": "2"}]}
    stored = finance.client.post("/admin/prices", body).data
    assert (stored["isStored"], stored["rules"][0]["before"]) == (True, None)
    assert rules(finance) == [(None, None, "20.00", "1.00"), ("tg", 22, "100.00", "2.00")]
    bought = alice.get(f"/orders/{alice.buy()}").data["order"]
    assert bought["price"] == "35.50"
    told = last_event(finance, "prices_changed")
    assert told["changes"] == "*/tg/22/*: none -> 100.00% from 2.00"
    gone = {"rules": [{"service": "tg", "country": 22, "isGone": True}]}
    assert finance.client.post("/admin/prices", gone).data["rules"][0]["after"] is None
    assert rules(finance) == [(None, None, "20.00", "1.00")]


@pytest.mark.parametrize(
    ("rule", "field"),
    [({"service": "nope"}, "service"), ({"country": "ZZ"}, "country"), ({"provider": "nobody"}, "provider"),
     ({"accountId": 987654}, "accountId"), ({"marginPercent": "abc"}, "marginPercent"),
     ({"marginPercent": "1.234"}, "marginPercent"), ({"marginPercent": "-100"}, "marginPercent"),
     ({"floor": "0"}, "floor")],
)  # fmt: skip
def test_one_wrong_rule_stores_none(finance: Member, rule: dict[str, object], field: str) -> None:
    body = {"rules": [{"service": "wa", "marginPercent": "5"}, {"marginPercent": "5"} | rule]}
    answer = finance.client.post("/admin/prices", body)
    assert list(answer.details["fields"]) in ([f"rules[1]: {field}"], [f"rules[1].{field}"])
    assert rules(finance) == [(None, None, "20.00", "1.00")]


def test_a_sheet_goes_out_and_comes_back_the_same(finance: Member) -> None:
    body = {"rules": [{"service": "tg", "marginPercent": "-5.50"}, {"marginPercent": "30"},
                      {"country": "IN", "provider": "alpha", "marginPercent": "12", "floor": "3.25"}]}  # fmt: skip
    finance.client.post("/admin/prices", body)
    answer = finance.client.get("/admin/prices/export")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.reader(io.StringIO(answer.body.decode())))
    assert tuple(lines[0]) == COLUMNS
    assert ["", "", "22", "alpha", "12.00", "3.25"] in lines
    same = imported(finance, answer.body, "?store=true&replace=true").data
    assert (same["rules"], same["warnings"]) == ([], [])
    fewer = b"\r\n".join(answer.body.split(b"\r\n")[:2]) + b"\r\n"
    assert len(imported(finance, fewer, "?replace=true").data["rules"]) == 2
    assert len(rules(finance)) == 3, "it was only tried"
    assert imported(finance, fewer, "?store=true&replace=true").data["isStored"] is True
    assert rules(finance) == [(None, None, "30.00", "1.00")]


def test_a_sheet_holds_the_rule_that_decides_where_none_is_stored(finance: Member) -> None:
    assert finance.client.get("/admin/prices/export").body.split(b"\r\n")[1:] == [b",,,,20.00,1.00", b""]
    finance.client.post("/admin/prices", {"rules": [{"service": "tg", "marginPercent": "5"}]})
    lines = finance.client.get("/admin/prices/export").body.split(b"\r\n")[1:]
    assert lines == [b",,,,20.00,1.00", b",tg,,,5.00,1.00", b""]
    assert len(lines) - 1 == len(rules(finance)), "as many as the list shows"


@pytest.mark.parametrize("rest", ["", "\r\n\r\n", ",,,,,\r\n"])
def test_a_sheet_that_lost_its_rules_takes_none_away(finance: Member, rest: str) -> None:
    head = "account,service,country,provider,margin_percent,floor\r\n"
    assert imported(finance, f"{head},tg,,,33,\r\n", "?store=true").status == 200
    before = rules(finance)
    for query in ("?replace=true", "?store=true&replace=true"):
        assert list(imported(finance, head + rest, query).details["fields"]) == ["file"]
    assert imported(finance, head + rest, "?store=true").data["rules"] == []
    assert rules(finance) == before


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (",tg,22,,20", "line 3"), (",tg,22,,twenty,1", "line 3: margin_percent"), (",=1+1,,,20,1", "line 3: service"),
        (",tg,,@cmd,20,1", "line 3: provider"), (",+tg,,,20,1", "line 3: service"), ("-1,tg,,,20,1", "line 3: account"),
        (",tg,,,=20,1", "line 3: margin_percent"), (",tg,,,20,0", "line 3: floor"), (",nope,,,20,1", "line 3: service"),
        ("999999,,,,20,1", "line 3: accountId"), (",wa,,,20,1", "line 3: service"), ("x,,,,20,1", "line 3: account"),
        (",\t=1,,,20,1", "line 3: service"), (",tg,,,1e9,1", "line 3: margin_percent"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_nothing_is_stored(finance: Member, line: str, place: str) -> None:
    answer = imported(finance, f"{HEAD}\n,wa,,,25,1\n{line}\n", "?store=true")
    assert list(answer.details["fields"]) == [place]
    assert rules(finance) == [(None, None, "20.00", "1.00")]


@pytest.mark.parametrize(
    "raw", [b"", b"a,b,c\n", b"\xff\xfe\x00", HEAD.encode() + b'\n"unclosed,,,,20,1\n', b"{}"],
)  # fmt: skip
def test_what_is_no_sheet_is_refused(finance: Member, raw: bytes) -> None:
    assert imported(finance, raw, "?store=true").refusal == (400, "invalid_request")


def test_every_bad_line_is_named_up_to_a_bound(finance: Member) -> None:
    answer = imported(finance, f"{HEAD}\n" + ",nope,,,x,1\n" * 200)
    assert 50 <= len(answer.details["fields"]) <= 60
    assert imported(finance, b"x" * 1_000_001).refusal in ((413, "body_too_large"), (400, "invalid_request"))


def test_the_settings_are_shown_without_their_secrets(stand: Stand, ops: Member, finance: Member) -> None:
    answer = ops.client.get("/admin/settings")
    shown = {item["name"]: item for item in answer.data["items"]}
    assert shown["STAFF_DAILY_CAP"]["value"] == "100000"
    assert (shown["JWT_SECRET"]["value"], shown["JWT_SECRET"]["isSecret"]) == ("is set", True)
    assert shown["SMTP_PASSWORD"]["value"] is None
    database = stand.site.settings.database_url
    assert database is not None
    for secret in (JWT_SECRET, PEPPER, database.get_secret_value()):
        assert secret.encode() not in answer.body
    assert finance.client.get("/admin/settings").refusal == (403, "scope_too_small")
