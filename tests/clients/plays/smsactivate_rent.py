"""The official client of SMS-Activate, its names for numbers that are rented for hours."""

from backstage import CLASSIC, KEY, POOR_KEY, ask, saw
from smsactivate.api import SMSActivateAPI


def client(key: str) -> SMSActivateAPI:
    found = SMSActivateAPI(key)
    found._SMSActivateAPI__api_url = CLASSIC
    return found


mine = client(KEY)
saw("offers", mine.getRentServicesAndCountries(time=4, country=22))
saw("poor", client(POOR_KEY).getRentNumber(service="tg", time=4, country=22))
saw("no service", mine.getRentNumber(service="zzzz", time=4, country=22))

rented = mine.getRentNumber(service="tg", time=4, country=22)
saw("rented", rented)
first = rented["phone"]["id"]
saw("waiting", mine.getRentStatus(first))
saw("list", mine.getRentList())
for code in ("12345", "67890"):
    ask("deliver", first, code)
    while (status := mine.getRentStatus(first)).get("values", {}).get("0", {}).get("text") != f"Telegram code {code}":
        pass
saw("messages", status)
saw("price", mine.getContinueRentPriceNumber(first))
saw("prolonged", mine.continueRentNumber(first, time=4))
saw("too late", mine.setRentStatus(first, status=2))
saw("finish", mine.setRentStatus(first, status=1))
saw("over", mine.getRentStatus(first))

second = mine.getRentNumber(service="tg", time=4, country=22)["phone"]["id"]
saw("cancel", mine.setRentStatus(second, status=2))
saw("cancel again", mine.setRentStatus(second, status=2))
saw("foreign", client(POOR_KEY).getRentStatus(second))
saw("balance after", mine.getBalance())
