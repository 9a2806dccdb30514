"""aiosmsactivate: POST with everything in the address, blanks in names of parameters, statuses 1 and 3 by itself."""

import asyncio

from aiosmsactivate import SmsActivate
from backstage import CLASSIC, KEY, POOR_KEY, WRONG_KEY, ask, raised_by, saw


async def main() -> None:
    mine, poor, wrong = (SmsActivate(key, base_url=CLASSIC) for key in (KEY, POOR_KEY, WRONG_KEY))
    saw("balance", await mine.get_balance())
    saw("wrong key", await raised_by(wrong.get_balance()))
    saw("poor", await raised_by(poor.purchase("tg", country=22)))
    saw("no service", await raised_by(mine.purchase("zzzz", country=22)))
    saw("no numbers", await raised_by(mine.purchase("tg", country=22, operator="nobody")))
    saw("too low", await raised_by(mine.purchase("tg", country=22, maxPrice=1.5)))
    saw("none active", await raised_by(mine.get_active_activations()))

    number = await mine.purchase("tg", country=22)
    first = number.activation_id
    saw("number", number.model_dump())
    saw("waiting", (await mine.get_activation_status(number)).model_dump())
    saw("early", await raised_by(mine.set_activation_status(first, 8)))
    ask("deliver", first, "12345")
    saw("code", await mine.wait_sms_code(number, timeout=30, per_attempt=0.1))
    saw("retry", await mine.get_activation_status_v1(first))
    ask("deliver", first, "67890")
    saw("second code", await mine.wait_sms_code(number, timeout=30, per_attempt=0.1))
    saw("message", (await mine.get_activation_status(number)).model_dump())
    saw("finish", [(await mine.set_activation_status(first, 6)).value for _ in range(2)])
    saw("over", await mine.get_activation_status_v1(first))
    saw("foreign", await raised_by(poor.get_activation_status_v1(first)))
    saw("foreign cancel", await raised_by(poor.set_activation_status(first, 8)))

    other = await mine.purchase("tg", country=22, maxPrice=30)
    saw("held", await mine.get_balance())
    ask("ripen", other.activation_id)
    saw("cancel", [(await mine.set_activation_status(other.activation_id, 8)).value for _ in range(2)])
    saw("given back", await mine.get_balance())

    mine_once = await mine.purchase("tg", country=22, orderId="basket-1")
    mine_again = await mine.purchase("tg", country=22, orderId="basket-1")
    saw("one order id", [mine_once.activation_id, mine_again.activation_id])
    saw("order id of another", await raised_by(mine.purchase("wa", country=22, orderId="basket-1")))

    saw("active", [item["activationId"] for item in (await mine.get_active_activations())["activeActivations"]])
    saw("history", [item["id"] for item in (await mine.get_history())["data"]])
    saw("bought", [first, other.activation_id, mine_once.activation_id])
    saw("service", (await mine.get_service("tg", 22)).model_dump())
    saw("countries", (await mine.get_countries())["22"])
    saw("operators", await mine.get_operators(country=22))
    saw("prices", await mine.get_prices("tg", 22))
    saw("verification", await mine.get_prices_verification("tg"))
    saw("stock", await mine.get_count_numbers("22", "any"))
    saw("top", await mine.get_list_top_countries("tg"))
    # Its name of this parameter has a blank at the end.
    saw("blank", await raised_by(mine.get_rent_services_and_countries(time=1)))
    saw("balance after", await mine.get_balance())


asyncio.run(main())
