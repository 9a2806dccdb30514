"""smsbower, by its own names."""

from backstage import KEY, POOR_KEY, ROOT, WRONG_KEY, ask, raised, saw, until
from smsbower import SmsBowerClient

mine, poor, wrong = (SmsBowerClient(key, base_url=ROOT) for key in (KEY, POOR_KEY, WRONG_KEY))


def state(activation: object) -> list[object]:
    found = mine.get_status(activation)
    return [found.status, found.code]


saw("balance", mine.get_balance())
saw("wrong key", raised(wrong.get_balance))
saw("poor", raised(poor.get_number, "tg", country=22))
saw("no service", raised(mine.get_number, "zzzz", country=22))
saw("no numbers", raised(mine.get_number, "tg", country=22, provider_ids=[99]))

number = mine.get_number("tg", country=22)
saw("number", [number.id, number.number])
saw("waiting", state(number.id))
saw("early", raised(mine.set_status, number.id, 8))
saw("ready", mine.set_status(number.id, 1))
ask("deliver", number.id, "12345")
saw("code", until(["STATUS_OK", "12345"], state, number.id))
saw("one more", mine.set_status(number.id, 3))
saw("retry", state(number.id))
ask("deliver", number.id, "67890")
saw("second code", until(["STATUS_OK", "67890"], state, number.id))
saw("finish", [mine.set_status(number.id, 6) for _ in range(2)])
saw("over", state(number.id))
saw("foreign", raised(poor.get_status, number.id))

other = mine.get_number_v2("tg", country=22, max_price=50)
saw("number v2", other)
ask("ripen", other["activationId"])
saw("cancel", [mine.set_status(other["activationId"], 8) for _ in range(2)])
saw("balance after", mine.get_balance())

saw("countries", mine.get_countries()["22"].eng)
saw("services", [item.name for item in mine.get_services_list() if item.code == "tg"])
saw("prices", [call("tg", 22)["22"]["tg"] for call in (mine.get_prices, mine.get_prices_v2, mine.get_prices_v3)])
saw("top", mine.get_top_countries_by_service("tg")["22"])
