"""`admin`, `account`, `email-domain`, `terms`, `mail`: people, as the operator sees them from the shell."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import typer
from rich.markup import escape
from rich.table import Table

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role, SettableState, Verdict
from numberdesk.accounts.service import People
from numberdesk.base import ids
from numberdesk.base.db import Duplicate
from numberdesk.base.errors import InvalidFields, NotFound
from numberdesk.cli._place import HOME, CommandFailed, console, opened_database, run
from numberdesk.main import open_people, secrets_of
from numberdesk.wallet.model import AccountId

ROLES = tuple(role for role in get_args(Role) if role != "customer")
PASSWORD_LENGTH = 20
STDIN = typer.Option(False, "--password-stdin", help="Read the password from standard input; else one is made.")
EMAIL = typer.Argument(help="The address of the account.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    admin = typer.Typer(help="The staff.", no_args_is_help=True)
    admin.command("create")(create_admin)
    admin.command("reset-password")(reset_password)
    admin.command("reset-2fa")(reset_second_factor)
    app.add_typer(admin, name="admin")
    account = typer.Typer(help="Accounts.", no_args_is_help=True)
    account.command("state")(set_state)
    account.command("role")(set_role)
    app.add_typer(account, name="account")
    domain = typer.Typer(help="Mail domains that may or may not register.", no_args_is_help=True)
    for verdict in ("allow", "deny", "remove"):
        domain.command(verdict, help=f"{verdict.capitalize()} a domain and all below it.")(_judge(verdict))
    domain.command("list")(list_domains)
    app.add_typer(domain, name="email-domain")
    terms = typer.Typer(help="The terms of service.", no_args_is_help=True)
    terms.command("publish")(publish_terms)
    app.add_typer(terms, name="terms")


@asynccontextmanager
async def _people(home: Path | None) -> AsyncIterator[People]:
    async with opened_database(home) as (place, db):
        yield open_people(db, place.settings, secrets_of(place.settings))


async def _find(people: People, email: str) -> AccountId:
    account_id = await accounts.find_by_email(people.db, email)
    if account_id is None:
        raise NotFound(what="account")
    return account_id


def create_admin(
    email: str = EMAIL,
    role: str = typer.Option("owner", "--role", help=f"One of: {', '.join(ROLES)}"),
    name: str = typer.Option("", "--name"),
    password_stdin: bool = STDIN,
    home: Path = HOME,
) -> None:
    """Make an account of the staff. Its second factor is set up at its first login."""
    if role not in ROLES:
        raise CommandFailed(f"--role must be one of: {', '.join(ROLES)}.")
    run(_create_admin(home, email=email, name=name, role=role, password=_password(password_stdin)))  # type: ignore[arg-type]


async def _create_admin(home: Path | None, *, email: str, name: str, role: Role, password: tuple[str, bool]) -> None:
    async with _people(home) as people:
        try:
            await accounts.create_staff(people, email=email, name=name, role=role, password=password[0])
        except Duplicate:
            raise CommandFailed(f"{email} has an account: `numberdesk account role` changes what it may do.") from None
    console.print(f"[green]Made[/] {escape(email)} ({role}). The second factor is set up at the first login.")
    _show_password(password)


def reset_password(email: str = EMAIL, password_stdin: bool = STDIN, home: Path = HOME) -> None:
    """Set a password; every session of the account ends."""
    run(_reset_password(home, email=email, password=_password(password_stdin)))


async def _reset_password(home: Path | None, *, email: str, password: tuple[str, bool]) -> None:
    async with _people(home) as people:
        await accounts.set_password_from_shell(people, await _find(people, email), password[0])
    console.print(f"The password of {escape(email)} was set, and its sessions ended.")
    _show_password(password)


def reset_second_factor(email: str = EMAIL, home: Path = HOME) -> None:
    """Remove a second factor whose owner lost it; every session of the account ends."""
    run(_reset_second_factor(home, email=email))


async def _reset_second_factor(home: Path | None, *, email: str) -> None:
    async with _people(home) as people:
        had_one = await accounts.reset_second_factor(people, await _find(people, email))
    console.print(f"{escape(email)} had {'a' if had_one else 'no'} second factor; its sessions ended.")


def set_state(
    email: str = EMAIL,
    state: str = typer.Argument(help=f"One of: {', '.join(get_args(SettableState))}"),
    reason: str = typer.Option("", "--reason", help="Goes to the audit log."),
    home: Path = HOME,
) -> None:
    """Freeze, ban or reopen an account; every process follows within a second."""
    if state not in get_args(SettableState):
        raise CommandFailed(f"The state must be one of: {', '.join(get_args(SettableState))}.")
    run(_set_state(home, email=email, state=state, reason=reason))


async def _set_state(home: Path | None, *, email: str, state: str, reason: str) -> None:
    async with _people(home) as people:
        await accounts.set_state(people.db, await _find(people, email), state, reason=reason)  # type: ignore[arg-type]
    console.print(f"{escape(email)} is {state}.")


def set_role(
    email: str = EMAIL,
    role: str = typer.Argument(help=f"One of: {', '.join(get_args(Role))}"),
    home: Path = HOME,
) -> None:
    """Change what an account may do as staff; its sessions end."""
    if role not in get_args(Role):
        raise CommandFailed(f"The role must be one of: {', '.join(get_args(Role))}.")
    run(_set_role(home, email=email, role=role))


async def _set_role(home: Path | None, *, email: str, role: str) -> None:
    async with _people(home) as people:
        await accounts.set_role(people.db, await _find(people, email), role)  # type: ignore[arg-type]
    console.print(f"{escape(email)} is {role}; its sessions ended.")


def _judge(verdict: str):  # type: ignore[no-untyped-def]
    def judge(domain: str = typer.Argument(help="Such as example.com"), home: Path = HOME) -> None:
        run(_judge_domain(home, domain=domain, verdict=verdict))

    return judge


async def _judge_domain(home: Path | None, *, domain: str, verdict: str) -> None:
    word: Verdict | None = None if verdict == "remove" else verdict  # type: ignore[assignment]
    async with _people(home) as people:
        if not await accounts.judge_domain(people.db, domain, word):
            raise CommandFailed(f"There was no word on {domain}.")
    console.print(f"{escape(domain)}: {'no word any more' if word is None else word}.")


def list_domains(home: Path = HOME) -> None:
    """Show the operator's words on mail domains; they stand above the packaged list of disposable ones."""
    run(_list_domains(home))


