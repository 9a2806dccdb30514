"""The one verb by which money from outside is credited. Webhook, poll, import, chain and staff all end here.

One transaction holds everything: the payment's row, which is unique for ever, the posting, the recharge's state, the
receipt and the mail. So a death between any two steps leaves nothing, and what proved the payment proves it again.
Locks: recharges, payments, wallets, the series of receipts, payers, each ascending.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from numberdesk.base.crash_points import crash_point
from numberdesk.base.db import CommitUnknown, Tx, Undone
from numberdesk.base.errors import Unavailable
from numberdesk.base.money import Paise, format_rupees
from numberdesk.conduct import service as conduct
from numberdesk.payments import sql
from numberdesk.payments.methods.rate_sources import ASSETS
from numberdesk.payments.model import (
    AddressId,
    BankCreditId,
    Payment,
    PaymentId,
    PaymentState,
    Proof,
    Quote,
    Rail,
    Recharge,
    RechargeId,
    Settled,
    Why,
)
from numberdesk.payments.service._rates import Price, spot
from numberdesk.payments.service._receipts import Issue, issue
from numberdesk.payments.service._staff import suspended as staff_suspended
from numberdesk.payments.service._staff import tell
from numberdesk.payments.service._till import Till, hash_of_payer
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import Credit, Unowned

log = structlog.get_logger()

TRIES = 4
QUOTE_GRACE = timedelta(minutes=5)
"""A block may take its time: a transfer that was sent within the quote still gets its rate."""
LATE = timedelta(hours=48)
"""How long after its end a recharge is still what money at its address is taken for."""
FAR_ABOVE = 3
"""So many times the largest recharge is no customer's top-up: a person looks first."""


async def settle(till: Till, proofs: Sequence[Proof]) -> list[Settled]:
    """Credit payments that surely came in, each once for ever; what cannot be credited is kept for a person.

    A proof of something known changes nothing, so it may be repeated at any time by anybody.

    Returns:
        One outcome for each proof, in their order. `failed` is a bug of ours: it is logged, nothing of this proof was
        done, and its neighbours are settled. `stale` is a person's word on a recharge that has changed since.

    Raises:
        Unavailable: the database is out of reach; what was settled by then stays, and the rest may be proven again.
    """
    if not proofs:
        return []
    try:
        return await till.db.to_the_end(_settle(till, proofs))
    except Unavailable:
        raise
    except Exception:
        log.exception("settle_failed", proofs=len(proofs))
        if len(proofs) == 1:
            return [Settled("failed", None, None, Paise(0))]
    return [outcome for proof in proofs for outcome in await settle(till, [proof])]


async def settle_waiting(till: Till, *, limit: int = 200) -> int:
    """Decide again on payments that wait until their sum is large enough, or until a price is known.

    Returns:
        How many are credited now.
    """
    async with till.db.statement() as tx:
        waiting = await sql.list_waiting(tx, limit=limit)
    addresses = sorted({item.address_id for item in waiting if item.address_id is not None})
    return await till.db.to_the_end(_decide_again(till, addresses)) if addresses else 0


async def _decide_again(till: Till, addresses: Sequence[AddressId]) -> int:
    async with till.db.transaction() as tx:
        at_address = await _recharges_at(tx, addresses)
        book = _Book(await _locked(tx, list(at_address.values())))
        waiting = await sql.list_waiting_at(tx, addresses)
        await _decide(till, tx, book, waiting, at_address)
        await _write(till, tx, book)
    return sum(item.state == "credited" for item in book.decided)


async def _settle(till: Till, proofs: Sequence[Proof]) -> list[Settled]:
    for left in reversed(range(TRIES)):
        try:
            return await _settle_once(till, proofs)
        except (Undone, CommitUnknown):
            # Whether a lost commit took place is told by the payment's row: settling again finds it, or does it.
            if not left:
                raise
    raise AssertionError


