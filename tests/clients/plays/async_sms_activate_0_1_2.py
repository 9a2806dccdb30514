"""async-sms-activate: it knows two error words, and polls once a second."""

import asyncio

from async_sms_activate import SmsActivateClient
from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, raised_by, saw


def client(key: str) -> SmsActivateClient:
    found = SmsActivateClient(key)
    found.api_url = CLASSIC
    return found


async def main() -> None:
    mine, poor, wrong = client(KEY), client(POOR_KEY), client(WRONG_KEY)
    saw("balance", await mine.get_balance())
    saw("wrong key", await raised_by(wrong.get_balance()))
    saw("poor", await raised_by(poor.buy_number_by_country("tg", 22)))
    saw("no numbers", await raised_by(mine.buy_number_by_country("go", 3)))

    number = await mine.buy_number_by_country("tg", 22)
    saw("number", number.data)
    saw("waiting", await mine.get_activation_status(number.activation_id))
    saw("early", await number.cancel_activation())
    saw("ready", await number.sms_sent())
    ask("deliver", number.activation_id, "12345")
    saw("code", await number.wait_for_code(timeout=30))
    saw("one more", await number.request_another_sms())
    saw("retry", await number.wait_for_code(timeout=30))  # it takes any answer but waiting for the code
    ask("deliver", number.activation_id, "67890")
    while (status := await mine.get_activation_status(number.activation_id)) != "STATUS_OK:67890":
        pass
    saw("second code", status)
    saw("finish", [await number.complete_activation() for _ in range(2)])
    saw("over", await mine.get_activation_status(number.activation_id))
    saw("foreign", await poor.get_activation_status(number.activation_id))

    other = await mine.buy_number_free_price("tg", 30)
    saw("cheapest", other.data["countryCode"])
    ask("ripen", other.activation_id)
    saw("cancel", [await other.cancel_activation() for _ in range(2)])
    saw("balance after", await mine.get_balance())

    saw("country", (await number.get_country_info()).english_name)
    saw("top", [str(item.country_id) for item in await mine.top_countries_by_service("tg")])
    saw("codes", await mine.get_country_codes_by_service("tg"))
    for one in (mine, poor, wrong):
        await one.close()


asyncio.run(main())
