"""`ledger` and `credit`: checking the money, and giving some."""

from contextlib import suppress
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import BY_STAFF
from numberdesk.audit import service as audit
from numberdesk.audit.model import Detail, Event
from numberdesk.base import ids
from numberdesk.base.errors import NotFound
from numberdesk.base.money import NotAnAmount, format_rupees, parse_rupees
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.main import secrets_of
from numberdesk.monitoring import service as monitoring
from numberdesk.monitoring.model import Check
from numberdesk.settings import BadSettings
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import Credit


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The ledger.", no_args_is_help=True)
    group.command("verify")(verify)
    app.add_typer(group, name="ledger")
    app.command()(credit)


def verify(home: Path = HOME) -> None:
    """Check every invariant of the money; exit 0 only if all hold."""
    checks = run(_verify(home))
    wrong = [check for check in checks if not check.ok]
    if wrong:
        raise CommandFailed(f"{len(wrong)} of {len(checks)} checks failed: the rows are named above.")
    console.print(f"[green]The ledger is right:[/] {len(checks)} checks hold.")


def credit(
    email: str = typer.Argument(help="The customer's address."),
    amount: str = typer.Argument(help="Rupees, such as 250 or 12.50."),
    reference: str = typer.Option(None, "--reference", help="Repeating a reference credits nothing twice."),
    home: Path = HOME,
) -> None:
    """Credit a customer's wallet from the operator's adjustments."""
    run(_credit(home, email=email, amount=amount, reference=reference or ids.base62(16)))


async def _verify(home: Path | None) -> list[Check]:
    async with opened_database(home) as (place, db):
        checks = await monitoring.verify(db, on_check=show_check)
        with suppress(BadSettings):  # without the secrets nothing can be written down, and what is wrong is shown
            vault = secrets_of(place.settings).vault
            async with db.transaction() as tx:
                await monitoring.tell_wrong(tx, vault, checks)
    return checks


def show_check(check: Check) -> None:
    """Show one line for a check, and the rows that are wrong."""
    mark = "[green]ok[/]  " if check.ok else "[red]WRONG[/]"
    console.print(f"{mark} {check.invariant:<4} {check.name} ({check.counted:,})", soft_wrap=True)
    for row in check.wrong:
        console.print(f"       [red]{escape(row)}[/]", soft_wrap=True)


async def _credit(home: Path | None, *, email: str, amount: str, reference: str) -> None:
    try:
        paise = parse_rupees(amount)
    except NotAnAmount as problem:
        raise CommandFailed(f"The amount {problem}.") from None
    if reference.startswith(BY_STAFF):
        raise CommandFailed(f"A reference must not begin with {BY_STAFF}: so are requests of staff called.")
    async with opened_database(home) as (_, db):
        account_id = await accounts.find_by_email(db, email)
        if account_id is None:
            raise NotFound(what="account")
        async with db.transaction() as tx:
            before = (await wallet.lock_one(tx, account_id)).available_paise
            is_new = (await wallet.credit(tx, [Credit(account_id, paise, "admin_credit", reference)]))[0]
            if is_new:
                details: dict[str, Detail] = {
                    "paise": int(paise), "cause": reference, "available_before": int(before),
                    "available_after": int(before + paise),
                }  # fmt: skip
                await audit.record(tx, Event("credited", account_id, "shell", details=details))
        balance = await wallet.balance(db, account_id)
    table = Table("account", "credited", "available", "reference")
    table.add_row(
        escape(email), format_rupees(paise) if is_new else "nothing: done before",
        format_rupees(balance.available_paise), escape(reference),
    )  # fmt: skip
    console.print(table)
