"""Every field of every body and query, one after the other, with what nobody should send: named, and never a crash."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, LiteralString
from urllib.parse import quote

import pytest
from anyio.from_thread import BlockingPortal
from msgspec import inspect

from numberdesk import main
from numberdesk.base.calls import Call
from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.every_field import BESIDES, EDGES, EITHER, HUGE, RAW, filled, wrongs
from tests.http.recharging import recharged
from tests.http.staff import Member
from tests.http.stand import Answer, Client, Stand
from tests.http.test_openapi import operations

ENDS_THE_CALLER = {"/auth/logout", "/auth/change-password", "/user/2fa/setup", "/user/2fa/confirm",
                   "/user/2fa/disable", "/user/2fa/recovery-codes"}  # fmt: skip
"""Tried in tests of their own (`test_people`): here they would end the session that tries the others."""
JSON = {"Content-Type": "application/json"}
QUERIES = (
    "", "a\0b", "\u202e", "x" * 5000, "9" * 400, "NaN", "1e999", "-1", "0.5", *EDGES, str(2**31), str(2**63), str(HUGE),
)  # fmt: skip
ESCAPES = ("%FF", "%ED%A0%80", "%C0%80", "%", "%zz", "%00", "%0d%0aX-Evil:1")


@dataclass(frozen=True)
class Scene:
    """A site with one of each, an owner who may do all of it, and a customer."""

    stand: Stand
    owner: Member
    alice: Client
    own_order: int
    order_id: int
    transaction_id: str

    def address(self, path: str) -> str:
        """Return an address about something that is there: the owner's own below his own paths, else of the others."""
        ask, own = self.stand.ask, self.owner.account_id
        number: Any = 1
        if "/user/webhooks/{id}" in path:
            number = ask("SELECT max(id) FROM webhook_endpoints WHERE account_id = $1", own)
        elif "/support/tickets" in path:
            number = ask("SELECT max(id) FROM tickets WHERE account_id = $1", own)
        elif "tickets" in path:
            number = ask("SELECT max(id) FROM tickets WHERE account_id <> $1", own)
        elif "maintenance" in path:
            number = ask("SELECT max(id) FROM maintenance_windows")
        elif "providers" in path:
            number = ask("SELECT min(id) FROM providers WHERE kind <> 'sandbox'")
        elif "/admin/orders" in path:
            number = self.order_id
        elif "users" in path:
            number = self.alice.account_id
        elif "api-keys" in path:
            number = ask("SELECT max(id) FROM api_keys WHERE account_id = $1", own)
        elif "notices" in path:
            number = ask("SELECT max(id) FROM outbox")
        known = {"order_id": self.own_order, "transaction_id": self.transaction_id, "kind": "revenue", "id": number}
        for name, text in known.items():
            path = path.replace(f"{{{name}}}", str(text))
        return path

    def body(self, call: Call[Any]) -> dict[str, Any]:
        """Return a body that a call takes, or refuses for a reason of its own."""
        known = {"orderId": self.own_order, "transactionId": self.transaction_id, "accountId": self.alice.account_id}
        body = filled(inspect.type_info(call.body)) | BESIDES.get(call.path, {})
        return body | {name: value for name, value in known.items() if name in body}

    def renew(self) -> None:
        """Undo what one try may do to the next one: what the limits counted, and that a code is used."""
        self.stand.change("DELETE FROM limit_counters")
        self.stand.portal.call(self.owner.forget_code)


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with stands.opened(portal, cluster, app_env="development", webhook_loopback=True) as stand:
        owner, alice = Member(stand, "owner"), stand.customer()
        stand.credit(owner.client, 1_000_00)
        for client in (owner.client, stand.signed_in("asha-tickets@example.com").client):
            client.post("/support/tickets", {"subject": "A question", "text": "What now?"})
        owner.client.post("/user/webhooks", {"url": "http://127.0.0.1:9/hook"})
        owner.client.post("/user/api-keys", {"name": "bot", "scopes": ["read"]})
        window = {"area": "service", "target": "go", "message": "closed", "startsAt": "2126-01-01T00:00:00Z",
                  "kind": "scheduled", "endsAt": "2126-01-02T00:00:00Z"}  # fmt: skip
        owner.client.post("/admin/maintenance", window)
        yield Scene(stand, owner, alice, owner.client.buy(), alice.buy(), recharged(stand, alice))


