"""The official client of SMS-Activate, synchronous, by its own names."""

from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, saw
from smsactivate.api import SMSActivateAPI


def client(key: str) -> SMSActivateAPI:
    found = SMSActivateAPI(key)
    found._SMSActivateAPI__api_url = CLASSIC
    return found


mine = client(KEY)
saw("balance", mine.getBalance())
saw("wrong key", client(WRONG_KEY).getBalance())
saw("no key", client("").getBalance())
saw("poor", client(POOR_KEY).getNumber(service="tg", country=22))
saw("no service", mine.getNumber(service="zzzz", country=22))
saw("no numbers", mine.getNumber(service="tg", country=22, operator="nobody"))

number = mine.getNumber(service="tg", country=22)
saw("number", number)
first = number["activation_id"]
saw("waiting", mine.getStatus(first))
saw("early", mine.setStatus(id=first, status=8))
saw("ready", mine.setStatus(id=first, status=1))
ask("deliver", first, "12345")
while (status := mine.getStatus(first)) == "STATUS_WAIT_CODE":
    pass
saw("code", status)
saw("full", mine.getFullSms(first))
saw("one more", mine.setStatus(id=first, status=3))
saw("retry", mine.getStatus(first))
ask("deliver", first, "67890")
while (status := mine.getStatus(first)) != "STATUS_OK:67890":
    pass
saw("second code", status)
saw("finish", mine.setStatus(id=first, status=6))
saw("finish again", mine.setStatus(id=first, status=6))
saw("over", mine.getStatus(first))

second = mine.getNumberV2(service="tg", country=22)
saw("number v2", second)
ask("ripen", second["activationId"])
saw("cancel", mine.setStatus(id=second["activationId"], status=8))
saw("cancel again", mine.setStatus(id=second["activationId"], status=8))
saw("foreign", client(POOR_KEY).getStatus(first))

saw("prices", mine.getPrices(service="tg", country=22))
saw("countries", mine.getCountries()["22"])
saw("operators", mine.getOperators(country=22))
saw("stock", mine.getNumbersStatus(country=22))
saw("top", mine.getTopCountriesByService(service="tg"))
third = mine.getNumber(service="tg", country=22)
saw("active", mine.getActiveActivations())
saw("third", third)
saw("balance after", mine.getBalance())
