"""The SMS-Activate protocol as its client: HeroSMS, Grizzly, SMSBower, another Numberdesk and the simulator.

A provider with another protocol is added by a copy of this file, with the same functions, and a line in the table of
`adapters/__init__.py`. No function raises for anything a provider or the network does.
"""

import asyncio
from decimal import ROUND_DOWN, Decimal
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

from numberdesk.base import http_client
from numberdesk.base.http_client import Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import sms_activate_lists as lists
from numberdesk.providers.adapters import sms_activate_parse as parse
from numberdesk.providers.line import BUSY, Line, ask
from numberdesk.providers.model import (
    ActiveList,
    CancelAnswer,
    DoneAnswer,
    LookAnswer,
    Refused,
    RentAnswer,
    Unknown,
    UpstreamOffer,
    Wanted,
)

PATH: Final = "/stubs/handler_api.php"
ORDER_BODY_MAX: Final = 64 * 1024
LIST_BODY_MAX: Final = 16 * 1024 * 1024
IN_THREAD_ABOVE: Final = 256 * 1024
"""Bytes of a body above which it is read in a thread, so that the other work of the process goes on meanwhile."""
PAUSE: Final = 0.1

_CENT: Final = Decimal("0.01")
_HUNDREDTH_OF_A_CENT: Final = Decimal("0.0001")


def endpoint(url: str) -> URL:
    """Return the address to call: a full one is taken as it is, a root gets the protocol's path."""
    is_full = "/stubs/" in urlsplit(url).path or urlsplit(url).path.endswith(".php")
    return URL(url if is_full else url.rstrip("/") + PATH)


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Buy one number with one request that is never repeated: the provider may have sold although no answer came."""
    provider = line.provider
    ceiling = _max_price(wanted.ceiling_paise, provider.paise_per_unit)
    if not ceiling:
        return Refused("price_changed", "the ceiling is below the smallest price")
    params = {
        "api_key": line.api_key,
        "action": "getNumberV2",
        "service": wanted.service,
        "country": str(wanted.country),
        "maxPrice": ceiling,
        "orderId": wanted.reference,
    }
    if wanted.operator != "any":
        params["operator"] = wanted.operator
    answer = await ask(line, params, until=until, body_max=ORDER_BODY_MAX)
    if isinstance(answer, NoAnswer):
        if answer.sent:
            return Unknown(answer.reason)
        return Refused("busy" if answer is BUSY else "unreachable", answer.reason)
    return parse.rent(
        answer.body, answer.status, ceiling_paise=wanted.ceiling_paise, paise_per_unit=provider.paise_per_unit
    )


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Read the state of one activation."""
    answer = await _ask_twice(line, {"action": "getStatus", "id": upstream_id}, until=until, body_max=ORDER_BODY_MAX)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.look(answer.body, answer.status)


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Read all activations the provider lists for us."""
    answer = await _ask_twice(line, {"action": "getActiveActivations"}, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    per_unit = line.provider.paise_per_unit
    if len(answer.body) <= IN_THREAD_ABOVE:
        return lists.active(answer.body, answer.status, paise_per_unit=per_unit)
    return await asyncio.to_thread(lists.active, answer.body, answer.status, paise_per_unit=per_unit)


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel an activation. When the provider refuses by its state, a look says whether a code won."""
    answer = await _set_status(line, upstream_id, "8", until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.cancel(answer.body, answer.status)
    if not isinstance(outcome, parse.LookAgain):
        return outcome
    params = {"action": "getStatus", "id": upstream_id}
    answer = await _ask_twice(line, params, until=until, body_max=ORDER_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.after_refused_cancel(answer.body, answer.status)


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Tell the provider that the code was right and the activation is over."""
    answer = await _set_status(line, upstream_id, "6", until=until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.finish(answer.body, answer.status)


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Ask for one more code on the same number."""
    answer = await _set_status(line, upstream_id, "3", until=until)
    return Unknown(answer.reason) if isinstance(answer, NoAnswer) else parse.another_code(answer.body, answer.status)


async def offers(line: Line, *, until: float) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read the whole price list with its stock."""
    answer = await _ask_twice(line, {"action": "getPrices"}, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    per_unit = line.provider.paise_per_unit
    return await asyncio.to_thread(lists.prices, answer.body, answer.status, paise_per_unit=per_unit)


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Read what is left of our money at the provider."""
    answer = await _ask_twice(line, {"action": "getBalance"}, until=until, body_max=ORDER_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.balance(answer.body, answer.status, paise_per_unit=line.provider.paise_per_unit)


async def _set_status(line: Line, upstream_id: str, status: str, *, until: float) -> Answer | NoAnswer:
    params = {"api_key": line.api_key, "action": "setStatus", "id": upstream_id, "status": status}
    return await ask(line, params, until=until, body_max=ORDER_BODY_MAX)


async def _ask_twice(line: Line, params: dict[str, str], *, until: float, body_max: int) -> Answer | NoAnswer:
    """Ask, and once more after a lost answer or a 5xx: for reads only."""
    params = {"api_key": line.api_key, **params}
    answer = await ask(line, params, until=until, body_max=body_max)
    if isinstance(answer, NoAnswer):
        is_worth_it = answer not in (BUSY, http_client.TOO_LATE, http_client.TOO_LARGE, http_client.CLOSED)
    else:
        is_worth_it = answer.status >= 500
    if not is_worth_it or asyncio.get_running_loop().time() + PAUSE >= until:
        return answer
    await asyncio.sleep(PAUSE)
    return await ask(line, params, until=until, body_max=body_max)


def _max_price(ceiling_paise: Paise, paise_per_unit: int) -> str:
    """Write a ceiling in the provider's currency, rounded down; empty when nothing is left of it.

    A unit of more than a rupee is divided finer, or a price of 0.0035 dollars could not be met. Zero is never sent:
    some servers read it as no ceiling.
    """
    if paise_per_unit == 100:
        return f"{ceiling_paise // 100}.{ceiling_paise % 100:02}" if ceiling_paise > 0 else ""
    step = _CENT if paise_per_unit < 100 else _HUNDREDTH_OF_A_CENT
    ceiling = (Decimal(ceiling_paise) / paise_per_unit).quantize(step, rounding=ROUND_DOWN)
    return format(ceiling, "f") if ceiling > 0 else ""
