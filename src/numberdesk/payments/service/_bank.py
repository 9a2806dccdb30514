"""What the operator's bank says: statements and alerts, and how they find the recharges they are for."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from numberdesk.audit import service as audit
from numberdesk.audit.model import ActorKind, Detail, Event
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.conduct import service as conduct
from numberdesk.payments import sql
from numberdesk.payments.methods import alerts, statements
from numberdesk.payments.model import (
    BankCredit,
    NewBankCredit,
    Proof,
    Statement,
    Vpa,
    VpaId,
)
from numberdesk.payments.service._errors import BadSignature
from numberdesk.payments.service._settle import settle
from numberdesk.payments.service._till import Till, hash_of_payer
from numberdesk.wallet.model import AccountId

log = structlog.get_logger()

STATEMENT_MAX = 16 * 1024 * 1024
ROWS_AT_ONCE = 2000
MATCH_LIMIT = 500
CLOCKS = timedelta(minutes=5)
AFTER_END = timedelta(hours=48)
UNCLAIMED_AFTER = timedelta(hours=48)
"""How long proven money may wait for its customer before it stands in suspense."""
LEASE = timedelta(seconds=60)


def bank_id(vpa_id: VpaId, reference: str) -> str:
    """Return what a payment to one of our addresses is known by for ever."""
    return f"{vpa_id}:{reference}"


async def find_vpa(till: Till, address: str | None) -> Vpa:
    """Return one of our addresses by its name; without a name, the only one there is.

    Raises:
        InvalidFields: there is no such address, or several to choose from.
    """
    async with till.db.statement() as tx:
        known = await sql.list_vpas(tx)
    if address is None and len(known) == 1:
        return known[0]
    found = [vpa for vpa in known if vpa.vpa == (address or "").strip().lower()]
    if not found:
        raise InvalidFields({"vpa": "must be one of: " + (", ".join(vpa.vpa for vpa in known) or "none is known")})
    return found[0]


async def match(till: Till, *, vpa_id: VpaId | None = None, rrn: str | None = None) -> int:
    """Credit what the bank says came in and exactly one customer has claimed, for its amount and in its time.

    Returns:
        How many payments were credited.
    """
    async with till.db.statement() as tx:
        found = await sql.list_matches(
            tx, with_alerts=till.rules.alerts_prove, vpa_id=vpa_id, rrn=rrn, before=CLOCKS, after=AFTER_END,
            one_person_up_to=till.rules.two_people_above, limit=MATCH_LIMIT,
        )  # fmt: skip
    # A UTR that statements of two of our addresses show is one payment: the second waits for a person.
    found = list({item.rrn: item for item in reversed(found)}.values())
    outcomes = await settle(
        till,
        [
            Proof(
                rail="upi_manual", external_id=bank_id(item.vpa_id, item.reference),
                kind="statement" if item.source == "statement" else "alert", paid_at=item.paid_at,
                amount_paise=item.amount_paise, recharge_id=item.recharge_id, vpa_id=item.vpa_id, rrn=item.rrn,
                bank_credit_id=item.credit_id,
            )
            for item in found
        ],
    )  # fmt: skip
    return sum(outcome.outcome == "credited" for outcome in outcomes)


async def suspend_unclaimed(till: Till, *, limit: int = 200) -> int:
    """Put proven money that nobody claimed for long into suspense, where a person finds it."""
    async with till.db.statement() as tx:
        found = await sql.list_unclaimed_since(tx, older_than=UNCLAIMED_AFTER, limit=limit)
    await settle(till, [_unclaimed(item) for item in found])
    return len(found)


def _unclaimed(item: BankCredit) -> Proof:
    return Proof(
        rail="upi_manual", external_id=bank_id(item.vpa_id, item.reference), kind="statement", paid_at=item.paid_at,
        amount_paise=item.amount_paise, vpa_id=item.vpa_id, rrn=item.rrn, bank_credit_id=item.id, why="unclaimed",
    )  # fmt: skip


async def take_statement(
    till: Till, *, vpa: Vpa, raw: bytes, name: str, profile: str | None, by: AccountId | None
) -> tuple[Statement, bool]:
    """Store a file of the bank; a pass reads it. The same file is stored once.

    Args:
        profile: how its columns are named; None finds out.

    Returns:
        The file, and whether it is new.

    Raises:
        InvalidFields: it is too large, no statement, or of a form that we do not know.
    """
    if len(raw) > STATEMENT_MAX:
        raise InvalidFields({"body": f"must be at most {STATEMENT_MAX // 1024 // 1024} MB"})
    try:
        shape = statements.sniff(raw) if profile is None else statements.PROFILES.get(profile)
        if shape is None:
            raise InvalidFields({"profile": "must be one of: " + ", ".join(sorted(statements.PROFILES))})
        rows = await asyncio.to_thread(_count_rows, raw, shape)
    except statements.BadStatement as problem:
        raise InvalidFields({"body": str(problem)}) from None
    digest = hashlib.sha256(raw).digest()
    sealed = till.vault.seal(raw.decode("latin-1"), about=f"statement:{digest.hex()}")
    async with till.db.transaction() as tx:
        new = await sql.insert_statement(
            tx,
            vpa_id=vpa.id,
            profile=shape.name,
            name=name[:80],
            sha256=digest,
            content=sealed,
            rows=rows,
            by_account=by,
        )
        if new is not None:
            details: dict[str, Detail] = {"statement": new.id, "vpa": vpa.vpa, "rows": rows, "sha256": digest.hex()}
            kind: ActorKind = "shell" if by is None else "person"
            await audit.record(tx, Event("statement_imported", by, kind, by, details=details))
        found = new or await sql.find_statement(tx, statement_id=None, vpa_id=vpa.id, sha256=digest)
    assert found is not None
    return found, new is not None


def _count_rows(raw: bytes, shape: statements.Profile) -> int:
    return sum(1 for _ in statements.read_rows(raw, shape))


@dataclass
class _Part:
    """A part of a file as it was read."""

    rows: int = 0
    skipped: int = 0
    is_over: bool = True
    items: dict[str, NewBankCredit] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[dict[str, object]] = field(default_factory=list)
    alike: Counter[str] = field(default_factory=Counter)
    """How often each row without a number came so far, from the file's beginning."""


