"""Shape the simulator's answers as they stand on the wire."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from numberdesk.providers.simulator.activations import Activation, Message
from numberdesk.providers.simulator.catalogue import COUNTRIES, SERVICES, Offer, Offers

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and whether it is JSON; words are plain text without a line end. `kind` is for who labels otherwise."""

    body: bytes
    is_json: bool = False
    status: int = 200
    kind: str = ""


def word(text: str) -> Answer:
    """Answer with a word of the protocol."""
    return Answer(text.encode())


def json_answer(value: object, *, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(_encode(value), is_json=True, status=status)


def rupees(paise: int) -> str:
    """Write paise as rupees with two decimals."""
    return f"{paise // 100}.{paise % 100:02d}"


def bought_v2(activation: Activation, *, lifetime_end: datetime) -> Answer:
    """Answer a `getNumberV2`."""
    return json_answer(
        {
            "activationId": activation.id,
            "phoneNumber": activation.phone,
            "activationCost": rupees_number(activation.cost_paise),
            "currency": 356,
            "countryCode": str(activation.country),
            "canGetAnotherSms": "1",
            "activationTime": wire_time(activation.sold_at),
            "activationEndTime": lifetime_end.isoformat(timespec="seconds"),
            "activationOperator": activation.operator,
            "serviceCode": activation.service,
        }
    )


def status(activation: Activation) -> str:
    """Say the state as `getStatus` does."""
    match activation.state:
        case "waiting":
            return "STATUS_WAIT_CODE"
        case "received":
            return f"STATUS_OK:{activation.messages[-1].code}"
        case "retry":
            return f"STATUS_WAIT_RETRY:{activation.messages[-1].code}"
        case "finished" | "cancelled" | "expired":
            return "STATUS_CANCEL"


def status_v2(activation: Activation) -> Answer:
    """Say the state as `getStatusV2` does: JSON while it lives, a word afterwards."""
    if not activation.is_live:
        return word("STATUS_CANCEL")
    last = activation.messages[-1] if activation.messages else None
    return json_answer({"verificationType": 0, "sms": _message(last) if last else None, "call": None})


def active_list(activations: list[Activation], *, echo_order_id: bool) -> Answer:
    """List activations; each row is kept with its activation, so a large list costs little while nothing changes."""
    rows = b",".join(activation.row or _keep_row(activation, echo_order_id) for activation in activations)
    return Answer(b'{"status":"success","activeActivations":[' + rows + b"]}", is_json=True)


def prices(offers: Offers, *, service: str, country: str, is_empty: bool, is_extended: bool) -> Answer:
    """List prices: country, then service; an empty service or country means all."""
    listed: dict[str, dict[str, object]] = {}
    for offer in offers.values():
        number, code = str(offer.country.number), offer.service.code
        if service in ("", code) and country in ("", number):
            listed.setdefault(number, {})[code] = _price(offer, is_empty=is_empty, is_extended=is_extended)
    return json_answer(listed)


def stock(offers: Offers, *, country: str, is_empty: bool) -> Answer:
    """Count numbers by service, in one country or in all."""
    counts = dict.fromkeys(SERVICES, 0)
    for offer in offers.values():
        if country in ("", str(offer.country.number)) and not is_empty:
            counts[offer.service.code] += offer.count
    return json_answer(counts)


def countries() -> Answer:
    """List countries by number."""
    flags: dict[str, object] = {"visible": 1, "retry": 1, "rent": 0, "multiService": 0}
    listed = {
        str(country.number): {
            "id": country.number,
            "rus": country.name,
            "eng": country.name,
            "chn": country.name,
            **flags,
        }
        for country in COUNTRIES.values()
    }
    return json_answer(listed)


def services() -> Answer:
    """List services."""
    listed = [{"code": service.code, "name": service.name} for service in SERVICES.values()]
    return json_answer({"status": "success", "services": listed})


def operators(country: str) -> Answer:
    """List the operators of one country or of all."""
    listed = {str(c.number): ["any", *c.operators] for c in COUNTRIES.values() if country in ("", str(c.number))}
    return json_answer({"status": "success", "countryOperators": listed}) if listed else word("OPERATORS_NOT_FOUND")


def webhook_body(activation: Activation, message: Message) -> bytes:
    """Write the body that SMS-Activate posts for each SMS."""
    return _encode(
        {
            "activationId": activation.id,
            "service": activation.service,
            "text": message.text,
            "code": message.code,
            "country": activation.country,
            "receivedAt": wire_time(message.at),
        }
    )


def rental_webhook_body(rental_id: int, sender: str, message: Message) -> bytes:
    """Write the body that SMS-Activate posts for each SMS of a rental."""
    sms = {"phoneFrom": sender, "text": message.text, "date": wire_time(message.at)}
    return _encode({"rentId": str(rental_id), "sms": sms})


def wire_time(at: datetime) -> str:
    """Write a time as the protocol does; the zone is UTC and is not said."""
    return at.replace(tzinfo=None).isoformat(" ", "seconds")


def _message(message: Message) -> dict[str, str]:
    return {"dateTime": wire_time(message.at), "code": message.code, "text": message.text}


def _price(offer: Offer, *, is_empty: bool, is_extended: bool) -> dict[str, object]:
    count = 0 if is_empty else offer.count
    price = {"cost": rupees_number(offer.cost_paise), "count": count, "physicalCount": count // 2}
    return price | {"freePriceMap": {rupees(offer.cost_paise): count}} if is_extended else price


def rupees_number(paise: int) -> msgspec.Raw:
    """Write rupees as a JSON number without passing through a float."""
    return msgspec.Raw(rupees(paise).encode())


def _keep_row(activation: Activation, echo_order_id: bool) -> bytes:
    codes = [message.code for message in activation.messages]
    row = {
        "activationId": str(activation.id),
        "serviceCode": activation.service,
        "phoneNumber": activation.phone,
        "activationCost": rupees_number(activation.cost_paise),
        "activationStatus": "8" if not activation.is_live else "2" if codes else "4",
        "smsCode": codes or None,
        "smsText": activation.messages[-1].text if activation.messages else None,
        "activationTime": wire_time(activation.sold_at),
        "discount": "0.00",
        "repeated": "0",
        "countryCode": str(activation.country),
        "countryName": COUNTRIES[activation.country].name,
        "canGetAnotherSms": "1",
        "currency": 356,
    }
    if echo_order_id and activation.order_refs:
        row["orderId"] = activation.order_refs[0]
    activation.row = _encode(row)
    return activation.row
