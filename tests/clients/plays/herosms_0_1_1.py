"""herosms: JSON errors with a status, its own names for finishing and cancelling, retries on everything unclear."""

import asyncio

from backstage import HERO, KEY, POOR_KEY, WRONG_KEY, ask, raised_by, saw
from herosms import HeroSMSClient


def client(key: str, url: str = HERO) -> HeroSMSClient:
    return HeroSMSClient(key, base_url=url, retry_attempts=3, retry_wait=0.05)


async def main() -> None:
    async with client(KEY) as mine, client(POOR_KEY) as poor, client(WRONG_KEY) as wrong:
        saw("balance", (await mine.get_balance()).amount)
        saw("wrong key", await raised_by(wrong.get_balance()))
        saw("poor", await raised_by(poor.activations.create(service="tg", country=22)))
        saw("no service", await raised_by(mine.activations.create(service="zzzz", country=22)))
        saw("no numbers", await raised_by(mine.activations.create(service="tg", country=22, operator="nobody")))

        number = await mine.activations.create(service="tg", country=22)
        saw("number", [number.id, number.phone, number.cost, number.can_resend])
        saw("early", await raised_by(number.cancel()))
        ask("deliver", number.id, "12345")
        saw("code", (await number.wait_for_sms(timeout=10, poll_interval=0.1)).code)
        await number.request_sms()
        ask("deliver", number.id, "67890")
        while (found := await number.wait_for_sms(timeout=10, poll_interval=0.1)).code != "67890":
            pass
        saw("second code", found.code)
        saw("all", [item.code for item in await number.get_all_sms()])
        saw("active", [item.activation_id for item in await mine.activations.list_active()])
        await number.complete()
        await number.complete()
        saw("cancel when paid", await raised_by(number.cancel()))

        other = await mine.activations.create(service="tg", country=22, max_price=30)
        ask("ripen", other.id)
        await mine.activations.cancel(other.id)
        await other.cancel()
        third = await mine.activations.create(service="tg", country=22)
        ask("deliver", third.id, "24680")
        await third.wait_for_sms(timeout=10, poll_interval=0.1)
        await mine.activations.finish(third.id)
        saw("foreign", await raised_by(poor.activations.attach(number.id).get_all_sms()))
        saw("history", [item.id for item in await mine.activations.get_history()])
        saw("bought", [number.id, other.id, third.id])
        saw("balance after", (await mine.get_balance()).amount)

        saw("countries", [country.eng for country in await mine.get_countries() if country.id == 22])
        saw("services", [service.name for service in await mine.get_services() if service.code == "tg"])
        saw("prices", str(await mine.get_prices(service="tg", country=22, response_format="raw")))
        saw("operators", str(await mine.get_operators(country=22)))


asyncio.run(main())
