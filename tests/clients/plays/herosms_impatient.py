"""herosms that gives up after one second, while the provider takes longer: as many purchases as it was asked for?"""

import asyncio
import os

from backstage import HERO, KEY, saw
from herosms import HeroSMSClient

CALLS, AT_ONCE = int(os.environ["CALLS"]), int(os.environ["AT_ONCE"])


async def main() -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    async with HeroSMSClient(KEY, base_url=HERO, timeout=1.0, retry_attempts=3, retry_wait=0.2) as desk:

        async def buy(number: int) -> list[object]:
            async with turns:
                try:
                    # Each has a ceiling of its own, as customers of a reseller have: two that are alike are two wishes.
                    found = await desk.activations.create(service="tg", country=22, max_price=30 + number / 100)
                except Exception as problem:
                    return [None, f"{type(problem).__name__}: {problem}"]
                return [found.id, found.phone]

        saw("bought", await asyncio.gather(*(buy(number) for number in range(CALLS))))


asyncio.run(main())
