"""Bodies made from their types, and what strangers put into one field of them."""

from typing import Any

from msgspec import inspect

GOOD: dict[str, Any] = {
    "country": "IN", "service": "tg", "code": "tg", "provider": "alpha", "area": "service", "target": "wa",
    "url": "http://127.0.0.1:9/hook", "number": "+919812345678", "amount": "60.00", "rupeesPerUnit": "28.41",
    "email": "asha-every-field@example.com", "version": 1, "scopes": "read", "password": "sitar-saffron-9",
    "utr": "633112345678", "txid": "a1" * 32, "category": "messenger",
}  # fmt: skip
"""What a field of this name holds when its type does not say enough."""
BESIDES: dict[str, dict[str, Any]] = {
    "/auth/verify-email": {"token": "abcdef"}, "/auth/extend-number": {"minutes": 5},
    "/payment/upi": {"amount": "60.00"}, "/payment/tron": {"amount": "60.00"}, "/admin/maintenance": {"target": "wa"},
    "/admin/maintenance/{id}": {"endsAt": "2126-01-02T00:00:00Z"}, "/admin/tickets/{id}/state": {"state": "open"},
    "/user/webhooks/{id}": {"state": "off"}, "/admin/review/assign": {"accountId": 1},
}  # fmt: skip
"""What a call takes besides the fields that must be there: one of several, so that no type says it."""
EITHER = {"token", "transactionId", *(name for body in BESIDES.values() for name in body)}
"""By what a call may name that exactly one of several fields must be there."""
HUGE = 10**30
EDGES = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
"""Moments of the calendar that are none in UTC."""
WRONG: tuple[object, ...] = (
    None, True, {}, [None], ["a\0b"], ["x"] * 700, [1] * 700, "", " ", "a\0b", "\u202ex", "\uffff", "x" * 60_000,
    "9" * 400, "NaN", "0.001", *EDGES, 0, -1, 2**15, 2**31, 2**63 - 1, 2**63, HUGE, 1.5, 1e308,
)  # fmt: skip
RAW = (b"1e999", b'"\\ud800"', b'"\xff"', b"[" * 3000, b"1" * 5000)
"""What is no JSON, or none that anybody reads."""


def good(kind: Any, name: str = "") -> Any:
    """Return a value that the decoder takes for a type."""
    match kind:
        case inspect.Metadata():
            return good(kind.type, name)
        case inspect.LiteralType():
            return GOOD[name] if GOOD.get(name) in kind.values else kind.values[0]
        case inspect.UnionType():
            return good(next(item for item in kind.types if not isinstance(item, inspect.NoneType)), name)
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return kind.ge or 1
        case inspect.FloatType():
            return 1
        case inspect.StrType():
            return GOOD.get(name, "abcdef"[: kind.max_length or 6].ljust(kind.min_length or 0, "a"))
        case inspect.DateTimeType():
            return "2026-01-31T12:00:00Z"
        case inspect.ListType():
            return [good(kind.item_type, name)]
        case inspect.StructType():
            return filled(kind)
    raise AssertionError(f"a body holds {kind}")


def filled(kind: Any) -> dict[str, Any]:
    """Return an object with all that must be there, and nothing else."""
    return {field.encode_name: good(field.type, field.encode_name) for field in kind.fields if field.required}


def wrongs(field: Any) -> list[object]:
    """Return what to put into a field: wrong values, the same as items of a list, and inside of its items."""
    found: list[object] = list(WRONG)
    item = _item_of(field.type)
    if item is not None:
        found += [[wrong] for wrong in WRONG]
    if isinstance(item, inspect.StructType):
        base = filled(item)
        found += [[base | {inner.encode_name: wrong}] for inner in item.fields for wrong in WRONG]
    return found


def _item_of(kind: Any) -> Any:
    """Return the type of a list's items, or None for what is no list."""
    if isinstance(kind, inspect.Metadata):
        return _item_of(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next((item for item in map(_item_of, kind.types) if item is not None), None)
    if not isinstance(kind, inspect.ListType):
        return None
    return kind.item_type.type if isinstance(kind.item_type, inspect.Metadata) else kind.item_type
