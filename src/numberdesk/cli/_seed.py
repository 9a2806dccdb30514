"""`seed`: many customers with money and keys, for load tests."""

import secrets
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import Progress

from numberdesk.accounts import service as accounts
from numberdesk.base.db import Database
from numberdesk.base.money import NotAnAmount, Paise, parse_rupees
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run, write_private
from numberdesk.conduct import service as conduct
from numberdesk.main import secrets_of
from numberdesk.wallet import service as wallet
from numberdesk.wallet.model import Credit

PAGE = 500
USERS_MAX = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(seed)


def seed(
    users: int = typer.Option(..., "--users", min=1, max=USERS_MAX),
    balance: str = typer.Option(..., "--balance", help="Rupees for each."),
    keys_file: Path = typer.Option(..., "--keys-file", help="Gets one API key a line; readable by its owner only."),
    home: Path = HOME,
) -> None:
    """Make customers with funds and one API key each."""
    try:
        paise = parse_rupees(balance)
    except NotAnAmount as problem:
        raise CommandFailed(f"--balance {problem}.") from None
    run(_seed(home, users=users, paise=paise, keys_file=keys_file))


async def _seed(home: Path | None, *, users: int, paise: Paise, keys_file: Path) -> None:
    keys: list[str] = []
    async with opened_database(home) as (place, db):
        pepper = secrets_of(place.settings).peppers[0]
        # Keys that could not be written would be lost with their customers' money, so the file is tried first.
        write_private(keys_file, "")
        with Progress(console=console) as progress:
            task = progress.add_task("Customers", total=users)
            while len(keys) < users:
                count = min(PAGE, users - len(keys))
                keys += await make_customers(db, count=count, paise=paise, pepper=pepper)
                progress.advance(task, count)
    write_private(keys_file, "".join(f"{key}\n" for key in keys))
    console.print(f"{users:,} customers made; their keys are in {escape(str(keys_file))}.")


async def make_customers(db: Database, *, count: int, paise: Paise, pepper: str) -> list[str]:
    """Make customers with the same money each, in one transaction; returns their API keys."""
    run_id = secrets.token_hex(6)
    emails = [f"seed-{run_id}-{number}@customers.test" for number in range(count)]
    async with db.transaction() as tx:
        account_ids = await accounts.create(tx, emails=emails, names=[""] * count)
        await wallet.credit(
            tx, [Credit(account_id, paise, "admin_credit", f"seed-{run_id}-{account_id}") for account_id in account_ids]
        )
        await accounts.lift_limit(tx, account_ids)
        await conduct.let_free(tx, account_ids, reason="load tests")
        issued = await accounts.issue_keys(tx, account_ids=account_ids, name="seed", pepper=pepper)
    return [key.secret for key in issued]
