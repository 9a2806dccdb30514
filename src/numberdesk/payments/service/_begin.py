"""Beginning a recharge: what can be paid with, an amount or an address that tells who paid, and the page for it."""

from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from numberdesk.accounts.service import KeyReused
from numberdesk.base import clock, ids
from numberdesk.base.db import CommitUnknown, Duplicate, Tx
from numberdesk.base.money import Paise
from numberdesk.maintenance import service as maintenance
from numberdesk.maintenance.model import Intent
from numberdesk.payments import sql
from numberdesk.payments.methods.gateway import Checkout, CheckoutWanted, Trouble
from numberdesk.payments.methods.tron_address import IndexUnusable, Xpub
from numberdesk.payments.model import (
    OPEN,
    Method,
    NewRecharge,
    Quote,
    Rail,
    Recharge,
    TronAddress,
    Vpa,
)
from numberdesk.payments.service._errors import (
    AmountOutOfBounds,
    AmountsTaken,
    GatewayUnavailable,
    MethodClosed,
    RechargeOver,
    SandboxPaysNothing,
    TooManyOpen,
    WrongMethod,
)
from numberdesk.payments.service._rates import closed_reason, make_quote
from numberdesk.payments.service._read import find
from numberdesk.payments.service._till import Till
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import AccountId, is_sandbox

log = structlog.get_logger()

PAISE_MORE = 99
SLOT_TRIES = 5
HOT_AFTER = timedelta(hours=1)
"""How long after its end a recharge's address is still looked at often."""
FIRST_LOOK = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Shown:
    """A recharge with all that its customer needs to pay."""

    recharge: Recharge
    vpa: Vpa | None = None
    address: TronAddress | None = None
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """A way to pay: open, or closed for a reason that may be told."""

    method: Method
    via: str
    reason: str | None


async def methods(till: Till) -> list[Offered]:
    """Return every way to pay, with the reason of those that are closed."""
    known: list[Method] = ["upi", "trx"] if till.rules.usdt_contract is None else ["upi", "trx", "usdt"]
    return [Offered(method, _rail(till, method), await _closed(till, method)) for method in known]


def _rail(till: Till, method: Method) -> Rail:
    return till.rules.upi_rail if method == "upi" else method


async def _closed(till: Till, method: Method) -> str | None:
    """Return why nothing can be paid by a method now, or None."""
    if method != "upi":
        is_offered = till.chain is not None and (method == "trx" or till.rules.usdt_contract is not None)
        return await closed_reason(till, method) if is_offered else "it is not offered here"
    if till.rules.upi_rail != "upi_manual":
        return None if till.rules.upi_rail in till.gateways else "its gateway is not set up"
    async with till.db.statement() as tx:
        has_address = any(vpa.is_open for vpa in await sql.list_vpas(tx))
    return None if has_address else "no UPI address of ours is open"


async def begin(
    till: Till, *, account_id: AccountId, method: Method, amount_paise: Paise, request_key: str | None = None
) -> Shown:
    """Begin a recharge and return what its customer needs to pay.

    No transaction is open while a gateway is asked for its page. A crash in between leaves the recharge `created`, and
    a repeat under the same key asks for the page again: the gateway knows one page for one reference.

    Args:
        request_key: the caller's Idempotency-Key; a repeat gives the first recharge again.

    Raises:
        SandboxPaysNothing: the account is a sandbox.
        Closed: recharging is under maintenance.
        AmountOutOfBounds, MethodClosed, RateUnknown, TooManyOpen, AmountsTaken: nothing was begun.
        TooMany: too many were begun in an hour.
        KeyReused: the key began another recharge.
        GatewayUnavailable: no page could be made; the recharge stands as `created` or `failed`.
    """
    if is_sandbox(account_id):
        raise SandboxPaysNothing
    rules = till.rules
    if not rules.min_paise <= amount_paise <= rules.max_paise:
        raise AmountOutOfBounds(minimum_paise=rules.min_paise, maximum_paise=rules.max_paise)
    known = None if request_key is None else await _find_by_key(till, account_id, request_key)
    if known is not None:
        if (known.method, known.requested_paise) != (method, amount_paise):
            raise KeyReused
        return await show(till, known)
    maintenance.refuse(till.switches, Intent("recharge", account_id))
    reason = await _closed(till, method)
    if reason is not None:
        raise MethodClosed(method=method, reason=reason)
    await till.limiter.admit("recharge", str(account_id))
    new = NewRecharge(
        ref=f"RC{ids.ulid(clock.now())}", account_id=account_id, request_key=request_key, method=method,
        rail=_rail(till, method), requested_paise=amount_paise, payable_paise=amount_paise,
        status="awaiting_payment", lifetime=rules.lifetime,
    )  # fmt: skip
    try:
        return await show(till, await till.db.to_the_end(_write(till, new)))
    except (Duplicate, CommitUnknown):
        # A twin of this request was faster, or the answer to the commit was lost: the key tells which recharge it is.
        found = None if request_key is None else await _find_by_key(till, account_id, request_key)
        if found is None:
            raise
        return await show(till, found)


async def _find_by_key(till: Till, account_id: AccountId, request_key: str) -> Recharge | None:
    async with till.db.statement() as tx:
        return await sql.find_by_key(tx, account_id, request_key)


