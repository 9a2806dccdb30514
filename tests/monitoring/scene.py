"""A ledger that was lived in: one order and one payment in every state, made by the verbs of the real program."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Caller, MoneyWanted, StaffRules
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database, Tx
from numberdesk.base.money import Paise
from numberdesk.catalogue.model import PricedOffer
from numberdesk.maintenance.service import Switches
from numberdesk.orders import sql
from numberdesk.orders.model import CancelWanted, Card, Closing, Delivery, Order, OrderRules, Reservation, Settlement
from numberdesk.orders.service._close import begin_cancel, close
from numberdesk.orders.service._receive import receive
from numberdesk.orders.service._reserve import reserve
from numberdesk.orders.service._settle import settle
from numberdesk.orders.service._staff import refund as refund_order
from numberdesk.payments.methods.gateway import Gateway, GatewayName, GatewayRefund, Trouble
from numberdesk.payments.model import Payment, Proof
from numberdesk.payments.service import assign, refund
from numberdesk.payments.sql import find_payments
from numberdesk.providers.model import Received, Refused, RentAnswer, Rented, Unknown
from numberdesk.wallet import jobs
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit, HoldWanted
from tests.catalogue.market import open_market
from tests.payments.stage import VISIT, open_stage
from tests.wallet.customers import add_customers

RULES = OrderRules(cancel_after=timedelta(0), lifetime=timedelta(minutes=20))
MESSAGE = Received("12345", "Your code is 12345")


@dataclass(frozen=True)
class Scene:
    """Who and what is there: Alice has every kind of order, Bob has money only, Carol paid by a bank and a gateway."""

    alice: AccountId
    bob: AccountId
    carol: AccountId
    orders: dict[str, int]
    recharges: dict[str, str]
    payments: dict[str, Payment]
    requests: dict[str, int]


async def set_scene(db: Database) -> Scene:
    """Make two customers and an order of each kind."""
    market = await open_market(db)
    alice, bob = await add_customers(db, 100_000, 50_000)
    first, second = market.offers()[:2]
    async with db.transaction() as tx:
        await wallet.credit(tx, [Credit(bob, Paise(700), "admin_credit", "goodwill")])
        orders = {
            "requested": await ordered(tx, alice, first, "requested"),
            "unknown": await settled(tx, await ordered(tx, alice, first, "unknown"), Unknown("time-out")),
            "failed": await settled(tx, await ordered(tx, alice, first, "failed"), Refused("no_numbers", "")),
            "second": await settled(
                tx, await ordered(tx, alice, first, "second"), Refused("no_numbers", ""), next_offer=second
            ),
        }
        for name in ("active", "extended", "received", "completed", "refunded", "cancelling", "cancelled", "expired"):
            orders[name] = await rented(tx, alice, first, name)
        await wallet.hold(tx, [HoldWanted(alice, orders["extended"].id, "extend:1", Paise(50))])
        for name in ("received", "completed", "refunded"):
            await receive(tx, [delivery(orders[name])])
        for name in ("completed", "refunded"):
            await sql.set_completed(tx, [orders[name].id])
        await begin_cancel(tx, [CancelWanted(alice, orders["cancelling"].id)])
        active = frozenset({"active"})
        await close(tx, [Closing(orders["cancelled"].id, active, "cancelled")])  # type: ignore[arg-type]
        await close(tx, [Closing(orders["expired"].id, active, "expired")])  # type: ignore[arg-type]
        await receive(tx, [delivery(orders["expired"])])
    carol, recharges, payments, staff = await take_money(db)
    requests = await move_by_hand(db, staff, carol, orders["refunded"])
    await jobs.roll_up(db, limit=5)
    return Scene(alice, bob, carol, {name: order.id for name, order in orders.items()}, recharges, payments, requests)


class Refunding:
    """What the scene needs of a gateway: it sends everything back at once."""

    name: GatewayName = "razorpay"
    is_live = False

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        return GatewayRefund(f"rfnd_{key}", key, payment_external_id, "processed", amount_paise, None, b"")


async def move_by_hand(db: Database, staff: Caller, carol: AccountId, refunded: Order) -> dict[str, int]:
    """Have one of the staff credit and debit Carol, and refund an order; returns the requests by what they are."""
    wanted = [
        MoneyWanted("credit", carol, Paise(300), "by hand"), MoneyWanted("debit", carol, Paise(200), "by hand"),
        MoneyWanted("order_refund", refunded.account_id, refunded.price_paise, "by hand", refunded.id),
    ]  # fmt: skip
    found: dict[str, int] = {}
    for item in wanted:
        async with db.transaction() as tx:
            asked = await accounts.ask_money(
                tx, Vault([new_key()]), StaffRules(), staff, replace(VISIT, id=item.action), item
            )
            cause = asked.request.cause
            match item.action:
                case "credit":
                    await wallet.credit(tx, [Credit(carol, item.amount_paise, "admin_credit", cause)])
                case "debit":
                    await wallet.debit(tx, carol, amount_paise=item.amount_paise, cause=cause)
                case _:
                    await refund_order(tx, refunded.id)
        found[item.action] = asked.request.id
    return found


async def take_money(db: Database) -> tuple[AccountId, dict[str, str], dict[str, Payment], Caller]:
    """Have money come in: credited, partly sent back, nobody's, of nobody's and assigned, and too little to count."""
    stage = await open_stage(db)
    till = replace(stage.till, gateways={"razorpay": cast("Gateway", Refunding())})
    paid, part = await stage.begin(100), await stage.begin(200)
    proofs = {
        "paid": stage.proof(paid, utr="100000000001", amount_paise=Paise(10_000)),
        "part": stage.proof(part, utr=None, rail="razorpay", external_id="pay_part", amount_paise=Paise(20_000)),
        "lost": stage.proof(None, utr="100000000003", amount_paise=Paise(3_000)),
        "found": stage.proof(None, utr="100000000004", amount_paise=Paise(4_000)),
    }
    assert len(await stage.settle(*proofs.values())) == len(proofs)
    books = await payments_of(db, proofs)
    staff = await stage.staff()
    await assign(
        till, caller=staff, visit=VISIT, payment_id=books["found"].id, version=books["found"].version,
        account_id=stage.asha, ref=None, note="hers",
    )  # fmt: skip
    await refund(
        till, caller=staff, visit=VISIT, payment_id=books["part"].id, version=books["part"].version,
        amount_paise=Paise(500), reason="asked for",
    )  # fmt: skip
    return stage.asha, {"paid": paid.ref, "part": part.ref}, await payments_of(db, proofs), staff


async def payments_of(db: Database, proofs: dict[str, Proof]) -> dict[str, Payment]:
    """Return what became of proofs, by their names in the scene."""
    async with db.statement() as tx:
        found = await find_payments(tx, [(proof.rail, proof.external_id) for proof in proofs.values()])
    by_id = {item.external_id: item for item in found}
    return {name: by_id[proof.external_id] for name, proof in proofs.items()}


async def ordered(tx: Tx, account_id: AccountId, offer: PricedOffer, name: str) -> Order:
    """Reserve: an order in state `requested`."""
    (answer,) = await reserve(tx, [Reservation(account_id, name, 0, 1, offer)], switches=Switches())
    assert isinstance(answer, Card), answer
    return answer.order


async def settled(tx: Tx, order: Order, answer: RentAnswer, *, next_offer: PricedOffer | None = None) -> Order:
    """Settle a provider's answer to the order's attempt."""
    item = Settlement(order.id, order.attempt, order.provider_id, 0, 1_200_000, answer, next_offer)
    (card,) = await settle(tx, [item], rules=RULES, switches=Switches())
    assert isinstance(card, Card), card
    return card.order


async def rented(tx: Tx, account_id: AccountId, offer: PricedOffer, name: str) -> Order:
    """Reserve and settle: an order in state `active`."""
    order = await ordered(tx, account_id, offer, name)
    return await settled(tx, order, Rented(f"u{order.id}", f"91700000{order.id:04}", None, can_get_next=True))


def delivery(order: Order) -> Delivery:
    """Name the one message that came for an order."""
    assert order.upstream_id is not None
    return Delivery(order.provider_id, order.upstream_id, (MESSAGE,))
