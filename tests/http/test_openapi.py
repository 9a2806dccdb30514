"""The description of the API for programs: well formed, and of exactly what is served."""

import json
import re
from typing import Any

import pytest

from numberdesk import main
from numberdesk.main import ROUTERS
from tests.http.recharging import recharged
from tests.http.stand import TELEGRAM, Client, Stand
from tests.support.counter import PNG, base64_of

KEYS = {
    "openapi": {"openapi", "info", "servers", "paths", "components", "security", "tags"},
    "operation": {"tags", "summary", "description", "operationId", "parameters", "requestBody", "responses",
                  "deprecated", "security"},
    "parameter": {"name", "in", "schema", "required", "deprecated", "description", "allowEmptyValue", "allowReserved"},
}  # fmt: skip
HIDDEN = {
    "/docs", "/docs/start.js", "/docs/{folder}/{name}", "/openapi.json",
    "/verify-email", "/reset-password", "/mail/page.css", "/mail/mail.js", "/recharge/return/{transaction_id}",
    "/metrics", "/system/probe",
}  # fmt: skip
"""What serves the description itself, pages that links in mails and gateways lead to, what Prometheus reads and what
`doctor` asks."""

STATEMENT = b"date,utr,amount\n26/11/2026,633112345678,5.00\n"
RAW = {
    ("post", "/webhooks/{gateway}"): (404, "not_found"),
    ("post", "/webhooks/provider/{name}/{token}"): (404, "not_found"),
    ("post", "/webhooks/bank/alert"): (401, "bad_signature"),
    ("post", "/admin/statements"): (400, "invalid_request"),
    ("post", "/admin/prices/import"): (400, "invalid_request"),
}
"""What takes the bytes of somebody else's form, and how it refuses what is none."""


@pytest.fixture(scope="module")
def described(stand: Stand) -> dict[str, Any]:
    """The description as a stranger gets it."""
    found: dict[str, Any] = stand.nobody.get("/openapi.json").json
    return found


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, item) for path, methods in described["paths"].items() for method, item in methods.items()]


def every(described: Any, key: str) -> list[Any]:
    """Return the values of a key, however deep, but for those in examples: their keys are words of bodies."""
    if isinstance(described, dict):
        found = [described[key]] if key in described else []
        return found + [item for name, value in described.items() if name != "example" for item in every(value, key)]
    return [item for value in described for item in every(value, key)] if isinstance(described, list) else []


def without_examples(described: Any) -> Any:
    if isinstance(described, dict):
        return {name: without_examples(value) for name, value in described.items() if name != "example"}
    return [without_examples(item) for item in described] if isinstance(described, list) else described


