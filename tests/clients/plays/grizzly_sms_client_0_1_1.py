"""grizzly-sms-client, in the dialect it was made for."""

from backstage import KEY, POOR_KEY, ROOT, WRONG_KEY, ask, raised, saw, until
from grizzly_sms import GrizzlySms

mine, poor, wrong = (GrizzlySms(key, base_url=f"{ROOT}/grizzly") for key in (KEY, POOR_KEY, WRONG_KEY))
saw("balance", mine.get_balance())
saw("wrong key", raised(wrong.get_balance))
saw("poor", raised(poor.get_number, "tg", country=22))
saw("no service", raised(mine.get_number, "zzzz", country=22))
saw("no numbers", raised(mine.get_number, "tg", country=22, provider_ids=[99]))
saw("too low", raised(mine.get_number_v2, "tg", country=22, max_price=1.5))
saw("none active", mine.get_active_activations())

number = mine.get_number("tg", country="22")
saw("number", [number.activation_id, number.phone_number])
first = number.activation_id
saw("early", raised(mine.cancel, first))
saw("ready", mine.ready(first))
saw("waiting", mine.get_status_v2(first))
ask("deliver", first, "12345")
saw("code", mine.wait_for_code(first, interval_ms=100).code)
saw("one more", mine.request_another_code(first))
saw("retry", mine.get_status(first).code)
ask("deliver", first, "67890")
saw("second code", until("67890", lambda: mine.wait_for_code(first, interval_ms=100).code))
saw("message", mine.get_status_v2(first)["sms"])
saw("finish", [mine.complete(first) for _ in range(2)])
saw("over", mine.get_status(first).status)
saw("foreign", raised(poor.get_status, first))

other = mine.get_number_v2("tg", country=22, max_price=30)
saw("number v2", [other.phone_number, other.activation_cost, other.country_code, other.can_get_another_sms,
                  other.activation_cancel, other.activation_end])  # fmt: skip
saw("active", [[item.activation_id, item.country_name, item.activation_cost] for item in mine.get_active_activations()])
saw("other", other.activation_id)
ask("ripen", other.activation_id)
saw("cancel", [mine.cancel(other.activation_id), mine.cancel(other.activation_id, -1)])
saw("balance after", mine.get_balance())

saw("countries", [item.eng for item in mine.get_countries() if item.id == 22])
saw("services", [item.name for item in mine.get_services() if item.code == "tg"])
saw("prices", [call(service="tg", country=22)["22"]["tg"] for call in (mine.get_prices, mine.get_prices_v2,
                                                                      mine.get_prices_v3)])  # fmt: skip
saw("cheapest", [[item.country, item.cost] for item in mine.find_prices(service="tg", country=22)])
