"""herosms that gives up after one second, while the provider takes longer: as many purchases as it was asked for?"""

import asyncio
import os

from backstage import HERO, KEY, saw
from herosms import HeroSMSClient

ALIKE = os.environ["ALIKE"]
CALLS, AT_ONCE = int(os.environ["CALLS"]), int(os.environ["AT_ONCE"])


async def main() -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    async with HeroSMSClient(KEY, base_url=HERO, timeout=1.0, retry_attempts=3, retry_wait=0.2) as desk:

        async def buy(number: int) -> list[object]:
            async with turns:
                try:
                    # Unless told otherwise each has a ceiling of its own, as the customers of a reseller have.
                    ceiling = 30 if ALIKE else 30 + number / 100
                    found = await desk.activations.create(service="tg", country=22, max_price=ceiling)
                except Exception as problem:
                    return [None, f"{type(problem).__name__}: {problem}"]
                return [found.id, found.phone]

        saw("bought", await asyncio.gather(*(buy(number) for number in range(CALLS))))
    async with HeroSMSClient(KEY, base_url=HERO) as calm:
        saw("balance after", (await calm.get_balance()).amount)


asyncio.run(main())
