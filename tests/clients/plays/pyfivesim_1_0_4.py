"""PyFiveSim, both of its clients. Its errors are no `Exception`."""

import asyncio

from backstage import KEY, POOR_KEY, ROOT, WRONG_KEY, ask, raised, raised_by, saw
from pyfivesim import PyFiveSimAsync, PyFiveSimSync

HERE = f"{ROOT}/v1"
mine, poor, wrong = (PyFiveSimSync(key, base_url=HERE) for key in (KEY, POOR_KEY, WRONG_KEY))


def codes(order: object) -> list[str]:
    found = order.sms or []
    return [item.code for item in (found if isinstance(found, list) else [found])]


profile = mine.get_user_profile()
saw("balance", [profile.balance, profile.frozen_balance])
saw("profile", profile.model_dump())
saw("wrong key", raised(wrong.get_user_profile))
saw("poor", raised(poor.buy_number, "telegram", "india"))
saw("no phones", raised(mine.buy_number, "telegram", "india", max_price=1.5))
saw("no product", raised(mine.buy_number, "nosuchthing", "india"))
saw("no country", raised(mine.buy_number, "telegram", "nowhere"))
saw("no operator", raised(mine.buy_number, "telegram", "india", "nobody"))

saw("countries", [item.model_dump() for item in mine.get_countries_list() if item.name == "india"])
saw("products", [item.model_dump() for item in mine.get_available_products("india", "any") if item.name == "telegram"])
saw("prices of both", [item.model_dump() for item in mine.get_prices(country="india", product="telegram")])
saw("prices of the country", [item.name for item in mine.get_prices(country="india").products])
saw("prices of the product", [item.name for item in mine.get_prices(product="telegram").countries])
saw("prices", [item.name for item in mine.get_prices()])

order = mine.buy_number("telegram", "india", max_price=30)
saw("order", order.model_dump())
saw("early", raised(mine.action_with_order, "cancel", order.id))
ask("deliver", order.id, "12345")
while codes(seen := mine.get_order_info(order.id)) != ["12345"]:
    pass
saw("message", seen.model_dump())
saw("no cancel", raised(mine.action_with_order, "cancel", order.id))
saw("finish", [mine.action_with_order("finish", order.id).status for _ in range(2)])
saw("foreign", raised(poor.get_order_info, order.id))

other = mine.buy_number("telegram", "india")
saw("frozen", mine.get_user_profile().frozen_balance)
ask("ripen", other.id)
saw("cancel", [mine.action_with_order("cancel", other.id).status for _ in range(2)])
third = mine.buy_number("telegram", "india")
ask("ripen", third.id)
saw("ban", mine.action_with_order("ban", third.id).status)
saw("reuse", mine.reuse_number("telegram", order.phone.removeprefix("+")))
saw("limits", mine.get_user_price_limits())
saw("no limit", mine.action_with_user_price_limits("create", "telegram", 10.0))
orders = mine.get_user_orders("activation", limit=10)
saw("orders", [[item.id, item.status] for item in orders.data])
saw("bought", [order.id, other.id, third.id])
payments = mine.get_user_payments(limit=100)
saw("payments", [[item.amount, item.balance] for item in payments.data])
saw("balance after", [mine.get_user_profile().balance, mine.get_user_profile().frozen_balance])


async def main() -> None:
    same = PyFiveSimAsync(KEY, base_url=HERE)
    saw("balance again", (await same.get_user_profile()).balance)
    saw("wrong key again", await raised_by(PyFiveSimAsync(WRONG_KEY, base_url=HERE).get_user_profile()))
    last = await same.buy_number("telegram", "india", max_price=30)
    ask("deliver", last.id, "24680")
    while codes(seen := await same.get_order_info(last.id)) != ["24680"]:
        pass
    saw("last", [codes(seen), (await same.action_with_order("finish", last.id)).status])


asyncio.run(main())
