"""Speak the SMS-Activate protocol as those do who drifted from it: the same shop, other words and shapes.

Sources are the public pages and clients of these providers. What they leave open is chosen: which words privatesms
sends with which status, and the rows of SMSHub's list.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from numberdesk.providers.simulator import rental_actions
from numberdesk.providers.simulator.activations import Activation
from numberdesk.providers.simulator.answers import Answer, json_answer, rupees, rupees_number, word
from numberdesk.providers.simulator.catalogue import Offer
from numberdesk.providers.simulator.protocol import ACTIONS, Action, Manners, buy, classic_list, listed, set_status
from numberdesk.providers.simulator.wire import Call

HERO_PAGE: Final = 100
_DIALS: Final = MappingProxyType({22: "91", 6: "62", 16: "44", 187: "1", 0: "7", 2: "7", 4: "63", 10: "84", 15: "48"})
_HERO_STATUSES: Final = MappingProxyType(
    {
        "WRONG_MAX_PRICE": 400, "BAD_SERVICE": 400, "BAD_COUNTRY": 400, "BAD_STATUS": 400, "WRONG_OPERATOR": 400,
        "BAD_KEY": 401, "NO_BALANCE": 402, "BANNED": 403, "CHANNELS_LIMIT": 403, "SERVICE_NOT_AVAILABLE": 403,
        "ACCOUNT_INACTIVE": 403, "NO_NUMBERS": 404, "NOT_FOUND": 404, "BAD_ACTION": 404, "EARLY_CANCEL_DENIED": 409,
        "OTP_RECEIVED": 409, "ACTIVATION_NOT_ACTIVE": 409, "UNPROCESSABLE_ENTITY": 422, "SERVER_ERROR": 500,
    }
)  # fmt: skip
_TEXT_STATUSES: Final = MappingProxyType(
    {
        "BAD_ACTION": 400, "NO_ACTION": 400, "BAD_SERVICE": 400, "BAD_COUNTRY": 400, "BAD_STATUS": 400,
        "WRONG_OPERATOR": 400, "WRONG_MAX_PRICE": 400, "WRONG_ACTIVATION_ID": 400, "BAD_KEY": 401, "NO_KEY": 401,
        "NO_BALANCE": 402, "BANNED": 403, "ACCOUNT_INACTIVE": 403, "CHANNELS_LIMIT": 403, "EARLY_CANCEL_DENIED": 403,
        "NO_ACTIVATION": 404, "NO_NUMBERS": 404, "ERROR_SQL": 500,
    }
)  # fmt: skip


def _without(*actions: str, **own: Action) -> Mapping[str, Action]:
    return MappingProxyType({name: action for name, action in ACTIONS.items() if name not in actions} | own)


# HeroSMS.


def _hero_sale(call: Call) -> Answer:
    bought = buy(call)
    if isinstance(bought, str):
        return word(bought)
    return json_answer(
        {
            "activationId": str(bought.id),
            "phoneNumber": bought.phone,
            "activationCost": rupees_number(bought.cost_paise),
            "currency": 356,
            "countryCode": bought.country,
            "countryPhoneCode": _DIALS.get(bought.country, ""),
            "canGetAnotherSms": True,
            "activationTime": bought.sold_at.isoformat(timespec="seconds"),
            "activationEndTime": (bought.sold_at + call.shop.rules.lifetime).isoformat(timespec="seconds"),
            "activationOperator": bought.operator,
            "verificationType": "sms",
            "subtype": 1,
            "serviceCode": bought.service,
            "status": 4,
        }
    )


def _hero_list(call: Call) -> Answer:
    found = listed(call, most=HERO_PAGE)
    if not found:
        nothing = {"affected_rows": 0, "num_rows": 0, "row": [], "rows": []}
        return json_answer({"status": "success", "data": None, "activeActivations": nothing})
    return json_answer({"status": "success", "data": list(map(_hero_row, found))})


def _hero_row(activation: Activation) -> dict[str, object]:
    messages = activation.messages
    return _row(activation) | {
        "activationStatus": 8 if not activation.is_live else 2 if messages else 4,
        "smsCode": messages[-1].code if messages else None,
        "smsText": [messages[-1].text] if messages else None,
    }


def _silently(done: str, *, refused: str) -> Action:
    """Answer a change by nothing at all; by JSON with a status when it is refused."""

    def act(call: Call) -> Answer:
        answer = set_status(call)
        if answer.body == done.encode():
            return Answer(b"", status=204)
        if answer.body != b"BAD_STATUS":
            return answer
        found = call.shop.shelf.find(int(call.get("id")))
        return word(refused if found is not None and found.is_live else "ACTIVATION_NOT_ACTIVE")

    return act


# Lists and prices of the others.


def _row(activation: Activation) -> dict[str, object]:
    return {
        "activationId": activation.id,
        "serviceCode": activation.service,
        "phoneNumber": activation.phone,
        "activationCost": rupees_number(activation.cost_paise),
        "countryCode": activation.country,
    }


def _bare_list(call: Call) -> Answer:
    rows = [
        _row(activation)
        | {
            "phoneNumber": f"+{activation.phone}",
            "activationStatus": "4" if activation.is_live else "8",
            "smsCode": [message.code for message in activation.messages] or None,
            "smsText": activation.messages[-1].text if activation.messages else None,
        }
        for activation in listed(call)
    ]
    return json_answer(rows)


def _short_list(call: Call) -> Answer:
    rows = [
        {
            "id": str(activation.id),
            "service": activation.service,
            "phone": activation.phone,
            "country": str(activation.country),
            "cost": rupees(activation.cost_paise),
            "status": "4" if activation.is_live else "8",
            "code": [message.code for message in activation.messages],
            "text": activation.messages[-1].text if activation.messages else "",
        }
        for activation in listed(call)
    ]
    return json_answer({"status": "success", "array": rows})


def _priced(say: Callable[[Offer, int], object], *, is_service_first: bool = False) -> Action:
    """List prices, each said by `say` from its offer and its stock."""

    def act(call: Call) -> Answer:
        table: dict[str, dict[str, object]] = {}
        for offer in call.shop.offers.values():
            service, country = offer.service.code, str(offer.country.number)
            if call.get("service") in ("", service) and call.get("country") in ("", country):
                outer, inner = (service, country) if is_service_first else (country, service)
                table.setdefault(outer, {})[inner] = say(offer, 0 if call.shows_no_stock else offer.count)
        return json_answer(table)

    return act


def _by_price(offer: Offer, count: int) -> object:
    return {rupees(offer.cost_paise * 2): count // 3, rupees(offer.cost_paise): count}


def _by_provider(offer: Offer, count: int) -> object:
    """Name the server's own providers, the dearer one first."""
    dear = {"count": count // 3, "price": rupees_number(offer.cost_paise * 2), "provider_id": 2266}
    return {"2266": dear, "3170": {"count": count, "price": rupees_number(offer.cost_paise), "provider_id": 3170}}


def _with_providers(offer: Offer, count: int) -> object:
    cost, dear = rupees_number(offer.cost_paise), rupees_number(offer.cost_paise * 2)
    providers = {
        "2266": {"price": [dear], "count": count // 3, "provider_id": 2266},
        "3170": {"price": [cost], "count": count, "provider_id": 3170},
    }
    return {"price": cost, "count": count + count // 3, "providers": providers}


def _verification(offer: Offer, count: int) -> object:
    return {"count": count, "price": rupees(offer.cost_paise)}


def _daisy_status(call: Call) -> Answer:
    answer = set_status(call)
    return word("ACCESS_READY") if answer.body == b"BAD_STATUS" and call.get("status") == "8" else answer


_NO_REFERENCE: Final = MappingProxyType({"orderId": ""})
_PRICE_MAPS: Final[Mapping[str, Action]] = MappingProxyType({"getPricesV2": _priced(_by_price)})

MANNERS: Final[Mapping[str, Manners]] = MappingProxyType(
    {
        "sms-activate": Manners(actions=_without(**rental_actions.actions(first_page=1, is_generous=False))),
        "numberdesk": Manners(
            actions=_without(
                getActiveActivations=lambda call: classic_list(call, repeats_reference=True),
                **rental_actions.actions(first_page=0, is_generous=True),
            )
        ),
        "hero": Manners(
            actions=_without(
                "getPricesExtended",
                getNumberV2=_hero_sale,
                getActiveActivations=_hero_list,
                cancelActivation=_silently("ACCESS_CANCEL", refused="OTP_RECEIVED"),
                finishActivation=_silently("ACCESS_ACTIVATION", refused="BAD_STATUS"),
            ),
            changes=MappingProxyType({"setStatus": "", "cancelActivation": "8", "finishActivation": "6"}),
            fixed=_NO_REFERENCE,
            spelling=MappingProxyType(
                {"NO_ACTIVATION": "NOT_FOUND", "NO_KEY": "UNPROCESSABLE_ENTITY", "ERROR_SQL": "SERVER_ERROR"}
            ),
            statuses=_HERO_STATUSES,
            json_kind="text/html; charset=UTF-8",
            takes_header=True,
        ),
        "text-status": Manners(actions=ACTIONS, fixed=_NO_REFERENCE, statuses=_TEXT_STATUSES),
        "grizzly": Manners(
            actions=_without(getActiveActivations=_bare_list, getPricesV3=_priced(_with_providers), **_PRICE_MAPS),
            fixed=_NO_REFERENCE,
        ),
        "smsbower": Manners(
            actions=_without(getActiveActivations=_bare_list, getPricesV3=_priced(_by_provider), **_PRICE_MAPS),
            fixed=_NO_REFERENCE,
        ),
        "daisysms": Manners(
            actions=_without(
                "getNumberV2",
                "getActiveActivations",
                setStatus=_daisy_status,
                getPricesVerification=_priced(_verification, is_service_first=True),
            ),
            fixed=MappingProxyType({"orderId": "", "country": "187"}),
            spelling=MappingProxyType(
                {
                    "NO_BALANCE": "NO_MONEY",
                    "WRONG_MAX_PRICE": "MAX_PRICE_EXCEEDED",
                    "CHANNELS_LIMIT": "TOO_MANY_ACTIVE_RENTALS",
                    "WRONG_OPERATOR": "NO_NUMBERS",
                }
            ),
        ),
        "smshub": Manners(
            actions=_without(
                "getNumberV2", "getActiveActivations", getCurrentActivations=_short_list, getPrices=_priced(_by_price)
            ),
            fixed=_NO_REFERENCE,
            spelling=MappingProxyType(
                {"BAD_KEY": "API_KEY_NOT_VALID", "BAD_SERVICE": "WRONG_SERVICE", "BAD_COUNTRY": "WRONG_COUNTRY"}
            ),
        ),
    }
)
"""The servers by their names; the first is the protocol as it was written down."""
