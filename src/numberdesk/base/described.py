"""How the framework describes calls that it does not answer, and parameters that many have."""

from collections.abc import Iterable
from typing import Annotated, Any

from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from numberdesk.base import web
from numberdesk.base.calls import ID_MAX, IDEMPOTENCY_KEY_MAX, WORD, Call

QueryId = Annotated[int | None, QueryParameter(ge=1, le=ID_MAX)]
"""An id in the query; None when it is left out."""
RepeatKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=IDEMPOTENCY_KEY_MAX,
        description="A repeat with the same key gives the first answer again.",
    ),
]


def document(calls: Iterable[Call[Any]]) -> list[HTTPRouteHandler]:
    """Return handlers by which the framework describes calls; it never runs them, since the edge answers first."""
    return [_documented(call) for call in calls]


def _documented(call: Call[Any]) -> HTTPRouteHandler:
    async def plain(data: Any) -> Any:
        raise NotFoundException

    async def repeatable(data: Any, once: Any = None) -> Any:
        raise NotFoundException

    async def plain_with_id(id: Any, data: Any) -> Any:  # noqa: A002 - the name in the path
        raise NotFoundException

    async def repeatable_with_id(id: Any, data: Any, once: Any = None) -> Any:  # noqa: A002 - the name in the path
        raise NotFoundException

    async def plain_with_word(word: Any, data: Any) -> Any:
        raise NotFoundException

    has_id, has_word = "{id}" in call.path, call.path.endswith(WORD)
    stub: Any = {
        (False, False): plain_with_word if has_word else plain, (True, False): repeatable,
        (False, True): plain_with_id, (True, True): repeatable_with_id,
    }[call.is_repeatable, has_id]  # fmt: skip
    stub.__name__ = "".join(character if character.isalnum() else "_" for character in call.path.strip("/"))
    stub.__doc__ = call.description
    body: Any = call.body
    envelope: Any = web.Ok
    json: Any = JSONBody
    stub.__annotations__ = {"data": json[body], "return": envelope[call.answer]}
    if call.is_repeatable:
        stub.__annotations__["once"] = RepeatKey
    if has_id:
        stub.__annotations__["id"] = FromPath[int]
    if has_word:
        stub.__annotations__["word"] = FromPath[str]
    return HTTPRouteHandler(
        call.path.replace("{id}", "{id:int}").replace("{word}", "{word:str}"), http_method=call.method,
        status_code=200, summary=call.summary, opt={web.ACCESS: call.access},
        security=web.NO_KEY if call.access == web.PUBLIC else None,
    )(stub)  # fmt: skip
