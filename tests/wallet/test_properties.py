"""Any sequence of verbs leaves a ledger that sums to zero, is never negative and agrees with a model in Python."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numberdesk.base.db import Database, rows
from numberdesk.base.money import Paise
from numberdesk.monitoring import service as monitoring
from numberdesk.wallet import jobs
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, Credit
from tests.wallet.customers import (
    add_customers,
    add_orders_of_holds,
    balances,
    capture,
    hold,
    refund,
    void,
    wanted,
)

pytestmark = pytest.mark.anyio

START = (500, 0, 300)
BEGIN: list[tuple[str, Any]] = [("hold", [(0, 100), (2, 60), (0, 40), (2, 90)]), ("capture", {0, 1})]
"""What every example begins with: random steps alone hardly ever refund anything."""
customers = st.integers(0, len(START) - 1)
orders = st.integers(0, 4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.lists(st.tuples(customers, st.integers(1, 400)), min_size=1, max_size=5)),
        st.tuples(st.just("capture"), st.sets(orders, max_size=4)),
        st.tuples(st.just("void"), st.sets(orders, max_size=4)),
        st.tuples(st.just("credit"), st.tuples(customers, st.integers(1, 500), st.integers(0, 5))),
        st.tuples(st.just("debit"), st.tuples(customers, st.integers(1, 500), st.integers(0, 5))),
        st.tuples(st.just("refund"), orders),
        st.tuples(st.just("refund_order"), orders),
        st.tuples(st.just("prolong"), st.tuples(orders, st.integers(1, 200))),
        st.tuples(st.just("settle_hours"), st.tuples(orders, st.booleans())),
        st.tuples(st.just("roll_up"), st.none()),
    ),
    min_size=10,
    max_size=30,
)
numbers = count(1)
"""Order ids and causes are never used again: the tables are emptied between tests, not between examples."""


@dataclass
class ModelHold:
    customer: int
    paise: int
    state: str = "held"
    longer: "list[ModelHold]" = field(default_factory=list)
    """Of more hours, which end by themselves; the last one may be live."""

    @property
    def is_prolonging(self) -> bool:
        return any(item.state == "held" for item in self.longer)


@dataclass
class Model:
    """What the ledger should answer and say; orders are numbered in the order of their holds."""

    available: list[int] = field(default_factory=lambda: list(START))
    holds: list[ModelHold] = field(default_factory=list)
    causes: set[int] = field(default_factory=set)
    debits: set[int] = field(default_factory=set)

    def hold(self, items: list[tuple[int, int]]) -> list[bool]:
        return [self._hold(customer, paise) for customer, paise in items]

    def _hold(self, customer: int, paise: int) -> bool:
        if is_paid := self.available[customer] >= paise:
            self.available[customer] -= paise
            self.holds.append(ModelHold(customer, paise))
        return is_paid

    def end(self, order: int, was: str, becomes: str, *, gives_back: bool) -> int | None:
        if order >= len(self.holds) or self.holds[order].state != was:
            return None
        self.holds[order].state = becomes
        self.available[self.holds[order].customer] += self.holds[order].paise * gives_back
        return self.holds[order].paise

    def refund_order(self, order: int) -> int | None:
        """Give all back that was taken and not given back before; an order that is being prolonged is left alone."""
        if order >= len(self.holds) or self.holds[order].is_prolonging:
            return None
        taken = [item for item in (self.holds[order], *self.holds[order].longer) if item.state == "captured"]
        for item in taken:
            item.state = "refunded"
            self.available[item.customer] += item.paise
        return sum(item.paise for item in taken) or None

    def prolong(self, order: int, paise: int) -> bool | None:
        """Hold money for more hours of an order that is paid, one at a time."""
        if order >= len(self.holds) or self.holds[order].state != "captured" or self.holds[order].is_prolonging:
            return None
        item = self.holds[order]
        if is_paid := self.available[item.customer] >= paise:
            self.available[item.customer] -= paise
            item.longer.append(ModelHold(item.customer, paise))
        return is_paid

    def settle_hours(self, order: int, is_done: bool) -> int | None:
        if order >= len(self.holds) or not self.holds[order].is_prolonging:
            return None
        item = self.holds[order].longer[-1]
        item.state = "captured" if is_done else "voided"
        self.available[item.customer] += item.paise * (not is_done)
        return item.paise

    def credit(self, customer: int, paise: int, cause: int) -> bool:
        is_new = cause not in self.causes
        self.causes.add(cause)
        self.available[customer] += paise * is_new
        return is_new

    def debit(self, customer: int, paise: int, cause: int) -> bool | None:
        if cause in self.debits:
            return False
        if self.available[customer] < paise:
            return None
        self.debits.add(cause)
        self.available[customer] -= paise
        return True

    def balances(self, customer: int) -> tuple[int, int]:
        every = [item for one in self.holds for item in (one, *one.longer)]
        held = [item.paise for item in every if (item.customer, item.state) == (customer, "held")]
        return self.available[customer], sum(held)


@dataclass
class Ledger:
    """The real one, with the ids of what the model knows by its place."""

    db: Database
    account_ids: list[AccountId]
    order_ids: list[int] = field(default_factory=list)
    number: int = field(default_factory=lambda: next(numbers))
    longer: dict[int, str] = field(default_factory=dict)
    """The purposes of the live holds for more hours, by order."""

    async def answer(self, step: tuple[str, Any]) -> Any:
        match step:
            case "hold", items:
                ids = [next(numbers) for _ in items]
                answers = await hold(
                    self.db,
                    *(wanted(self.account_ids[item[0]], ids[place], item[1]) for place, item in enumerate(items)),
                )
                self.order_ids += [order_id for order_id, answer in zip(ids, answers, strict=True) if answer is None]
                return [answer is None for answer in answers]
            case "capture" | "void" as verb, chosen:
                ended = await (capture if verb == "capture" else void)(self.db, *map(self.order_id, chosen))
                return {self.order_ids.index(order_id): paise for order_id, paise in ended.items()}
            case "credit", (customer, paise, cause):
                item = Credit(self.account_ids[customer], Paise(paise), "recharge", f"{self.number}-{cause}")
                async with self.db.transaction() as tx:
                    return (await wallet.credit(tx, [item]))[0]
            case "debit", (customer, paise, cause):
                try:
                    async with self.db.transaction() as tx:
                        return await wallet.debit(
                            tx, self.account_ids[customer], amount_paise=Paise(paise), cause=f"{self.number}-{cause}"
                        )
                except wallet.TooLittleToTake:
                    return None
            case "refund", order:
                try:
                    return await refund(self.db, self.order_id(order))
                except wallet.NothingToRefund:
                    return None
            case "roll_up", _:
                return await jobs.roll_up(self.db) * 0
        return await self.answer_of_hours(step)

    async def answer_of_hours(self, step: tuple[str, Any]) -> Any:
        """Answer what is about whole orders, with more hours than they began with."""
        match step:
            case "refund_order", order:
                if order in self.longer:  # orders.refund refuses it
                    return None
                try:
                    async with self.db.transaction() as tx:
                        return await wallet.refund_order(tx, self.order_id(order))
                except wallet.NothingToRefund:
                    return None
            case "prolong", (order, paise):
                return await self.prolong(order, paise)
            case "settle_hours", (order, is_done):
                purpose = self.longer.pop(order, "none")
                async with self.db.transaction() as tx:
                    settle = wallet.capture if is_done else wallet.void
                    return (await settle(tx, [self.order_id(order)], purpose=purpose)).get(self.order_id(order))

    async def prolong(self, order: int, paise: int) -> bool | None:
        async with self.db.transaction() as tx:
            taken = (await wallet.captured(tx, [self.order_id(order)])).get(self.order_id(order), {})
            found = await wallet.trace(tx, self.order_id(order))
        is_back = any(kind == "refund" for item in found for kind, _, _ in item.postings if item.purpose == "number:1")
        if "number:1" not in taken or is_back or order in self.longer:
            return None
        async with self.db.transaction() as tx:
            (owner,) = await rows(tx, "SELECT account_id FROM holds WHERE order_id = $1 LIMIT 1", self.order_id(order))
        purpose = f"prolong:{next(numbers)}"
        (refusal,) = await hold(self.db, wanted(owner[0], self.order_id(order), paise, purpose=purpose))
        if refusal is None:
            self.longer[order] = purpose
        return refusal is None

    def order_id(self, order: int) -> int:
        return self.order_ids[order] if order < len(self.order_ids) else next(numbers)


def answer_of_model(model: Model, step: tuple[str, Any]) -> Any:
    match step:
        case "hold", items:
            return model.hold(items)
        case "capture", chosen:
            ended = {order: model.end(order, "held", "captured", gives_back=False) for order in chosen}
        case "void", chosen:
            ended = {order: model.end(order, "held", "voided", gives_back=True) for order in chosen}
        case "credit", (customer, paise, cause):
            return model.credit(customer, paise, cause)
        case "debit", (customer, paise, cause):
            return model.debit(customer, paise, cause)
        case "refund_order", order:
            return model.refund_order(order)
        case "prolong", (order, paise):
            return model.prolong(order, paise)
        case "settle_hours", (order, is_done):
            return model.settle_hours(order, is_done)
        case "refund", order:
            return model.end(order, "captured", "refunded", gives_back=True)
        case _:
            return 0
    return {order: paise for order, paise in ended.items() if paise is not None}


@settings(
    max_examples=60, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=steps)
async def test_the_ledger_agrees_with_the_model_after_any_sequence_of_verbs(
    db: Database, steps: list[tuple[str, Any]]
) -> None:
    model, ledger = Model(), Ledger(db, await add_customers(db, *START))
    for step in [*BEGIN, *steps]:
        assert await ledger.answer(step) == answer_of_model(model, step), step
        for customer, account_id in enumerate(ledger.account_ids):
            assert await balances(db, account_id) == model.balances(customer)
    await add_orders_of_holds(db)
    assert [check for check in await monitoring.verify(db) if not check.ok] == []
