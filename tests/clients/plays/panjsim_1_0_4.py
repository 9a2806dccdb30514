"""PanjSim: every answer must be an object with status 200."""

from backstage import KEY, POOR_KEY, ROOT, WRONG_KEY, ask, raised, saw
from PanjSim import PanjSim
from PanjSim.http_client import HttpClient

HttpClient._HttpClient__BASE_URL = ROOT
mine, poor, wrong = (PanjSim(key) for key in (KEY, POOR_KEY, WRONG_KEY))
desk = mine.Purchase()
saw("profile", mine.User().get_balance())
saw("wrong key", raised(wrong.User().get_balance))
saw("poor", raised(poor.Purchase().buy_activation_number, "india", "any", "telegram"))
saw("no phones", raised(desk.buy_activation_number, "india", "any", "telegram", maxPrice=1))
saw("countries", mine.get_countries_list()["india"])
saw("notice", mine.get_notification("en"))
saw("products", mine.Products().get_products("india", "any")["telegram"])
saw("prices", mine.Products().get_prices("india", "telegram"))
saw("cheapest", mine.find_low_price("telegram", limit=1))

order = desk.buy_activation_number("india", "any", "telegram")
saw("order", order)
saw("early", raised(desk.cancel_order, order["id"]))
ask("deliver", order["id"], "12345")
while not (seen := desk.check_order(order["id"]))["sms"]:
    pass
saw("message", seen)
saw("no cancel", raised(desk.cancel_order, order["id"]))
saw("finish", [desk.finish_order(order["id"])["status"] for _ in range(2)])
saw("inbox", desk.get_sms_inbox(order["id"]))
saw("foreign", raised(poor.Purchase().check_order, order["id"]))

other = desk.buy_activation_number("india", "any", "telegram")
ask("ripen", other["id"])
saw("cancel", [desk.cancel_order(other["id"])["status"] for _ in range(2)])
saw("hosting", raised(desk.buy_hosting_number, "india", "any", "1day"))
saw("reuse", raised(desk.rebuy_number, "telegram", order["phone"].removeprefix("+")))
saw("orders", [item["id"] for item in mine.User().get_orders_history(limit=10)["Data"]])
saw("bought", [order["id"], other["id"]])
saw("payments", mine.User().get_payments_history(limit=10)["Total"])
saw("balance after", mine.User().get_balance())