async def _settle_once(till: Till, proofs: Sequence[Proof]) -> list[Settled]:
    distinct = {(proof.rail, proof.external_id): proof for proof in proofs}
    ordered = [distinct[key] for key in sorted(distinct)]
    async with till.db.transaction() as tx:
        addresses = sorted({proof.address_id for proof in ordered if proof.address_id is not None})
        at_address = await _recharges_at(tx, addresses)
        named = [proof.recharge_id for proof in ordered if proof.recharge_id is not None]
        crash_point("settle.begun")
        book = _Book(await _locked(tx, [*named, *at_address.values()]), proofs=distinct)
        crash_point("settle.recharges_locked")
        # Known first: a word whose commit's answer was lost finds its own work, not a newer version.
        there = {(item.rail, item.external_id) for item in await sql.find_payments(tx, list(distinct))}
        stale = {key for key, proof in distinct.items() if key not in there and _is_stale(book, proof)}
        rows = [_row(till, book, proof) for proof in ordered if (proof.rail, proof.external_id) not in stale]
        new = await sql.insert_payments(tx, rows)
        crash_point("settle.payments_written")
        at_once = [item for item in new if item.address_id is None]
        summed = await sql.list_waiting_at(tx, sorted({item.address_id for item in new if item.address_id}))
        await _decide(till, tx, book, [*at_once, *summed], at_address)
        await _write(till, tx, book)
        known = [key for key in distinct if key not in stale | {(item.rail, item.external_id) for item in new}]
        before = await sql.find_payments(tx, known) if known else []
        banked = [
            (credit, item.id, item.state) for item in before if (credit := _credit_of(distinct, item)) is not None
        ]
        if banked:
            await sql.set_bank_credits_settled(tx, banked)
            await conduct.note_payers(tx, [payment_id for _, payment_id, _ in banked])
        crash_point("settle.before_commit")
    crash_point("settle.committed")
    decided = {item.id: item for item in book.decided}
    outcomes = {(item.rail, item.external_id): _outcome(item, decided[item.id]) for item in new}
    outcomes |= {
        (item.rail, item.external_id): Settled("known", item.id, item.account_id, item.amount_paise) for item in before
    }
    outcomes |= {key: Settled("stale", None, None, Paise(0)) for key in stale}
    return [outcomes[proof.rail, proof.external_id] for proof in proofs]


def _credit_of(proofs: Mapping[tuple[Rail, str], Proof], item: Payment) -> BankCreditId | None:
    return proofs[item.rail, item.external_id].bank_credit_id


def _is_stale(book: "_Book", proof: Proof) -> bool:
    if proof.version is None or proof.recharge_id is None:
        return False
    recharge = book.recharges.get(proof.recharge_id)
    return recharge is None or recharge.version != proof.version


@dataclass
class _Book:
    """What one transaction decides, before it is written."""

    recharges: Mapping[RechargeId, Recharge]
    proofs: Mapping[tuple[Rail, str], Proof] = field(default_factory=dict)
    payments: dict[PaymentId, Payment] = field(default_factory=dict)
    decided: list[sql.Decided] = field(default_factory=list)
    credited: dict[RechargeId, int] = field(default_factory=lambda: defaultdict(int))
    notes: dict[PaymentId, str] = field(default_factory=dict)


async def _locked(tx: Tx, recharge_ids: Sequence[RechargeId]) -> dict[RechargeId, Recharge]:
    if not recharge_ids:
        return {}
    return {item.id: item for item in await sql.lock_recharges(tx, sorted(set(recharge_ids)))}


async def _recharges_at(tx: Tx, addresses: Sequence[AddressId]) -> dict[tuple[AddressId, str], RechargeId]:
    if not addresses:
        return {}
    return {(item.address_id, item.rail): item.id for item in await sql.list_open_at(tx, addresses, late=LATE)}


def _row(till: Till, book: _Book, proof: Proof) -> sql.NewPayment:
    recharge = None if proof.recharge_id is None else book.recharges.get(proof.recharge_id)
    return sql.NewPayment(
        rail=proof.rail,
        external_id=proof.external_id,
        ref=proof.ref if recharge is None else recharge.ref,
        proof=proof.kind,
        amount_paise=proof.amount_paise,
        units=proof.units,
        vpa_id=proof.vpa_id,
        address_id=proof.address_id,
        rrn=proof.rrn,
        recharge_id=None if recharge is None else recharge.id,
        account_id=proof.account_id if recharge is None else recharge.account_id,
        paid_at=proof.paid_at,
        raw=till.vault.seal(proof.raw, about=f"payment:{proof.rail}:{proof.external_id}") if proof.raw else None,
        payer_hash=hash_of_payer(till, proof.payer),
    )