def test_no_field_of_any_body_breaks_a_call(scene: Scene) -> None:
    wrong = []
    for call in main.calls(scene.stand.site):
        if call.path in ENDS_THE_CALLER:
            continue
        base, address = scene.body(call), scene.address(call.path)
        scene.renew()
        kind: Any = inspect.type_info(call.body)
        for field in kind.fields:
            name = field.encode_name
            rest = json.dumps({key: item for key, item in base.items() if key != name})[1:-1]
            texts = [json.dumps(value).encode() for value in wrongs(field)] + list(RAW)
            for text in texts:
                body = b'{%s"%s": %s}' % (f"{rest}, ".encode() if rest else b"", name.encode(), text)
                if "totp" in base:
                    scene.renew()
                    body = body.replace(b'"totp": "abcdef"', b'"totp": "%s"' % scene.owner.fresh().encode())
                answer = scene.owner.client.send(call.method, address, body=body, headers=JSON)
                if (problem := broken(answer, name)) is not None:
                    wrong.append((call.path, name, text[:60], problem))
    assert not wrong, "\n".join(map(str, wrong))


def test_no_parameter_of_any_address_breaks_a_read(scene: Scene) -> None:
    wrong = []
    for method, path, item in operations(scene.stand.nobody.get("/openapi.json").json):
        if method != "get":
            continue
        scene.renew()
        for parameter in item.get("parameters", []):
            name, place = parameter["name"], parameter["in"]
            for text in (*(quote(value, safe="") for value in QUERIES), *ESCAPES):
                if place == "query":
                    answer = scene.owner.client.get(f"{scene.address(path)}?{name}={text}")
                elif place == "path" and text:
                    answer = scene.owner.client.get(scene.address(path.replace(f"{{{name}}}", text)))
                else:
                    answer = scene.owner.client.send("GET", scene.address(path), headers={name: b"\xff\xfe" * 50})
                if (problem := broken(answer, name if place == "query" else None)) is not None:
                    wrong.append((path, name, text[:60], problem))
    assert not wrong, "\n".join(map(str, wrong))


def test_every_call_refuses_what_is_no_body_of_its_own(scene: Scene) -> None:
    wrong = []
    for call in main.calls(scene.stand.site):
        address, owner = scene.address(call.path), scene.owner.client
        base = json.dumps(scene.body(call)).encode()
        scene.renew()
        tries: list[tuple[bytes, str, tuple[int, str], list[str] | None]] = [
            (base, "text/plain", (415, "unsupported_media_type"), None),
            (b"a=1", "application/x-www-form-urlencoded", (415, "unsupported_media_type"), None),
            (base + b" " * call.body_max, "application/json", (413, "body_too_large"), None),
            (base[:-1], "application/json", (400, "invalid_json"), None),
            (base + b"{}", "application/json", (400, "invalid_json"), None),
            (b"\xef\xbb\xbf" + base, "application/json", (400, "invalid_json"), None),
            (b"[" * 5000, "application/json", (400, "invalid_request"), ["body"]),
            (b"null", "application/json", (400, "invalid_request"), ["body"]),
            (b'{"bogus":{"a":[1]}}', "application/json", (400, "invalid_request"), ["bogus"]),
            (b'{"\\u202eevil\\u0000":1}', "application/json", (400, "invalid_request"), ["evil"]),
            (b'{"%s":1}' % (b"x" * 5000), "application/json", (400, "invalid_request"), ["x" * 40]),
        ]
        for body, kind, refusal, fields in tries:
            answer = owner.send(call.method, address, body=body, headers={"Content-Type": kind})
            named = None if fields is None else list(answer.details.get("fields", {}))
            if answer.refusal != refusal or named != fields:
                wrong.append((call.path, body[:40], answer.status, answer.body[:200]))
    assert not wrong, "\n".join(map(str, wrong))


