"""async-sms-activate waits for a code, a poll a second, where hardly a call is allowed."""

import asyncio

from async_sms_activate import SmsActivateClient
from backstage import CLASSIC, KEY, ask, saw


async def main() -> None:
    mine = SmsActivateClient(KEY)
    mine.api_url = CLASSIC
    number = await mine.buy_number_by_country("tg", 22)
    asked, polls = mine.get_activation_status, 0

    async def counted(activation_id: str) -> object:
        """Count, and have the code come after ten polls."""
        nonlocal polls
        polls += 1
        if polls == 10:
            ask("deliver", activation_id, "12345")
        return await asked(activation_id)

    mine.get_activation_status = counted
    saw("code", await number.wait_for_code(timeout=60))
    saw("polls", polls)
    saw("over the limit", [await number.sms_sent() for _ in range(20)][-1])
    await mine.close()


asyncio.run(main())
