"""The cast of the payments tests: a till without gateways, an open UPI address, customers and staff."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any, LiteralString

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import STAFF_SCOPES, Caller, Role
from numberdesk.base import clock
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database, rows, run, value
from numberdesk.base.limits import NUMBERS, Limiter
from numberdesk.base.money import Paise
from numberdesk.base.visit import Visit
from numberdesk.payments import service as payments
from numberdesk.payments import sql
from numberdesk.payments.model import Proof, Recharge, Settled, Vpa
from numberdesk.payments.service import PaymentRules, Supplier, Till
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId

RULES = PaymentRules(
    min_paise=Paise(50_00),
    max_paise=Paise(10_000_00),
    upi_rail="upi_manual",
    lifetime=timedelta(minutes=30),
    quote_lifetime=timedelta(minutes=15),
    spread_bps=0,
    min_units=1_000_000,
    credits_doubles=True,
    alerts_prove=False,
    two_people_above=Paise(5_000_00),
    usdt_contract=None,
    public_url="http://127.0.0.1:3000",
    alert_keys={"phone": "secret-of-the-phone"},
)
VISIT = Visit("a-visit-of-the-tests", "127.0.0.1", "tests")
UTR = "633112345678"
_numbers = count(1)


@dataclass
class Stage:
    """A till with its database and people."""

    db: Database
    till: Till
    vpa: Vpa
    asha: AccountId
    bela: AccountId
    utrs: Callable[[], str] = field(default_factory=lambda: map("{:012d}".format, count(100_000_000_001)).__next__)

    def ruled(self, **changes: Any) -> Till:
        """Return the till with other rules."""
        return replace(self.till, rules=replace(self.till.rules, **changes))

    async def begin(self, rupees: int = 100, *, account: AccountId | None = None, till: Till | None = None) -> Recharge:
        """Begin a recharge by UPI."""
        shown = await payments.begin(
            till or self.till, account_id=account or self.asha, method="upi", amount_paise=Paise(rupees * 100)
        )
        return shown.recharge

    def proof(self, recharge: Recharge | None, *, utr: str | None = None, **changes: Any) -> Proof:
        """Return what the bank's statement proves: that a recharge was paid, exactly."""
        rrn = utr or self.utrs()
        found = Proof(
            rail="upi_manual", external_id=f"{self.vpa.id}:{rrn}", kind="statement", paid_at=clock.now(),
            amount_paise=Paise(77_00) if recharge is None else recharge.payable_paise,
            recharge_id=None if recharge is None else recharge.id, vpa_id=self.vpa.id, rrn=rrn,
        )  # fmt: skip
        return replace(found, **changes)

    async def settle(self, *proofs: Proof, till: Till | None = None) -> list[Settled]:
        """Settle, as every proof does."""
        return await payments.settle(till or self.till, proofs)

    async def again(self, recharge: Recharge) -> Recharge:
        """Read a recharge again."""
        async with self.db.statement() as tx:
            return await sql.get_recharge(tx, recharge.id)

    async def balance(self, account: AccountId | None = None) -> int:
        """Return what an account can spend."""
        return (await wallet.balance(self.db, account or self.asha)).available_paise

    async def bucket(self, name: str) -> int:
        """Return the balance of one of the system's accounts."""
        return int(await self.ask("SELECT COALESCE(sum(amount_paise), 0) FROM entries WHERE bucket = $1", name))

    async def events(self, recharge: Recharge) -> list[tuple[str, str]]:
        """Return the time line."""
        return [(item.event, item.detail) for item in await payments.time_line(self.db, recharge)]

    async def ask(self, query: LiteralString, *args: object) -> Any:
        """Return one value of the database."""
        async with self.db.statement() as tx:
            return await value(tx, query, *args)

    async def list(self, query: LiteralString, *args: object) -> list[tuple[Any, ...]]:
        """Return rows of the database."""
        async with self.db.statement() as tx:
            return await rows(tx, query, *args)

    async def change(self, query: LiteralString, *args: object) -> None:
        """Change the database as a test needs it, such as its times."""
        async with self.db.statement() as tx:
            await run(tx, query, *args)

    async def staff(self, role: Role = "finance") -> Caller:
        """Return a member of the staff, as the gate makes him known."""
        async with self.db.transaction() as tx:
            (account_id,) = await accounts.create(tx, emails=[f"staff{next(_numbers)}@example.com"], names=["Chitra"])
        await accounts.set_role(self.db, account_id, role)
        return Caller(
            account_id, None, None, ("read", "recharge", *STAFF_SCOPES[role]), "active", role, None, True, False, None
        )


async def open_stage(db: Database) -> Stage:
    """Make the cast in an empty database."""
    vault = Vault([new_key()])
    async with db.transaction() as tx:
        asha, bela = await accounts.create(
            tx, emails=["asha@example.com", "bela@example.com"], names=["Asha", "Bela"]
        )  # fmt: skip
    vpa = await payments.open_vpa(db, address="numbers@okbank", payee_name="Acme Numbers", kind="personal")
    till = Till(db, vault, Limiter(db, numbers=NUMBERS), RULES, Supplier("Acme", "1 Street", "R"), {}, None, None)
    return Stage(db, till, vpa, asha, bela)
