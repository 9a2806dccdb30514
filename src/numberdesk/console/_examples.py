"""Examples for the description of the API: made from its schemas, with values that fields of a name really hold."""

import re
from typing import Any

MOMENT, DAY = "2026-01-31T12:00:00Z", "2026-01-31"
REF = "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"
_MONEY = frozenset({
    "amount", "price", "available", "held", "balance", "balanceAfter", "cost", "maxPrice", "payable", "credited",
    "refunded", "floor", "suspense", "total", "tax", "taxable", "cgst", "sgst", "igst", "charged", "extendPerMinute",
    "minimum", "maximum", "minAmount", "maxAmount", "lowBalance", "balanceAlert", "spendMax", "spentToday",
})  # fmt: skip
_TEXTS = {
    "service": "tg", "serviceName": "Telegram", "countryName": "India", "iso": "IN", "country": "IN", "operator": "any",
    "server": "1", "serverName": "alpha", "provider": "alpha", "number": "+919812345678", "phone": "+919812345678",
    "email": "asha@example.com", "name": "Asha", "password": "monsoon-mango-lassi", "newPassword": "sitar-saffron-9",
    "currentPassword": "monsoon-mango-lassi", "totp": "123456", "otp": "48213", "code": "48213", "currency": "INR",
    "text": "Telegram code 48213", "subject": "No code came", "transactionId": REF, "utr": "633112345678",
    "txid": "a1" * 32, "payerVpa": "asha@okbank", "payTo": "numbers@okbank", "payeeName": "Acme Numbers",
    "url": "https://example.com/numbers", "secret": "whsec_aGVsbG8gbnVtYmVyZGVzaw==", "timezone": "Asia/Kolkata",
    "language": "en", "telegramChatId": "123456789", "ip": "203.0.113.7", "lastUsedIp": "203.0.113.7",
    "prefix": "nd_live_6dziDbvz", "eventId": "evt_5102_code_1", "currencyCode": "INR", "rupeesPerUnit": "28.41",
    "marginPercent": "20", "reason": "the buyer asked for it", "note": "seen on the statement",
    "message": "Back at noon",
    "question": "Which bank did you pay from?", "category": "messenger", "requestId": "4b3ac94e515c290088c8f8b1",
    "month": "2026-01", "allowedIps": "203.0.113.0/24", "userAgent": "numbers-bot/2.1", "caseNumber": "FIR 114/2026",
    "authority": "Cyber cell, Pune", "target": "wa", "error": "Your balance is too low for this purchase.",
    "upiLink": "upi://pay?pa=numbers@okbank&am=100.24&cu=INR", "qrSvg": "<svg …/>", "mediaType": "image/png",
    "otpauthUri": "otpauth://totp/Numberdesk:asha%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Numberdesk",
    "lastEventId": "evt_5102_code_1", "actorKind": "staff", "telegram": "@asha", "attachments": "iVBORw0KGgo=",
}  # fmt: skip
_NUMBERS = {"orderId": 5102, "country": 22, "wait": 25, "minutes": 10, "hours": 4, "expiresIn": 900, "stock": 1543}
_NULL = frozenset({
    "nextCursor", "failure", "problem", "failingSince", "disabledAt", "oldSecretUntil", "refund", "notice",
    "replacedBy",
    "cancelledAt", "endedAt", "details",
})  # fmt: skip
"""What is null most of the time."""
_FAR, _TICKET = "2036-01-31T12:00:00Z", "The code did not come. What now?"
_BODIES: dict[str, dict[str, Any]] = {
    "/auth/get-number": {"maxPrice": "30.00"}, "/auth/check-otp": {"wait": 25},
    "/auth/verify-email": {"token": "token"},
    "/auth/extend-number": {"minutes": 10}, "/auth/extend-price": {"hours": 4},
    "/recharge/initiate": {"amount": "100.00"}, "/payment/upi": {"amount": "100.00"},
    "/payment/tron": {"amount": "100.00"}, "/support/tickets": {"text": _TICKET, "orderId": 5102},
    "/support/tickets/{id}/messages": {"text": _TICKET}, "/user/profile": {"timezone": "Asia/Kolkata"},
    "/user/api-keys": {"name": "my bot", "scopes": ["read", "order"]}, "/user/notifications": {"lowBalance": "50.00"},
    "/user/webhooks": {"events": ["order.code"]}, "/user/webhooks/{id}": {"state": "on"},
    "/admin/maintenance": {"area": "service", "target": "wa"}, "/admin/maintenance/{id}": {"endsAt": _FAR},
    "/admin/tickets/{id}/state": {"state": "solved"}, "/admin/tickets/{id}/reply": {"text": "We look into it."},
    "/admin/tickets/{id}/note": {"text": "Asked the provider."}, "/admin/users/{id}/notes": {"text": "Called us."},
    "/admin/review/assign": {"accountId": 1}, "/admin/providers/{id}/options": {"isOn": True},
    "/admin/services": {"code": "tg", "isOn": True}, "/admin/lawful-requests": {"endsAt": "2026-02-01T12:00:00Z"},
    "/admin/prices": {"rules": [{"service": "tg", "marginPercent": "20"}]},
    "/admin/prices/preview": {"rules": [{"service": "tg", "marginPercent": "20"}]},
    "/admin/users/{id}/limits": {"apiPerMinute": 60}, "/admin/users/{id}/state": {"state": "frozen"},
}  # fmt: skip
"""What the example of a body holds besides the fields that must be there, or instead of what they are made of."""


def of_body(described: dict[str, Any], schema: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a body that a call takes."""
    made: dict[str, Any] = _value(described, schema, "", is_whole=False)
    return made | _BODIES.get(path, {})


def of_answer(described: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return what a call answers, with every field."""
    return _value(described, schema, "", is_whole=True)


def _value(described: dict[str, Any], schema: dict[str, Any], name: str, *, is_whole: bool) -> Any:
    """Return what fits a schema: with every field, or with those only that must be there."""
    if "$ref" in schema:
        inner = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return _value(described, inner, name, is_whole=is_whole)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next(item for item in schema["enum"] if item is not None)
    options = schema.get("oneOf", ())
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else list(schema.get("type", ()))
    may_be_null = "null" in kinds or {"type": "null"} in options
    if may_be_null and name in _NULL:
        return None
    if options:
        rest = {key: item for key, item in schema.items() if key != "oneOf"}
        option = next(item for item in options if item != {"type": "null"})
        return _value(described, rest | option, name, is_whole=is_whole)
    match next((kind for kind in kinds if kind != "null"), "object"):
        case "object":
            required = schema.get("required", ())
            return {
                key: _value(described, item, key, is_whole=is_whole)
                for key, item in schema.get("properties", {}).items()
                if is_whole or key in required
            }
        case "array":
            return [_value(described, schema["items"], name, is_whole=is_whole)]
        case "boolean":
            return True
        case "integer" | "number":
            return _number(schema, name)
        case _:
            return _text(schema, name)


def _number(schema: dict[str, Any], name: str) -> int:
    low, high = schema.get("minimum", 1), schema.get("maximum", 2**53)
    return int(min(max(_NUMBERS.get(name, 1), low), high))


def _text(schema: dict[str, Any], name: str) -> str:
    if schema.get("format") in ("date-time", "date"):
        return MOMENT if schema["format"] == "date-time" else DAY
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower() or "text"
    found = "21.30" if name in _MONEY else _TEXTS.get(name, words)
    return found[: schema.get("maxLength", 400)].ljust(schema.get("minLength", 0), "x")