async def _write(till: Till, new: NewRecharge) -> Recharge:
    if new.method == "upi":
        return await _write_upi(till, new)
    assert till.chain is not None, "a method without its chain is closed"
    address = await _address_of(till, till.chain.xpub, new.account_id)
    async with till.db.transaction() as tx:
        await _refuse(till, tx, new)
        quote = await make_quote(till, tx, new.method, new.payable_paise)
        recharge = await sql.insert_recharge(
            tx, replace(new, address_id=address.id, quote_id=quote.id, lifetime=till.rules.quote_lifetime)
        )
        await sql.set_hot(tx, address.id, lasting=till.rules.quote_lifetime + HOT_AFTER)
        await sql.insert_event(tx, recharge.id, "created", amount_paise=recharge.payable_paise)
    return recharge


async def _write_upi(till: Till, new: NewRecharge) -> Recharge:
    async with till.db.transaction() as tx:
        await _refuse(till, tx, new)
        if new.rail == "upi_manual":
            recharge = await _take_slot(tx, new)
        else:
            recharge = await sql.insert_recharge(tx, replace(new, status="created"))
        await sql.insert_event(tx, recharge.id, "created", amount_paise=recharge.payable_paise)
    return recharge


async def _refuse(till: Till, tx: Tx, new: NewRecharge) -> None:
    await maintenance.refuse_in(tx, till.switches, Intent("recharge", new.account_id))
    # The wallet's lock makes two requests of one account wait for each other, so that both count.
    await wallet.lock(tx, [new.account_id])
    count = await sql.count_open(tx, new.account_id, new.method)
    if count >= till.rules.open_max:
        raise TooManyOpen(open=count)


async def _take_slot(tx: Tx, new: NewRecharge) -> Recharge:
    vpa_ids = [vpa.id for vpa in await sql.list_vpas(tx) if vpa.is_open]
    for _ in range(SLOT_TRIES):
        recharge = await sql.insert_with_slot(tx, new, vpa_ids=vpa_ids, paise_more=PAISE_MORE)
        if recharge is not None:
            return recharge
    raise AmountsTaken


async def _address_of(till: Till, xpub: Xpub, account_id: AccountId) -> TronAddress:
    for _ in range(SLOT_TRIES):
        async with till.db.statement() as tx:
            found = await sql.find_address(tx, fingerprint=xpub.fingerprint, account_id=account_id)
        if found is not None:
            return found
        try:
            async with till.db.transaction() as tx:
                index = await sql.take_index(tx, xpub.fingerprint)
                return await sql.insert_address(
                    tx, address=xpub.address(index), fingerprint=xpub.fingerprint, index=index, account_id=account_id
                )
        except IndexUnusable:
            await _skip_index(till, xpub)
        except Duplicate:
            continue  # another request of this account was faster
    raise MethodClosed(method="trx", reason="no address can be given out")


async def _skip_index(till: Till, xpub: Xpub) -> None:
    async with till.db.statement() as tx:
        await sql.take_index(tx, xpub.fingerprint)


async def show(till: Till, recharge: Recharge) -> Shown:
    """Return a recharge with all that its customer needs to pay; a gateway's page that is missing is made now.

    Raises:
        GatewayUnavailable: the page cannot be made.
    """
    if recharge.status == "created":
        recharge = await till.db.to_the_end(_make_page(till, recharge))
    async with till.db.statement() as tx:
        vpas = {vpa.id: vpa for vpa in await sql.list_vpas(tx)} if recharge.vpa_id is not None else {}
        address = None if recharge.address_id is None else await sql.get_address(tx, recharge.address_id)
        quotes = [] if recharge.quote_id is None else await sql.list_quotes(tx, [recharge.quote_id])
    return Shown(recharge, None if recharge.vpa_id is None else vpas[recharge.vpa_id], address, *quotes)


async def _make_page(till: Till, recharge: Recharge) -> Recharge:
    gateway = till.gateways.get(recharge.rail)
    if gateway is None:
        raise GatewayUnavailable(transaction_id=recharge.ref)
    wanted = CheckoutWanted(
        ref=recharge.ref, amount_paise=recharge.payable_paise, account=f"u_{recharge.account_id}",
        expires_at=recharge.expires_at, return_url=f"{till.rules.public_url}/recharge/return/{recharge.ref}",
    )  # fmt: skip
    answer = await gateway.create(wanted)
    async with till.db.transaction() as tx:
        if isinstance(answer, Checkout):
            is_first = await sql.set_checkout(
                tx, recharge.id, gateway_id=answer.gateway_id, url=answer.url, session=answer.session,
                expires_at=answer.expires_at,
            )  # fmt: skip
            if is_first:
                await sql.insert_event(tx, recharge.id, "page_made")
                await sql.set_due(tx, recharge.id, after=FIRST_LOOK)
        elif answer.is_refusal and await sql.set_status(tx, recharge, "failed"):
            await sql.insert_event(tx, recharge.id, "page_failed")
        found = await sql.get_recharge(tx, recharge.id)
    if isinstance(answer, Trouble):
        log.warning("payment_page_not_made", gateway=recharge.rail, ref=recharge.ref, problem=answer.reason)
        raise GatewayUnavailable(transaction_id=recharge.ref)
    return found


async def pay_page(till: Till, *, account_id: AccountId, ref: str, method: Method) -> Shown:
    """Return what an open recharge of an account is paid with.

    Raises:
        NotFound: there is no such recharge of this account.
        WrongMethod: it is paid in another way.
        RechargeOver: it is not open any more.
    """
    recharge = await find(till.db, account_id=account_id, ref=ref)
    if (method == "upi") != (recharge.method == "upi"):
        raise WrongMethod(method=recharge.method)
    if recharge.status not in OPEN:
        raise RechargeOver(payment_status=recharge.status)
    return await show(till, recharge)