async def _decide(
    till: Till, tx: Tx, book: _Book, payments: Sequence[Payment], at_address: Mapping[tuple[AddressId, str], RechargeId]
) -> None:
    on_chain = [item for item in payments if item.units is not None]
    for item in payments:
        book.payments[item.id] = item
        if item.units is None:
            _decide_rupees(till, book, item)
    if not on_chain:
        return
    quote_ids = [recharge.quote_id for recharge in book.recharges.values() if recharge.quote_id is not None]
    quotes = {quote.id: quote for quote in await sql.list_quotes(tx, quote_ids)} if quote_ids else {}
    prices: dict[Rail, Price | None] = {
        asset: await spot(till, tx, asset) for asset in ASSETS if any(item.rail == asset for item in on_chain)
    }
    sums: dict[tuple[AddressId | None, str], int] = defaultdict(int)
    for item in on_chain:
        sums[item.address_id, item.rail] += 0 if _is_own_move(book, item) else item.units or 0
    for item in on_chain:
        if _is_own_move(book, item):
            book.decided.append(sql.Decided(item.id, "ignored", "own_move", Paise(0), None, None, None))
            continue
        assert item.address_id is not None, "money of a chain comes in at an address"
        recharge = book.recharges.get(at_address.get((item.address_id, item.rail), RechargeId(0)))
        if recharge is not None and (recharge.credited_paise or book.credited.get(recharge.id)):
            recharge = None  # the first transfer fulfils it; what comes beside it is a top-up of its own
        quote = None if recharge is None or recharge.quote_id is None else quotes.get(recharge.quote_id)
        _decide_units(
            till, book, item, recharge, _price(item, quote, prices[item.rail]), sums[item.address_id, item.rail]
        )


def _is_own_move(book: _Book, item: Payment) -> bool:
    proof = book.proofs.get((item.rail, item.external_id))
    return proof is not None and proof.why == "own_move"


def _decide_rupees(till: Till, book: _Book, item: Payment) -> None:
    proof = book.proofs[item.rail, item.external_id]
    recharge = None if item.recharge_id is None else book.recharges[item.recharge_id]
    why: Why | None = proof.why
    if why is None and item.account_id is None:
        why = "unknown_reference"
    elif why is None and item.amount_paise > FAR_ABOVE * till.rules.max_paise and item.proof != "staff":
        why = "above_cap"
    elif why is None and recharge is not None and not till.rules.credits_doubles and item.proof != "staff":
        why = "doubled" if recharge.credited_paise or book.credited.get(recharge.id) else None
    if why is None and recharge is not None:
        book.notes[item.id] = _note(recharge, item, has_more=book.credited.get(recharge.id, 0) > 0)
        book.credited[recharge.id] += item.amount_paise
    state: PaymentState = "credited" if why is None else "suspense"
    book.decided.append(sql.Decided(item.id, state, why, item.amount_paise, None, None, item.recharge_id))


def _decide_units(
    till: Till, book: _Book, item: Payment, recharge: Recharge | None, price: Price | None, waiting_units: int
) -> None:
    paise = Paise(0) if price is None else price.credit(item.units or 0)
    recharge_id = None if recharge is None else recharge.id
    if price is None or waiting_units < till.rules.min_units or paise == 0:
        why: Why = "no_rate" if price is None else "dust"
        book.decided.append(sql.Decided(item.id, "waiting", why, Paise(0), None, None, None))
        return
    rate, quote_id = price.paise_per_unit, price.quote_id
    if paise > FAR_ABOVE * till.rules.max_paise:
        book.decided.append(sql.Decided(item.id, "suspense", "above_cap", paise, rate, quote_id, recharge_id))
        return
    if recharge is not None:
        book.notes[item.id] = _note(recharge, item, paise=paise)
        book.credited[recharge.id] += paise
    book.decided.append(sql.Decided(item.id, "credited", None, paise, rate, quote_id, recharge_id))


def _price(item: Payment, quote: Quote | None, now: Price | None) -> Price | None:
    """Return the quote's rate for what was sent within it, by the block's clock; else the rate of this moment."""
    if (
        quote is not None and item.paid_at is not None
        and quote.created_at - QUOTE_GRACE <= item.paid_at <= quote.expires_at + QUOTE_GRACE
    ):  # fmt: skip
        return Price(quote.paise_per_unit, quote.id)
    return now


