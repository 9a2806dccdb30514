"""What the operator sets up: addresses that money comes to. And what staff read of payments."""

from collections.abc import Sequence

from numberdesk.audit import service as audit
from numberdesk.audit.model import Event
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database, Tx
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.payments import sql
from numberdesk.payments.methods import upi
from numberdesk.payments.methods.tron_address import Xpub
from numberdesk.payments.model import Payment, PaymentState, Vpa, VpaKind
from numberdesk.wallet.model import AccountId

LIST_MAX = 100
RESEAL_AT_ONCE = 200


async def open_vpa(db: Database, *, address: str, payee_name: str, kind: VpaKind) -> Vpa:
    """Take payments at a UPI address of the operator from now on.

    Raises:
        InvalidFields: it is no UPI address, or the name is empty.
    """
    try:
        vpa = upi.read_vpa(address)
    except upi.BadVpa as problem:
        raise InvalidFields({"vpa": str(problem)}) from None
    if not payee_name.strip():
        raise InvalidFields({"payeeName": "is required: apps show it to the payer"})
    async with db.transaction() as tx:
        found = await sql.insert_vpa(tx, vpa=vpa, payee_name=payee_name.strip()[:99], kind=kind)
        await audit.record(tx, Event("vpa_opened", None, "shell", details={"vpa": vpa, "kind": kind}))
    return found


async def close_vpa(db: Database, address: str) -> None:
    """Give an address out no more. What comes in there is credited all the same.

    Raises:
        NotFound: it is none of ours.
    """
    vpa = address.strip().lower()
    async with db.transaction() as tx:
        if not await sql.set_vpa_closed(tx, vpa):
            raise NotFound(what="UPI address")
        await audit.record(tx, Event("vpa_closed", None, "shell", details={"vpa": vpa}))


async def list_vpas(db: Database) -> list[Vpa]:
    """Return the operator's UPI addresses."""
    async with db.statement() as tx:
        return await sql.list_vpas(tx)


async def confirm_wallet(db: Database, xpub: Xpub, *, first_address: str) -> None:
    """Give out addresses of a wallet, once the operator has shown that its first one is his.

    Raises:
        ValueError: the wallet's first address is another one; `str()` says which is expected.
    """
    derived = xpub.address(0)
    if first_address.strip() != derived:
        raise ValueError(f"the wallet's first address is {derived}: compare it with the one your own wallet shows")
    async with db.statement() as tx:
        await sql.insert_wallet(tx, xpub.fingerprint)


async def list_payments(
    db: Database, *, state: PaymentState | None, account_id: AccountId | None, words: str | None, cursor: int | None,
    limit: int,
) -> Sequence[Payment]:  # fmt: skip
    """Return payments from outside, newest first; `words` is a UTR, a transaction's id, or a reference of ours."""
    async with db.statement() as tx:
        return await sql.list_payments(
            tx, state=state, account_id=account_id, words=words, before=cursor, limit=min(limit, LIST_MAX)
        )


_SEALED = (
    ("payments", "payment"),
    ("credits", "bank"),
    ("claims", "claim"),
    ("webhooks", "webhook"),
    ("statements", "statement"),
)
"""Tables with a sealed column, and the first word of the place that each is sealed for."""


async def skip_addresses(tx: Tx, count: int) -> int:
    """Give out none of the next addresses of TRON: customers may know them from a time that the database has lost.

    Returns:
        How many wallets that concerned.
    """
    return await sql.skip_indexes(tx, count)


async def reseal(db: Database, vault: Vault) -> int:
    """Seal with the newest key what older ones sealed; returns how many columns were."""
    count = 0
    for table, name in _SEALED:
        after = 0
        while True:
            async with db.transaction() as tx:
                page = await sql.list_sealed(tx, table, after=after, limit=RESEAL_AT_ONCE)
                for row in page:
                    if not vault.is_newest(row.sealed):
                        await sql.set_sealed(tx, table, row.id, vault.renewed(row.sealed, about=f"{name}:{row.place}"))
                        count += 1
            if len(page) < RESEAL_AT_ONCE:
                break
            after = page[-1].id
    return count