def test_nothing_that_asks_for_a_code_is_done_without_a_fresh_one(scene: Scene) -> None:
    """A session that signed in with a code is not enough; nor is a code that was used."""
    stand, owner = scene.stand, scene.owner
    scene.renew()
    used, role = owner.fresh(), f"/admin/users/{scene.alice.account_id}/role"
    assert owner.client.post(role, {"role": "customer", "totp": used}).status == 200
    done: LiteralString = "SELECT count(*) FROM audit_log WHERE actor_id = $1 AND action <> 'second_factor_failed'"
    before = stand.ask(done, owner.account_id)
    refusals: dict[str, set[str]] = {}
    for call in main.calls(stand.site):
        body = scene.body(call)
        if "totp" not in body or call.path.startswith("/user/2fa"):
            continue
        for code in ("000000", used):
            stand.change("DELETE FROM limit_counters")
            answer = owner.client.post(scene.address(call.path), body | {"totp": code})
            assert answer.status in (401, 403, 404, 409), (call.path, answer)
            refusals.setdefault(answer.details["code"], set()).add(call.path)
    assert len(refusals["totp_invalid"]) >= 8, refusals
    assert sum(map(len, refusals.values())) >= 12, refusals
    assert stand.ask(done, owner.account_id) == before


def test_the_examples_of_the_description_are_taken(scene: Scene) -> None:
    described, wrong = scene.stand.nobody.get("/openapi.json").json["paths"], []
    for call in main.calls(scene.stand.site):
        if call.path in ENDS_THE_CALLER:
            continue
        scene.renew()
        body = described[call.path][call.method.lower()]["requestBody"]["content"]["application/json"]["example"]
        body = {name: value if name != "url" else "http://127.0.0.1:9/hook" for name, value in body.items()}
        answer = scene.owner.client.send(
            call.method, scene.address(call.path), body=json.dumps(body).encode(), headers=JSON
        )
        if answer.status != 200 and answer.details["code"] in ("invalid_request", "invalid_json", "internal_error"):
            wrong.append((call.path, body, answer.body))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in ("/admin/audit", "/admin/orders", "/user/transactions") for name in ("from", "to")]
    + [("/admin/quarantine", "cursor")],
)
def test_a_number_is_no_time_and_the_ends_of_the_calendar_are_out_of_range(scene: Scene, path: str, name: str) -> None:
    refused = {
        'must be a time such as "2026-01-31T12:00:00Z"': ("0", "0.5", "1795763709", "1e9", "-1"),
        "is out of range": tuple(quote(edge) for edge in EDGES),
    }
    for words, texts in refused.items():
        for text in texts:
            answer = scene.owner.client.get(f"{path}?{name}={text}")
            assert answer.refusal == (400, "invalid_request"), text
            assert answer.details["fields"] == {name: words}, text
    assert scene.owner.client.get(f"{path}?{name}=2026-01-31T12:00:00%2B05:30").status == 200


def broken(answer: Answer, name: str | None) -> str | None:
    """Say what is wrong with an answer to one bad field, or None."""
    if answer.status == 500:
        return "a crash"
    if answer.status in (429, 503) and "retry-after" not in answer.headers:
        return "no word of when to try again"
    if answer.status != 400:
        return None
    details = answer.details
    if details["code"] == "bad_request":
        return "no word of ours"
    if details["code"] == "invalid_request":
        named = [re.split(r"[.\[]", found)[0] for found in details["fields"]]
        if not named or (name is not None and not set(named) <= {name, "query", "body"} | EITHER):
            return f"it names {named}"
    return None
