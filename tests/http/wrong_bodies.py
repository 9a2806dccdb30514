"""What every call must answer to a wrong body, asked of all calls of a slice."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from numberdesk.base.calls import Call
from tests.http.stand import Client

Base = Callable[[str], dict[str, Any]]
"""Returns a good body for the call at a path."""


def fields_of(call: Call[Any]) -> list[tuple[str, bool]]:
    """Return the names of a body on the wire, and whether each must be there."""
    return [(field.encode_name, field.required) for field in msgspec.structs.fields(call.body)]


def refuse_wrong_types(client: Client, calls: Iterable[Call[Any]], base_of: Base) -> None:
    """Send values of wrong types in each field; make sure that the field is named in plain words."""
    for call in calls:
        for name, is_required in fields_of(call):
            wrongs: list[object] = [True, [], {}, [1], {"a": {}}, *([None] if is_required else [])]
            for wrong in wrongs:
                answer = client.post(call.path, base_of(call.path) | {name: wrong})
                assert answer.refusal == (400, "invalid_request"), (call.path, name, wrong)
                assert list(answer.details["fields"]) == [name]
                words = answer.details["fields"][name]
                assert words.startswith("must be ")
                assert not {"int", "str", "float", "bool", "array", "|", "`", "got"} & set(words.split()), words


def name_missing_and_unknown(
    client: Client, calls: Iterable[Call[Any]], base_of: Base, *, unknown: Sequence[str]
) -> None:
    """Leave each field out that must be there, and send unknown ones; make sure that they are named."""
    for call in calls:
        good = base_of(call.path)
        for name, is_required in fields_of(call):
            if is_required:
                without = {key: item for key, item in good.items() if key != name}
                assert client.post(call.path, without).details["fields"] == {name: "is required"}
        for name in unknown:
            answer = client.post(call.path, good | {name: 1})
            assert answer.details["fields"] == {name: "is not a known field"}, call.path
