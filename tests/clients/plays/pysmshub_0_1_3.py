"""pysmshub: it looks for error words anywhere in an answer. Both of its clients."""

import asyncio

from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, raised, saw, until
from pysmshub import AsyncSmsHubApi, Status, SyncSmsHubApi


def client(kind: type, key: str) -> SyncSmsHubApi | AsyncSmsHubApi:
    found = kind(key)
    found.base_url = CLASSIC
    return found


mine, poor, wrong = (client(SyncSmsHubApi, key) for key in (KEY, POOR_KEY, WRONG_KEY))
saw("balance", mine.get_balance())
saw("wrong key", raised(wrong.get_balance))
saw("poor", raised(poor.get_number, "tg", country=22))
saw("no service", raised(mine.get_number, "zzzz", country=22))
saw("no numbers", raised(mine.get_number, "tg", country=22, operator="nobody"))

first, phone = mine.get_number("tg", country=22, max_price=30)
saw("number", [first, phone])
saw("waiting", mine.get_status(first))
ask("deliver", first, "12345")
saw("code", until((Status.SENT, "12345"), mine.get_status, first))
saw("one more", mine.set_status(first, Status.REPEAT))
saw("retry", mine.get_status(first))
ask("deliver", first, "67890")
saw("second code", until((Status.SENT, "67890"), mine.get_status, first))
saw("finish", [mine.set_status(first, Status.SUCCESS) for _ in range(2)])
saw("over", mine.get_status(first))
saw("foreign", raised(poor.get_status, first))


async def other() -> None:
    same = client(AsyncSmsHubApi, KEY)
    second, digits = await same.get_number("tg", country="22")
    saw("second number", [second, digits])
    saw("early", await same.set_status(second, Status.CANCEL))
    ask("ripen", second)
    saw("cancel", [await same.set_status(second, Status.CANCEL) for _ in range(2)])
    saw("balance after", await same.get_balance())


asyncio.run(other())
saw("prices", mine.get_prices("tg", "22"))
saw("stock", mine.get_numbers_status("22"))
