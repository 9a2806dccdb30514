"""simple-smshub-api: it holds one activation, and splits answers into exactly two parts."""

from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, raised, saw, until
from SMSHubAPI import SMSHubAPI

SMSHubAPI.API_URL = CLASSIC
mine, poor, wrong = (SMSHubAPI(key, raise_for_status=True) for key in (KEY, POOR_KEY, WRONG_KEY))
saw("balance", mine.get_balance(currency=643))
saw("wrong key", raised(wrong.get_balance))
saw("poor", raised(poor.get_number, "tg", country=22))
saw("no service", raised(mine.get_number, "zzzz", country=22))
saw("no numbers", raised(mine.get_number, "tg", operator="nobody", country=22))

saw("number", [mine.get_number("tg", country=22, max_price=30), mine.activation_id])
first = mine.activation_id
saw("waiting", mine.get_status())
saw("early", mine.sms_cancel())
saw("ready", mine.sms_sent())
ask("deliver", first, "12345")
saw("code", mine.wait_for_sms(interval=1, timeout=30))
saw("one more", mine.sms_retry())
saw("retry", mine.get_status())
ask("deliver", first, "67890")
saw("second code", until(("STATUS_OK", "67890"), mine.get_status))
saw("finish", [mine.sms_finish() for _ in range(2)])
saw("over", mine.get_status())
poor.activation_id = first
saw("foreign", raised(poor.get_status))

mine.get_number("tg", country=22)
ask("ripen", mine.activation_id)
saw("cancel", [mine.sms_cancel() for _ in range(2)])
saw("balance after", mine.get_balance())
saw("prices", mine.get_prices("tg", 22))
saw("stock", mine.get_numbers_status(22))