async def read_statements(till: Till) -> int:
    """Read one part of one file that waits: new credits are written and matched, a bad row is named and left out.

    A crash in between reads the part again, which finds its credits known.

    Returns:
        How many rows were read.
    """
    async with till.db.transaction() as tx:
        content = await sql.lease_statement(tx, lease=LEASE)
    if content is None:
        return 0
    # Reading a large file takes seconds: not on the loop that answers everybody.
    try:
        part = await asyncio.to_thread(_read_part, till, content)
    except Exception as problem:
        log.exception("statement_unreadable", statement_id=content.id)
        async with till.db.statement() as tx:
            await sql.set_statement_failed(tx, content.id, problem=f"it cannot be read ({type(problem).__name__})")
        return 0
    new = await _write_credits(till, content, part)
    settled = 0
    for _ in range(1 + len(new) // MATCH_LIMIT):
        settled += await match(till, vpa_id=content.vpa_id) if new else 0
    async with till.db.statement() as tx:
        await sql.add_progress(
            tx, content, rows=part.rows, new=len(new), known=len(part.items) - len(new), settled=settled,
            skipped=part.skipped, bad=len(part.problems), problems=json.dumps(part.problems[:100]),
            is_over=part.is_over,
        )  # fmt: skip
    return part.rows


def _read_part(till: Till, content: sql.Content) -> _Part:
    part = _Part()
    raw = till.vault.open(content.content, about=f"statement:{content.sha256.hex()}").encode("latin-1")
    for place, row in enumerate(statements.read_rows(raw, statements.PROFILES[content.profile])):
        if part.rows == ROWS_AT_ONCE:
            part.is_over = False
            break
        if isinstance(row, statements.Credit) and row.rrn is None:
            # Two rows that look alike and have no number of their own are two payments.
            part.alike[row.reference] += 1
            row = replace(row, reference=f"{row.reference}:{part.alike[row.reference]}")
        if place >= content.rows_read:
            part.rows += 1
            _sort(till, content.vpa_id, part, row)
    return part


def _sort(till: Till, vpa_id: VpaId, part: _Part, row: statements.Row) -> None:
    match row:
        case statements.BadRow():
            part.problems.append({"line": row.line, "problem": row.problem})
        case statements.Skipped():
            part.skipped += 1
        case statements.Credit():
            reference = row.rrn or row.reference
            twin = part.items.get(reference)
            if twin is not None:
                part.problems.append(
                    {"line": row.line, "problem": f"is the same payment as line {part.lines[reference]}"}
                )
                return
            details = json.dumps({"payer": row.payer, "narration": row.narration}, ensure_ascii=False)
            part.items[reference] = NewBankCredit(
                reference, row.rrn, row.amount_paise, row.paid_at, row.is_exact,
                till.vault.seal(details, about=f"bank:{vpa_id}:{reference}"),
                hash_of_payer(till, row.payer),
            )  # fmt: skip
            part.lines[reference] = row.line


async def _write_credits(till: Till, content: sql.Content, part: _Part) -> Sequence[BankCredit]:
    if not part.items:
        return []
    vpa_id, references = content.vpa_id, sorted(part.items)
    async with till.db.transaction() as tx:
        before = {
            item.reference: item for item in await sql.list_bank_credits(tx, vpa_id=vpa_id, references=references)
        }
        for reference, known in before.items():
            is_used = known.source == "statement" or known.state != "open"
            if known.amount_paise != part.items[reference].amount_paise and is_used:
                said = "an earlier statement said" if known.source == "statement" else "was credited by a message"
                part.problems.append({"line": part.lines[reference], "problem": f"has another amount than {said}"})
        ordered = [part.items[reference] for reference in references]
        new = await sql.insert_bank_credits(
            tx, vpa_id=vpa_id, source="statement", statement_id=content.id, items=ordered
        )
        # What a person approved before the statement came is known: it waits for nobody.
        linked = await sql.link_known_credits(tx, vpa_id=vpa_id, references=references)
        await conduct.note_payers(tx, linked)
    return new


async def read_statement(till: Till, statement_id: int) -> Statement:
    """Return a file and how far it was read.

    Raises:
        NotFound: there is no such file.
    """
    async with till.db.statement() as tx:
        found = await sql.find_statement(tx, statement_id=statement_id, vpa_id=None, sha256=None)
    if found is None:
        raise NotFound(what="statement")
    return found


async def take_alert(
    till: Till, *, device: str, timestamp: str, signature: str, raw: bytes, now: datetime
) -> BankCredit | None:
    """Take a bank's message that an operator's device forwards. By itself it is a suggestion for a person.

    Returns:
        What it says came in; None when it tells of no credit, or of a known one.

    Raises:
        BadSignature: not one of the devices, or too old.
        InvalidFields: the body is not {"text", "vpa"?}, or the address is none of ours.
    """
    try:
        alerts.check_signature(
            till.rules.alert_keys.get(device, ""), timestamp=timestamp, raw=raw, signature=signature, now=now
        )
        body = json.loads(raw)
        text, address = body["text"], body.get("vpa")
    except alerts.BadAlert:
        raise BadSignature from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidFields({"text": "is required"}) from None
    if isinstance(text, str):  # a phone may cut a message inside a sign
        text = text.encode("utf-8", "replace").decode()
    if not isinstance(text, str) or not isinstance(address, str | None):
        raise InvalidFields({"text": "must be text"})
    vpa = await find_vpa(till, address)
    alert = alerts.read_alert(text)
    if alert is None or alert.rrn is None:
        return None
    details = json.dumps({"payer": alert.payer, "narration": text[:200]}, ensure_ascii=False)
    sealed = till.vault.seal(details, about=f"bank:{vpa.id}:{alert.rrn}")
    item = NewBankCredit(alert.rrn, alert.rrn, alert.amount_paise, now, True, sealed, hash_of_payer(till, alert.payer))
    async with till.db.statement() as tx:
        new = await sql.insert_bank_credits(tx, vpa_id=vpa.id, source="alert", statement_id=None, items=[item])
        linked = await sql.link_known_credits(tx, vpa_id=vpa.id, references=[alert.rrn])
        await conduct.note_payers(tx, linked)
    await match(till, vpa_id=vpa.id, rrn=alert.rrn)
    return new[0] if new else None
