"""herosms: its name for the purchase of a number for hours, which answers with what it has for every number."""

import asyncio

from backstage import HERO, KEY, POOR_KEY, ask, raised_by, saw
from herosms import HeroSMSClient


def client(key: str) -> HeroSMSClient:
    return HeroSMSClient(key, base_url=HERO, retry_attempts=3, retry_wait=0.05)


async def main() -> None:
    async with client(KEY) as mine, client(POOR_KEY) as poor:
        saw("offers", await mine.get_rent_availability(service="tg", country=22))
        saw("poor", await raised_by(poor.rent_number(service="tg", country=22, duration=4)))
        number = await mine.rent_number(service="tg", country=22, duration=4)
        saw("rented", [number.id, number.phone, number.cost])
        ask("deliver", number.id, "12345")
        saw("code", (await number.wait_for_sms(timeout=20, poll_interval=0.1)).code)
        saw("all", [item.code for item in await number.get_all_sms()])
        saw("cancel when paid", await raised_by(number.cancel()))
        await number.complete()
        other = await mine.rent_number(service="tg", country=22, duration=4)
        await other.cancel()
        saw("balance after", (await mine.get_balance()).amount)


asyncio.run(main())