def _note(recharge: Recharge, item: Payment, *, paise: Paise | None = None, has_more: bool = False) -> str:
    """Say what was odd about a payment that is credited all the same."""
    came = item.amount_paise if paise is None else paise
    notes = []
    if recharge.credited_paise or has_more:
        notes.append("a second payment for one recharge")
    elif _is_late(recharge, item.paid_at):
        notes.append("it came late")
    wanted = recharge.payable_paise
    if came < wanted and not recharge.credited_paise:
        notes.append(f"{format_rupees(wanted - came)} less than asked for")
    elif came > wanted and not recharge.credited_paise:
        notes.append(f"{format_rupees(came - wanted)} more than asked for")
    return "; ".join(notes)


def _is_late(recharge: Recharge, paid_at: datetime | None) -> bool:
    return recharge.status in ("expired", "rejected", "failed") or (
        paid_at is not None and paid_at > recharge.expires_at
    )


async def _write(till: Till, tx: Tx, book: _Book) -> None:
    if not book.decided:
        return
    moved = await sql.set_decided(tx, book.decided)
    assert moved == len(book.decided), "a payment was decided twice"
    crash_point("settle.payments_decided")
    ended = [item for item in book.decided if item.state != "waiting"]
    if not ended:
        return
    owned = [_credit(book, item) for item in ended if item.state == "credited"]
    unowned = [_unowned(book, item) for item in ended if item.state == "suspense"]
    done = [*await wallet.credit(tx, owned), *await wallet.suspend(tx, unowned)]
    assert all(done), "a payment that was new had its effect before"
    crash_point("settle.posted")
    await _write_recharges(tx, book, ended)
    crash_point("settle.recharges_written")
    await issue(till, tx, [_issue(book, item) for item in ended if item.state == "credited"])
    crash_point("settle.receipts_written")
    await conduct.note_payers(tx, [item.id for item in ended if item.state == "credited"])
    suspended = [item for item in ended if item.state == "suspense"]
    events = [staff_suspended(item.id, item.amount_paise, book.payments[item.id].rail, item.why) for item in suspended]
    await tell(till, tx, events)
    for item in suspended:
        payment = book.payments[item.id]
        log.warning("payment_in_suspense", payment_id=item.id, rail=payment.rail, why=item.why)


def _credit(book: _Book, item: sql.Decided) -> Credit:
    payment = book.payments[item.id]
    assert payment.account_id is not None
    return Credit(
        payment.account_id, item.amount_paise, "recharge", payment.cause, "clearing" if payment.units is None else "fx"
    )


def _unowned(book: _Book, item: sql.Decided) -> Unowned:
    payment = book.payments[item.id]
    return Unowned(item.amount_paise, payment.cause, "clearing" if payment.units is None else "fx")


def _issue(book: _Book, item: sql.Decided) -> Issue:
    payment = book.payments[item.id]
    recharge = None if item.recharge_id is None else book.recharges[item.recharge_id]
    assert payment.account_id is not None
    return Issue(
        payment, payment.account_id, item.amount_paise, item.paise_per_unit, recharge, book.notes.get(item.id, "")
    )


async def _write_recharges(tx: Tx, book: _Book, ended: Sequence[sql.Decided]) -> None:
    if book.credited:
        await sql.apply_credits(tx, [sql.Credited(key, Paise(paise)) for key, paise in sorted(book.credited.items())])
    credited = [
        (item.recharge_id, item.amount_paise, book.notes.get(item.id, ""))
        for item in ended if item.recharge_id is not None and item.state == "credited"
    ]  # fmt: skip
    in_review = [
        (item.recharge_id, item.amount_paise, str(item.why))
        for item in ended if item.recharge_id is not None and item.state == "suspense"
    ]  # fmt: skip
    if credited:
        await sql.insert_events(tx, "credited", credited)
    if in_review:
        await sql.insert_events(tx, "in_review", in_review)
    banked: list[tuple[BankCreditId, PaymentId, PaymentState]] = []
    claimed: list[tuple[RechargeId, str]] = []
    for item in ended:
        payment = book.payments[item.id]
        proof = book.proofs.get((payment.rail, payment.external_id))
        if proof is not None and proof.bank_credit_id is not None:
            banked.append((proof.bank_credit_id, item.id, item.state))
        if payment.rrn is not None and item.recharge_id is not None and item.state == "credited":
            claimed.append((item.recharge_id, payment.rrn))
    if banked:
        await sql.set_bank_credits_settled(tx, banked)
    if claimed:
        await sql.set_claims_credited(tx, claimed)


def _outcome(payment: Payment, item: sql.Decided) -> Settled:
    assert item.state != "returned"
    return Settled(item.state, payment.id, payment.account_id, item.amount_paise)