async def _list_domains(home: Path | None) -> None:
    async with _people(home) as people:
        found = await accounts.list_domains(people.db)
    table = Table("domain", "verdict")
    for domain, verdict in found:
        table.add_row(escape(domain), verdict)
    console.print(table)


def publish_terms(
    file: Path = typer.Argument(help="A text in UTF-8.", exists=True, dir_okay=False), home: Path = HOME
) -> None:
    """Publish new terms; every customer must accept them before the next purchase."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise CommandFailed(f"{file} is no text in UTF-8.") from None
    if not text:
        raise CommandFailed(f"{file} is empty.")
    run(_publish_terms(home, text=text))


async def _publish_terms(home: Path | None, *, text: str) -> None:
    async with _people(home) as people:
        version = await accounts.publish_terms(people.db, text)
    console.print("These terms are in force already." if version is None else f"Version {version} is in force.")


def _password(from_stdin: bool) -> tuple[str, bool]:
    """Return a password, and whether we made it."""
    if not from_stdin:
        return ids.base62(PASSWORD_LENGTH), True
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InvalidFields({"password": "is empty: write it to standard input"})
    return password, False


def _show_password(password: tuple[str, bool]) -> None:
    if password[1]:
        console.print(f"Password, shown this once: [bold]{password[0]}[/]")
