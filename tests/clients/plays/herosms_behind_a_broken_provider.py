"""herosms, which buys up to six times on a 5xx, while the provider answers with nothing else."""

import asyncio
import logging
import os

from backstage import HERO, KEY, ask, saw
from herosms import HeroSMSClient


class Statuses(logging.Handler):
    """Keeps the status of every answer, which its HTTP library tells."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(int(record.args[3]))


async def main() -> None:
    statuses = Statuses()
    logging.getLogger("httpx").addHandler(statuses)
    logging.getLogger("httpx").setLevel(logging.INFO)
    async with HeroSMSClient(KEY, base_url=HERO, timeout=30, retry_attempts=3, retry_wait=0.2) as desk:
        ask("profile", os.environ["PROFILE"])
        for attempt in range(20):
            try:
                saw("number", (await desk.activations.create(service="tg", country=22)).phone)
                break
            except Exception as problem:  # what is not known yet is told so, until it is
                saw(f"problem {attempt}", f"{type(problem).__name__}: {problem}")
                ask("profile", "never")
                await asyncio.sleep(0.5)
        saw("open", [item.phone_number for item in await desk.activations.list_active()])
        saw("balance after", (await desk.get_balance()).amount)
    saw("statuses", statuses.seen)


asyncio.run(main())
