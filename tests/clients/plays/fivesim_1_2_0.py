"""fivesim: it knows countries, operators and products by lists of its own, and errors by their exact texts."""

from backstage import KEY, POOR_KEY, ROOT, WRONG_KEY, ask, raised, saw
from fivesim import ActivationProduct, Category, Country, FiveSim, HostingProduct, Language, Operator, OrderAction


def client(key: str) -> FiveSim:
    found = FiveSim(key)
    found.user._APIRequest__endpoint = f"{ROOT}/v1/user/"
    found.guest._APIRequest__endpoint = f"{ROOT}/v1/guest/"
    return found


TELEGRAM, INDIA, ANY = ActivationProduct.TELEGRAM, Country.INDIA, Operator.ANY_OPERATOR
mine, poor, wrong = client(KEY), client(POOR_KEY), client(WRONG_KEY)
profile = mine.user.get_profile_data()
saw("balance", [profile.balance, profile.frozen_balance])
saw("wrong key", raised(wrong.user.get_profile_data))
saw("poor", raised(poor.user.buy_number, INDIA, ANY, TELEGRAM))
saw("no operator", raised(mine.user.buy_number, INDIA, Operator.VIRTUAL4, TELEGRAM))
saw("no phones", raised(mine.user.buy_number, INDIA, ANY, HostingProduct.ONE_DAY))
saw("countries", mine.guest.get_countries()[INDIA]._asdict())
saw("notice", mine.guest.get_notification(Language.ENGLISH))
saw("products", mine.guest.get_products(INDIA, ANY)[TELEGRAM]._asdict())
saw("prices", [found[INDIA][TELEGRAM][ANY].price for found in (mine.guest.get_prices(), mine.guest.get_prices(INDIA),
               mine.guest.get_prices(INDIA, TELEGRAM))])  # fmt: skip

order = mine.user.buy_number(INDIA, ANY, TELEGRAM)
saw("order", order._asdict())
saw("early", raised(mine.user.order, OrderAction.CANCEL, order))
saw("nothing yet", raised(mine.user.order, OrderAction.FINISH, order))
ask("deliver", order.id, "12345")
while not (seen := mine.user.order(OrderAction.CHECK, order)).sms:
    pass
saw("message", [[item.activation_code, item.text] for item in seen.sms])
saw("no cancel", raised(mine.user.order, OrderAction.CANCEL, order))
saw("finish", [mine.user.order(OrderAction.FINISH, order).status.name for _ in range(2)])
saw("inbox", [item.activation_code for item in mine.user.get_sms_inbox_list(order)])
saw("foreign", raised(poor.user.order, OrderAction.CHECK, order))

other = mine.user.buy_number(INDIA, ANY, TELEGRAM)
ask("ripen", other.id)
saw("cancel", [mine.user.order(OrderAction.CANCEL, other).status.name for _ in range(2)])
third = mine.user.buy_number(INDIA, ANY, TELEGRAM)
ask("ripen", third.id)
saw("ban", mine.user.order(OrderAction.BAN, third).status.name)
saw("reuse", raised(mine.user.reuse_number, TELEGRAM, order.phone.removeprefix("+")))
saw("orders", [item.id for item in mine.user.get_orders_history(Category.ACTIVATION, results_per_page=10).data])
saw("bought", [order.id, other.id, third.id])
saw("payments", [[item.amount, item.balance] for item in mine.user.get_payments_history(results_per_page=100).data])
saw("balance after", mine.user.get_profile_data().balance)
