"""smsactivateru: words anywhere in an answer, cancel by -1, and stock in the older form."""

from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, raised, saw
from smsactivateru import GetBalance, GetFreeSlots, GetNumber, GetStatus, SetStatus, Sms, SmsService, SmsTypes

INDIA = "22"  # which it has no name for


def client(key: str, address: str = CLASSIC) -> Sms:
    found = Sms(key)
    found.url = address
    return found


mine, poor, wrong = client(KEY), client(POOR_KEY), client(WRONG_KEY)
telegram = SmsService().Telegram
saw("balance", GetBalance().request(mine))
saw("wrong key", raised(GetBalance().request, wrong))
saw("poor", raised(GetNumber(telegram, country=INDIA).request, poor))
saw("no numbers", raised(GetNumber(telegram, country=INDIA, operator="nobody").request, mine))

number = GetNumber(telegram, country=INDIA, operator=SmsTypes.Operator.any).request(mine)
saw("number", [number.id, number.phone_number])
saw("waiting", GetStatus(number.id).request(mine))
saw("ready", number.was_sent())
ask("deliver", number.id, "12345")
saw("code", number.wait_code(timeout=30, not_end=True))
saw("one more", SetStatus(id=number.id, status=SmsTypes.Status.OneMoreCode).request(mine))
saw("retry", GetStatus(number.id).request(mine))
ask("deliver", number.id, "67890")
saw("second code", number.wait_code(timeout=30))  # it finishes by itself
saw("finish again", SetStatus(id=number.id, status=SmsTypes.Status.End).request(mine))
saw("over", raised(GetStatus(number.id).request, mine))
saw("foreign", raised(GetStatus(number.id).request, poor))

other = GetNumber(telegram, country=INDIA).request(mine)
saw("early", other.cancel())
ask("ripen", other.id)
saw("cancel", [other.cancel(), other.mark_as_used()])
saw("balance after", GetBalance().request(mine))
saw("stock", GetFreeSlots(country=INDIA).request(client(KEY, f"{CLASSIC}?suffix=1")).Telegram.count)
