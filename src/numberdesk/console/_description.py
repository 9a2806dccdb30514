"""The description of the API: what the framework says of it, made whole with our envelope, examples and conventions."""

from typing import Any, get_args

import msgspec

from numberdesk.base.errors import Category
from numberdesk.base.web import Failure
from numberdesk.console import _examples as examples

CONVENTIONS = """Rent a number, receive its code, pay only if it came.

- Every path is served as written and below `/api/v1`. Bodies are JSON in UTF-8; fields that are not known are refused.
- Show who you are by `X-API-Key: <key>` or `Authorization: Bearer <access token>`, never by both.
- A success is `{"success": true, "data": …}`, a refusal `{"success": false, "error": "A sentence for people.",
  "details": {"code": …, "category": …, "requestId": …}}`. Decide by `details.code`. Bad input is 400 with
  `details.fields`; what is not yours is 404, as if it were not there.
- Money is text in rupees, `"12.50"`; requests take a number, too. Times are RFC 3339 in UTC.
- Lists take `limit` and `cursor`, and answer `{"items": […], "nextCursor": …}`; it is null on the last page.
- Where an `Idempotency-Key` is taken, a repeat with the same key gives the first answer again, and says so by
  `Idempotent-Replayed: true`.
- Every answer has an `X-Request-Id`; limited ones say what is left by `RateLimit-Limit`, `RateLimit-Remaining` and
  `RateLimit-Reset`. 429 and 503 come with `Retry-After`, in seconds.
"""
TAGS = {
    "orders": "Numbers: rent, wait for codes, cancel, lengthen; events as they happen.",
    "services": "What is on sale, at the caller's price.",
    "wallet": "What can be spent.",
    "payments": "Recharges, their proofs and receipts; the statement.",
    "webhooks": "Events posted to an address of yours.",
    "people": "The account: sign-in, profile, API keys, sessions, second factor, notices.",
    "support": "Tickets.",
    "system": "Public: state, maintenance, limits, health.",
    "staff": "For staff with a role.",
}
STREAM = 'id: evt_5102_active_1\nevent: order.active\ndata: {"id":"evt_5102_active_1", …}\n\n'


def completed(described: dict[str, Any]) -> dict[str, Any]:
    """Return the framework's description with what it does not know; it is changed in place."""
    described["info"]["description"] = CONVENTIONS
    described["tags"] = [{"name": name, "description": words} for name, words in TAGS.items()]
    schemas = described["components"]["schemas"]
    # The framework describes refusals of its own form, which no caller ever sees.
    schemas |= msgspec.json.schema_components([Failure])[1]
    schemas["Failure"]["properties"]["details"] = _details()
    refusal = _refusal()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = refusal
            _show(described, operation, path)
    return described


def _show(described: dict[str, Any], operation: dict[str, Any], path: str) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _close(described, content["schema"])
        content["example"] = examples.of_body(described, content["schema"], path)
    for kind, content in operation["responses"]["200"].get("content", {}).items():
        if kind == "application/json":
            content["example"] = examples.of_answer(described, content["schema"])
        elif kind == "text/event-stream":
            content["example"] = STREAM


def _close(described: dict[str, Any], schema: dict[str, Any]) -> None:
    """Say of a body, and of all in it, that fields which are not known are refused."""
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        schema["additionalProperties"] = False
    for inner in (*schema.get("properties", {}).values(), *schema.get("oneOf", ()), schema.get("items")):
        if inner is not None:
            _close(described, inner)


def _details() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "What a program decides by, and what the refusal is about: fields, amounts, times.",
        "properties": {
            "code": {"type": "string"},
            "category": {"type": "string", "enum": list(get_args(Category))},
            "requestId": {"type": "string"},
            "fields": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["code", "category", "requestId"],
        "additionalProperties": True,
    }


def _refusal() -> dict[str, Any]:
    details = {"code": "insufficient_balance", "category": "transaction", "requestId": "4b3ac94e515c290088c8f8b1"}
    error = "Your balance is too low for this purchase."
    return {
        "description": "Refused with 400, 401, 403, 404, 405, 409, 413, 415, 429, 500 or 503: a sentence for people, "
        "and `details.code` for programs.",
        "headers": {
            "X-Request-Id": {"schema": {"type": "string"}, "description": "By what staff find the request."},
            "Retry-After": {"schema": {"type": "integer"}, "description": "With 429 and 503: seconds to wait."},
        },
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Failure"},
                "example": {"success": False, "error": error, "details": details},
            }
        },
    }