def resolved(described: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = described
    assert reference.startswith("#/"), reference
    for part in reference[2:].split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def test_it_is_the_form_of_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    assert described.keys() <= KEYS["openapi"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", described["info"]["version"])
    assert described["info"]["title"] == "Numberdesk"
    ids = [item["operationId"] for _, _, item in operations(described)]
    assert len(ids) == len(set(ids)) > 10
    for method, path, item in operations(described):
        assert method in ("get", "post", "put", "delete"), method
        assert item.keys() <= KEYS["operation"], path
        assert item["summary"]
        assert item["responses"]
        for parameter in item.get("parameters", []):
            assert parameter.keys() <= KEYS["parameter"], parameter
            assert parameter["in"] in ("query", "path", "header")
            assert parameter["required"] is (parameter["in"] == "path")
        named = set(re.findall(r"\{(\w+)\}", path))
        assert named == {item["name"] for item in item.get("parameters", []) if item["in"] == "path"}


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    references = every(described, "$ref")
    assert len(references) > 20
    for reference in references:
        assert resolved(described, reference)
    used = {reference.rpartition("/")[2] for reference in references}
    assert used == described["components"]["schemas"].keys()


def test_every_type_is_one_of_json(described: dict[str, Any]) -> None:
    known = {"string", "integer", "number", "boolean", "array", "object", "null"}
    kinds = every(described["components"]["schemas"], "type") + every(described["paths"], "type")
    for kind in kinds:
        if not isinstance(kind, dict):  # a field may be called "type"
            assert set([kind] if isinstance(kind, str) else kind) <= known, kind


def test_every_body_and_every_answer_has_an_example_that_fits(described: dict[str, Any], stand: Stand) -> None:
    calls = {(call.method.lower(), call.path): call for call in main.calls(stand.site)}
    for method, path, item in operations(described):
        answer = item["responses"]["200"]["content"]
        for kind in answer.keys() & {"application/json", "text/event-stream"}:
            assert_fits(described, answer[kind]["schema"], answer[kind]["example"])
        refusal = item["responses"]["default"]["content"]["application/json"]
        assert_fits(described, refusal["schema"], refusal["example"])
        if "requestBody" in item:
            body = item["requestBody"]["content"]["application/json"]
            assert_fits(described, body["schema"], body["example"])
            assert calls[method, path].decoder.decode(json.dumps(body["example"])) is not None


def test_bodies_say_that_unknown_fields_are_refused(described: dict[str, Any]) -> None:
    bodies = {
        item["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for _, _, item in operations(described)
        if "requestBody" in item
    }
    assert len(bodies) > 50
    for reference in bodies:
        assert resolved(described, reference)["additionalProperties"] is False, reference
    assert resolved(described, "#/components/schemas/PriceRuleBody")["additionalProperties"] is False


def test_every_tag_is_explained(described: dict[str, Any]) -> None:
    tags = {tag["name"]: tag["description"] for tag in described["tags"]}
    assert tags.keys() == {tag for _, _, item in operations(described) for tag in item["tags"]}
    assert all(tags.values())


def test_exactly_the_calls_are_described_with_their_bodies(stand: Stand, described: dict[str, Any]) -> None:
    calls = {(call.method.lower(), call.path): call for call in main.calls(stand.site)}
    written = {(method, path): item for method, path, item in operations(described) if method in ("post", "put")}
    assert written.keys() == calls.keys() | RAW.keys()
    assert not any("requestBody" in written.pop(route) for route in RAW)
    for path, item in written.items():
        schema = item["requestBody"]["content"]["application/json"]["schema"]
        body = resolved(described, schema["$ref"])
        assert body["title"] == calls[path].body.__name__
        assert list(body["properties"]) == list(calls[path].body.__struct_encode_fields__)
        assert item["requestBody"]["required"] is True
        headers = [found["name"] for found in item.get("parameters", []) if found["in"] == "header"]
        assert headers == (["Idempotency-Key"] if calls[path].is_repeatable else [])


def test_every_address_that_is_read_is_described(described: dict[str, Any]) -> None:
    served = {
        re.sub(r":\w+\}", "}", path)
        for router in ROUTERS
        for route in router.routes
        for path in [route.path_format]
        if "GET" in getattr(route, "methods", ())
    }
    assert len(served) > len(HIDDEN)
    assert {path for method, path, _ in operations(described) if method == "get"} == served - HIDDEN


def owner(stand: Stand, email: str) -> Client:
    """Return somebody with every scope, and money."""
    client = stand.signed_in(email, role="owner").client
    stand.credit(client, 1_000_00)
    stand.change(
        "UPDATE sessions SET second_factor_at = now(), changed_at = clock_timestamp() WHERE account_id = $1",
        client.account_id,
    )
    return client


def there(stand: Stand, client: Client, order_id: int) -> dict[str, str]:
    """Return what stands for the parts of paths: by the path, or by the part's name."""
    ref = recharged(stand, client)
    receipt = stand.ask("SELECT max(id) FROM receipts WHERE account_id = $1", client.account_id)
    statement = client.send("POST", "/admin/statements?profile=generic", body=STATEMENT).data
    provider = stand.ask("SELECT min(id) FROM providers")
    webhook = stand.ask(
        "INSERT INTO webhook_endpoints (account_id, url, events, format, secret, cursor_seq) "
        "VALUES ($1, 'https://hooks.example.com/', '{code}', 'standard', '', 0) RETURNING id",
        client.account_id,
    )
    return {
        "{order_id}": str(order_id), "{transaction_id}": ref, "{id}": str(client.account_id), "{kind}": "delivery",
        "/recharge/receipts/{id}": f"/recharge/receipts/{receipt}",
        "/admin/statements/{id}": f"/admin/statements/{statement['id']}",
        **support_paths(client),
        "/user/webhooks/{id}/deliveries": f"/user/webhooks/{webhook}/deliveries",
        **{
            f"/admin/providers/{{id}}{rest}": f"/admin/providers/{provider}{rest}"
            for rest in ("", "/calls", "/syncs", "/transcripts")
        },
    }  # fmt: skip


def support_paths(client: Client) -> dict[str, str]:
    """Open a ticket with a picture; returns what stands for the paths of both faces."""
    body = {"subject": "A question", "text": "What now?", "attachments": [base64_of(PNG)]}
    ticket = client.post("/support/tickets", body).data["ticket"]["id"]
    (message,) = client.get(f"/support/tickets/{ticket}").data["messages"]
    picture = message["attachments"][0]["id"]
    paths = {}
    for face in ("/support/tickets", "/admin/tickets"):
        paths[f"{face}/{{id}}"] = f"{face}/{ticket}"
        paths[f"{face}/{{id}}/attachments/{{attachment_id}}"] = f"{face}/{ticket}/attachments/{picture}"
    return paths


def filled(path: str, known: dict[str, str]) -> str:
    """Return a path with what stands for its parts."""
    address = known.get(path, path)
    for part, text in known.items():
        if part.startswith("{"):
            address = address.replace(part, text)
    return address


def test_what_is_described_is_there(described: dict[str, Any], stand: Stand) -> None:
    asha = owner(stand, "asha-described@example.com")
    order_id = asha.buy()
    json_type = {"Content-Type": "application/json"}
    known = there(stand, asha, order_id)
    for method, path, _ in operations(described):
        address = filled(path, known)
        if method == "get":
            assert asha.get(address).status == 200, path
        elif (method, path) in RAW:
            assert asha.send(method.upper(), address, body=b"{}", headers=json_type).refusal == RAW[method, path]
        elif method in ("post", "put"):
            answer = asha.send(method.upper(), address, body=b'{"bogus":1}', headers=json_type)
            assert answer.refusal == (400, "invalid_request"), path
        else:
            assert method == "delete"
        for server in described["servers"]:
            prefix = server["url"].rstrip("/")
            assert asha.under(prefix).send("PATCH", address).status == 405


def test_answers_look_as_described(described: dict[str, Any], stand: Stand) -> None:
    alice = owner(stand, "asha-answers@example.com")
    order_id = stand.received(alice)
    known = there(stand, alice, order_id)
    for method, path, item in operations(described):
        if method == "get":
            answer = alice.get(filled(path, known))
            if (stream := item["responses"]["200"]["content"].get("text/event-stream")) is not None:
                assert stream["schema"] == {"type": "string"}
                assert answer.headers["content-type"].startswith("text/event-stream")
                continue
            if "image/*" in item["responses"]["200"]["content"]:
                assert answer.headers["content-type"] == "image/png"
                continue
            if "text/csv" in item["responses"]["200"]["content"]:
                assert answer.headers["content-type"].startswith("text/csv")
                continue
            assert_fits(described, item["responses"]["200"]["content"]["application/json"]["schema"], answer.json)
            refusal = stand.nobody.send("PATCH", path.replace("{order_id}", "1"))
            assert_fits(described, item["responses"]["default"]["content"]["application/json"]["schema"], refusal.json)
    bought = described["paths"]["/auth/get-number"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    for wish in (TELEGRAM, TELEGRAM | {"quantity": 2}):
        assert_fits(described, bought, alice.post("/auth/get-number", wish).json)


def assert_fits(described: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check a value against the parts of JSON Schema that the description uses."""
    problem = misfit(described, schema, value)
    assert problem is None, f"{problem} in {json.dumps(value)[:300]}"


def misfit(described: dict[str, Any], schema: dict[str, Any], value: Any) -> str | None:
    if "$ref" in schema:
        return misfit(described, resolved(described, schema["$ref"]), value)
    if "oneOf" in schema:
        problems = [misfit(described, option, value) for option in schema["oneOf"]]
        return None if problems.count(None) == 1 else f"not one of {problems}"
    python = {"string": str, "integer": int, "number": int, "boolean": bool, "array": list, "object": dict}
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any((value is None) if kind == "null" else isinstance(value, python[kind]) for kind in kinds):
        return f"{value!r} is not {kinds}"
    if "const" in schema and value != schema["const"]:
        return f"{value!r} is not {schema['const']!r}"
    if isinstance(value, list) and "items" in schema:
        return next(filter(None, (misfit(described, schema["items"], item) for item in value)), None)
    return _misfit_of_object(described, schema, value) if isinstance(value, dict) else None


def _misfit_of_object(described: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> str | None:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
    if missing := set(schema.get("required", [])) - value.keys():
        return f"{missing} missing"
    if properties and (unknown := value.keys() - properties.keys()):
        return f"{unknown} not described"
    for name, item in value.items():
        inner = properties.get(name, rest)
        if inner is not None and (problem := misfit(described, inner, item)):
            return f"{name}: {problem}"
    return None


def test_refusals_are_described_as_our_envelope_everywhere(described: dict[str, Any]) -> None:
    for _, path, item in operations(described):
        default = item["responses"]["default"]["content"]["application/json"]["schema"]
        assert default == {"$ref": "#/components/schemas/Failure"}, path
        assert item["responses"].keys() <= {"200", "304", "default"}, path
    assert set(described["components"]["schemas"]["Failure"]["properties"]) == {"success", "error", "details"}
    assert "status_code" not in json.dumps(described)


def test_the_key_is_described_and_asked_where_it_is_needed(described: dict[str, Any], stand: Stand) -> None:
    assert described["components"]["securitySchemes"] == {
        "apiKey": {"type": "apiKey", "name": "X-API-Key", "in": "header"},
        "session": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    assert described["security"] == [{"apiKey": []}, {"session": []}]
    for method, path, item in operations(described):
        is_public = item.get("security") == [{}]
        answer = stand.nobody.send(method.upper(), path.replace("{order_id}", "1").replace("{id}", "1"))
        if (method, path) in RAW and is_public:
            assert answer.refusal == RAW[method, path]
            continue
        assert (answer.status in (200, 415)) is is_public, path
        assert is_public or answer.refusal == (401, "credentials_missing")


def test_it_names_nothing_of_the_inside(described: dict[str, Any]) -> None:
    bare = without_examples({**described, "components": None})  # staff's fields have such names
    text = json.dumps(bare) + json.dumps(every(described, "description"))
    assert not re.search(r"litestar|asyncpg|paise|NewType|Struct|Traceback", text)
